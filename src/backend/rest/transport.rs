//! [`Transport`]: moves one HTTP request. Implement it where the built-in client does not run.

use crate::error::{Error, ErrorKind};
use crate::platform::{BoxFuture, BoxStream, MaybeSend};
use bytes::Bytes;
use http::HeaderMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use url::Url;

/// An HTTP request. Always a `POST`.
#[non_exhaustive]
pub struct HttpRequest {
    /// The address.
    pub url: Url,
    /// All headers, including the token's.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// A longer body must end in [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge).
    pub max_reply_bytes: usize,
    progress: Progress,
}

impl HttpRequest {
    pub(crate) fn new(url: Url, headers: HeaderMap, body: Bytes, max_reply_bytes: usize) -> Self {
        Self { url, headers, body, max_reply_bytes, progress: Progress::default() }
    }

    /// Returns the progress of the request, for a transport that knows when a request is sent.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// The progress of a request to the server.
///
/// A transport that holds requests until there is room for them, in a queue or for a free stream of
/// HTTP/2, reports that here. A request that was not sent is then retried whatever its command, and
/// its error is [`NotApplied`](crate::Outcome::NotApplied), even if the attempt's timeout passes.
/// The built-in transport reports it; without reports, nothing is assumed.
///
/// ```
/// # fn of(request: redis_rest::backend::rest::HttpRequest) {
/// let progress = request.progress();
/// progress.waits();
/// // Later, when there is room:
/// if progress.leaves() {
///     // Writes the end of the request, without which no server can execute it.
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Progress(Arc<AtomicU8>);

const UNKNOWN: u8 = 0;
const WAITS: u8 = 1;
const LEFT: u8 = 2;
/// Must not be sent any more.
const GIVEN_UP: u8 = 3;
/// The server responded before it had the whole request.
const ANSWERED_EARLY: u8 = 4;

impl Progress {
    /// Reports that the server cannot have the whole request yet.
    pub fn waits(&self) {
        self.0.store(WAITS, Ordering::Release);
    }

    /// Reports that the end of the request is sent now. Returns false if the request was cancelled
    /// meanwhile: then its end must not be sent.
    #[must_use]
    pub fn leaves(&self) -> bool {
        let left = self.0.compare_exchange(WAITS, LEFT, Ordering::AcqRel, Ordering::Acquire);
        left.is_ok() || self.0.load(Ordering::Acquire) != GIVEN_UP
    }

    /// Cancels a request. Returns true if its end was not sent, and will not be.
    pub(crate) fn give_up(&self) -> bool {
        self.0.compare_exchange(WAITS, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Reports that the head of a response has arrived.
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) fn answered(&self) {
        let _ = self.0.compare_exchange(WAITS, ANSWERED_EARLY, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Returns true if the server responded before it had the whole request.
    pub(crate) fn was_answered_early(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), WAITS | ANSWERED_EARLY)
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.load(Ordering::Relaxed) {
            UNKNOWN => "Progress(unknown)",
            LEFT => "Progress(left)",
            _ => "Progress(waits)",
        })
    }
}

/// Shows neither address nor headers.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({} bytes)", self.body.len())
    }
}

/// An HTTP response, read to its end.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers; without `content-encoding` if the transport decompressed the body.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl HttpResponse {
    /// Creates a response with a body that was read to its end.
    pub fn new(status: u16, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into() }
    }
}

/// Shows the status and the length.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} bytes)", self.status, self.body.len())
    }
}

/// The chunks of a body as they arrive. Dropping it closes the connection.
pub type HttpChunks = BoxStream<Result<Bytes, Error>>;

/// A response whose body is still arriving.
#[non_exhaustive]
pub struct HttpStream {
    /// Status and headers, and the body if it was read to the end.
    pub response: HttpResponse,
    /// The body if it is still arriving.
    pub chunks: Option<HttpChunks>,
}

impl HttpStream {
    /// Creates a response without a body, whose body arrives as `chunks`; or with it, and no
    /// `chunks`.
    pub fn new(response: HttpResponse, chunks: Option<HttpChunks>) -> Self {
        Self { response, chunks }
    }
}

/// Shows the status.
impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpStream({})", self.response.status)
    }
}

/// Moves one HTTP request and reads its response to the end.
///
/// The contract: any status is a response, not an error; redirects are not followed (a token must
/// not travel); an error states by its [`outcome`](Error::outcome) whether anything may have been
/// sent: [`ErrorKind::Connect`](crate::ErrorKind::Connect) only if nothing was.
/// [`HttpRequest::progress`] reports the same of an abandoned request. Timeouts are the caller's:
/// dropping the future must abandon the request.
pub trait Transport: MaybeSend + 'static {
    /// Sends `request`.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>>;

    /// Sends `request` and returns once the head of the response has arrived, for event streams. If
    /// the status is not 200 the body is read to the end instead.
    ///
    /// # Errors
    /// Fails like [`send`](Self::send). Without an implementation,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream, Error>> {
        drop(request);
        Box::pin(async {
            Err(Error::new(ErrorKind::Unsupported, "this transport has no event streams"))
        })
    }
}
