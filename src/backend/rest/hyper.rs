//! The built-in [`Transport`]: hyper with the pool of hyper-util. It is the only file of the client that names them; `fetch.rs` takes
//! its place on `wasm32`.
//!
//! Not reqwest, which stands on the same two: for redirects, which must not be followed here anyway, it copies the headers and reads the
//! address several times a request.

pub(super) mod body;
mod connect;
mod news;
mod rooms;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(not(feature = "rustls"))]
#[path = "hyper/no_tls.rs"]
mod tls;
mod trust;

use super::transport::{HttpRequest, HttpResponse, HttpStream, Transport};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::platform::BoxFuture;
use body::{Cause, read, unanswered};
use bytes::Bytes;
use connect::Connector;
use http_body_util::Full;
use hyper_util::client::legacy::{self, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rooms::Rooms;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use trust::{Pool, Watch};
use url::Url;

pub(crate) use tls::Trust;

/// How long an idle connection is kept. Common proxies close theirs after 60 s; a connection that is closed by both sides
/// at once costs an attempt.
const IDLE: Duration = Duration::from_secs(50);

type HttpClient = legacy::Client<Connector, Full<Bytes>>;

/// The built-in [`Transport`]: pooled connections, HTTP/1.1 or HTTP/2, no redirects. Cheap to clone; clones share their connections.
/// It does not know proxies: `ReqwestTransport` does (feature `reqwest`).
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
    max_header_bytes: usize,
    trust: Trust,
    plain: OnceLock<Pool<HttpClient>>,
    secure: OnceLock<Pool<HttpClient>>,
    rooms: Rooms,
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

    /// The transport that a client of `config` would make, to wrap it: with its connect timeout, its root certificates, and its limit of
    /// headers. For an `https://` address TLS is set up here, so that what is wrong shows at the start.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when TLS cannot be set up, or the address cannot work.
    pub fn for_config(config: &Config) -> Result<Self> {
        let transport = Self::with(config.connect_timeout, config);
        transport.0.of(&config.parsed_url()?)?;
        Ok(transport)
    }

    fn with(connect_timeout: Duration, config: &Config) -> Self {
        Self(Arc::new(Pools {
            connect_timeout,
            max_header_bytes: config.max_reply_header_bytes,
            trust: config.trust.clone(),
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            rooms: Rooms::default(),
        }))
    }

    fn start(&self, request: HttpRequest) -> Result<(Watch<'_>, ResponseFuture)> {
        let secure = is_secure(&request.url);
        let pool = self.0.of(&request.url)?;
        let unfit = |error: http::Error| {
            Error::new(ErrorKind::InvalidCommand, "the request cannot be built")
                .with_source(Cause::of(&error))
        };
        let mut outgoing = http::Request::post(request.url.as_str())
            .body(Full::new(request.body))
            .map_err(unfit)?;
        *outgoing.headers_mut() = request.headers;
        Ok(pool.begin(|| self.0.make(secure).ok(), |client| client.request(outgoing)))
    }

    fn send_now(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        let max_reply_bytes = request.max_reply_bytes;
        let (watch, response) = match self.start(request) {
            Ok(started) => started,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(async move {
            let result = match response.await {
                Ok(response) => read(response, max_reply_bytes, &self.0.rooms).await,
                Err(error) => Err(unanswered(&error, error.is_connect())),
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
        let response = response.await.map_err(|error| unanswered(&error, error.is_connect()))?;
        body::open(response, max_reply_bytes).await
    }
}

impl Pools {
    /// The pool for this address.
    fn of(&self, url: &Url) -> Result<&Pool<HttpClient>> {
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

    fn make(&self, secure: bool) -> Result<HttpClient> {
        let connector = Connector::new(self.connect_timeout, &self.trust, secure)?;
        Ok(legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(self.max_header_bytes)
            .http2_max_header_list_size(u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX))
            .build(connector))
    }
}

fn is_secure(url: &Url) -> bool {
    url.scheme() == "https"
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
