use redis_rest::Client;
use redis_rest::backend::Backend;
use redis_rest_server::MemoryBackend;
use redis_rest_server::{RunningServer, ServerConfig};
use redis_rest_test_support::raw::{exchange, parse};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;

/// Sends a request like a browser, with these header lines, which must include the token if one is
/// needed.
async fn send(
    server: &RunningServer,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &str,
) -> (u16, String) {
    let headers = headers.join("\r\n");
    let head = format!(
        "{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n\r\n",
        body.len()
    );
    parse(&exchange(server.local_addr(), head + body).await)
}

const TOKEN: &str = "Authorization: Bearer local-token";
const LOCAL: &str = "Host: localhost:8079";
const EVIL: &str = "Origin: https://evil.example";

/// Refused requests change and read nothing; requests of programs and allowed pages succeed.
async fn assert_pages_are_refused(backend: impl Backend) {
    let server = rest::serve_with(backend, |config| config.cors("http://app.example")).await;
    let client: Client = rest::client(&server);
    client.set("secret", "s3cret").await.unwrap();
    let pipeline = "[[\"FLUSHALL\"]]";
    let single = "[\"FLUSHALL\"]";
    let cross = "Sec-Fetch-Site: cross-site";
    let attacks: &[(&str, &str, &[&str], &str)] = &[
        // The default token, in the address.
        ("GET", "/set/pwned/1?_token=local-token", &[LOCAL, EVIL, cross], ""),
        (
            "POST",
            "/pipeline?_token=local-token",
            &[LOCAL, EVIL, "Content-Type: text/plain"],
            pipeline,
        ),
        ("GET", "/set/pwned/1?_token=local-token", &[LOCAL, cross], ""),
        ("GET", "/set/pwned/1?_token=local-token", &[LOCAL], ""),
        // A token that the page knows.
        ("POST", "/", &[LOCAL, TOKEN, EVIL], single),
        ("POST", "/", &[LOCAL, TOKEN, "Origin: null"], single),
        ("POST", "/", &[LOCAL, TOKEN, "Origin: http://app.example.evil"], single),
        ("POST", "/", &[LOCAL, TOKEN, "Origin: http://app.example", EVIL], single),
        ("GET", "/flushall", &[LOCAL, TOKEN, cross], ""),
        ("GET", "/flushall", &[LOCAL, TOKEN, "Sec-Fetch-Site: same-site"], ""),
        ("HEAD", "/flushall", &[LOCAL, TOKEN, cross], ""),
        ("PUT", "/flushall", &[LOCAL, TOKEN, EVIL], ""),
        ("OPTIONS", "/flushall", &[LOCAL, TOKEN, EVIL], ""),
        ("GET", "/subscribe/c", &[LOCAL, TOKEN, EVIL, "Accept: text/event-stream"], ""),
        ("GET", "/monitor", &[LOCAL, TOKEN, cross], ""),
        // A name of the page, rebound to this machine.
        ("GET", "/keys/*", &["Host: evil.example:8079", TOKEN], ""),
        (
            "GET",
            "/keys/*",
            &["Host: evil.example:8079", TOKEN, "Origin: http://evil.example:8079"],
            "",
        ),
        ("GET", "/keys/*", &["Host: evil.example:8079", TOKEN, "Sec-Fetch-Site: same-origin"], ""),
        ("POST", "http://evil.example:8079/", &[LOCAL, TOKEN], single),
    ];
    for (method, target, headers, body) in attacks {
        let (status, answer) = send(&server, method, target, headers, body).await;
        let refused = if *headers == [LOCAL] { 401 } else { 403 };
        assert_eq!(status, refused, "{method} {target} {headers:?}: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
        assert!(*method == "HEAD" || answer.starts_with("{\"error\":\""), "{answer}");
    }
    assert_eq!(
        client.run::<Vec<String>>(redis_rest::cmd("KEYS").arg("*")).await.unwrap(),
        ["secret"]
    );
    let programs: &[&[&str]] = &[
        &[LOCAL, TOKEN],
        &["Host: 127.0.0.1", TOKEN],
        &["Host: [::1]:1", TOKEN],
        &[LOCAL, TOKEN, "Sec-Fetch-Mode: cors"],
        &[LOCAL, TOKEN, "Sec-Fetch-Site: none"],
        &[LOCAL, TOKEN, "Origin: http://localhost:8079", "Sec-Fetch-Site: same-origin"],
        &[LOCAL, TOKEN, "Origin: http://app.example", cross],
    ];
    for headers in programs {
        for (method, answer) in [("GET", "{\"result\":\"s3cret\"}"), ("HEAD", "")] {
            let expected = (200, answer.to_owned());
            assert_eq!(
                send(&server, method, "/get/secret", headers, "").await,
                expected,
                "{headers:?}"
            );
        }
    }
    assert_eq!(send(&server, "OPTIONS", "/", &[LOCAL, TOKEN], "").await.0, 405);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_the_embedded_engine() {
    assert_pages_are_refused(MemoryBackend::new()).await;
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_redis() {
    let redis = redis_test!();
    assert_pages_are_refused(redis.backend().await).await;
}

#[tokio::test]
async fn allowed_hosts_are_served_and_the_refusal_names_the_option() {
    let named = |config: ServerConfig| config.host("redis.example");
    let server = rest::serve_with(MemoryBackend::new(), named).await;
    let status = async |host: &str| send(&server, "GET", "/ping", &[host, TOKEN], "").await;
    assert_eq!(status("Host: redis.example").await.0, 200);
    let (refused, text) = status("Host: other.example").await;
    assert!(refused == 403 && text.contains("--host NAME"), "{refused} {text}");
}
