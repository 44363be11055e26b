//! Responders on the wire, and through a client.

use super::{alone, batch, request};
use redis_rest::{Client, Encoding, ErrorKind, Outcome, Value, cmd};
use redis_rest_testing::{
    broken_connection, command, commands, config_for, html_502, lost_reply, pipeline_of,
    rate_limited, redis_error, result, results, transaction_of, unauthorized,
};
use serde_json::json;
use std::time::Duration;
use wiremock::{Mock, MockServer, Respond};

/// Starts a server that responds to every request alike.
async fn answering(responder: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(responder).mount(&server).await;
    server
}

async fn once(responder: impl Respond + 'static) -> redis_rest::Error {
    let server = answering(responder).await;
    let error = config_for(&server).no_retry().build().unwrap().incr("k").await.unwrap_err();
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    error
}

#[tokio::test]
async fn values_arrive_in_every_format() {
    let text = json!(["OK", "x", 7, null, true, 1.5, {"a": [1]}, 18_446_744_073_709_551_615_u64]);
    let wanted = Value::Array(vec![
        Value::Okay,
        Value::bytes("x"),
        Value::Int(7),
        Value::Nil,
        Value::Int(1),
        Value::bytes("1.5"),
        Value::Array(vec![Value::bytes("a"), Value::Array(vec![Value::Int(1)])]),
        Value::bytes("18446744073709551615"),
    ]);
    for format in [Encoding::Base64, Encoding::Resp2, Encoding::Text] {
        let server = answering(result(text.clone())).await;
        let client = config_for(&server).encoding(format).build().unwrap();
        assert!(client.run::<Value>(cmd("X")).await.unwrap() == wanted, "{format:?}");
        let request = server.received_requests().await.unwrap().pop().unwrap();
        let headers = |name| request.headers.contains_key(name);
        let asked = (headers("upstash-encoding"), headers("upstash-response-format"));
        assert_eq!(asked, (format == Encoding::Base64, format == Encoding::Resp2));
    }
    for format in [Encoding::Base64, Encoding::Resp2] {
        let server = answering(result((Some(b"OK"), vec![vec![0xff_u8, 0]], [(); 1]))).await;
        let client = config_for(&server).encoding(format).build().unwrap();
        let wanted = vec![
            Value::bytes("OK"),
            Value::Array(vec![Value::bytes(&b"\xff\0"[..])]),
            Value::Array(vec![Value::Nil]),
        ];
        assert!(client.run::<Value>(cmd("X")).await.unwrap() == Value::Array(wanted), "{format:?}");
    }
}

