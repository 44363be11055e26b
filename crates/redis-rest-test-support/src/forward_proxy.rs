//! A forward proxy in this process: `CONNECT`, and requests in absolute form.

use super::certificates::Certificates;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The behaviour of a proxy.
#[derive(Clone)]
pub enum Does {
    /// Connects to this server, whatever host is requested.
    Lead(SocketAddr),
    /// Connects to this server if `Proxy-Authorization` has this value; returns 407 otherwise.
    LeadWith(SocketAddr, &'static str),
    /// Refuses with this status.
    Refuse(u16),
}

/// A running proxy. It ends with the test's runtime.
pub struct ForwardProxy {
    pub addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    pub async fn start(does: Does) -> Self {
        Self::start_with(does, None).await
    }

    /// Starts a proxy that accepts TLS connections.
    pub async fn start_tls(does: Does, certificates: &Certificates) -> Self {
        let acceptor = TlsAcceptor::from(certificates.server("http/1.1"));
        Self::start_with(does, Some(acceptor)).await
    }

    async fn start_with(does: Does, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (does, seen, tls) = (does.clone(), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await.ok()?, does, &seen).await,
                        None => serve(stream, does, &seen).await,
                    }
                });
            }
        });
        Self { addr, heads }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the heads of the requests to the proxy itself.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    does: Does,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    seen.lock().unwrap().push(text.clone());
    let allowed = |credentials: &str| {
        text.lines().filter_map(|line| line.split_once(": ")).any(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value == credentials
        })
    };
    let (server, refusal) = match does {
        Does::Lead(server) => (server, None),
        Does::LeadWith(server, credentials) if allowed(credentials) => (server, None),
        Does::LeadWith(server, _) => (server, Some(407)),
        Does::Refuse(status) => (([127, 0, 0, 1], 1).into(), Some(status)),
    };
    if let Some(status) = refusal {
        let answer = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n");
        return client.write_all(answer.as_bytes()).await.ok();
    }
    let mut server = TcpStream::connect(server).await.ok()?;
    if text.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    } else {
        server.write_all(&head).await.ok()?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}
