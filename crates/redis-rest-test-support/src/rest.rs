//! A REST server in this process, and clients for it.

use redis_rest::backend::Backend;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::{BoxFuture, Client, Config, Error};
use redis_rest_server::{DEFAULT_TOKEN, RunningServer, Server, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub const READ_ONLY_TOKEN: &str = "read-only-token";

/// Starts a server on a free port in front of `backend`, with both tokens.
pub async fn serve(backend: impl Backend) -> RunningServer {
    serve_with(backend, |config| config).await
}

pub async fn serve_with(
    backend: impl Backend,
    settings: impl FnOnce(ServerConfig) -> ServerConfig,
) -> RunningServer {
    let config =
        ServerConfig::new().listen(([127, 0, 0, 1], 0).into()).read_only_token(READ_ONLY_TOKEN);
    Server::bind(Arc::new(backend), settings(config)).await.expect("a free port").spawn()
}

/// Returns the settings of a client for `server`.
pub fn config(server: &RunningServer) -> Config {
    Client::builder().url(server.url()).token(DEFAULT_TOKEN)
}

pub fn client(server: &RunningServer) -> Client {
    config(server).build().expect("a loopback address")
}

/// Counts the requests sent.
#[derive(Clone)]
pub struct Counting(HttpTransport, Arc<AtomicUsize>);

impl Counting {
    pub fn new() -> Self {
        Self(HttpTransport::new(Duration::from_secs(3)).unwrap(), Arc::default())
    }

    pub fn sent(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }
}

impl Transport for Counting {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.send(request)
    }
}

/// Returns a client whose requests are counted.
pub fn counted(server: &RunningServer) -> (Client, Counting) {
    let counting = Counting::new();
    (config(server).transport(counting.clone()).build().unwrap(), counting)
}
