//! A TLS server with a certificate of a private authority.

use super::certificates::Certificates;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A TLS server that replies 1 to every request. It ends with the test's runtime.
pub struct Tls {
    pub addr: SocketAddr,
    /// The root certificate in PEM form.
    pub authority: String,
    answered: Arc<AtomicUsize>,
}

impl Tls {
    /// Starts a server that speaks one protocol: `h2` or `http/1.1`.
    pub async fn start(protocol: &'static str) -> Self {
        Self::with(Certificates::new(), protocol).await
    }

    pub async fn with(certificates: Certificates, protocol: &'static str) -> Self {
        let acceptor = TlsAcceptor::from(certificates.server(protocol));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answered = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&answered);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    // A client that does not trust the certificate disconnects.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(request, Arc::clone(&count)));
                    // A client that has finished disconnects too.
                    let _ = match protocol {
                        "h2" => {
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                                .serve_connection(TokioIo::new(stream), service)
                                .await
                        }
                        _ => {
                            hyper::server::conn::http1::Builder::new()
                                .serve_connection(TokioIo::new(stream), service)
                                .await
                        }
                    };
                });
            }
        });
        Self { addr, authority: certificates.authority, answered }
    }

    pub fn url(&self) -> String {
        url(self.addr)
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Returns the URL with the name and port that the certificate is for.
pub fn url(addr: SocketAddr) -> String {
    format!("https://localhost:{}", addr.port())
}

async fn answer(
    request: Request<Incoming>,
    count: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    count.fetch_add(1, Ordering::Relaxed);
    Ok(Response::new(Full::from(r#"{"result":1}"#)))
}
