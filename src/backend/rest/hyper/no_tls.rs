//! Replaces `tls.rs` if feature `rustls` is off: only `http://` works.

use super::route::{Hop, Route};
use crate::error::Result;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;

/// Trusts no certificate; none is needed.
#[derive(Clone, Default)]
pub(crate) struct Trust(());

pub(super) type Connector = Route;
pub(super) type Stream = Hop;
pub(super) type ToProxy = HttpConnector;
pub(super) type ProxyStream = TokioIo<tokio::net::TcpStream>;

pub(super) fn connector(route: Route, _: &Trust, _secure: bool) -> Result<Connector> {
    Ok(route)
}

pub(super) fn to_proxy(tcp: HttpConnector, _: &Trust, _secure: bool) -> Result<ToProxy> {
    Ok(tcp)
}

pub(super) fn bare(tcp: TokioIo<tokio::net::TcpStream>) -> ProxyStream {
    tcp
}
