//! Forward proxies from the environment.

use super::{Serve, TOKEN, run, tool};
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::forward_proxy::{ForwardProxy, ProxyBehavior};
use redis_rest_test_support::nginx::Nginx;
use redis_rest_test_support::redis_test;
use std::process::Command;

/// Runs the tool while the proxy in this process serves.
async fn runs(command: impl FnOnce() -> Command + Send + 'static) -> super::Ran {
    tokio::task::spawn_blocking(|| run(&mut command())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_goes_through_the_proxy_of_its_environment() {
    let server = Serve::start(&[]);
    let certificates = Certificates::named("redis.internal.example");
    let location = format!("location / {{ proxy_pass {}; proxy_http_version 1.1; }}", server.url);
    let nginx = redis_test!(Nginx::start_tls(&certificates, &location));
    let proxy = ForwardProxy::start(ProxyBehavior::ConnectWithCredentials(
        nginx.addr(),
        "Basic dXNlcjpzM2NyZXQ=",
    ))
    .await;
    let dir = tempfile::tempdir().unwrap();
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, &certificates.authority).unwrap();
    let through = move |proxy: String, args: &'static [&'static str]| {
        let roots = roots.clone();
        move || {
            let mut command = tool();
            command.env("SSL_CERT_FILE", roots).env("HTTPS_PROXY", proxy);
            command.args(["--url", "https://redis.internal.example", "--token", TOKEN]).args(args);
            command
        }
    };
    let url = format!("http://user:s3cret@{}", proxy.addr);
    runs(through(url.clone(), &["exec", "INCR", "n"])).await.prints("(integer) 1\n");
    let doctor = runs(through(url, &["doctor"])).await;
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    let line = format!("ok        proxy        through {}", proxy.addr);
    assert!(doctor.stdout.contains(&line) && !doctor.stdout.contains("s3cret"), "{doctor:?}");
    assert!(
        proxy.heads().iter().all(|head| head.starts_with("CONNECT redis.internal.example:443 "))
    );
    // A broken proxy is the only problem reported.
    for (url, texts) in [
        (proxy.url(), ["user name", "user:password@"]),
        ("socks5://user:s3cret@127.0.0.1:1".to_owned(), ["SOCKS", "NO_PROXY"]),
        ("http://user:s3cret@127.0.0.1:1".to_owned(), ["connection to the proxy", "NO_PROXY"]),
    ] {
        let ran = runs(through(url, &["doctor", "--timeout", "1"])).await;
        let problems: Vec<_> =
            ran.stdout.lines().filter(|line| line.starts_with("problem")).collect();
        assert!(problems.len() == 1 && problems[0].contains("proxy"), "{ran:?}");
        assert!(texts.iter().all(|text| problems[0].contains(text)), "{texts:?}: {ran:?}");
        assert!(!ran.stdout.contains("s3cret"), "{ran:?}");
    }
    // Loopback addresses bypass the proxy.
    let url = server.url.clone();
    let direct = move || {
        let mut command = tool();
        command.env("ALL_PROXY", "http://127.0.0.1:1").env("HTTP_PROXY", "http://127.0.0.1:1");
        command.args(["--url", &url, "--token", TOKEN, "exec", "INCR", "n"]);
        command
    };
    runs(direct).await.prints("(integer) 2\n");
}
