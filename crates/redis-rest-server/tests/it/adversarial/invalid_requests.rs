//! The server against clients that misbehave.

use redis_rest::{Client, ErrorKind, Outcome, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::raw::{self, exchange, parse, request, request_with};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest::{self, READ_ONLY_TOKEN};

#[tokio::test]
async fn bodies_that_are_no_commands() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "[\"GET\"",
        "[[\"GET\",\"k\"]]",
        "{\"a\":1}",
        "[\"GET\",null]",
        "[\"GET\",{}]",
        "[\"\"]",
        "\u{0}",
        &deep,
    ] {
        for target in ["/", "/pipeline", "/multi-exec"] {
            if target != "/" && body == "[[\"GET\",\"k\"]]" {
                continue;
            }
            let (status, answer) = request(server.local_addr(), "POST", target, body).await;
            assert_eq!(status, 400, "{target} {body:.20}: {answer}");
            assert!(answer.starts_with("{\"error\":\"ERR "), "{answer}");
        }
    }
    for body in [&b"[\"GET\",\"\xff\"]"[..], b"[\"GET\",\"\\ud800\"]"] {
        assert_eq!(request(server.local_addr(), "POST", "/", body).await.0, 400);
    }
    // The server still works.
    assert_eq!(
        request(server.local_addr(), "POST", "/", "[\"PING\"]").await,
        (200, "{\"result\":\"PONG\"}".to_owned())
    );
}

#[tokio::test]
async fn methods_and_addresses() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let addr = server.local_addr();
    for method in ["DELETE", "PATCH", "OPTIONS", "TRACE", "NOSUCH"] {
        let (status, body) = request(addr, method, "/get/k", "").await;
        assert_eq!(status, 405, "{method}");
        assert!(body.starts_with("{\"error\":\"ERR "), "{body}");
    }
    for target in ["/pipeline/x", "/multi-exec/x"] {
        let (status, body) = request(addr, "POST", target, "").await;
        assert_eq!(status, 404, "{target}");
        assert!(body.starts_with("{\"error\":\"ERR "), "{body}");
    }
    for target in [
        "/../../etc/passwd",
        "//get/k",
        "/..%2f..%2fetc/passwd",
        "/get/%zz",
        "/favicon.ico",
        "/%00",
        "/get",
        "/%ff%fe",
        "/subscribe",
        "/psubscribe/",
    ] {
        let (status, body) = request(addr, "GET", target, "").await;
        assert_eq!(status, 400, "{target}");
        assert!(body.starts_with("{\"error\":\"ERR "), "{body}");
    }
    // The HTTP library responds to messages that are not HTTP.
    for noise in [
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ] {
        let answer = exchange(addr, noise).await;
        assert_eq!(parse(&answer).0, 400, "{noise}");
    }
    let long = format!("/get/{}", "k".repeat(70_000));
    assert_eq!(request(addr, "GET", &long, "").await.0, 414);
}

#[tokio::test]
async fn the_path_form() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let addr = server.local_addr();
    let ok = |result: &str| (200, format!("{{\"result\":{result}}}"));
    assert_eq!(request(addr, "POST", "/set/foo?EX=100", b"a/b ?\xff").await, ok("\"OK\""));
    assert_eq!(request(addr, "GET", "/get/foo", "").await, ok("\"a/b ?\u{fffd}\""));
    assert_eq!(
        request_with(
            addr,
            "GET",
            "/get/foo",
            "Authorization: Bearer local-token\r\nUpstash-Encoding: base64\r\n",
            ""
        )
        .await,
        ok("\"YS9iID//\"")
    );
    assert_eq!(request(addr, "PUT", "/set/f%2Fo%20o/v", "").await, ok("\"OK\""));
    assert_eq!(request(addr, "GET", "/get/f%2Fo%20o/", "").await, ok("\"v\""));
    assert_eq!(request(addr, "GET", "/ttl/foo", "").await, ok("100"));
    let (status, body) = request(addr, "HEAD", "/set/head/v", "").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(request(addr, "GET", "/get/head", "").await, ok("\"v\""));
    assert_eq!(request(addr, "GET", "/get/none", "").await, ok("null"));
}

