//! A REST server in this process, and clients for it.

use redis_rest::backend::Backend;
use redis_rest::server::{DEFAULT_TOKEN, RunningServer, Server, ServerConfig};
use redis_rest::{Client, Config};
use std::sync::Arc;

pub const READ_ONLY_TOKEN: &str = "read-only-token";

/// A server on a free port in front of `backend`, with both tokens.
pub async fn serve(backend: impl Backend) -> RunningServer {
    serve_with(backend, |config| config).await
}

pub async fn serve_with(backend: impl Backend, settings: impl FnOnce(ServerConfig) -> ServerConfig) -> RunningServer {
    let config = ServerConfig::new().listen(([127, 0, 0, 1], 0).into()).read_only_token(READ_ONLY_TOKEN);
    Server::bind(Arc::new(backend), settings(config)).await.expect("a free port").spawn()
}

/// Settings of a client for `server`.
pub fn config(server: &RunningServer) -> Config {
    Client::builder().url(server.url()).token(DEFAULT_TOKEN)
}

pub fn client(server: &RunningServer) -> Client {
    config(server).build().expect("a loopback address")
}
