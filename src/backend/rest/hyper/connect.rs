//! Connections: TCP, and TLS where it is wanted, within one time limit.

use super::tls::{self, Stream, Trust};
use crate::error::Result;
use crate::platform::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// With TLS the type is that already, without it is not.
fn failure(error: impl Into<Failure>) -> Failure {
    error.into()
}

/// Connects to the host of an address. No proxies.
#[derive(Clone)]
pub(super) struct Connector {
    inner: tls::Connector,
    timeout: Duration,
}

impl Connector {
    /// One that gives up after `timeout`. Without `secure` it trusts nobody.
    pub(super) fn new(timeout: Duration, trust: &Trust, secure: bool) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // With several addresses, each gets its share: one that does not answer leaves time for the others.
        tcp.set_connect_timeout(Some(timeout));
        Ok(Self { inner: tls::connector(tcp, trust, secure)?, timeout })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Stream, Failure>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(context).map_err(failure)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let (connecting, timeout) = (self.inner.call(address), self.timeout);
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected.map_err(failure),
                Err(_) => {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long").into())
                }
            }
        })
    }
}
