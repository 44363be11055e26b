//! The client against servers that misbehave.

use bytes::Bytes;
use redis_rest::backend::native::{NativeBackend, NativeCluster, NativeConfig};
use redis_rest::backend::rest::ReqwestTransport;
use redis_rest::{Client, Config, Encoding, ErrorKind, Outcome, cmd};
use redis_rest_test_support::raw::serve_raw;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

fn once(url: impl Into<String>) -> Config {
    Client::builder().url(url).token("s3cret-token").no_retry()
}

/// Starts a server that sends the same response to every request, `expect` times.
async fn mock(answer: ResponseTemplate, expect: u64) -> (MockServer, Client) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).expect(expect).mount(&server).await;
    let client = once(server.uri()).build().unwrap();
    (server, client)
}

#[tokio::test]
async fn wrong_token_is_not_retried_or_quoted() {
    let answer = ResponseTemplate::new(401)
        .set_body_string(r#"{"error":"WRONGPASS invalid or missing auth token"}"#);
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
    let client = Client::builder().url(server.uri()).token("s3cret-token").build().unwrap();
    let error = client.incr("s3cret-key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.status(), Some(401));
    assert_eq!(error.redis_code(), Some("WRONGPASS"));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

/// Returns the output of a future that is ready at its first poll.
fn at_once<T>(future: impl IntoFuture<Output = T>) -> T {
    let mut future = std::pin::pin!(future.into_future());
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn calls_outside_of_a_runtime_are_errors() {
    let rest = once("http://127.0.0.1:1").build().unwrap();
    let reqwest = once("http://127.0.0.1:1")
        .transport(ReqwestTransport::new(reqwest::Client::builder()).unwrap())
        .build()
        .unwrap();
    let native = Client::from_backend(NativeBackend::lazy("redis://127.0.0.1:1").unwrap());
    let cluster = Client::from_backend(
        NativeCluster::lazy([NativeConfig::new("redis://127.0.0.1:1")]).unwrap(),
    );
    for client in [rest, reqwest, native, cluster] {
        let (mut pipe, mut tx) = (client.pipeline(), client.transaction());
        let _ = (pipe.add(cmd::incr("k")), tx.add(cmd::incr("k")));
        let errors = [
            at_once(client.incr("k")).err(),
            at_once(client.get::<String>("k").hedge_after(Duration::ZERO)).err(),
            at_once(pipe.send()).err(),
            at_once(tx.send()).err(),
            at_once(client.warm_up()).err(),
            at_once(client.subscribe(["c"]).next()).unwrap().err(),
        ];
        for error in errors.map(Option::unwrap) {
            assert_eq!(
                (error.kind(), error.outcome()),
                (ErrorKind::Config, Outcome::NotApplied),
                "{error:?}"
            );
            assert!(error.to_string().contains("no Tokio runtime"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_down() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = once(format!("http://127.0.0.1:{port}")).build().unwrap();
    let error = client.incr("k").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotApplied));
    assert!(!format!("{error} {error:?}").contains(&port.to_string()), "no address in {error:?}");
    let mut pipe = client.pipeline();
    let _ = pipe.add(cmd::incr("k"));
    assert!(pipe.send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn pages_instead_of_replies() {
    let (_server, client) =
        mock(ResponseTemplate::new(502).set_body_string("<html>s3cret</html>"), 1).await;
    let error = client.incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Http);
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    assert_eq!(error.status(), Some(502));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let (_server, client) =
        mock(ResponseTemplate::new(200).set_body_string("<html>s3cret</html>"), 1).await;
    let error = client.incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    assert_eq!(error.status(), Some(200));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let (_server, client) =
        mock(ResponseTemplate::new(404).set_body_string("error code: 1016"), 1).await;
    let error = client.incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Http);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn error_in_a_200_response() {
    let (_server, client) =
        mock(ResponseTemplate::new(200).set_body_string(r#"{"error":"WRONGTYPE s3cret"}"#), 2)
            .await;
    let error = client.incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redis);
    assert_eq!(error.redis_code(), Some("WRONGTYPE"));
    assert_eq!(error.status(), Some(200));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let mut tx = client.transaction();
    let _ = tx.add(cmd::incr("k"));
    let error = tx.send().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Redis, Outcome::MaybeApplied));
}

#[tokio::test]
async fn replies_cut_short() {
    for body in [r#"{"result":"T0s"#, r#"{"result":"T0s"}"#, "", "[", r#"[{"result":1}]"#] {
        // Even with retries, a command that may have run is not sent again.
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200).set_body_string(body))
            .expect(1)
            .mount(&server)
            .await;
        let config = Client::builder().url(server.uri()).token("t").encoding(Encoding::Base64);
        let client = config.build().unwrap();
        let error = client.incr("k").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Decode, Outcome::MaybeApplied),
            "{body}"
        );
    }
    // The connection ends within the body, and before any answer.
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"result\":",
        "HTTP/1.1 200 OK\r\nContent-",
        "",
    ] {
        let addr = serve_raw(answer).await;
        let error = once(format!("http://{addr}")).build().unwrap().incr("k").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Io, Outcome::MaybeApplied),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    for status in [301, 302, 307, 308] {
        let (_server, client) = mock(
            ResponseTemplate::new(status).insert_header("location", elsewhere.uri().as_str()),
            1,
        )
        .await;
        let error = client.get::<Option<String>>("k").await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Http, Some(status)));
    }
}

