//! TLS for every backend: rustls with the ring provider (no build tools beyond a C compiler).

use crate::error::{Error, ErrorKind, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use std::sync::Arc;

pub(crate) fn failed(error: rustls::Error) -> Error {
    Error::new(ErrorKind::Config, "TLS cannot be set up").with_source(error)
}

/// Returns settings that lack only the trusted roots.
pub(crate) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)
}

/// Returns the certificates in a PEM text: at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |message| Error::new(ErrorKind::Config, message);
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable("a root certificate cannot be read: it must be in PEM form"))?;
    if all.is_empty() {
        return Err(unreadable("a root certificate cannot be read: there is none in the text"));
    }
    Ok(all)
}

/// Trusts the platform's roots.
#[cfg(feature = "native")]
pub(super) fn of_platform() -> Result<ClientConfig> {
    use rustls_platform_verifier::BuilderVerifierExt as _;
    Ok(builder()?.with_platform_verifier().map_err(failed)?.with_no_client_auth())
}

/// Trusts the certificates in `pem`, and no others.
#[cfg(feature = "native")]
pub(super) fn of_roots(pem: &[u8]) -> Result<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(failed)?;
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}