#[tokio::test]
async fn tokens() {
    let redis = redis_test!();
    let server = rest::serve_with(redis.backend().await, |config| config.token("own-token")).await;
    let addr = server.local_addr();
    let unauthorized = (401, "{\"error\":\"WRONGPASS invalid or missing auth token\"}".to_owned());
    for headers in [
        "",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: own-token\r\n",
        "Authorization: Basic own-token\r\n",
    ] {
        assert_eq!(
            request_with(addr, "POST", "/", headers, "[\"PING\"]").await,
            unauthorized,
            "{headers}"
        );
    }
    for target in ["/ping?_token=wrong", "/ping?_token=", "/ping?_token", "/subscribe/x"] {
        assert_eq!(request_with(addr, "GET", target, "", "").await, unauthorized, "{target}");
    }
    assert_eq!(
        request_with(addr, "GET", "/ping?_token=wrong", "Authorization: bearer own-token\r\n", "")
            .await
            .0,
        200
    );
    assert_eq!(request_with(addr, "GET", "/ping?_token=own-token", "", "").await.0, 200);
    // The client sees the refusal even while it is still sending megabytes.
    let client = Client::new(server.url(), "wrong").unwrap();
    let error = client.set("k", "x".repeat(5_000_000)).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthorized, Some(401)));
}

#[tokio::test]
async fn a_read_only_token_only_reads() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let client = rest::client(&server);
    let reader = Client::new(server.url(), READ_ONLY_TOKEN).unwrap();
    client.set("k", "v").await.unwrap();
    assert_eq!(reader.get::<String>("k").await.unwrap(), "v");
    reader.ping().await.unwrap();
    assert_eq!(reader.run::<String>(cmd("OBJECT ENCODING").arg("k")).await.unwrap(), "embstr");
    let error = reader.set("k", "w").await.unwrap_err();
    assert_eq!(
        error.server_message(),
        Some("NOPERM this user has no permissions to run the 'set' command")
    );
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, Outcome::NotApplied));
    for command in [
        cmd("FLUSHALL"),
        cmd("EVAL").arg("return 1").arg(0),
        // Scripts can read data that the guard refuses.
        cmd("EVAL_RO").arg("return redis.call('SLOWLOG', 'GET')").arg(0),
        cmd("EVALSHA_RO").arg("0".repeat(40)).arg(0),
        cmd("FCALL_RO").arg("f").arg(0),
        cmd("SCRIPT LOAD").arg("return 1"),
        cmd("NOSUCH"),
        cmd("PUBLISH").arg("c").arg("m"),
    ] {
        assert_eq!(reader.run::<Value>(command).await.unwrap_err().redis_code(), Some("NOPERM"));
    }
    let mut pipe = reader.pipeline();
    let get = pipe.add(cmd::get::<String>("k"));
    let set = pipe.add(cmd::set("k", "w"));
    let mut replies = pipe.send().await.unwrap();
    assert_eq!(replies.take(get).unwrap(), "v");
    assert_eq!(replies.take(set).unwrap_err().redis_code(), Some("NOPERM"));
    let mut tx = reader.transaction();
    let _ = tx.add(cmd::set("k", "w"));
    assert!(tx.send().await.is_err());
    assert_eq!(client.get::<String>("k").await.unwrap(), "v");
}

#[tokio::test]
async fn refused_commands_and_similar_allowed_ones() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let client = rest::config(&server).no_retry().build().unwrap();
    for line in [
        "blpop k 0",
        "BRPOP k 0",
        "BLMOVE a b LEFT LEFT 0",
        "BZMPOP 0 1 k MIN",
        "WAIT 1 0",
        "XREAD BLOCK 0 STREAMS s $",
        "XREADGROUP GROUP streams c BLOCK 0 STREAMS s >",
        "SUBSCRIBE c",
        "SSUBSCRIBE c",
        "MULTI",
        "EXEC",
        "WATCH k",
        "AUTH x",
        "HELLO 3",
        "QUIT",
        "RESET",
        "CLIENT REPLY OFF",
        "CLIENT KILL TYPE normal",
        "MONITOR",
        "SHUTDOWN",
        "DEBUG SLEEP 0",
        "REPLICAOF NO ONE",
        "SELECT 1",
        "SYNC",
        "MIGRATE h 1 k 0 1",
        "CONFIG SET maxmemory 1",
        "MODULE LIST",
        "BGSAVE",
        "SCRIPT KILL",
        "FUNCTION KILL",
        // Refused by their flags only.
        "SLOWLOG RESET",
        "LATENCY RESET",
    ] {
        // By hand: this crate's client refuses most of them itself.
        let words = serde_json::to_string(&line.split(' ').collect::<Vec<_>>()).unwrap();
        let (status, body) = request(server.local_addr(), "POST", "/", &words).await;
        assert!(
            status == 400
                && body.starts_with("{\"error\":\"ERR this command is not available over REST"),
            "{line}: {status} {body}"
        );
        let transaction = format!("[[\"SET\",\"never\",\"x\"],{words}]");
        let (status, body) = request(server.local_addr(), "POST", "/multi-exec", transaction).await;
        assert!(status == 400 && body.starts_with("{\"error\":\""), "{line}: {status} {body}");
    }
    assert_eq!(client.get::<Option<String>>("never").await.unwrap(), None);
    for line in [
        "PUBLISH c m",
        "PUBSUB CHANNELS",
        "XREAD COUNT 1 STREAMS block 0",
        "FLUSHALL",
        "DBSIZE",
        "INFO server",
        "COMMAND COUNT",
        "SCRIPT FLUSH",
    ] {
        client.run::<Value>(cmd(line)).await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
    }
    // A name with a space is one name, and does not bypass the guard.
    assert!(
        request(server.local_addr(), "POST", "/", "[\"CONFIG GET\",\"maxmemory\"]")
            .await
            .1
            .starts_with("{\"error\":\"ERR unknown command")
    );
}

