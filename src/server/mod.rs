//! The REST protocol as a server in front of any [`Backend`]: for development and tests without an account.
//!
//! It speaks `POST /`, `/pipeline` and `/multi-exec` with JSON bodies, and the path form `/COMMAND/arg/…` with a raw body and
//! query pairs; replies are JSON, base64 where the request asks for it, or RESP2. `/subscribe`, `/psubscribe` and `/monitor`
//! answer event streams, which end when the server stops. Every reply carries a sync token.
//!
//! Limits: it has no TLS, so it listens on loopback unless told otherwise. What is no HTTP at all is answered by the HTTP
//! library, without a JSON body.

pub(crate) mod answer;
mod cors;
pub(crate) mod events;
mod guard;
mod http;
pub(crate) mod reply;
pub(crate) mod request;

use self::answer::Service;
use self::cors::Cors;
use self::http::Shared;
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result};
use crate::platform;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// The token where none is set. Everyone knows it, so it is accepted on loopback addresses only.
pub const DEFAULT_TOKEN: &str = "local-token";

/// How long a stopping server waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after an accept failed, which happens when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Settings of a [`Server`], with their defaults.
///
/// | setting | default |
/// |---|---|
/// | [`listen`](ServerConfig::listen) | `127.0.0.1:8079` |
/// | [`token`](ServerConfig::token) | [`DEFAULT_TOKEN`] |
/// | [`read_only_token`](ServerConfig::read_only_token) | none |
/// | [`max_request_bytes`](ServerConfig::max_request_bytes) | 10 000 000 |
/// | [`cors`](ServerConfig::cors) | no page of another origin may ask |
#[derive(Clone)]
#[must_use]
pub struct ServerConfig {
    listen: SocketAddr,
    token: String,
    read_only_token: Option<String>,
    max_request_bytes: usize,
    cors: Cors,
    /// One of the origins given is none.
    wrong_origin: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8079).into(),
            token: DEFAULT_TOKEN.to_owned(),
            read_only_token: None,
            max_request_bytes: 10_000_000,
            cors: Cors::default(),
            wrong_origin: false,
        }
    }
}

impl ServerConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to listen. Port 0 picks a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The token that allows everything this server serves.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// A second token, which allows only commands that write nothing.
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.read_only_token = Some(token.into());
        self
    }

    /// Largest request body in bytes; larger ones are answered by 413.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Lets pages of this origin, such as `http://localhost:3000`, ask from a browser, with a token like everyone; `*` stands for every
    /// origin, and wants a token of your own. May be given more than once.
    pub fn cors(mut self, origin: impl AsRef<str>) -> Self {
        self.wrong_origin |= !self.cors.allow(origin.as_ref());
        self
    }

    fn check(&self) -> Result<()> {
        let wrong = |reason| Err(Error::new(ErrorKind::Config, reason));
        if self.wrong_origin {
            return wrong("an origin is a scheme, a host and perhaps a port, such as http://localhost:3000, or * for every one");
        }
        // Any page in a browser on this machine could read everything.
        if self.cors.allows_every_origin() && self.token == DEFAULT_TOKEN {
            return wrong("the default token is known to everyone: set another to answer pages of every origin");
        }
        for token in [Some(&self.token), self.read_only_token.as_ref()].into_iter().flatten() {
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return wrong("a token must be of visible ASCII characters without spaces");
            }
        }
        if self.read_only_token.as_ref() == Some(&self.token) {
            return wrong("the read-only token must differ from the token");
        }
        if self.token == DEFAULT_TOKEN && !self.listen.ip().is_loopback() {
            return wrong("the default token is known to everyone: set another to listen beyond this machine");
        }
        Ok(())
    }
}

/// Shows no token.
impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("listen", &self.listen)
            .field("token", &"******")
            .field("read_only_token", &self.read_only_token.as_ref().map(|_| "******"))
            .field("max_request_bytes", &self.max_request_bytes)
            .field("cors", &self.cors)
            .finish()
    }
}

