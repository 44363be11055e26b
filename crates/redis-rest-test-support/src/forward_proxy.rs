//! A forward proxy in this process: `CONNECT`, and requests in absolute form.

use super::certificates::Certificates;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The behaviour of a proxy.
#[derive(Clone)]
pub enum ProxyBehavior {
    /// Connects to this server, whatever host is requested.
    Connect(SocketAddr),
    /// Connects to this server if `Proxy-Authorization` has this value; returns 407 otherwise.
    ConnectWithCredentials(SocketAddr, &'static str),
    /// Refuses with this status.
    Refuse(u16),
}

/// A running proxy. It ends with the test's runtime.
pub struct ForwardProxy {
    pub addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    pub async fn start(behavior: ProxyBehavior) -> Self {
        Self::start_with(behavior, None).await
    }

    /// Starts a proxy that accepts TLS connections.
    pub async fn start_tls(behavior: ProxyBehavior, certificates: &Certificates) -> Self {
        let acceptor = TlsAcceptor::from(certificates.server("http/1.1"));
        Self::start_with(behavior, Some(acceptor)).await
    }

    async fn start_with(behavior: ProxyBehavior, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let behavior = behavior.clone();
                let seen = Arc::clone(&seen);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await.ok()?, behavior, &seen).await,
                        None => serve(stream, behavior, &seen).await,
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
    behavior: ProxyBehavior,
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
    let (server, refusal) = match behavior {
        ProxyBehavior::Connect(server) => (server, None),
        ProxyBehavior::ConnectWithCredentials(server, credentials) if allowed(credentials) => {
            (server, None)
        }
        ProxyBehavior::ConnectWithCredentials(server, _) => (server, Some(407)),
        ProxyBehavior::Refuse(status) => (([127, 0, 0, 1], 1).into(), Some(status)),
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
