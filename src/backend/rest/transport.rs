//! [`Transport`]: moves one HTTP request. Implement it where the built-in client does not run.

use crate::error::{Error, ErrorKind};
use crate::platform::{BoxFuture, BoxStream, MaybeSend};
use bytes::Bytes;
use http::HeaderMap;
use std::fmt;
use url::Url;

/// One HTTP request. Always a `POST`.
#[non_exhaustive]
pub struct HttpRequest {
    /// Where to.
    pub url: Url,
    /// All headers, the token's included.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Reading a longer body must end in [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge).
    pub max_reply_bytes: usize,
}

impl HttpRequest {
    pub(crate) fn new(url: Url, headers: HeaderMap, body: Bytes, max_reply_bytes: usize) -> Self {
        Self { url, headers, body, max_reply_bytes }
    }
}

/// Shows neither address nor headers.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({} bytes)", self.body.len())
    }
}

/// One HTTP response, read to its end.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers; without `content-encoding` where the transport decompressed the body.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl HttpResponse {
    /// A response with a body that was read to its end.
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

/// The parts of a body as they come. Dropping it closes the connection.
pub type HttpChunks = BoxStream<Result<Bytes, Error>>;

/// A response whose body is still coming.
#[non_exhaustive]
pub struct HttpStream {
    /// Status and headers, and the body where it was read to the end.
    pub response: HttpResponse,
    /// The body where it is still coming.
    pub chunks: Option<HttpChunks>,
}

impl HttpStream {
    /// A response without a body of its own, whose body comes as `chunks`; or with it, and no `chunks`.
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
/// The contract: any status is a response, not an error; redirects are not followed (a token must not travel); an error
/// says by its [`outcome`](Error::outcome) whether anything may have left: [`ErrorKind::Connect`](crate::ErrorKind::Connect)
/// only when nothing has. Timeouts are the caller's: dropping the future must abandon the request.
pub trait Transport: MaybeSend + 'static {
    /// Sends `request`.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>>;

    /// Sends `request` and answers when the head of the response is there, for event streams. Where the status is not 200 the body
    /// is read to the end instead.
    ///
    /// # Errors
    /// As [`send`](Self::send). Without an implementation, [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream, Error>> {
        drop(request);
        Box::pin(async {
            Err(Error::new(ErrorKind::Unsupported, "this transport has no event streams"))
        })
    }
}
