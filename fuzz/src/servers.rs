//! Server properties beside replies: the encoding of texts, and retry headers.

use super::block_on;
use super::input::Input;
use http::HeaderMap;
use http::header::{DATE, HeaderName, HeaderValue, RETRY_AFTER};
use redis_rest::backend::Backend as _;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, RestBackend, Transport};
use redis_rest::internal::fuzzing::response_headers;
use redis_rest::{BoxFuture, CallOptions, Config, ErrorKind, Result, Value, cmd};
use std::time::Duration;

/// A server that encodes all its texts, or none, whatever the request asks for. It may refuse
/// `ECHO`.
struct Server {
    encodes: bool,
    refuses: bool,
    texts: Vec<String>,
}

impl Transport for Server {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        let parts: Vec<String> = serde_json::from_slice(&request.body).unwrap();
        let text = match parts[0].as_str() {
            "ECHO" => parts[1].clone(),
            _ => self.texts[parts[1].parse::<usize>().unwrap()].clone(),
        };
        let encoded = || base64_simd::STANDARD.encode_to_string(&text);
        let body = if parts[0] == "ECHO" && self.refuses {
            serde_json::json!({ "error": "NOPERM no ECHO" })
        } else {
            serde_json::json!({ "result": if self.encodes { encoded() } else { text } })
        };
        let response = HttpResponse::new(200, HeaderMap::new(), body.to_string());
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// Checks that texts arrive as they are in the server, or that an error says that they cannot be
/// known.
pub fn server_encoding(data: &[u8]) {
    let mut input = Input::new(data);
    let (encodes, refuses) = (input.below(2) == 1, input.below(4) == 1);
    let texts: Vec<String> = (0..=input.below(4)).map(|_| input.text()).collect();
    let server = Server { encodes, refuses, texts: texts.clone() };
    let config = Config::new().url("https://server.example").token("t").no_retry().no_auto_batch();
    let client = RestBackend::new(config.transport(server)).unwrap();
    let get = |index| cmd("GET").arg(index);
    let mut is_text = !encodes && !refuses;
    for (index, text) in texts.iter().enumerate() {
        let got = block_on(client.execute(&get(index), &CallOptions::default()));
        if text == "OK" && !encodes {
            assert!(got.unwrap() == Value::Okay);
            continue;
        }
        let is_base64 = base64_simd::STANDARD.decode_to_vec(text).is_ok();
        is_text |= !encodes && !is_base64;
        match got {
            Ok(Value::Bytes(bytes)) if encodes || is_text => assert_eq!(bytes, text.as_bytes()),
            // A server with unknown encoding: base64, until a text is not.
            Ok(Value::Bytes(_)) => assert!(refuses && is_base64),
            Err(error) => {
                assert!(error.kind() == ErrorKind::Decode && is_text && text.contains('\u{FFFD}'));
            }
            Ok(_) => panic!("another kind of value than a text"),
        }
    }
}

/// Checks that headers of any content give a time, or nothing.
pub fn retry_headers(data: &[u8]) {
    let mut input = Input::new(data);
    let mut headers = HeaderMap::new();
    for name in [RETRY_AFTER, DATE, HeaderName::from_static("keep-alive")] {
        if let Ok(value) = HeaderValue::from_bytes(input.bytes()) {
            headers.insert(name, value);
        }
    }
    let (retry_after, keep_alive) = response_headers(&headers);
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = seconds("retry-after") {
        assert_eq!(retry_after, Some(Duration::from_secs(seconds)));
    }
    assert!(keep_alive.is_none_or(|_| headers.contains_key("keep-alive")));
}
