//! Common behaviour of the two transports, and their differences. Redirects, truncated replies and
//! the like are in `adversarial`, TLS in `tls`, dead connections in `stale_connections`.

use bytes::Bytes;
use redis_rest::backend::rest::ReqwestTransport;
use redis_rest::{Client, Error, ErrorKind, Outcome, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::raw::serve_raw;
use redis_rest_test_support::rest;
use redis_rest_test_support::scripted::{Scripted, ScriptedResponse};
use redis_rest_test_support::tls::url;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use wiremock::matchers::{any, header};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn own() -> ReqwestTransport {
    ReqwestTransport::new(reqwest::Client::builder().no_proxy()).unwrap()
}

macro_rules! conformance {
    ($($case:ident)*) => {
        mod conformance {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                let server = rest::serve(MemoryBackend::new()).await;
                let client = rest::config(&server).transport(own()).build().unwrap();
                redis_rest::conformance::backend::$case(&client).await;
            })*
        }
    };
}
redis_rest::each_backend_case!(conformance);

#[tokio::test]
async fn custom_reqwest_client_uses_its_proxy() {
    let proxy = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_string(r#"{"result":1}"#);
    Mock::given(header("host", "redis.internal.example:8079"))
        .respond_with(reply)
        .expect(1)
        .mount(&proxy)
        .await;
    let http = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.uri()).unwrap());
    let config = Client::builder()
        .url("http://redis.internal.example:8079")
        .token("t")
        .allow_insecure_http();
    let client = config.transport(ReqwestTransport::new(http).unwrap()).build().unwrap();
    assert_eq!(client.incr("n").await.unwrap(), 1);
}

/// The `reqwest` of these tests is built without TLS.
#[tokio::test]
async fn custom_reqwest_client_without_tls_is_refused_at_build() {
    let client =
        Client::builder().url("https://127.0.0.1:1").token("t").transport(own()).build().unwrap();
    let error = client.ping().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 1), "{error}");
}

#[tokio::test]
async fn custom_reqwest_client_follows_no_redirect() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    let server = MockServer::start().await;
    let moved = ResponseTemplate::new(307).insert_header("location", elsewhere.uri().as_str());
    Mock::given(any()).respond_with(moved).expect(1).mount(&server).await;
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::limited(5));
    let config = Client::builder()
        .url(server.uri())
        .token("t")
        .transport(ReqwestTransport::new(http).unwrap());
    let error = config.build().unwrap().incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Http, Some(307)));
}

#[tokio::test]
async fn custom_reqwest_client_reports_unsent_requests() {
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cut = serve_raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"result\":").await;
    let long = serve_raw("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"result\":").await;
    for (addr, kind, outcome) in [
        (down, ErrorKind::Connect, Outcome::NotApplied),
        (cut, ErrorKind::Io, Outcome::MaybeApplied),
        (long, ErrorKind::ReplyTooLarge, Outcome::MaybeApplied),
    ] {
        let config = Client::builder()
            .url(format!("http://{addr}"))
            .token("t")
            .no_retry()
            .max_reply_bytes(1000);
        let error = config.transport(own()).build().unwrap().incr("n").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, outcome));
        assert!(
            !format!("{error} {error:?}").contains(&addr.port().to_string()),
            "no address in {error:?}"
        );
    }
}

#[tokio::test]
async fn headers_without_end_are_not_read() {
    let many: String = (0..90).map(|n| format!("x-{n}: {}\r\n", "x".repeat(200))).collect();
    let text: &'static str =
        format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 12\r\n\r\n{{\"result\":1}}").leak();
    let addr = serve_raw(text).await;
    let config = Client::builder().url(format!("http://{addr}")).token("t").no_retry();
    assert_eq!(config.clone().build().unwrap().incr("n").await.unwrap(), 1);
    let small = config.clone().max_reply_header_bytes(8 << 10).build().unwrap();
    let error = small.incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ReplyTooLarge, Outcome::MaybeApplied));
    let error = config.max_reply_header_bytes(100).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// A server's way to say that it did not process a request.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Stream,
    GoodBye,
}

/// Starts an HTTP/2 server that refuses the first request, and replies 1 to the others.
async fn refusing(certificates: &Certificates, how: Refusal) -> SocketAddr {
    let acceptor = TlsAcceptor::from(certificates.server("h2"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut refused = false;
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection =
                h2::server::handshake(acceptor.accept(stream).await.unwrap()).await.unwrap();
            if let (Refusal::GoodBye, false) = (how, refused) {
                // With no stream accepted, the last stream in its announcement is none.
                refused = true;
                connection.abrupt_shutdown(h2::Reason::NO_ERROR);
            }
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if !refused {
                    refused = true;
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    continue;
                }
                let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(br#"{"result":1}"#), true).unwrap();
            }
        }
    });
    addr
}

#[tokio::test]
async fn unprocessed_requests_are_sent_again() {
    for how in [Refusal::Stream, Refusal::GoodBye] {
        let certificates = Certificates::new();
        let config = |addr| {
            Client::builder()
                .url(url(addr))
                .token("t")
                .root_certificate_pem(certificates.authority.clone())
        };
        let client = config(refusing(&certificates, how).await).build().unwrap();
        assert_eq!(client.incr("n").await.unwrap(), 1, "{how:?}");
        let client =
            Arc::new(config(refusing(&certificates, how).await).no_retry().build().unwrap());
        let mut pipe = client.pipeline();
        let _ = pipe.add(cmd::incr("n"));
        let error = pipe.send().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Connect, Outcome::NotApplied),
            "{how:?}: {error:?}"
        );
    }
}

/// Starts a server that responds to the first request by `answer` after its head, and replies 1 to
/// the others.
async fn impatient(answer: &'static str) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    // The end of a large request does not fit into the buffers in between.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(16).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(first.read_u8().await.unwrap());
        }
        first.write_all(answer.as_bytes()).await.unwrap();
        let reply = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"result\":1}";
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut received = Vec::new();
            // The last bytes of the body.
            while !received.ends_with(b"x\"]") {
                stream.read_buf(&mut received).await.unwrap();
            }
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    addr
}

#[tokio::test]
async fn requests_with_an_early_response_are_retried() {
    for answer in [
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ] {
        let url = format!("http://{}", impatient(answer).await);
        let client = Client::builder().url(url).token("t").build().unwrap();
        // A non-retry-safe command.
        assert_eq!(client.append("k", "x".repeat(9_000_000)).await.unwrap(), 1, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn outcome_of_a_custom_transport_is_kept() {
    let refused = Error::custom(ErrorKind::Connect, Outcome::NotApplied, "no connection")
        .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
        .with_status(502)
        .with_retry_after(Duration::from_millis(700));
    let transport = Scripted::sequence([ScriptedResponse::Fail(refused)]);
    let client = transport.config().connect_timeout(Duration::from_secs(1)).build().unwrap();
    let began = tokio::time::Instant::now();
    let error = client.incr("n").await.unwrap_err();
    // Retried after the wait, and not again, since that would be after the connect timeout.
    assert_eq!((transport.count(), began.elapsed().as_millis() / 100), (2, 7));
    let source = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    assert_eq!(source.map(std::io::Error::kind), Some(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(error.to_string(), "INCR: no connection (HTTP 502) after 2 attempts");
}