#[tokio::test]
async fn requests_too_large_are_not_sent() {
    let (server, _) = mock(ResponseTemplate::new(200), 0).await;
    let client = once(server.uri()).max_request_bytes(1000).build().unwrap();
    let large = "x".repeat(1000);
    let mut errors = vec![
        client.set("k", &large).await.unwrap_err(),
        client.set("k", [0xff_u8; 1001]).await.unwrap_err(),
    ];
    let mut pipe = client.pipeline();
    let _ = pipe.add(cmd::set("k", "small"));
    let _ = pipe.add(cmd::set("k", &large));
    errors.push(pipe.send().await.unwrap_err());
    let mut tx = client.transaction();
    for _ in 0..100 {
        let _ = tx.add(cmd::set("k", "small"));
    }
    errors.push(tx.send().await.unwrap_err());
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidCommand);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(error.attempts(), 0);
    }
    // The default limit is 10 MB.
    let error =
        once(server.uri()).build().unwrap().set("k", "x".repeat(10_000_001)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCommand);
}

#[tokio::test]
async fn replies_that_are_too_large_are_not_read() {
    let body = format!("{{\"result\":\"{}\"}}", "AAAA".repeat(1000));
    let (server, _) = mock(ResponseTemplate::new(200).set_body_string(body), 1).await;
    let error =
        once(server.uri()).max_reply_bytes(1000).build().unwrap().incr("k").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ReplyTooLarge, Outcome::MaybeApplied));
}

/// Replies to every entry with its own key, and records the size of each request.
#[derive(Clone, Default)]
struct Echo(Arc<Mutex<Vec<(usize, usize)>>>);

impl Respond for Echo {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let entries: Vec<Vec<String>> = serde_json::from_slice(&request.body).expect("a pipeline");
        self.0.lock().unwrap().push((entries.len(), request.body.len()));
        let replies: Vec<_> =
            entries.iter().map(|entry| serde_json::json!({ "result": entry[1] })).collect();
        ResponseTemplate::new(200).set_body_json(replies)
    }
}

#[tokio::test]
async fn pipelines_are_split_by_count_and_bytes() {
    let (server, echo) = (MockServer::start().await, Echo::default());
    Mock::given(any()).respond_with(echo.clone()).mount(&server).await;
    for (config, most) in [
        (once(server.uri()).max_pipeline_commands(7), 7),
        (once(server.uri()).max_request_bytes(100), 20),
    ] {
        let config = config.encoding(Encoding::Text);
        let mut pipe = config.build().unwrap().pipeline();
        for n in 0..20 {
            let _ = pipe.add(cmd::get::<String>(n));
        }
        let keys: Vec<String> = pipe.send().await.unwrap().all().unwrap();
        assert_eq!(keys, (0..20).map(|n| n.to_string()).collect::<Vec<_>>(), "in order");
        let seen = std::mem::take(&mut *echo.0.lock().unwrap());
        assert!(
            seen.len() >= 3 && seen.iter().map(|(count, _)| count).sum::<usize>() == 20,
            "{seen:?}"
        );
        assert!(
            seen.iter().all(|(count, bytes)| *count <= most && (*bytes <= 100 || most == 7)),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn large_keys_and_bytes_that_are_not_text() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let (client, plain) =
        (rest::client(&server), rest::config(&server).encoding(Encoding::Text).build().unwrap());
    let key = "k".repeat(64 * 1024);
    client.set(&key, "v").await.unwrap();
    assert_eq!(client.get::<String>(&key).await.unwrap(), "v");
    // Raw bytes require the key in the path, and no path is that long.
    let error = client.set(&key, &b"\xff"[..]).await.unwrap_err();
    assert!(error.outcome() == Outcome::NotApplied, "{error:?}");
    assert_eq!(client.get::<String>(&key).await.unwrap(), "v");

    client.set("raw", &b"a\xffb"[..]).await.unwrap();
    assert_eq!(client.get::<Bytes>("raw").await.unwrap(), &b"a\xffb"[..]);
    assert_eq!(plain.get::<Bytes>("raw").await.unwrap(), "a\u{fffd}b");
    plain.set("raw", &b"\xfe"[..]).await.unwrap();
    assert_eq!(client.get::<Bytes>("raw").await.unwrap(), &b"\xfe"[..]);
    // The path form would lose it: there it is the token.
    let lossy = cmd("HSET").arg("hash").arg("field").arg(&b"\xff"[..]).arg("_token").arg("v");
    assert_eq!(client.run::<i64>(lossy).await.unwrap_err().kind(), ErrorKind::InvalidCommand);
    let pairs = cmd("HSET").arg("hash").arg("field").arg(&b"\xff"[..]).arg("a&b=c +").arg("d%=&");
    assert_eq!(client.run::<i64>(pairs).await.unwrap(), 2);
    assert_eq!(client.hget::<String>("hash", "a&b=c +").await.unwrap(), "d%=&");
    let mut pipe = client.pipeline();
    let _ = pipe.add(cmd::set("raw", &b"\xff"[..]));
    assert_eq!(pipe.send().await.unwrap_err().kind(), ErrorKind::InvalidCommand);
}

#[tokio::test]
async fn server_that_never_responds() {
    // Only the kernel's queue accepts connections.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = once(format!("http://{}", listener.local_addr().unwrap())).build().unwrap();
    let error = client.incr("k").timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::MaybeApplied));
}
