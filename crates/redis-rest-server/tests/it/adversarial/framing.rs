use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{
    HEAD, connect, full_request, pong, read_response, read_to_end, send,
};
use redis_rest_test_support::raw::{exchange, parse, request, request_with};
use redis_rest_test_support::rest as server;

#[tokio::test]
async fn heads_that_are_too_large() {
    let server =
        server::serve_with(MemoryBackend::new(), |config| config.max_header_bytes(8192)).await;
    let addr = server.local_addr();
    let header = |bytes: usize| {
        format!("Authorization: Bearer local-token\r\nX-Long: {}\r\n", "x".repeat(bytes))
    };
    assert_eq!(request_with(addr, "POST", "/", &header(7000), "[\"PING\"]").await.0, 200);
    assert_eq!(request_with(addr, "POST", "/", &header(9000), "[\"PING\"]").await.0, 431);
    assert_eq!(request(addr, "GET", &format!("/get/{}", "k".repeat(9000)), "").await.0, 431);
    // More than a hundred headers.
    let many: String = (0..150).map(|number| format!("X-{number}: y\r\n")).collect();
    assert_eq!(request_with(addr, "POST", "/", &many, "[\"PING\"]").await.0, 431);
    // A head without an end is cut off long before the time limit. Unread bytes then reset the
    // connection.
    let mut stream = connect(addr).await;
    send(&mut stream, "POST / HTTP/1.1\r\nX-Long: ").await;
    let endless = async {
        while tokio::io::AsyncWriteExt::write_all(&mut stream, &[b'x'; 4096]).await.is_ok() {}
    };
    tokio::time::timeout(redis_rest_test_support::connection::LONG, endless)
        .await
        .expect("the server closes");
    // The default accepts an address of the largest size.
    let server = server::serve(MemoryBackend::new()).await;
    assert_eq!(
        request(server.local_addr(), "GET", &format!("/get/{}", "k".repeat(65_000)), "").await.0,
        200
    );
}

#[tokio::test]
async fn bodies_that_are_badly_framed_run_nothing() {
    let server = server::serve(MemoryBackend::new()).await;
    let addr = server.local_addr();
    let set = "[\"SET\",\"k\",\"v\"]";
    for (framing, body) in [
        ("Transfer-Encoding: chunked", format!("zz\r\n{set}\r\n0\r\n\r\n")),
        ("Transfer-Encoding: chunked", format!("-1\r\n{set}\r\n0\r\n\r\n")),
        ("Transfer-Encoding: chunked", format!("ffffffffffffffffff\r\n{set}\r\n0\r\n\r\n")),
        ("Transfer-Encoding: chunked", format!("{:x}\r\n{set}0\r\n\r\n", set.len())),
        ("Transfer-Encoding: chunked", format!("{:x}\n{set}\n0\n\n", set.len())),
        (
            "Transfer-Encoding: chunked",
            format!("{:x};{}\r\n{set}\r\n0\r\n\r\n", set.len(), "x".repeat(100_000)),
        ),
        ("Transfer-Encoding: gzip", set.to_owned()),
        ("Transfer-Encoding: chunked, gzip", format!("{:x}\r\n{set}\r\n0\r\n\r\n", set.len())),
        ("Content-Length: 15\r\nContent-Length: 16", format!("{set} ")),
        ("Content-Length: -1", set.to_owned()),
        ("Content-Length: +15", set.to_owned()),
        ("Content-Length: 99999999999999999999999", set.to_owned()),
        ("Content-Length: 15, 15, 16", set.to_owned()),
        ("Content-Length : 15", set.to_owned()),
        ("Transfer-Encoding: chunked\r\nNot a header", set.to_owned()),
    ] {
        let said = exchange(addr, format!("{HEAD}{framing}\r\n\r\n{body}")).await;
        assert_eq!(parse(&said).0, 400, "{framing} {body:.40}: {said}");
    }
    // Announced and not sent.
    let mut stream = connect(addr).await;
    send(&mut stream, format!("{HEAD}Content-Length: 16\r\n\r\n{set}")).await;
    tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
    assert!(!read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(request(addr, "POST", "/", "[\"EXISTS\",\"k\"]").await.1, "{\"result\":0}");
}

/// A length beside chunks hides one request behind another if a proxy uses the other of the two.
#[tokio::test]
async fn requests_cannot_be_smuggled() {
    let server = server::serve(MemoryBackend::new()).await;
    let ping = "8\r\n[\"PING\"]\r\n0\r\n\r\n";
    let hidden = full_request("[\"SET\",\"hidden\",\"v\"]");
    let both = format!(
        "{HEAD}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{ping}{hidden}",
        ping.len() + hidden.len()
    );
    let said = exchange(server.local_addr(), both).await;
    // Refused, or read by its chunks: then the connection is closed, and later bytes are not read.
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
    assert_eq!(
        request(server.local_addr(), "POST", "/", "[\"EXISTS\",\"hidden\"]").await.1,
        "{\"result\":0}"
    );
}

#[tokio::test]
async fn garbage_after_a_request_ends_only_its_connection() {
    let server = server::serve(MemoryBackend::new()).await;
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "[\"SET\",\"k\",\"v\"]\r\n\r\n",
        "SET k v\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = connect(server.local_addr()).await;
        send(&mut stream, full_request("[\"PING\"]") + &full_request("[\"PING\"]") + garbage).await;
        assert_eq!(read_response(&mut stream).await, pong());
        assert_eq!(read_response(&mut stream).await, pong());
        let said = read_to_end(&mut stream).await;
        // HTTP/2 is recognised, and gets no HTTP/1 response.
        assert!(
            if garbage.starts_with("PRI") { said.is_empty() } else { parse(&said).0 == 400 },
            "{garbage:?}: {said}"
        );
    }
    assert_eq!(
        request(server.local_addr(), "POST", "/", "[\"EXISTS\",\"k\"]").await.1,
        "{\"result\":0}"
    );
}

