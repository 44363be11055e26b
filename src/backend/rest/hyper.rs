//! The built-in [`Transport`]: hyper with the pool of hyper-util. It is the only file of the client
//! that names them; `fetch.rs` takes its place on `wasm32`.
//!
//! Not reqwest, which uses the same two: for redirects, which must not be followed here anyway, it
//! copies the headers and parses the address several times per request.

pub(super) mod body;
mod connect;
mod http2;
mod news;
mod pools;
mod proxy;
mod request_body;
mod route;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(not(feature = "rustls"))]
#[path = "hyper/no_tls.rs"]
mod tls;
mod trust;

use super::response::keep_alive;
use super::transport::{HttpRequest, HttpResponse, HttpStream, Progress, Transport};
use crate::backend::rest::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::platform::BoxFuture;
use body::{Cause, read, unanswered, unwritten};
use connect::{Connector, Superseded};
use http::header::PROXY_AUTHORIZATION;
use hyper_util::client::legacy::{self, ResponseFuture};
use pools::{Connections, Pools};
use proxy::Proxy;
use request_body::RequestBody;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use trust::Watch;

pub(crate) use proxy::ProxyChoice;
pub(crate) use tls::Trust;

type HttpClient = legacy::Client<Connector, RequestBody>;

/// The built-in [`Transport`]: pooled connections, HTTP/1.1 or HTTP/2, no redirects. Cheap to
/// clone; clones share their connections. Each runtime has separate connections.
///
/// A client creates its own. Create one to wrap it in a transport that counts, logs or delays:
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
pub struct HttpTransport(Arc<Shared>);

struct Shared {
    pools: Pools,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

impl HttpTransport {
    /// Creates a transport with this connect timeout. Does no I/O: TLS is set up by the first
    /// request to an `https://` address, which fails with [`ErrorKind::Config`] if that is
    /// impossible.
    ///
    /// # Errors
    /// None today.
    pub fn new(connect_timeout: Duration) -> Result<Self> {
        Ok(Self::with(connect_timeout, &Config::new(), None))
    }

    /// Returns the transport that a client of `config` would create, to wrap it: with its connect
    /// timeout, its root certificates, its proxy, and its limit of headers. For an `https://`
    /// address TLS is set up here, so that errors show at the start.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if TLS cannot be set up, or if the address or the proxy is
    /// invalid.
    pub fn for_config(config: &Config) -> Result<Self> {
        let url = config.parsed_url()?;
        let proxy = Proxy::find(config, &url)?;
        let transport = Self::with(config.connect_timeout, config, proxy);
        transport.0.pools.prepare(&url)?;
        Ok(transport)
    }

    /// Returns host and port of the proxy for requests.
    pub fn proxy(&self) -> Option<&str> {
        self.0.pools.proxy()
    }

    fn with(connect_timeout: Duration, config: &Config, proxy: Option<Proxy>) -> Self {
        let pools = Pools::new(connect_timeout, config, proxy);
        Self(Arc::new(Shared { pools }))
    }

    fn send_over(
        &self,
        connections: Arc<Connections>,
        request: HttpRequest,
    ) -> BoxFuture<'_, Result<HttpResponse>> {
        let (max_reply_bytes, progress) = (request.max_reply_bytes, request.progress());
        let (watch, response) = match self.start(&connections, request) {
            Ok(started) => started,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(async move {
            let result = match response.await {
                Ok(response) => {
                    progress.answered();
                    connections.answered_by(response.version());
                    if let Some(idle) = keep_alive(response.headers()) {
                        connections.keep_idle_for(idle);
                    }
                    read(response, max_reply_bytes).await
                }
                Err(error) => Err(failed(&error, &progress)),
            };
            match &result {
                Err(error) if error.is_unprocessed() => connections.left_unprocessed(),
                Err(error) if error.is_connect() => connections.unreachable(),
                _ => {}
            }
            match result.as_ref().map_err(Error::kind) {
                Err(ErrorKind::Io) => watch.broke(),
                Err(ErrorKind::Connect | ErrorKind::InvalidCommand) => watch.ended(),
                _ => watch.answered(),
            }
            result
        })
    }

    async fn begin(&self, request: HttpRequest) -> Result<HttpStream> {
        let (max_reply_bytes, progress) = (request.max_reply_bytes, request.progress());
        let connections = self.0.pools.of(&request.url)?;
        let (watch, response) = self.start(&connections, request)?;
        // The server decides when a stream opens: the time proves nothing.
        watch.ended();
        let response = response.await.map_err(|error| failed(&error, &progress))?;
        body::open(response, max_reply_bytes).await
    }

    fn start(
        &self,
        connections: &Connections,
        request: HttpRequest,
    ) -> Result<(Watch, ResponseFuture)> {
        let progress = request.progress();
        let mut outgoing = http::Request::post(request.url.as_str())
            .body(RequestBody::new(request.body, progress))
            .map_err(|error| {
                Error::new(ErrorKind::InvalidCommand, "the request cannot be built")
                    .with_source(Cause::of(&error))
            })?;
        *outgoing.headers_mut() = request.headers;
        if let Some(auth) = self.0.pools.forward_auth(&request.url) {
            outgoing.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
        }
        Ok(connections.begin(|client| client.request(outgoing)))
    }
}

/// Returns the error of a request without a response. A request that waits for a free stream may
/// outlive its error, and must not be sent then.
fn failed(error: &legacy::Error, progress: &Progress) -> Error {
    let superseded = || body::chain(error).any(|error| error.is::<Superseded>());
    let connecting = error.is_connect() && !superseded();
    match progress.give_up() && !connecting {
        true => unwritten(error),
        false => unanswered(error, connecting),
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        match self.0.pools.of(&request.url) {
            Ok(connections) if connections.rested() => Box::pin(async move {
                news::read().await;
                self.send_over(connections, request).await
            }),
            Ok(connections) => self.send_over(connections, request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream>> {
        Box::pin(self.begin(request))
    }
}