/// A server that listens but does not answer yet: [`Server::run_until`] or [`Server::spawn`] makes it.
///
/// ```
/// # async fn run(backend: std::sync::Arc<dyn redis_rest::backend::Backend>) -> redis_rest::Result<()> {
/// use redis_rest::{Client, server::{DEFAULT_TOKEN, Server, ServerConfig}};
/// let server = Server::bind(backend, ServerConfig::new().listen(([127, 0, 0, 1], 0).into())).await?.spawn();
/// let client = Client::new(server.url(), DEFAULT_TOKEN)?;
/// client.ping().await?;
/// server.shutdown().await;
/// # Ok(()) }
/// ```
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.addr)
    }
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the settings cannot work or the address cannot be listened on.
    pub async fn bind(backend: Arc<dyn Backend>, config: ServerConfig) -> Result<Self> {
        config.check()?;
        let failed = |error: std::io::Error| Error::new(ErrorKind::Config, "cannot listen on this address").with_source(error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let service = Service::new(backend, config.token, config.read_only_token, config.max_request_bytes);
        let shared = Shared { service, cors: config.cors, closing: tokio::sync::watch::Sender::new(false) };
        Ok(Self { listener, addr, shared: Arc::new(shared) })
    }

    /// The address that it listens on, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for clients, such as `http://127.0.0.1:8079`.
    pub fn url(&self) -> String {
        url(self.addr)
    }

    /// Answers requests until `shutdown` is ready. Then no request is taken any more; those under way get a few seconds.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared, .. } = self;
        let closing = shared.closing.clone();
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        // Dropped at the end, which ends the connections that are left.
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Without it, small replies wait for the acknowledgement of the one before.
                        let _ = stream.set_nodelay(true);
                        let shared = Arc::clone(&shared);
                        let service = service_fn(move |request| http::answer(Arc::clone(&shared), request));
                        connections.spawn(graceful.watch(http.serve_connection(TokioIo::new(stream), service)));
                    }
                    Err(_) => {
                        tracing::warn!("a connection could not be accepted");
                        platform::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        closing.send_replace(true);
        if platform::timeout(DRAIN, graceful.shutdown()).await.is_none() {
            tracing::warn!("requests were still under way when the server stopped");
        }
    }

    /// Answers requests on a task of its own, until the handle is told to stop or dropped.
    pub fn spawn(self) -> RunningServer {
        let addr = self.addr;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(self.run_until(async {
            // An error means that the handle is gone, which stops the server too.
            let _ = stopped.await;
        }));
        RunningServer { addr, stop: Some(stop), task }
    }
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// A server that answers requests. Dropping it stops the server at once; [`RunningServer::shutdown`] lets requests finish.
#[must_use = "dropping the handle stops the server"]
pub struct RunningServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl RunningServer {
    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        url(self.addr)
    }

    /// Stops taking requests, and waits a few seconds for those under way.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningServer({})", self.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_and_tokens_hidden() {
        let beyond = SocketAddr::from(([0, 0, 0, 0], 8079));
        assert!(ServerConfig::new().check().is_ok());
        assert!(ServerConfig::new().listen(beyond).check().is_err());
        assert!(ServerConfig::new().listen(beyond).token("s3cret").check().is_ok());
        assert!(ServerConfig::new().token("").check().is_err());
        assert!(ServerConfig::new().token("a b").check().is_err());
        assert!(ServerConfig::new().read_only_token(DEFAULT_TOKEN).check().is_err());
        assert!(ServerConfig::new().cors("http://localhost:3000").check().is_ok());
        assert!(ServerConfig::new().cors("*").check().is_err());
        assert!(ServerConfig::new().cors("*").token("s3cret").check().is_ok());
        for origin in ["", "localhost", "http://localhost:3000/", "http://localhost/page", "data:x", "null", "http://a b"] {
            assert!(ServerConfig::new().cors(origin).check().is_err(), "{origin}");
        }
        let config = ServerConfig::new().token("s3cret").read_only_token("s3cret2");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
