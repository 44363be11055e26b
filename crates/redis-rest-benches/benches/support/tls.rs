//! TLS in front of a server that has none.

use redis_rest_test_support::certificates::Certificates;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Ends with the runtime that it was started on.
pub struct Tls {
    addr: SocketAddr,
    authority: PathBuf,
    /// Holds the root certificate as long as it is used.
    _directory: tempfile::TempDir,
}

impl Tls {
    /// Speaks TLS on loopback, and passes on what is said to `server`.
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
                // What goes wrong here goes wrong for the client too, and that tells.
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

    /// The file with the root certificate.
    pub fn authority(&self) -> &Path {
        &self.authority
    }
}
