//! TLS by rustls, with its trusted roots. Built only if an `https://` address needs it, since
//! reading the platform's certificates takes longer than everything else at a client's start.

use super::route::{Hop, Route};
use crate::backend::rest::config::Config;
use crate::backend::tls;
use crate::error::Result;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::client::{ClientConfig, WantsClientCert};
use rustls::pki_types::CertificateDer;
use rustls::{ConfigBuilder, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// Root certificates in addition to, or instead of, the platform's.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    /// Texts in PEM form, not parsed yet.
    extra: Vec<Arc<[u8]>>,
    #[cfg(feature = "webpki-roots")]
    bundled: bool,
}

/// Settings of TLS (feature `rustls`).
impl Config {
    /// Trusts these root certificates too, in PEM form: those of a private authority, for example.
    /// They add to the platform's. May be called several times. Parsed in [`build`](Config::build),
    /// which refuses invalid certificates. Not on Android, where the system decides.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("ca.pem");
    /// # std::fs::write(&path, "")?;
    /// let config = redis_rest::Config::from_lookup(|name| match name {
    ///     "REDIS_REST_URL" => Some("https://redis.internal.example".into()),
    ///     "REDIS_REST_TOKEN" => Some("token".into()),
    ///     _ => None,
    /// })?;
    /// let client = config.root_certificate_pem(std::fs::read(path)?).build();
    /// assert!(client.is_err(), "that file is empty");
    /// # Ok(()) }
    /// ```
    ///
    /// A custom [`transport`](Config::transport) does not see it, unless it is created by
    /// [`HttpTransport::for_config`](crate::backend::rest::HttpTransport::for_config).
    pub fn root_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust.extra.push(pem.into().into());
        self
    }

    /// Trusts Mozilla's root certificates as of the build of this program, instead of the
    /// platform's (feature `webpki-roots`): for images without certificates, and for fast starts.
    /// They age with the program. Certificates added by
    /// [`root_certificate_pem`](Config::root_certificate_pem) are trusted as well.
    #[cfg(feature = "webpki-roots")]
    pub fn webpki_roots(mut self) -> Self {
        self.trust.bundled = true;
        self
    }
}

pub(super) type Connector = HttpsConnector<Route>;
pub(super) type Stream = MaybeHttpsStream<Hop>;
pub(super) type ToProxy = HttpsConnector<HttpConnector>;
pub(super) type ProxyStream = MaybeHttpsStream<TokioIo<tokio::net::TcpStream>>;

/// Adds TLS to the connections of `route`. If TLS is not used, its configuration trusts no
/// certificate.
pub(super) fn connector(route: Route, trust: &Trust, secure: bool) -> Result<Connector> {
    Ok((route, if secure { config(trust)? } else { none()? }).into())
}

/// Returns the connector to a proxy, with TLS if `secure`. Proxies are used over HTTP/1.1.
pub(super) fn to_proxy(tcp: HttpConnector, trust: &Trust, secure: bool) -> Result<ToProxy> {
    let mut config = if secure { config(trust)? } else { none()? };
    config.alpn_protocols.clear();
    Ok((tcp, config).into())
}

/// TCP without TLS.
pub(super) fn bare(tcp: TokioIo<tokio::net::TcpStream>) -> ProxyStream {
    MaybeHttpsStream::Http(tcp)
}

/// Returns a configuration of rustls with the ring provider, which needs no build tools beyond a C
/// compiler.
fn config(trust: &Trust) -> Result<ClientConfig> {
    let builder = tls::builder()?;
    let mut extra = Vec::new();
    for pem in &trust.extra {
        extra.extend(tls::certificates(pem)?);
    }
    #[cfg(feature = "webpki-roots")]
    if trust.bundled {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in extra {
            roots.add(certificate).map_err(tls::failed)?;
        }
        return Ok(finish(builder.with_root_certificates(roots)));
    }
    let provider = Arc::clone(builder.crypto_provider());
    let verifier = if extra.is_empty() {
        Verifier::new(provider).map_err(tls::failed)?
    } else {
        augmented(extra, provider)?
    };
    Ok(finish(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))))
}

fn none() -> Result<ClientConfig> {
    Ok(finish(tls::builder()?.with_root_certificates(RootCertStore::empty())))
}

#[cfg(not(target_os = "android"))]
fn augmented(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Verifier> {
    Verifier::new_with_extra_roots(extra, provider).map_err(tls::failed)
}

#[cfg(target_os = "android")]
fn augmented(
    _: Vec<CertificateDer<'static>>,
    _: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Verifier> {
    Err(crate::error::Error::new(
        crate::error::ErrorKind::Config,
        "Android decides by itself which root certificates count",
    ))
}

fn finish(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig {
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
