//! Certificates of a private authority that no client trusts by default.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::sync::Arc;

/// A new authority, and a certificate for `localhost` and 127.0.0.1 that it signed.
pub struct Certificates {
    /// The root certificate in PEM form.
    pub authority: String,
    /// The certificate and its key in PEM form, for servers that read files.
    pub pem: String,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Certificates {
    pub fn new() -> Self {
        Self::signed(|_| {})
    }

    /// Returns certificates for `host`, 127.0.0.1 and 0.0.0.0.
    pub fn named(host: &str) -> Self {
        Self::signed(|leaf| {
            leaf.subject_alt_names = vec![
                rcgen::SanType::DnsName(host.try_into().unwrap()),
                rcgen::SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
                rcgen::SanType::IpAddress(IpAddr::from([0, 0, 0, 0])),
            ];
        })
    }

    /// Returns certificates whose parameters `change` modified before signing.
    pub fn signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut root = CertificateParams::new(Vec::new()).expect("no names");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL confuses authorities that share a name.
        root.distinguished_name.push(DnType::CommonName, "an authority that nobody knows");
        let root_key = KeyPair::generate().expect("a key");
        let authority = root.self_signed(&root_key).expect("a certificate").pem();
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut leaf = CertificateParams::new(names).expect("these are names");
        change(&mut leaf);
        let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate");
        let pem = format!("{}{}", leaf.pem(), key.serialize_pem());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it is a key");
        Self { authority, pem, chain: vec![leaf.der().clone()], key }
    }

    /// Returns the settings of a TLS server that speaks one protocol: `h2` or `http/1.1`.
    pub fn server(&self, protocol: &str) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("it knows TLS 1.3");
        let certified = builder
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key());
        let mut config = certified.expect("the key is the certificate's");
        config.alpn_protocols = vec![protocol.into()];
        Arc::new(config)
    }
}