/// Redis 7.0 never returns from the third.
#[tokio::test]
async fn counts_that_repeat_elements_without_end_are_refused() {
    let redis = redis_test!();
    for server in
        [rest::serve(redis.backend().await).await, rest::serve(MemoryBackend::new()).await]
    {
        let client = rest::client(&server);
        client.sadd("s", ["a", "b"]).await.unwrap();
        for name in ["SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "SPOP", "LPOP", "RPOP"] {
            for count in ["-2147483649", "2147483649", "-4611686018427387904", "-11184811"] {
                let body = format!("[\"{name}\",\"s\",\"{count}\"]");
                let (status, answer) = request(server.local_addr(), "POST", "/", body).await;
                assert!(
                    status == 400 && answer.starts_with("{\"error\":\"ERR value is out of range"),
                    "{name} {count}: {answer}"
                );
            }
        }
        let three = client.run::<Vec<String>>(cmd("SRANDMEMBER").arg("s").arg(-3)).await.unwrap();
        assert_eq!(three.len(), 3);
    }
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let redis = redis_test!();
    let server =
        rest::serve_with(redis.backend().await, |config| config.max_request_bytes(1000)).await;
    let addr = server.local_addr();
    let fits = format!("[\"ECHO\",\"{}\"]", "x".repeat(1000 - 11));
    assert_eq!(fits.len(), 1000);
    assert_eq!(request(addr, "POST", "/", &fits).await.0, 200);
    let (status, body) = request(addr, "POST", "/", format!("{fits} ")).await;
    assert_eq!(status, 413);
    assert_eq!(
        body,
        "{\"error\":\"ERR max request size exceeded. Limit: 1000 bytes, Actual: 1001 bytes\"}"
    );
    // Declared and never sent: the response does not wait for the body.
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer local-token\r\n";
    assert_eq!(
        parse(&exchange_head(addr, &format!("{head}Content-Length: 99999999999\r\n\r\n")).await).0,
        413
    );
    // Chunked, so that the length is unknown in advance.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let answer =
        exchange(addr, format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")).await;
    assert_eq!(parse(&answer).0, 413, "{answer}");
    // The client sees the refusal although it is still sending.
    let client = rest::client(&server);
    let error = client.set("k", "x".repeat(9_000_000)).await.unwrap_err();
    assert!(error.status() == Some(413) || error.kind() == ErrorKind::Io, "{error:?}");
    let server =
        rest::serve_with(redis.backend().await, |config| config.max_request_bytes(5_000_000)).await;
    let error = rest::client(&server).set("k", "x".repeat(9_000_000)).await.unwrap_err();
    assert_eq!((error.outcome(), error.status()), (Outcome::NotApplied, Some(413)));
}

/// Sends a head only, and reads the response's head without waiting for the end of the connection.
async fn exchange_head(addr: std::net::SocketAddr, head: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn entries_with_odd_arguments() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let body = r#"[["SET","n",1.50],["GET","n"],["SET","b",true],["GET","b"],["NOSUCH"],["SET","big",12345678901234567890],["GET","big"]]"#;
    let (status, answer) = raw::request(server.local_addr(), "POST", "/pipeline", body).await;
    assert_eq!(status, 200);
    let replies: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap();
    let result = |index: usize| replies[index]["result"].as_str().unwrap_or_default();
    assert_eq!(result(1), "1.50");
    assert_eq!(result(3), "true");
    assert_eq!(result(6), "12345678901234567890");
    assert!(
        replies[4]["error"].as_str().is_some_and(|text| text.starts_with("ERR unknown command"))
    );
}
