//! The built-in [`Transport`], and the only file that names `reqwest`.

use super::transport::{HttpRequest, HttpResponse, HttpStream, Transport};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::platform::BoxFuture;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long an idle connection is kept. Common proxies close theirs after 60 s; a connection that is closed by both sides
/// at once costs an attempt.
const IDLE: Duration = Duration::from_secs(50);

/// The built-in [`Transport`]: pooled connections, HTTP/1.1 or HTTP/2, no proxies, no redirects. Cheap to clone; clones share
/// their connections.
///
/// A client makes its own. Make one to wrap it in a transport that counts, logs or delays:
///
/// ```
/// use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
/// use redis_rest::{BoxFuture, Client};
/// use std::time::Duration;
///
/// struct Counting(HttpTransport, std::sync::atomic::AtomicU64);
///
/// impl Transport for Counting {
///     fn send(&self, request: HttpRequest) -> BoxFuture<'_, redis_rest::Result<HttpResponse>> {
///         self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         self.0.send(request)
///     }
/// }
///
/// # fn main() -> redis_rest::Result<()> {
/// let transport = Counting(HttpTransport::new(Duration::from_secs(3))?, Default::default());
/// let client = Client::builder().url("http://127.0.0.1:8079").token("local-token").transport(transport).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HttpTransport {
    client: ::reqwest::Client,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

impl HttpTransport {
    /// A transport that gives up connecting after `connect_timeout`. Does no I/O.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when TLS cannot be set up.
    pub fn new(connect_timeout: Duration) -> Result<Self> {
        let builder = ::reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .redirect(::reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(usize::MAX);
        #[cfg(feature = "rustls")]
        let builder = {
            let mut tls = crate::backend::tls::of_platform()?;
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            builder.tls_backend_preconfigured(tls)
        };
        let client = builder
            .build()
            .map_err(|error| Error::new(ErrorKind::Config, "the HTTP client cannot be set up").with_source(Cause::of(error)))?;
        Ok(Self { client })
    }

    /// Not an `async fn`: its future would hold the parts of the request beside what they become.
    fn start(&self, request: HttpRequest) -> impl Future<Output = Result<::reqwest::Response, ::reqwest::Error>> + use<> {
        let mut outgoing = ::reqwest::Request::new(http::Method::POST, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = Some(request.body.into());
        self.client.execute(outgoing)
    }

    async fn begin(&self, request: HttpRequest) -> Result<HttpStream> {
        let max_reply_bytes = request.max_reply_bytes;
        let mut response = self.start(request).await.map_err(classify)?;
        if response.status() != http::StatusCode::OK {
            return Ok(HttpStream { response: read(response, max_reply_bytes).await?, chunks: None });
        }
        let headers = std::mem::take(response.headers_mut());
        let head = HttpResponse { status: 200, headers, body: Bytes::new() };
        Ok(HttpStream { response: head, chunks: Some(Box::pin(Chunks { next: Some(next_chunk(response)) })) })
    }
}

/// The body of a response, a chunk at a time.
struct Chunks {
    next: Option<BoxFuture<'static, (Result<Option<Bytes>>, ::reqwest::Response)>>,
}

fn next_chunk(mut response: ::reqwest::Response) -> BoxFuture<'static, (Result<Option<Bytes>>, ::reqwest::Response)> {
    Box::pin(async move { (response.chunk().await.map_err(classify), response) })
}

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let (chunk, response) = ready!(next.as_mut().poll(context));
        self.next = matches!(chunk, Ok(Some(_))).then(|| next_chunk(response));
        Poll::Ready(chunk.transpose())
    }
}

/// Reads a response to its end.
async fn read(mut response: ::reqwest::Response, max_reply_bytes: usize) -> Result<HttpResponse> {
    let too_large = || Error::new(ErrorKind::ReplyTooLarge, "the reply is larger than allowed");
    if response.content_length().is_some_and(|length| length > max_reply_bytes as u64) {
        return Err(too_large().with_status(response.status().as_u16()));
    }
    let declared = response.content_length().and_then(|length| usize::try_from(length).ok());
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let first = response.chunk().await.map_err(classify)?.unwrap_or_default();
    // Also where all of it is there: the end comes when the connection is back in the pool, where the next call finds it.
    let body = match response.chunk().await.map_err(classify)? {
        None => first,
        Some(second) => {
            let mut all = BytesMut::with_capacity(declared.unwrap_or(0).max(first.len() + second.len()));
            all.extend_from_slice(&first);
            let mut next: Option<Bytes> = Some(second);
            while let Some(chunk) = next {
                if all.len() + chunk.len() > max_reply_bytes {
                    return Err(too_large().with_status(status));
                }
                all.extend_from_slice(&chunk);
                next = response.chunk().await.map_err(classify)?;
            }
            all.freeze()
        }
    };
    if body.len() > max_reply_bytes {
        return Err(too_large().with_status(status));
    }
    Ok(HttpResponse { status, headers, body })
}

impl Transport for HttpTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        let max_reply_bytes = request.max_reply_bytes;
        let response = self.start(request);
        Box::pin(async move { read(response.await.map_err(classify)?, max_reply_bytes).await })
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream>> {
        Box::pin(self.begin(request))
    }
}

/// Whether anything may have left is what matters: only errors of connecting (name, TCP, TLS) are sure.
fn classify(error: ::reqwest::Error) -> Error {
    let (kind, message) = if error.is_connect() {
        (ErrorKind::Connect, "no connection to the server")
    } else if error.is_timeout() {
        (ErrorKind::Timeout, "the attempt took too long")
    } else if error.is_builder() {
        return Error::new(ErrorKind::InvalidCommand, "the request cannot be built").with_source(Cause::of(error));
    } else {
        (ErrorKind::Io, "the connection broke")
    };
    let outcome = if kind == ErrorKind::Connect { Outcome::NotApplied } else { Outcome::MaybeApplied };
    Error::new(kind, message).with_outcome(outcome).with_source(Cause::of(error))
}

/// The chain of causes as text, without the URL.
struct Cause(String);

impl Cause {
    fn of(error: ::reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = String::new();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(error) = cause {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self(text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
