//! Replies in every format, and servers that lack one.

use proptest::prelude::*;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{BoxFuture, Client, Encoding, Error, ErrorKind, Value, cmd};
use redis_rest_server::DEFAULT_TOKEN;
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::raw;
use redis_rest_test_support::rest::{self, Counting};
use std::sync::{Arc, Mutex};

/// Removes the wish for RESP2 from requests, like a server that ignores it; records how each was
/// replied to.
#[derive(Clone)]
struct WithoutResp2(Counting, Arc<Mutex<Vec<bool>>>);

impl Transport for WithoutResp2 {
    fn send(&self, mut request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        let asked = request.headers.remove("upstash-response-format").is_some();
        self.1.lock().unwrap().push(asked);
        self.0.send(request)
    }
}

async fn ignorant() -> (Client, Client, WithoutResp2, redis_rest_server::RunningServer) {
    let engine = MemoryBackend::new();
    let server = rest::serve(engine.clone()).await;
    let transport = WithoutResp2(Counting::new(), Arc::default());
    let client = rest::config(&server)
        .encoding(Encoding::Resp2)
        .transport(transport.clone())
        .build()
        .unwrap();
    (client, Client::from_backend(engine), transport, server)
}

#[tokio::test]
async fn server_without_resp2_is_asked_for_base64_from_then_on() {
    let (client, direct, transport, _server) = ignorant().await;
    direct.set("k", &b"\xff\0"[..]).await.unwrap();
    assert_eq!(client.get::<Vec<u8>>("k").await.unwrap(), b"\xff\0", "asked again");
    assert_eq!(client.get::<Vec<u8>>("k").await.unwrap(), b"\xff\0");
    // The third request probes the encoding of texts.
    assert_eq!(*transport.1.lock().unwrap(), [true, false, false, false]);

    let (client, direct, transport, _server) = ignorant().await;
    direct.set("k", &b"\xff\0"[..]).await.unwrap();
    let mut pipe = client.pipeline();
    let (first, second) = (pipe.add(cmd::get::<Vec<u8>>("k")), pipe.add(cmd::strlen("k")));
    let mut replies = pipe.send().await.unwrap();
    assert_eq!(
        (replies.take(first).unwrap(), replies.take(second).unwrap()),
        (b"\xff\0".to_vec(), 2)
    );
    assert_eq!(*transport.1.lock().unwrap(), [true, false, false]);
}

#[tokio::test]
async fn lossy_text_is_an_error_if_it_cannot_be_requested_again() {
    let (client, direct, transport, _server) = ignorant().await;
    direct.set("k", &b"\xff\0"[..]).await.unwrap();
    let error = client.getset::<Vec<u8>>("k", "new").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Decode, 1));
    assert_eq!(direct.get::<String>("k").await.unwrap(), "new", "it ran, once");
    assert_eq!(*transport.1.lock().unwrap(), [true]);
    let (client, _, transport, _server) = ignorant().await;
    client.set("k", "text").await.unwrap();
    assert_eq!(
        client.getset::<String>("k", "new").await.unwrap(),
        "text",
        "nothing is lost of text"
    );
    // The third request probes the encoding of texts.
    assert_eq!(*transport.1.lock().unwrap(), [true, false, false]);
}

#[tokio::test]
async fn proxy_error_does_not_change_the_format() {
    let page = wiremock::MockServer::start().await;
    let refusal = wiremock::ResponseTemplate::new(503)
        .set_body_raw("{\"error\":\"busy\"}", "application/json");
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(refusal).mount(&page).await;
    let client = Client::builder()
        .url(page.uri())
        .token("t")
        .no_retry()
        .encoding(Encoding::Resp2)
        .build()
        .unwrap();
    for _ in 0..2 {
        client.get::<Value>("k").await.unwrap_err();
    }
    let requests = page.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.headers.contains_key("upstash-response-format")));
}

#[tokio::test]
async fn both_formats_at_once_are_refused_and_transactions_stay_json() {
    let server = rest::serve(MemoryBackend::new()).await;
    let post = |path: &'static str, headers: &'static str, body: &'static str| {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        head += &format!("Authorization: Bearer {DEFAULT_TOKEN}\r\n{headers}\r\n{body}");
        raw::exchange(server.local_addr(), head)
    };
    let resp2 = "upstash-response-format: resp2\r\n";
    let both =
        post("/", "upstash-response-format: resp2\r\nupstash-encoding: base64\r\n", "[\"PING\"]")
            .await;
    assert!(both.starts_with("HTTP/1.1 400"), "{both}");
    let one = post("/", resp2, "[\"ECHO\",\"x\"]").await;
    assert!(
        one.contains("application/octet-stream") && one.ends_with("\r\n\r\n$1\r\nx\r\n"),
        "{one}"
    );
    let error = post("/", resp2, "[\"INCR\"]").await;
    assert!(
        error.starts_with("HTTP/1.1 400") && error.contains("\r\n\r\n-ERR wrong number"),
        "{error}"
    );
    let many =
        post("/pipeline", resp2, "[[\"SET\",\"k\",\"v\"],[\"INCR\",\"k\"],[\"GET\",\"none\"]]")
            .await;
    assert!(
        many.contains("\r\n\r\n*3\r\n+OK\r\n-ERR value is not") && many.ends_with("$-1\r\n"),
        "{many}"
    );
    let transaction = post("/multi-exec", resp2, "[[\"SET\",\"k\",\"v\"]]").await;
    assert!(transaction.ends_with("[{\"result\":\"OK\"}]"), "{transaction}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any bytes arrive unchanged, alone and in a pipeline, in every format that can carry them.
    #[test]
    fn any_bytes_survive_encoding_serving_and_decoding(key in prop::collection::vec(any::<u8>(), 1..40), value in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = MemoryBackend::new();
            let server = rest::serve(engine.clone()).await;
            let direct = Client::from_backend(engine);
            direct.rpush("list", [&value, &key]).await.unwrap();
            direct.set("value", &value).await.unwrap();
            for format in [Encoding::Base64, Encoding::Resp2] {
                let client = rest::config(&server).encoding(format).build().unwrap();
                client.set("again", &value).await.unwrap();
                assert_eq!(direct.get::<Vec<u8>>("again").await.unwrap(), value);
                assert_eq!(client.get::<Vec<u8>>("value").await.unwrap(), value);
                let mut pipe = client.pipeline();
                let (list, one) = (pipe.add(cmd::lrange::<Vec<u8>>("list", 0, -1)), pipe.add(cmd::get::<Vec<u8>>("value")));
                let mut replies = pipe.send().await.unwrap();
                assert_eq!(replies.take(list).unwrap(), [value.clone(), key.clone()]);
                assert_eq!(replies.take(one).unwrap(), value);
            }
        });
    }
}
