//! In the place of `tls.rs` where feature `rustls` is off: only `http://` works.

use crate::error::Result;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;

/// Nobody is trusted, and nobody asks.
#[derive(Clone, Default)]
pub(crate) struct Trust(());

pub(super) type Connector = HttpConnector;
pub(super) type Stream = TokioIo<tokio::net::TcpStream>;

pub(super) fn connector(tcp: HttpConnector, _: &Trust, _secure: bool) -> Result<Connector> {
    Ok(tcp)
}
