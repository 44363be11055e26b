//! The REST protocol as a server in front of any [`Backend`]: for development and tests without an
//! account.
//!
//! The server supports `POST /`, `/pipeline` and `/multi-exec` with JSON bodies, and the path form
//! `/COMMAND/arg/…` with a raw body and query pairs; replies are JSON, base64 if the request asks
//! for it, or RESP2. `/subscribe`, `/psubscribe` and `/monitor` return event streams, which end
//! when the server stops. Every reply carries a sync token.
//!
//! Web pages may use it only if their origin is allowed ([`ServerConfig::cors`]); on loopback it
//! accepts only loopback names and those of [`ServerConfig::host`].
//!
//! [`MemoryBackend`] is an embedded engine, for tests, examples and offline work. In front of a
//! Redis the server takes a `redis_rest::backend::native::NativeBackend`, which the feature `redis`
//! switches on.
//!
//! Limits: it has no TLS, so it listens on loopback by default. The HTTP library responds to
//! messages that are not HTTP, without a JSON body.

mod backlog;
mod body;
mod clock;
mod config;
mod cors;
mod encode;
mod engine;
mod events;
mod guard;
mod http;
#[doc(hidden)]
pub mod internal;
mod memory;
mod origin;
mod overload;
mod reply;
mod request;
mod service;
mod slices;
mod write_timeout;

pub use self::config::{DEFAULT_TOKEN, ServerConfig};
pub use self::engine::{MemoryBackend, MemoryBackendBuilder};
use self::http::Shared;
use self::origin::Admission;
use self::overload::Overload;
use self::service::Service;
use self::write_timeout::WithWriteTimeout;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use redis_rest::backend::Backend;
use redis_rest::{Error, ErrorKind, Outcome, Result};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// Longest time a stopping server waits for requests in flight.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which happens if file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens but does not process requests yet: start it with [`Server::run_until`] or
/// [`Server::spawn`].
///
/// ```
/// # async fn run(backend: std::sync::Arc<dyn redis_rest::backend::Backend>) -> redis_rest::Result<()> {
/// use redis_rest::Client;
/// use redis_rest_server::{DEFAULT_TOKEN, Server, ServerConfig};
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
    /// Listens on the configured address.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if the settings are invalid or the address cannot be
    /// listened on.
    pub async fn bind(backend: Arc<dyn Backend>, config: ServerConfig) -> Result<Self> {
        config.check()?;
        let failed = |error: std::io::Error| {
            Error::custom(ErrorKind::Config, Outcome::NotApplied, "cannot listen on this address")
                .with_source(error)
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let limits = config.limits;
        let service = Service::new(
            backend,
            config.token,
            config.read_only_token,
            limits.max_request_bytes,
            limits.max_reply_bytes,
            limits.max_memory,
        );
        let shared = Shared {
            service,
            limits,
            admission: Admission {
                cors: config.cors,
                hosts: config.hosts,
                on_loopback: addr.ip().is_loopback(),
            },
            closing: tokio::sync::watch::Sender::new(false),
        };
        Ok(Self { listener, addr, shared: Arc::new(shared) })
    }

    /// Returns the address that the server listens on, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the address for clients, such as `http://127.0.0.1:8079`.
    pub fn url(&self) -> String {
        url(self.addr)
    }

    /// Processes requests until `shutdown` is ready. Afterwards no new request is accepted; those
    /// in flight get a few seconds.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared, .. } = self;
        let closing = shared.closing.clone();
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        let limits = shared.limits;
        // The buffer holds the head, and limits how much of a response or a body is in memory at
        // once.
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.max_header_bytes);
        let room = Arc::new(Semaphore::new(limits.max_connections));
        let overload = Overload::new();
        // Dropped at the end, which closes the remaining connections.
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Without it, small replies wait for the acknowledgement of the previous
                        // one.
                        let _ = stream.set_nodelay(true);
                        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                            if let Some(answer) = overload.refuse(stream) {
                                connections.spawn(answer);
                            }
                            continue;
                        };
                        let (shared, cut) = (Arc::clone(&shared), Arc::new(Notify::new()));
                        let cut_off = Arc::clone(&cut);
                        let service = service_fn(move |request| http::answer(Arc::clone(&shared), request, Arc::clone(&cut)));
                        let stream = TokioIo::new(WithWriteTimeout::new(stream, limits.write_timeout));
                        let connection = graceful.watch(http.serve_connection(stream, service));
                        connections.spawn(async move {
                            tokio::select! {
                                _ = connection => {}
                                () = cut_off.notified() => {}
                            }
                            drop(place);
                        });
                    }
                    Err(_) => {
                        tracing::warn!("cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        closing.send_replace(true);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still in flight when the server stopped");
        }
    }

    /// Processes requests in a separate task, until the handle is shut down or dropped.
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

/// A running server. Dropping it stops the server at once; [`RunningServer::shutdown`] lets
/// requests finish.
#[must_use = "dropping the handle stops the server"]
pub struct RunningServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl RunningServer {
    /// Returns the address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the address for clients.
    pub fn url(&self) -> String {
        url(self.addr)
    }

    /// Stops accepting requests, and waits a few seconds for those in flight.
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

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
