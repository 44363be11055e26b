//! The built-in [`Transport`]. It and `fetch.rs`, which takes its place on `wasm32`, are the only files that name `reqwest`.

mod news;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(not(feature = "rustls"))]
#[path = "reqwest/no_tls.rs"]
mod tls;
mod trust;

use super::transport::{HttpRequest, HttpResponse, HttpStream, Transport};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::platform::BoxFuture;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use trust::{Pool, Watch};
use url::Url;

pub(crate) use tls::Trust;

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
pub struct HttpTransport(Arc<Pools>);

/// One pool for each scheme, made when it is first needed: TLS costs more than the rest of a start, and `http://` needs none of it.
struct Pools {
    connect_timeout: Duration,
    trust: Trust,
    plain: OnceLock<Pool<::reqwest::Client>>,
    secure: OnceLock<Pool<::reqwest::Client>>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

impl HttpTransport {
    /// A transport that gives up connecting after `connect_timeout`. Does no I/O: TLS is set up by the first request to an `https://`
    /// address, which fails with [`ErrorKind::Config`] where it cannot be.
    ///
    /// # Errors
    /// None today.
    pub fn new(connect_timeout: Duration) -> Result<Self> {
        Ok(Self::with(connect_timeout, &Config::new()))
    }

    /// The transport that a client of `config` would make, to wrap it: with its connect timeout and its root certificates. For an
    /// `https://` address TLS is set up here, so that what is wrong shows at the start.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when TLS cannot be set up, or the address cannot work.
    pub fn for_config(config: &Config) -> Result<Self> {
        let transport = Self::with(config.connect_timeout, config);
        transport.0.of(&config.parsed_url()?)?;
        Ok(transport)
    }

    fn with(connect_timeout: Duration, config: &Config) -> Self {
        Self(Arc::new(Pools { connect_timeout, trust: config.trust.clone(), plain: OnceLock::new(), secure: OnceLock::new() }))
    }

    /// Not an `async fn`: its future would hold the parts of the request beside what they become.
    fn start(
        &self,
        request: HttpRequest,
    ) -> Result<(Watch<'_>, impl Future<Output = Result<::reqwest::Response, ::reqwest::Error>> + use<>)> {
        let secure = is_secure(&request.url);
        let pool = self.0.of(&request.url)?;
        let mut outgoing = ::reqwest::Request::new(http::Method::POST, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = Some(request.body.into());
        Ok(pool.begin(|| self.0.make(secure).ok(), |client| client.execute(outgoing)))
    }

    fn send_now(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        let max_reply_bytes = request.max_reply_bytes;
        let (watch, response) = match self.start(request) {
            Ok(started) => started,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(async move {
            let result = match response.await {
                Ok(response) => read(response, max_reply_bytes).await,
                Err(error) => Err(classify(error)),
            };
            match result.as_ref().map_err(Error::kind) {
                Err(ErrorKind::Io) => watch.broke(),
                Err(ErrorKind::Connect | ErrorKind::InvalidCommand) => watch.ended(),
                _ => watch.answered(),
            }
            result
        })
    }

    async fn begin(&self, request: HttpRequest) -> Result<HttpStream> {
        let max_reply_bytes = request.max_reply_bytes;
        let (watch, response) = self.start(request)?;
        // A stream opens when the server likes: how long that takes says nothing.
        watch.ended();
        let mut response = response.await.map_err(classify)?;
        if response.status() != http::StatusCode::OK {
            return Ok(HttpStream { response: read(response, max_reply_bytes).await?, chunks: None });
        }
        let headers = std::mem::take(response.headers_mut());
        let head = HttpResponse { status: 200, headers, body: Bytes::new() };
        Ok(HttpStream { response: head, chunks: Some(Box::pin(Chunks { next: Some(next_chunk(response)) })) })
    }
}

impl Pools {
    /// The pool for this address.
    fn of(&self, url: &Url) -> Result<&Pool<::reqwest::Client>> {
        let secure = is_secure(url);
        let place = if secure { &self.secure } else { &self.plain };
        match place.get() {
            Some(pool) => Ok(pool),
            None => {
                let client = self.make(secure)?;
                Ok(place.get_or_init(|| Pool::new(client)))
            }
        }
    }

    fn make(&self, secure: bool) -> Result<::reqwest::Client> {
        let builder = ::reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .redirect(::reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(usize::MAX);
        tls::set_up(builder, &self.trust, secure)?
            .build()
            .map_err(|error| Error::new(ErrorKind::Config, "the HTTP client cannot be set up").with_source(Cause::of(error)))
    }
}

fn is_secure(url: &Url) -> bool {
    url.scheme() == "https"
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
        match self.0.of(&request.url) {
            Ok(pool) if pool.rested() => Box::pin(async move {
                news::read().await;
                self.send_now(request).await
            }),
            _ => self.send_now(request),
        }
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
