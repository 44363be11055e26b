//! A TLS proxy in front of a server without TLS.

use redis_rest_test_support::certificates::Certificates;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A TLS proxy that ends with the runtime that started it.
pub struct Tls {
    addr: SocketAddr,
    authority: PathBuf,
    /// Keeps the file of the root certificate.
    _directory: tempfile::TempDir,
}

impl Tls {
    /// Accepts TLS on loopback, and forwards to `server`.
    pub async fn before(server: SocketAddr) -> std::io::Result<Self> {
        let certificates = Certificates::new();
        let directory = tempfile::tempdir()?;
        let authority = directory.path().join("authority.pem");
        std::fs::write(&authority, &certificates.authority)?;
        let acceptor = TlsAcceptor::from(certificates.server("http/1.1"));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // A failure here fails the client's request too, which reports it.
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    let mut client = acceptor.accept(stream).await?;
                    let mut upstream = TcpStream::connect(server).await?;
                    upstream.set_nodelay(true)?;
                    tokio::io::copy_bidirectional(&mut client, &mut upstream).await
                });
            }
        });
        Ok(Self { addr, authority, _directory: directory })
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Returns the file with the root certificate.
    pub fn authority(&self) -> &Path {
        &self.authority
    }
}
