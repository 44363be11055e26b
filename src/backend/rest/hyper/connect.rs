//! Connections: TCP or a proxy, and TLS if required, within one time limit.

use super::http2::Http2;
use super::proxy::Proxy;
use super::route::Route;
use super::tls::{self, Stream, Trust};
use crate::error::Result;
use crate::platform::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// With TLS the type is that already, without it is not.
fn failure(error: impl Into<Failure>) -> Failure {
    error.into()
}

/// Connects to the host of an address, through a proxy if there is one.
#[derive(Clone)]
pub(super) struct Connector {
    inner: tls::Connector,
    timeout: Duration,
    /// The expected version of the server. This connector serves one of the two cases.
    http2: Arc<Http2>,
    only_http2: bool,
}

impl Connector {
    /// Creates a connector that gives up after `timeout`. Without `secure` it trusts no
    /// certificate.
    pub(super) fn new(
        timeout: Duration,
        trust: &Trust,
        proxy: Option<&Proxy>,
        secure: bool,
    ) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Each of several addresses gets its share of the time: an unresponsive one leaves time for
        // the others.
        tcp.set_connect_timeout(Some(timeout));
        let inner = tls::connector(Route::new(tcp, proxy, trust)?, trust, secure)?;
        Ok(Self { inner, timeout, http2: Arc::default(), only_http2: false })
    }

    /// Returns a connector for the current expectation.
    pub(super) fn expecting(self, http2: &Arc<Http2>) -> Self {
        let only_http2 = http2.is_expected();
        Self { http2: Arc::clone(http2), only_http2, ..self }
    }

    /// Returns true if it accepts only HTTP/2 connections.
    pub(super) fn is_only_http2(&self) -> bool {
        self.only_http2
    }
}

/// Newer connections replace these: a request without one must be sent anew.
#[derive(Debug)]
pub(super) struct Superseded;

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool was replaced")
    }
}

impl std::error::Error for Superseded {}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Stream, Failure>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(context).map_err(failure)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let (connecting, timeout) = (self.inner.call(address), self.timeout);
        let only_http2 = self.only_http2;
        if only_http2 != self.http2.is_expected() {
            return Box::pin(std::future::ready(Err(Superseded.into())));
        }
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(Ok(stream)) if only_http2 && !stream.connected().is_negotiated_h2() => {
                    Err(io::Error::other("the server speaks HTTP/2 no longer").into())
                }
                Ok(connected) => connected.map_err(failure),
                Err(_) => {
                    Err(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long").into())
                }
            }
        })
    }
}