/// In the path form a path is a list of arguments, and reaches no file or other key.
#[tokio::test]
async fn dots_within_a_segment_of_a_path_are_data() {
    let server = server::serve(MemoryBackend::new()).await;
    let addr = server.local_addr();
    for (target, key) in [
        ("/set/..%2F..%2Fetc%2Fpasswd/v", "../../etc/passwd"),
        ("/set/..%2Fx/v", "../x"),
        ("/set/.../v", "..."),
        ("/set/..%00/v", "..\\u0000"),
        ("/set/%252e%252e/v", "%2e%2e"),
        ("/set/a%00b/v", "a\\u0000b"),
        ("/set/%2Fpipeline/v", "/pipeline"),
        ("/set/%255c/v", "%5c"),
        ("/set/a%0D%0AX-Injected:%20y/v", "a\\r\\nX-Injected: y"),
    ] {
        assert_eq!(
            request(addr, "GET", target, "").await,
            (200, "{\"result\":\"OK\"}".to_owned()),
            "{target}"
        );
        assert_eq!(
            request(addr, "POST", "/", format!("[\"GETDEL\",\"{key}\"]")).await.1,
            "{\"result\":\"v\"}",
            "{target}"
        );
    }
    assert_eq!(request(addr, "POST", "/", "[\"DBSIZE\"]").await.1, "{\"result\":0}");
    // The path form does not bypass the refusals.
    for target in ["/config/get/maxmemory", "/CONFIG%20GET/maxmemory"] {
        let (status, body) = request(addr, "GET", target, "").await;
        assert!(
            status == 400 && body.starts_with("{\"error\":\"ERR "),
            "{target}: {status} {body}"
        );
    }
}

/// Segments that a proxy may have created from a name, or would resolve to another path.
#[tokio::test]
async fn dot_segments_and_empty_ones_are_refused() {
    let server = server::serve(MemoryBackend::new()).await;
    let addr = server.local_addr();
    for dots in [".", "..", "%2e", "%2E", "%2e%2e", "%2E%2e", ".%2e", "%2E.", "", "/"] {
        for target in [
            format!("/set/{dots}/v"),
            format!("/{dots}/set/k/v"),
            format!("/set/k/v/{dots}/"),
            format!("/pipeline/{dots}/"),
            format!("/multi-exec/{dots}/x"),
            format!("/subscribe/{dots}/"),
            format!("/subscribe/a/{dots}/b"),
            format!("/psubscribe/a/{dots}/b?x=y"),
            format!("/monitor/{dots}/"),
            format!("/{dots}/"),
        ] {
            let (status, body) = request(addr, "POST", &target, "[[\"SET\",\"k\",\"v\"]]").await;
            assert!(
                status == 400 && body.starts_with("{\"error\":\"ERR the path has a segment"),
                "{target}: {status} {body}"
            );
        }
    }
    for target in ["/set/k/..", "/subscribe/..", "/..", "/."] {
        assert_eq!(request(addr, "GET", target, "").await.0, 400, "{target}");
    }
    assert_eq!(request(addr, "POST", "/", "[\"DBSIZE\"]").await.1, "{\"result\":0}");
    // An empty segment at the beginning, and one at the end, is ignored.
    for (target, body) in [("/ping", ""), ("/ping/", ""), ("/", "[\"PING\"]")] {
        assert_eq!(
            request(addr, "POST", target, body).await.1,
            "{\"result\":\"PONG\"}",
            "{target}"
        );
    }
    assert_eq!(request(addr, "POST", "/pipeline/", "[[\"PING\"]]").await.0, 200);
}

/// A proxy may have turned a subscription's path into a command.
#[tokio::test]
async fn a_request_for_events_alone_runs_no_command() {
    let server = server::serve(MemoryBackend::new()).await;
    let addr = server.local_addr();
    let token = "Authorization: Bearer local-token\r\n";
    for accept in ["text/event-stream", "Text/Event-Stream", " text/event-stream "] {
        let headers = format!("{token}Accept: {accept}\r\n");
        for (target, body) in [
            ("/", "[\"SET\",\"k\",\"v\"]"),
            ("/pipeline", "[[\"SET\",\"k\",\"v\"]]"),
            ("/multi-exec", "[[\"SET\",\"k\",\"v\"]]"),
            ("/set/k/v", ""),
            ("/nothing", ""),
        ] {
            for method in ["GET", "POST", "PUT"] {
                let (status, said) = request_with(addr, method, target, &headers, body).await;
                assert_eq!(status, 406, "{accept} {target}: {said}");
            }
        }
    }
    assert_eq!(request(addr, "POST", "/", "[\"DBSIZE\"]").await.1, "{\"result\":0}");
    // A client that accepts anything is no subscriber.
    for accept in ["*/*", "application/json", "text/event-stream, */*"] {
        let headers = format!("{token}Accept: {accept}\r\n");
        assert_eq!(request_with(addr, "GET", "/ping", &headers, "").await.0, 200, "{accept}");
    }
}
