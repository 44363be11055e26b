//! Forward proxies between the client and its server.

use redis_rest::backend::rest::HttpTransport;
use redis_rest::{Client, Config, ErrorKind, Outcome};
use redis_rest_server::DEFAULT_TOKEN;
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::forward_proxy::{ForwardProxy, ProxyBehavior};
use redis_rest_test_support::process::{free_port, spawn, until};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use redis_rest_test_support::tls::Tls;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A host that only the proxy can resolve.
const HOST: &str = "redis.internal.example";
const TOKEN: &str = "t0ken";
/// The credentials `user` and `s3cret`.
const CREDENTIALS: &str = "Basic dXNlcjpzM2NyZXQ=";

fn config(authority: &str) -> Config {
    let config = Client::builder().url(format!("https://{HOST}:8079")).token(TOKEN);
    config.root_certificate_pem(authority)
}

fn with_credentials(proxy: &ForwardProxy) -> String {
    format!("http://user:s3cret@{}", proxy.addr)
}

#[tokio::test]
async fn https_is_tunnelled_and_proxies_never_see_the_token() {
    for protocol in ["h2", "http/1.1"] {
        let server = Tls::with(Certificates::named(HOST), protocol).await;
        let proxy =
            ForwardProxy::start(ProxyBehavior::ConnectWithCredentials(server.addr, CREDENTIALS))
                .await;
        let client = config(&server.authority).proxy(with_credentials(&proxy)).build().unwrap();
        assert_eq!(client.incr("n").await.unwrap(), 1);
        // The connection stays open, and so does the tunnel.
        assert_eq!(client.incr("n").await.unwrap(), 1);
        let heads = proxy.heads();
        assert_eq!(heads.len(), 1, "{heads:?}");
        let start = format!("CONNECT {HOST}:8079 HTTP/1.1\r\n");
        assert!(heads[0].starts_with(&start) && heads[0].contains(CREDENTIALS), "{heads:?}");
        assert!(!heads[0].contains(TOKEN), "{heads:?}");
        assert_eq!(server.answered(), 2);
    }
}

#[tokio::test]
async fn environments_proxy_is_used_by_clients_that_read_it() {
    let server = Tls::with(Certificates::named(HOST), "h2").await;
    let proxy = ForwardProxy::start(ProxyBehavior::Connect(server.addr)).await;
    let lookup = |exception: &'static str| {
        let url = proxy.url();
        move |name: &str| match name {
            "REDIS_REST_URL" => Some(format!("https://{HOST}:8079")),
            "REDIS_REST_TOKEN" => Some(TOKEN.to_owned()),
            "HTTPS_PROXY" => Some(url.clone()),
            "NO_PROXY" => Some(exception.to_owned()),
            _ => None,
        }
    };
    let from = |exception| {
        let config = Config::from_lookup(lookup(exception)).unwrap();
        config.root_certificate_pem(server.authority.clone()).no_retry()
    };
    let through = format!("{}", proxy.addr);
    let transport = HttpTransport::for_config(&from("other.example")).unwrap();
    assert_eq!(transport.proxy(), Some(through.as_str()));
    assert_eq!(from("other.example").build().unwrap().incr("n").await.unwrap(), 1);
    // Without the proxy the host is unknown.
    for direct in [from("internal.example"), from("").no_proxy(), config(&server.authority)] {
        assert_eq!(HttpTransport::for_config(&direct).unwrap().proxy(), None);
        let error = direct.no_retry().build().unwrap().incr("n").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    }
    assert_eq!((proxy.heads().len(), server.answered()), (1, 1));
}

#[tokio::test]
async fn connection_to_the_proxy_may_use_tls() {
    let certificates = Certificates::named(HOST);
    let authority = certificates.authority.clone();
    let server = Tls::with(Certificates::named(HOST), "h2").await;
    let proxy = ForwardProxy::start_tls(ProxyBehavior::Connect(server.addr), &certificates).await;
    let url = format!("https://{}", proxy.addr);
    let trusting = config(&server.authority).proxy(url.clone()).root_certificate_pem(authority);
    assert_eq!(trusting.build().unwrap().incr("n").await.unwrap(), 1);
    let error = config(&server.authority).proxy(url).build().unwrap().incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1), "{error:?}");
    assert_eq!(server.answered(), 1);
}