#[test]
fn replies_on_the_wire() {
    let body = |responder: &dyn Respond, headers: &[(&'static str, &'static str)], path: &str| {
        let entries = if path == "/" {
            alone(&["GET", "k"]).body
        } else {
            batch(path, &[&["GET", "k"], &["GET", "l"]]).body
        };
        let mut request = request(path, entries);
        for (name, value) in headers {
            request.headers.insert(*name, http::HeaderValue::from_static(value));
        }
        // wiremock exposes the body only through `Debug`.
        format!("{:?}", responder.respond(&request))
    };
    let holds = |shown: &str, body: &str| shown.contains(&format!("{:?}", body.as_bytes()));
    let (base64, resp2) = (("upstash-encoding", "base64"), ("upstash-response-format", "resp2"));
    let x = result("x");
    assert!(holds(&body(&x, &[], "/"), r#"{"result":"x"}"#));
    assert!(holds(&body(&x, &[base64], "/"), r#"{"result":"eA=="}"#));
    assert!(holds(&body(&x, &[resp2], "/"), "$1\r\nx\r\n"));
    assert!(holds(&body(&x, &[base64], "/pipeline"), r#"[{"result":"eA=="},{"result":"eA=="}]"#));
    assert!(holds(&body(&x, &[resp2], "/pipeline"), "*2\r\n$1\r\nx\r\n$1\r\nx\r\n"));
    assert!(
        holds(&body(&x, &[resp2], "/multi-exec"), r#"[{"result":"x"},{"result":"x"}]"#),
        "transactions stay JSON"
    );
    assert!(holds(&body(&result("OK"), &[base64], "/"), r#"{"result":"OK"}"#));
    assert!(holds(&body(&result(b"OK"), &[base64], "/"), r#"{"result":"T0s="}"#));
    let both = body(&x, &[base64, resp2], "/");
    assert!(both.contains("400") && !holds(&both, r#"{"result":"eA=="}"#));
    let error = redis_error("ERR no");
    assert!(holds(
        &body(&error, &[base64], "/pipeline"),
        r#"[{"error":"ERR no"},{"error":"ERR no"}]"#
    ));
    assert!(holds(&body(&error, &[resp2], "/"), "-ERR no\r\n"));
    assert!(holds(&body(&error, &[], "/multi-exec"), r#"{"error":"ERR no"}"#));
}

#[tokio::test]
async fn errors_of_redis_alone_and_in_batches() {
    let error = once(redis_error("WRONGTYPE Operation against a key")).await;
    assert_eq!(error.kind(), ErrorKind::Redis);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.status(), Some(400));
    assert_eq!(error.redis_code(), Some("WRONGTYPE"));

    for format in [Encoding::Base64, Encoding::Resp2] {
        let server = MockServer::start().await;
        let entries = || results([result("x"), redis_error("ERR no"), result(2)]);
        Mock::given(pipeline_of(["GET", "GET", "INCR"]))
            .respond_with(entries())
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(transaction_of(["GET", "GET", "INCR"]))
            .respond_with(entries())
            .expect(1)
            .mount(&server)
            .await;
        let client = config_for(&server).encoding(format).build().unwrap();
        let mut pipe = client.pipeline();
        let slots = (
            pipe.add(cmd::get::<String>("a")),
            pipe.add(cmd::get::<String>("b")),
            pipe.add(cmd::incr("c")),
        );
        let mut replies = pipe.send().await.unwrap();
        assert_eq!(replies.take(slots.0).unwrap(), "x");
        assert_eq!(replies.take(slots.1).unwrap_err().redis_code(), Some("ERR"));
        assert_eq!(replies.take(slots.2).unwrap(), 2);
        let mut transaction = client.transaction();
        let slots = (
            transaction.add(cmd::get::<String>("a")),
            transaction.add(cmd::get::<String>("b")),
            transaction.add(cmd::incr("c")),
        );
        let mut replies = transaction.send().await.unwrap();
        assert_eq!(replies.take(slots.0).unwrap(), "x");
        assert!(replies.take(slots.1).is_err());
    }

    let server = answering(redis_error("EXECABORT Transaction discarded")).await;
    let mut transaction = config_for(&server).build().unwrap().transaction();
    let _ = transaction.add(cmd::incr("c"));
    assert_eq!(transaction.send().await.unwrap_err().kind(), ErrorKind::Discarded);

    // Fewer replies than commands.
    let server = answering(results([result(1)])).await;
    let mut pipe = config_for(&server).no_retry().build().unwrap().pipeline();
    let (first, _) = (pipe.add(cmd::incr("a")), pipe.add(cmd::incr("b")));
    let error = pipe.send().await.and_then(|mut replies| replies.take(first)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn faults_have_their_documented_error() {
    let seen = |error: &redis_rest::Error| (error.kind(), error.outcome(), error.status());
    let error = once(rate_limited(Duration::from_millis(1200))).await;
    assert_eq!(seen(&error), (ErrorKind::RateLimited, Outcome::NotApplied, Some(429)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(once(rate_limited(Duration::ZERO)).await.retry_after(), Some(Duration::ZERO));
    assert_eq!(
        seen(&once(lost_reply()).await),
        (ErrorKind::Http, Outcome::MaybeApplied, Some(500))
    );
    assert_eq!(seen(&once(html_502()).await), (ErrorKind::Http, Outcome::MaybeApplied, Some(502)));
    let error = once(unauthorized()).await;
    assert_eq!(seen(&error), (ErrorKind::Unauthorized, Outcome::NotApplied, Some(401)));
    assert_eq!(error.redis_code(), Some("WRONGPASS"));

    let server = answering(result(1).after(Duration::from_secs(600))).await;
    let client = config_for(&server).no_retry().timeout(Duration::from_millis(50)).build().unwrap();
    assert_eq!(
        seen(&client.incr("k").await.unwrap_err()),
        (ErrorKind::Timeout, Outcome::MaybeApplied, None)
    );
}

#[tokio::test]
async fn broken_connection_differs_from_a_refused_one() {
    let server = MockServer::start().await;
    Mock::given(command("INCR")).respond_with_err(broken_connection()).mount(&server).await;
    Mock::given(command("GET"))
        .respond_with_err(broken_connection())
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(command("GET")).respond_with(result("x")).mount(&server).await;
    let client = config_for(&server).build().unwrap();
    assert_eq!(client.get::<String>("k").await.unwrap(), "x", "a read goes again");
    // Over the existing connection, too.
    let error = client.incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    assert_eq!(error.attempts(), 1);
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

/// Returns the number of commands in each request of twenty concurrent callers.
async fn twenty_at_once(client: &Client, server: &MockServer) -> Vec<usize> {
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.get::<String>(format!("k{n}")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "x");
    }
    server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| commands(request).len())
        .collect()
}

#[tokio::test]
async fn automatic_batches_get_one_reply_per_command() {
    let server = MockServer::start().await;
    Mock::given(command("GET").or_batched()).respond_with(result("x")).mount(&server).await;
    let client = config_for(&server).auto_batch_in_flight(1).build().unwrap();
    assert!(
        twenty_at_once(&client, &server).await.iter().any(|count| *count > 1),
        "they were batched"
    );
}

#[tokio::test]
async fn clients_for_mocks_send_every_command_alone() {
    let server = MockServer::start().await;
    Mock::given(command("GET")).respond_with(result("x")).mount(&server).await;
    assert_eq!(twenty_at_once(&config_for(&server).build().unwrap(), &server).await, [1; 20]);
}
