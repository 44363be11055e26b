//! `rediss://` against a redis-server with TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use redis_rest::backend::native::NativeConfig;
use redis_rest::{Client, ErrorKind, Event, cmd};
use redis_rest_test_support::process::{Process, base};
use redis_rest_test_support::redis_test;
use std::fs::write;

/// An authority that signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would look like one with a wrong signature.
        let name = format!("authority {:?}", std::time::Instant::now());
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// Starts a server whose certificate is for `host`.
    fn server(&self, host: &str) -> Option<Process> {
        Process::start("Ready to accept connections", |port, dir| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![host.to_owned()])
                .unwrap()
                .signed_by(&key, &self.issuer)
                .unwrap();
            let path = |name: &str| dir.join(name).display().to_string();
            write(path("cert.pem"), certificate.pem()).unwrap();
            write(path("key.pem"), key.serialize_pem()).unwrap();
            write(path("ca.pem"), &self.pem).unwrap();
            let mut arguments = base(dir);
            let more = [
                "--port",
                "0",
                "--tls-auth-clients",
                "no",
                "--requirepass",
                "s3cret",
                "--tls-port",
            ];
            arguments.extend(more.map(str::to_owned).into_iter().chain([port.to_string()]));
            for (option, file) in [
                ("--tls-cert-file", "cert.pem"),
                ("--tls-key-file", "key.pem"),
                ("--tls-ca-cert-file", "ca.pem"),
            ] {
                arguments.extend([option.to_owned(), path(file)]);
            }
            arguments
        })
    }
}

fn config(server: &Process) -> NativeConfig {
    NativeConfig::new(format!("rediss://:s3cret@127.0.0.1:{}/2", server.port))
}

#[tokio::test]
async fn calls_pipelines_and_subscriptions() {
    let authority = Authority::new();
    let server = redis_test!(authority.server("127.0.0.1"));
    let client = Client::from_backend(
        config(&server).only_root_certificates_pem(authority.pem.clone()).connect().await.unwrap(),
    );
    client.set("name", "Ada").await.unwrap();
    assert_eq!(client.get::<String>("name").await.unwrap(), "Ada");
    let large = vec![0xff_u8; 1 << 20];
    client.set("large", &large).await.unwrap();
    assert_eq!(client.get::<bytes::Bytes>("large").await.unwrap(), large);
    let mut pipe = client.pipeline();
    let first = pipe.add(cmd::incr("n"));
    let _ = pipe.add(cmd::incr("n"));
    assert_eq!(pipe.send().await.unwrap().take(first).unwrap(), 1);

    let mut news = client.subscribe(["news"]);
    while !matches!(news.next().await.unwrap().unwrap(), Event::Subscribed(_)) {}
    client.publish("news", "hello").await.unwrap();
    match news.next().await.unwrap().unwrap() {
        Event::Message(message) => assert_eq!(message.text(), "hello"),
        other => panic!("{other:?}"),
    }

    let mut commands = client.monitor();
    assert!(matches!(commands.next().await.unwrap().unwrap(), Event::Subscribed(_)));
    client.set("watched", "é\r\n").await.unwrap();
    match commands.next().await.unwrap().unwrap() {
        Event::Command(line) => assert!(line.ends_with(br#""SET" "watched" "\xc3\xa9\r\n""#)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn untrusted_certificates_are_refused() {
    let authority = Authority::new();
    let server = redis_test!(authority.server("127.0.0.1"));
    let elsewhere = redis_test!(authority.server("redis.example"));
    let of_ours =
        |server: &Process| config(server).only_root_certificates_pem(authority.pem.clone());
    let cases = [
        (config(&server).only_root_certificates_pem(Authority::new().pem), "authority"),
        // The platform does not know this authority.
        (config(&server), "certificate"),
        (of_ours(&elsewhere), "another host"),
    ];
    for (config, reason) in cases {
        let error = config.connect().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Connect, false), "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(
            !text.contains("127.0.0.1") && !text.contains("example") && !text.contains("s3cret"),
            "{text}"
        );
    }
    let plain =
        NativeConfig::new(format!("redis://:s3cret@127.0.0.1:{}", server.port)).connect().await;
    assert_eq!(plain.unwrap_err().kind(), ErrorKind::Connect, "nothing goes there without TLS");
}

#[test]
fn empty_root_certificates_are_refused() {
    for pem in
        ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        let error = NativeConfig::new("rediss://127.0.0.1")
            .only_root_certificates_pem(pem)
            .lazy()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{pem}");
    }
}
