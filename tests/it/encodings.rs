//! Servers that ignore `Upstash-Encoding`, and their detection by the client.

use base64_simd::STANDARD;
use redis_rest::{Client, Config, Encoding, ErrorKind, Value, cmd};
use redis_rest_test_support::scripted::{Scripted, ScriptedResponse, redis_error, respond};
use redis_rest_testing::{command, config_for};
use serde_json::{Value as Json, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use wiremock::Mock;
use wiremock::matchers::body_string_contains;

const QUESTION_IN_BASE64: &str = "cmVkaXMtcmVzdDogYmFzZTY0IG9yIHRleHQ=";

fn config(server: &Scripted) -> Config {
    Client::builder().url("http://localhost:1").token("t").transport(server.clone())
}

fn client(server: &Scripted) -> Client {
    config(server).no_retry().build().unwrap()
}

fn result(value: &Json) -> ScriptedResponse {
    respond(200, json!({ "result": value }).to_string())
}

/// Replies to `ECHO` by a function of its text, and to other commands with `value`.
fn server(
    echo: impl Fn(&str) -> ScriptedResponse + Send + Sync + 'static,
    value: &Json,
) -> Scripted {
    let value = value.clone();
    Scripted::new(move |_, body| match serde_json::from_slice::<Vec<String>>(body).unwrap() {
        parts if parts[0] == "ECHO" => echo(&parts[1]),
        _ => result(&value),
    })
}

fn in_text(echo: &str) -> ScriptedResponse {
    result(&json!(echo))
}

fn in_base64(echo: &str) -> ScriptedResponse {
    result(&json!(STANDARD.encode_to_string(echo)))
}

#[tokio::test]
async fn text_that_looks_like_base64_is_read_correctly() {
    let ignoring = client(&server(in_text, &json!("abcd")));
    assert_eq!(ignoring.get::<String>("k").await.unwrap(), "abcd");
    let encoding = client(&server(in_base64, &json!("abcd")));
    assert_eq!(encoding.get::<Vec<u8>>("k").await.unwrap(), b"i\xb7\x1d");
}

#[tokio::test]
async fn encoding_is_probed_once_and_only_for_text_replies() {
    let server = server(in_text, &json!("abcd"));
    let client = client(&server);
    for value in [json!(1), Json::Null, json!("OK"), json!([1, ["", null]])] {
        let other = Scripted::new(move |_, _| result(&value));
        let _: Value = self::client(&other).run(cmd("X")).await.unwrap();
        assert_eq!(other.count(), 1);
    }
    for _ in 0..3 {
        assert_eq!(client.get::<String>("k").await.unwrap(), "abcd");
    }
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn concurrent_calls_share_the_probe() {
    let server = server(in_base64, &json!("abcd"));
    let client = config(&server).no_auto_batch().build().unwrap();
    let get = || client.get::<Vec<u8>>("k").into_future();
    let (a, b, c) = tokio::join!(get(), get(), get());
    for value in [a, b, c] {
        assert_eq!(value.unwrap(), b"i\xb7\x1d");
    }
    assert_eq!(server.count(), 4);
}

/// The probe is no call of the user: whatever it returns, the call has its reply.
#[tokio::test]
async fn failed_encoding_probe_fails_no_call() {
    let answers: [fn(&str) -> ScriptedResponse; 4] = [
        |_| redis_error(400, "NOPERM this user has no permissions"),
        |_| respond(404, "not found"),
        |_| result(&json!(7)),
        |_| respond(502, "<html>"),
    ];
    for echo in answers {
        let client = client(&server(echo, &json!("abcd")));
        assert_eq!(client.get::<Vec<u8>>("k").await.unwrap(), b"i\xb7\x1d");
    }
    // A reply that is not base64 reveals the encoding, and from then on all replies are text.
    let values = Mutex::new(vec![json!("abcd"), json!("hello world"), json!("abcd")]);
    let values = Scripted::new(move |_, body| {
        if body.starts_with(b"[\"ECHO\"") {
            return redis_error(403, "Command 'ECHO' is blocked");
        }
        result(&values.lock().unwrap().pop().unwrap())
    });
    let client = client(&values);
    let mut read = Vec::new();
    for _ in 0..3 {
        read.push(client.get::<Vec<u8>>("k").await.unwrap());
    }
    assert_eq!(read, [&b"i\xb7\x1d"[..], b"hello world", b"abcd"]);
    assert_eq!(values.count(), 4);
}

#[tokio::test]
async fn reply_that_is_not_base64_is_an_error_once_base64_is_known() {
    let plain = AtomicBool::new(false);
    let server = Scripted::new(move |_, body| {
        let parts: Vec<String> = serde_json::from_slice(body).unwrap();
        match parts[0].as_str() {
            "ECHO" => in_base64(&parts[1]),
            _ if plain.swap(true, Ordering::Relaxed) => result(&json!("hello world")),
            _ => result(&json!("abcd")),
        }
    });
    let client = client(&server);
    client.get::<Vec<u8>>("k").await.unwrap();
    let error = client.get::<String>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn lossy_text_is_an_error_unless_text_was_chosen() {
    let server = server(in_text, &json!("caf\u{FFFD}"));
    let error = client(&server).get::<String>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("U+FFFD") && !reason.contains("caf"), "{reason}");
    let client = config(&server).encoding(Encoding::Text).build().unwrap();
    assert_eq!(client.get::<String>("k").await.unwrap(), "caf\u{FFFD}");
}

#[tokio::test]
async fn chosen_encoding_needs_no_probe() {
    for (encoding, value) in [(Encoding::Base64, &b"i\xb7\x1d"[..]), (Encoding::Text, b"abcd")] {
        let server = server(in_text, &json!("abcd"));
        let client = config(&server).encoding(encoding).build().unwrap();
        assert_eq!(client.get::<Vec<u8>>("k").await.unwrap(), value);
        assert_eq!(server.count(), 1);
    }
}

/// A server that supports neither: the client asks for RESP2, and then for base64.
#[tokio::test]
async fn server_without_resp2_that_ignores_base64_is_detected() {
    let server = server(in_text, &json!("abcd"));
    let client = config(&server).encoding(Encoding::Resp2).build().unwrap();
    for _ in 0..2 {
        assert_eq!(client.get::<String>("k").await.unwrap(), "abcd");
    }
}

#[tokio::test]
async fn values_of_a_batch_wait_for_the_probe_too() {
    let server =
        Scripted::new(|_, body| match serde_json::from_slice::<Vec<Json>>(body).unwrap() {
            parts if parts[0] == "ECHO" => in_text(parts[1].as_str().unwrap()),
            commands => {
                let entry = json!({ "result": "abcd" });
                respond(200, Json::from(vec![entry; commands.len()]).to_string())
            }
        });
    let client = client(&server);
    let mut pipeline = client.pipeline();
    let _ = (pipeline.add(cmd::get::<String>("a")), pipeline.add(cmd::get::<String>("b")));
    let values: Vec<String> = pipeline.send().await.unwrap().all().unwrap();
    assert_eq!(values, ["abcd", "abcd"]);
}

#[tokio::test]
async fn server_that_ignores_base64_is_remembered() {
    let server = wiremock::MockServer::start().await;
    let template =
        |text| wiremock::ResponseTemplate::new(200).set_body_json(json!({ "result": text }));
    Mock::given(body_string_contains("ECHO"))
        .respond_with(template("redis-rest: base64 or text"))
        .mount(&server)
        .await;
    Mock::given(body_string_contains("GET")).respond_with(template("abcd")).mount(&server).await;
    // A separate path: no other test shares the process's memory of this address.
    let config = config_for(&server).url(format!("{}/ignores", server.uri()));
    let client = config.encoding(Encoding::Auto).build().unwrap();
    for _ in 0..2 {
        assert_eq!(client.get::<String>("k").await.unwrap(), "abcd");
    }
    let requests = server.received_requests().await.unwrap();
    let asked: Vec<bool> =
        requests.iter().map(|request| request.headers.contains_key("upstash-encoding")).collect();
    assert_eq!(asked, [true, true, false]);
}

/// The process caches the result by address.
#[tokio::test]
async fn process_probes_each_address_once() {
    let server = wiremock::MockServer::start().await;
    let template =
        |text| wiremock::ResponseTemplate::new(200).set_body_json(json!({ "result": text }));
    let echo = Mock::given(command("ECHO")).respond_with(template(QUESTION_IN_BASE64));
    echo.expect(1).mount(&server).await;
    Mock::given(command("GET")).respond_with(template("YWJjZA==")).expect(4).mount(&server).await;
    for _ in 0..2 {
        let client = config_for(&server).encoding(Encoding::Auto).build().unwrap();
        for _ in 0..2 {
            assert_eq!(client.get::<String>("k").await.unwrap(), "abcd");
        }
    }
}
