//! The route to a host: TCP to it, or to a proxy in front of it.

use super::connect::Failure;
use super::proxy::Proxy;
use super::tls::{self, ProxyStream, ToProxy, Trust};
use crate::backend::rest::config::check::is_loopback;
use crate::error::Result;
use crate::platform::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;
use url::Url;

/// Connects to the host of an address, directly or through a proxy.
#[derive(Clone)]
pub(super) struct Route {
    tcp: HttpConnector,
    proxy: Option<Via>,
}

#[derive(Clone)]
enum Via {
    /// The proxy connects to the server (`CONNECT`), and does not see the traffic.
    Tunnel(Tunnel<ToProxy>),
    /// The proxy receives each request.
    Forward(ToProxy, Uri),
}

impl Route {
    pub(super) fn new(tcp: HttpConnector, proxy: Option<&Proxy>, trust: &Trust) -> Result<Self> {
        let via = |proxy: &Proxy| -> Result<Via> {
            let over_tls = proxy.uri.scheme_str() == Some("https");
            let to_proxy = tls::to_proxy(tcp.clone(), trust, over_tls)?;
            Ok(match proxy.secure {
                true => {
                    let tunnel = Tunnel::new(proxy.uri.clone(), to_proxy);
                    Via::Tunnel(match &proxy.auth {
                        Some(auth) => tunnel.with_auth(auth.clone()),
                        None => tunnel,
                    })
                }
                false => Via::Forward(to_proxy, proxy.uri.clone()),
            })
        };
        let proxy = proxy.map(via).transpose()?;
        Ok(Self { tcp, proxy })
    }
}

impl Service<Uri> for Route {
    type Response = Hop;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Hop, Failure>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &mut self.proxy {
            None => self.tcp.poll_ready(context).map_err(Failure::from),
            Some(Via::Tunnel(tunnel)) => tunnel.poll_ready(context).map_err(Failure::from),
            Some(Via::Forward(to_proxy, _)) => to_proxy.poll_ready(context).map_err(Failure::from),
        }
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        let is_loopback = || Url::parse(&host.to_string()).is_ok_and(|url| is_loopback(&url));
        match &mut self.proxy {
            Some(Via::Tunnel(tunnel)) if !is_loopback() => {
                let connecting = tunnel.call(host);
                Box::pin(async move { Ok(Hop { stream: connecting.await?, forwards: false }) })
            }
            Some(Via::Forward(to_proxy, proxy)) if !is_loopback() => {
                let connecting = to_proxy.call(proxy.clone());
                Box::pin(async move { Ok(Hop { stream: connecting.await?, forwards: true }) })
            }
            _ => {
                let connecting = self.tcp.call(host);
                Box::pin(async move {
                    Ok(Hop { stream: tls::bare(connecting.await?), forwards: false })
                })
            }
        }
    }
}

/// A connection to the server, or to the proxy in front of it.
pub(super) struct Hop {
    stream: ProxyStream,
    /// Requests name the server, since a proxy receives them.
    forwards: bool,
}

impl Connection for Hop {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.forwards)
    }
}

impl Read for Hop {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Hop {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}