#[tokio::test]
async fn failing_proxies_are_named_without_their_credentials() {
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let other =
        ForwardProxy::start(ProxyBehavior::ConnectWithCredentials(nowhere, "Basic b3RoZXI=")).await;
    let refusing = ForwardProxy::start(ProxyBehavior::Refuse(403)).await;
    let dead = format!("http://user:s3cret@127.0.0.1:{}", free_port());
    for (proxy, text, attempts) in [
        (with_credentials(&other), "wants a user name", Some(1)),
        (with_credentials(&refusing), "the proxy", None),
        (dead, "no connection to the proxy", None),
    ] {
        let config = config(&Certificates::new().authority).proxy(proxy);
        assert!(!format!("{config:?}").contains("s3cret"));
        let limit = std::time::Duration::from_millis(300);
        let client = config.connect_timeout(limit).build().unwrap();
        let error = client.incr("n").await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains(text), "{text}: {said}");
        assert!(!said.contains("s3cret") && !said.contains("dXNlcjpzM2NyZXQ"), "{said}");
        let outcome = (error.kind(), error.outcome());
        assert_eq!(outcome, (ErrorKind::Connect, Outcome::NotApplied), "{said}");
        assert!(attempts.is_none_or(|attempts| error.attempts() == attempts), "{said}");
    }
}

#[tokio::test]
async fn allowed_plain_http_is_forwarded_except_loopback() {
    let server = rest::serve_with(MemoryBackend::new(), |config| config.host(HOST)).await;
    let leads = ProxyBehavior::ConnectWithCredentials(server.local_addr(), CREDENTIALS);
    let proxy = ForwardProxy::start(leads).await;
    let plain = Client::builder().url(format!("http://{HOST}")).token(DEFAULT_TOKEN);
    let config = plain.proxy(with_credentials(&proxy));
    assert_eq!(config.clone().build().unwrap_err().kind(), ErrorKind::Config, "in the clear");
    let client = config.allow_insecure_http().build().unwrap();
    assert_eq!(client.incr("n").await.unwrap(), 1);
    assert_eq!(client.incr("n").await.unwrap(), 2);
    assert!(proxy.heads()[0].starts_with(&format!("POST http://{HOST}/ HTTP/1.1\r\n")));
    let direct = rest::config(&server).proxy("http://127.0.0.1:1").build().unwrap();
    assert_eq!(direct.incr("n").await.unwrap(), 3);
}

/// A real proxy.
struct Tinyproxy(Child);

impl Tinyproxy {
    fn start(port: u16, dir: &std::path::Path) -> Option<Self> {
        let file = dir.join("tinyproxy.conf");
        let lines = [
            &format!("Port {port}"),
            "Listen 127.0.0.1",
            "Timeout 60",
            "MaxClients 20",
            "BasicAuth user s3cret",
            "LogLevel Critical",
        ];
        std::fs::write(&file, lines.join("\n")).unwrap();
        let child = spawn(&["tinyproxy", "/usr/bin/tinyproxy"], |program| {
            let mut command = Command::new(program);
            command.args(["-d", "-c"]).arg(&file);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        })?;
        until("tinyproxy listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self(child))
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tinyproxy_reaches_the_server() {
    let server = Tls::with(Certificates::named(HOST), "h2").await;
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let _tinyproxy = redis_test!(Tinyproxy::start(port, dir.path()));
    // This machine, by an address that is not loopback's.
    let url = format!("https://0.0.0.0:{}", server.addr.port());
    let config = config(&server.authority).url(url).no_retry();
    let proxied = |user: &str| config.clone().proxy(format!("http://{user}127.0.0.1:{port}"));
    assert_eq!(proxied("user:s3cret@").build().unwrap().incr("n").await.unwrap(), 1);
    let error = proxied("").build().unwrap().incr("n").await.unwrap_err();
    assert!(error.to_string().contains("wants a user name"), "{error:?}");
    assert_eq!(server.answered(), 1);
}
