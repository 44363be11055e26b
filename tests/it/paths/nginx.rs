use redis_rest::cmd::Ttl;
use redis_rest::{Client, ErrorKind, Event, Outcome, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer};
use redis_rest_test_support::nginx::Nginx;
use redis_rest_test_support::raw;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::net::SocketAddr;
use std::time::Duration;

/// Longest wait for something that should come soon.
const LONG: Duration = Duration::from_secs(20);

/// Event streams pass unbuffered.
const STREAMS: &str = "proxy_buffering off; proxy_http_version 1.1;";

/// Paths pass unchanged.
fn keeping(server: SocketAddr) -> String {
    format!("{STREAMS} location / {{ proxy_pass http://{server}; }}")
}

/// Paths are decoded, normalised, and encoded again.
fn normalising(server: SocketAddr) -> String {
    format!("{STREAMS} location / {{ proxy_pass http://{server}/; }}")
}

/// The same below a path, beside another application.
fn below_a_path(server: SocketAddr, other: SocketAddr) -> String {
    format!(
        "{STREAMS} location /redis/ {{ proxy_pass http://{server}/; }}
        location / {{ proxy_pass http://{other}; }}"
    )
}

/// Paths are decoded and normalised, and not encoded again.
fn decoding(server: SocketAddr) -> String {
    format!("{STREAMS} location / {{ proxy_pass http://{server}$uri; }}")
}

fn client(url: &str) -> Client {
    Client::builder().url(url).token(DEFAULT_TOKEN).build().unwrap()
}

/// Starts a server that holds `victim`, and returns a client that reaches it directly.
async fn with_a_victim() -> (RunningServer, Client) {
    let server = rest::serve(MemoryBackend::new()).await;
    let direct = rest::client(&server);
    direct.set("victim", "alive").await.unwrap();
    (server, direct)
}

/// Returns the nginx configurations in a document, adapted to this server.
fn documented(document: &str, server: SocketAddr) -> Vec<String> {
    let blocks = document.split("```nginx\n").skip(1);
    let block = |text: &str| {
        let lines = text.split("```").next().unwrap();
        assert!(lines.contains("127.0.0.1:8079"), "{lines}");
        lines.replace("127.0.0.1:8079", &server.to_string())
    };
    blocks.map(block).collect()
}

/// Asserts that the victim is the only key.
async fn is_untouched(direct: &Client, attack: &str) {
    assert_eq!(direct.keys::<Vec<String>>("*").await.unwrap(), ["victim"], "{attack}");
    assert_eq!(direct.get::<String>("victim").await.unwrap(), "alive", "{attack}");
}

#[tokio::test]
async fn names_never_become_commands_behind_nginx() {
    let (server, direct) = with_a_victim().await;
    let addr = server.local_addr();
    let other = raw::serve_raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    for (locations, base) in [
        (normalising(addr), ""),
        (below_a_path(addr, other), "/redis"),
        (decoding(addr), ""),
        (keeping(addr), ""),
    ] {
        let nginx = redis_test!(Nginx::start(&locations));
        let client = client(&format!("{}{base}", nginx.url()));
        for name in [
            "../flushall",
            "../lpush/log/owned",
            "../../redis/flushall",
            "x/../../flushall",
            "x/../../lpush/log/owned",
            "./../flushall",
            "..\\flushall",
            "x/..",
            ".",
        ] {
            for mut events in [client.subscribe([name]), client.psubscribe([name])] {
                let error = tokio::time::timeout(LONG, events.next()).await.unwrap().unwrap();
                let error = error.expect_err(name);
                assert_eq!(
                    (error.kind(), error.outcome(), error.attempts()),
                    (ErrorKind::InvalidCommand, Outcome::NotApplied, 0),
                    "{name}: {error}"
                );
                assert!(events.next().await.is_none(), "{name}: it has ended");
            }
            is_untouched(&direct, name).await;
        }
        let items = client.with_prefix("items/");
        for name in ["../../del/victim", "../../set/owned", "./../../flushall", ".", "..", "a/.."] {
            let error = items.set(name, b"\xff").await.unwrap_err();
            assert_eq!(
                (error.kind(), error.outcome(), error.attempts()),
                (ErrorKind::InvalidCommand, Outcome::NotApplied, 0),
                "{name}: {error}"
            );
            is_untouched(&direct, name).await;
        }
        // The name of a command is in the path too.
        let error = client.run::<Value>(cmd("x/../set").arg("owned").arg(b"\xff")).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidCommand);
        is_untouched(&direct, "a command's name").await;
    }
}

#[tokio::test]
async fn names_with_slashes_arrive_or_are_refused_behind_nginx() {
    let (server, direct) = with_a_victim().await;
    let addr = server.local_addr();
    let other = raw::serve_raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    for (locations, base, arrives) in [
        (keeping(addr), "", true),
        (normalising(addr), "", false),
        (below_a_path(addr, other), "/redis", false),
        (decoding(addr), "", false),
    ] {
        let nginx = redis_test!(Nginx::start(&locations));
        let client = client(&format!("{}{base}", nginx.url()));
        // These contain nothing to change: they need no probe, whether paths arrive or not.
        assert_eq!(client.rpush("list:ü*[a]", [b"\xff"]).await.unwrap(), 1);
        assert_eq!(direct.del(["list:ü*[a]"]).await.unwrap(), 1);
        let mut news = client.subscribe(["news:ü,&=+$@!"]);
        assert_eq!(news.next().await.unwrap().unwrap(), Event::Subscribed("news:ü,&=+$@!".into()));
        for name in ["list/a", "list//a", "/list", "list/", "list?a", "a#b", "a%2Fb", "a b", "a\tb"]
        {
            let pushed = client.rpush(name, [b"\xff"]).await;
            let mut events = client.subscribe([name]);
            let subscribed = tokio::time::timeout(LONG, events.next()).await.unwrap().unwrap();
            if arrives {
                assert_eq!(pushed.unwrap(), 1, "{name}");
                assert_eq!(direct.del([name]).await.unwrap(), 1, "{name}");
                assert_eq!(subscribed.unwrap(), Event::Subscribed(name.into()));
            } else {
                for error in [pushed.unwrap_err(), subscribed.unwrap_err()] {
                    assert_eq!(
                        (error.kind(), error.outcome()),
                        (ErrorKind::Unsupported, Outcome::NotApplied),
                        "{name}: {error}"
                    );
                    assert!(error.to_string().contains("proxy_pass"), "{error}");
                }
                assert!(events.next().await.is_none(), "{name}: it has ended");
            }
            is_untouched(&direct, name).await;
        }
    }
}

/// A location beside the client's own receives nothing, above all not the token.
#[tokio::test]
async fn names_never_carry_the_token_to_another_location() {
    let (server, _direct) = with_a_victim().await;
    let other = rest::serve(MemoryBackend::new()).await;
    other.local_addr();
    let nginx = redis_test!(Nginx::start(&below_a_path(server.local_addr(), other.local_addr())));
    let client = client(&format!("{}/redis", nginx.url()));
    for name in ["../../set/seen/by-the-other", "a/../../../set/seen/by-the-other"] {
        assert!(client.subscribe([name]).next().await.unwrap().is_err(), "{name}");
        assert!(client.rpush(name, [b"\xff"]).await.is_err(), "{name}");
    }
    for name in ["a/b", "a//b"] {
        assert!(client.subscribe([name]).next().await.unwrap().is_err(), "{name}");
    }
    assert_eq!(rest::client(&other).dbsize().await.unwrap(), 0);
}

/// Requests of clients without such defences.
#[tokio::test]
async fn subscription_rewritten_by_a_proxy_runs_nothing() {
    let (server, direct) = with_a_victim().await;
    let nginx = redis_test!(Nginx::start(&normalising(server.local_addr())));
    let headers = "Authorization: Bearer local-token\r\nAccept: text/event-stream\r\n";
    for target in [
        "/subscribe/..%2Fflushall",
        "/subscribe/..%2Flpush%2Flog%2Fowned",
        "/psubscribe/x%2F..%2F..%2Fset%2Fowned%2Fv",
        "/subscribe/..%2Fpipeline",
        "/subscribe/..%2F",
    ] {
        for body in ["", "[\"SET\",\"owned\",\"v\"]"] {
            let (status, said) =
                raw::request_with(nginx.addr(), "POST", target, headers, body).await;
            assert_eq!(status, 406, "{target}: {said}");
            is_untouched(&direct, target).await;
        }
    }
}

#[tokio::test]
async fn documented_nginx_settings_keep_paths() {
    let server = rest::serve(MemoryBackend::new()).await;
    let guide = include_str!("../../../docs/guide/security-and-proxies.md");
    let guide = documented(guide, server.local_addr());
    assert_eq!(guide.len(), 2);
    for locations in guide {
        let Some(nginx) = Nginx::start(&locations) else { return };
        let base = if locations.contains("/redis/") { "/redis" } else { "" };
        let client = client(&format!("{}{base}", nginx.url()));
        let large = vec![b'x'; 9_000_000];
        for name in ["a//b?c#d%2F;e f/", "/", "ü%00", "x\ty"] {
            client.set(name, b"\xff").ex(Duration::from_secs(100)).await.unwrap();
            let ttl = client.ttl(name).await.unwrap();
            assert!(
                matches!(ttl, Ttl::Expires(left) if left <= Duration::from_secs(100)),
                "{name}"
            );
            let mut events = client.subscribe([name]);
            assert_eq!(events.next().await.unwrap().unwrap(), Event::Subscribed(name.into()));
            assert_eq!(client.publish(name, "hello").await.unwrap(), 1);
            let received = tokio::time::timeout(LONG, events.next_message()).await.unwrap();
            assert_eq!(received.unwrap().unwrap().0.text(), "hello", "{name}");
        }
        client.set("large", &large).await.unwrap();
        assert_eq!(client.strlen("large").await.unwrap(), 9_000_000);
        client.flushall().await.unwrap();
    }
}
