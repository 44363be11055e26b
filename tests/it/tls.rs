//! TLS against a real server: trusted certificates, and errors for the others.

use redis_rest::backend::rest::HttpTransport;
use redis_rest::{Client, Config, ErrorKind, Outcome};
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::tls::Tls;
use std::time::Duration;

fn config(server: &Tls) -> Config {
    Client::builder().url(server.url()).token("t").no_retry()
}

#[tokio::test]
async fn an_authority_that_was_added_is_trusted_over_either_protocol() {
    for protocol in ["http/1.1", "h2"] {
        let server = Tls::start(protocol).await;
        let client =
            config(&server).root_certificate_pem(server.authority.clone()).build().unwrap();
        assert_eq!(client.incr("n").await.unwrap(), 1, "{protocol}");
        // A certificate among several in a text, and in several texts; also in the transport that
        // others wrap.
        let both = format!("{}{}", Certificates::new().authority, server.authority);
        let config = config(&server)
            .root_certificate_pem(both)
            .root_certificate_pem(Certificates::new().authority);
        let transport = HttpTransport::for_config(&config).unwrap();
        assert_eq!(
            config.transport(transport).build().unwrap().incr("n").await.unwrap(),
            1,
            "{protocol}"
        );
    }
}

#[tokio::test]
async fn unknown_authority_is_refused_before_sending() {
    let server = Tls::start("http/1.1").await;
    let other = Certificates::new().authority;
    let plain = HttpTransport::new(Duration::from_secs(3)).unwrap();
    for config in [
        config(&server),
        config(&server).root_certificate_pem(other.clone()),
        config(&server).webpki_roots(),
        config(&server).webpki_roots().root_certificate_pem(other),
        config(&server).transport(plain),
    ] {
        let error = config.build().unwrap().incr("n").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Connect, Outcome::NotApplied),
            "{error:?}"
        );
    }
    assert_eq!(server.answered(), 0);
}

#[tokio::test]
async fn refused_certificate_is_not_retried() {
    let server = Tls::with(self_signed(), "http/1.1").await;
    let client = Client::builder().url(server.url()).token("t").webpki_roots().build().unwrap();
    let error = client.incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1), "{error:?}");
}

#[tokio::test]
async fn invalid_certificate_is_refused_before_sending() {
    let elsewhere =
        Certificates::signed(|leaf| leaf.subject_alt_names = names(&["elsewhere.example"]));
    let expired = Certificates::signed(|leaf| leaf.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let not_yet = Certificates::signed(|leaf| leaf.not_before = rcgen::date_time_ymd(2999, 1, 1));
    for (certificates, word) in [
        (elsewhere, "not valid for"),
        (expired, "expired"),
        (not_yet, "not valid yet"),
        (self_signed(), "UnknownIssuer"),
    ] {
        let trusted = (word != "UnknownIssuer").then(|| certificates.authority.clone());
        let server = Tls::with(certificates, "http/1.1").await;
        let config = trusted
            .into_iter()
            .fold(config(&server), Config::root_certificate_pem)
            .token("s3cret-token");
        let error = config.build().unwrap().set("s3cret-key", "s3cret-value").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Connect, Outcome::NotApplied),
            "{error:?}"
        );
        let text = format!("{error} {error:?}");
        assert!(text.contains(word) && !text.contains("s3cret"), "{word}: {text}");
        assert_eq!(server.answered(), 0);
    }
}

fn names(names: &[&str]) -> Vec<rcgen::SanType> {
    names.iter().map(|name| rcgen::SanType::DnsName((*name).try_into().unwrap())).collect()
}

/// Returns a certificate for the right name that is signed by itself only.
fn self_signed() -> Certificates {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    let chain = vec![certificate.der().clone()];
    Certificates { authority: certificate.pem(), pem, chain, key: der }
}

#[tokio::test]
async fn compiled_in_roots_and_added_certificates_are_trusted() {
    let server = Tls::start("http/1.1").await;
    let client = config(&server)
        .webpki_roots()
        .root_certificate_pem(server.authority.clone())
        .build()
        .unwrap();
    assert_eq!(client.incr("n").await.unwrap(), 1);
}

#[tokio::test]
async fn invalid_certificate_text_is_refused_at_build() {
    let server = Tls::start("http/1.1").await;
    let cut = &server.authority[..server.authority.len() / 2];
    let wrong = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "s3cret", cut, wrong] {
        let error = config(&server).root_certificate_pem(text).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(!format!("{error:?}{error}").contains("s3cret"));
    }
    // Certificates are not checked if none are needed.
    let plain = Client::builder().url("http://127.0.0.1:1").token("t").root_certificate_pem("");
    assert!(plain.build().is_ok());
}
