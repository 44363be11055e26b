//! Tokens, keys and channels with the syntax of headers, paths or requests.

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpStream, Transport};
use redis_rest::{BoxFuture, Client, Config, Error, ErrorKind, Outcome, Value, cmd};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

const HOSTILE: [&str; 20] = [
    "\r\nX-Evil: 1\r\n\r\n",
    "k HTTP/1.1\r\nHost: evil\r\n\r\nPOST /flushall HTTP/1.1\r\n",
    "\n",
    "\0",
    "a\0b",
    "ключ 😀\u{2028}\u{202e}",
    "/../../flushall",
    "..\\..",
    "../",
    "./..",
    "a/b//c",
    "//evil.example/",
    "?_token=evil",
    "#fragment",
    "%",
    "%2e%2e%2f",
    "%0d%0aX-Evil: 1",
    "@evil.example",
    ":443",
    "\"],[\"FLUSHALL\"],[\"",
];

/// Records each request, and replies 1.
#[derive(Clone, Default)]
struct RecordingTransport(Arc<Mutex<Vec<(Url, http::HeaderMap, Bytes)>>>);

impl Transport for RecordingTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        self.0.lock().unwrap().push((request.url, request.headers, request.body));
        Box::pin(async { Ok(HttpResponse::new(200, http::HeaderMap::new(), "{\"result\":1}")) })
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream, Error>> {
        self.0.lock().unwrap().push((request.url, request.headers, request.body));
        Box::pin(async { Err(Error::custom(ErrorKind::Unsupported, Outcome::NotApplied, "kept")) })
    }
}

impl RecordingTransport {
    fn client(&self) -> Client {
        Client::builder()
            .url("http://localhost:1/base")
            .token("t")
            .no_auto_batch()
            .paths_arrive_as_sent()
            .transport(self.clone())
            .build()
            .unwrap()
    }

    /// Returns the segments of the last request's path below the base, the decoded pairs of its
    /// query, and its body.
    fn last(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Bytes) {
        let (url, headers, body) = self.0.lock().unwrap().pop().expect("a request");
        assert_eq!(url.scheme(), "http");
        assert_eq!(url.host_str(), Some("localhost"));
        assert_eq!(url.port(), Some(1));
        assert_eq!(url.fragment(), None);
        assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), ["Bearer t"]);
        let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let path = url
            .path()
            .strip_prefix("/base/")
            .expect("the base stays")
            .split('/')
            .map(decode)
            .collect();
        let query =
            url.query().into_iter().flat_map(|query| query.split(['&', '='])).map(decode).collect();
        (path, query, body)
    }
}

/// Returns true if no path can hold the text, or a proxy would use it to change the path.
fn is_for_no_path(text: &str) -> bool {
    text.is_empty() || text.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

async fn travels_as_it_is(text: &str) {
    let kept = RecordingTransport::default();
    let client = kept.client();
    // In the body.
    client.run::<i64>(cmd("HSET").arg(text).arg(text).arg("v")).await.unwrap();
    let (path, query, body) = kept.last();
    assert!(path == [b""] && query.is_empty(), "{text:?}");
    assert_eq!(serde_json::from_slice::<Vec<String>>(&body).unwrap(), ["HSET", text, text, "v"]);
    // In the path and the query: a value that is not text.
    let raw = &b"\xff\r\n"[..];
    let sent =
        client.run::<i64>(cmd("HSET").arg(text).arg("field").arg(raw).arg(text).arg(text)).await;
    if is_for_no_path(text) {
        let error = sent.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::InvalidCommand, Outcome::NotApplied)
        );
    } else if text == "_token" {
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::InvalidCommand);
    } else {
        sent.unwrap();
        let (path, query, body) = kept.last();
        assert_eq!(path, [b"HSET", text.as_bytes(), b"field"]);
        assert_eq!((query, &body[..]), (vec![text.as_bytes().to_vec(); 2], raw));
    }
    // In a channel, and in a pattern.
    for (mut events, form) in [
        (client.subscribe([text.to_owned()]), &b"subscribe"[..]),
        (client.psubscribe([text.to_owned()]), b"psubscribe"),
    ] {
        let error = events.next().await.unwrap().unwrap_err();
        if is_for_no_path(text) {
            assert_eq!(error.kind(), ErrorKind::InvalidCommand);
        } else {
            assert_eq!(kept.last().0, [form, text.as_bytes()]);
        }
    }
    assert!(kept.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn keys_and_channels_are_unchanged() {
    for text in HOSTILE.into_iter().chain(["", ".", "..", "_token"]) {
        travels_as_it_is(text).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_key_and_channel_is_unchanged(text in "(\\PC|[\\x00-\\x20./?#%&=\\\\@:])*") {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(travels_as_it_is(&text));
    }
}

/// Reads one request, responds, and returns the request unchanged.
async fn listens() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{\"result\":1}").await;
            // Leftover bytes would be a second request.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(rest.is_empty());
            let _ = sender.send(head);
        }
    });
    (addr, heard)
}

#[tokio::test]
async fn one_call_is_one_request_on_the_wire() {
    let (addr, mut heard) = listens().await;
    let client = Client::builder()
        .url(format!("http://{addr}"))
        .token("t")
        .no_retry()
        .paths_arrive_as_sent()
        .build()
        .unwrap();
    for text in HOSTILE {
        for value in [text.as_bytes(), b"\xff"] {
            if value == b"\xff" && is_for_no_path(text) {
                continue;
            }
            client.run::<Value>(cmd("SET").arg(text).arg(value)).await.unwrap();
            let head = heard.recv().await.unwrap();
            let mut lines = head.lines();
            let first: Vec<&str> = lines.next().unwrap().split(' ').collect();
            assert!(
                matches!(first[..], ["POST", path, "HTTP/1.1"] if path.is_ascii() && !path.contains(['?', '#', '\\'])),
                "{head}"
            );
            let mut names: Vec<String> = lines
                .filter_map(|line| Some(line.split_once(": ")?.0.to_ascii_lowercase()))
                .collect();
            names.retain(|name| name != "accept");
            names.sort_unstable();
            assert_eq!(
                names,
                [
                    "authorization",
                    "content-length",
                    "content-type",
                    "host",
                    "upstash-encoding",
                    "user-agent"
                ],
                "{head}"
            );
        }
    }
}

#[test]
fn token_with_header_syntax_is_refused() {
    let config =
        |token: &str| Client::builder().url("http://localhost:1").token(format!("s3cret{token}"));
    for token in ["\r\nX-Evil: 1", "\n", "\r", "\0", "\u{7f}", " x", "\t", "ü", "\u{2028}", "😀"]
    {
        for config in [
            config(token),
            Config::read_only_token(
                Client::builder().url("http://localhost:1"),
                format!("s3cret{token}"),
            ),
        ] {
            let error = config.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{token:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
        if token != "ü" && token != "\u{2028}" && token != "😀" && token != " x" && token != "\t"
        {
            let client = config("").build().unwrap();
            let error = client.set_sync_token(&format!("s3cret{token}")).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("s3cret") && client.sync_token().is_none()
            );
        }
    }
}
