//! `doctor` on set-ups with one fault each.

use super::fake::{self, Answer, Request, error, json_answer};
use super::{Ran, Serve, TOKEN, run, soon, tool};
use redis_rest_test_support::redis_test;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime};

pub(super) fn doctor(url: &str, more: &[&str]) -> Ran {
    run(tool()
        .env("REDIS_REST_URL", url)
        .env("REDIS_REST_TOKEN", "s3cret-token")
        .arg("doctor")
        .args(more))
}

/// Returns the checks of a run that must have this exit code.
#[track_caller]
pub(super) fn checks(ran: &Ran, code: i32) -> Vec<Value> {
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{ran:?}");
    assert!(!ran.stdout.contains("s3cret"), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["ok"], json!(code == 0), "{ran:?}");
    report["checks"].as_array().unwrap().clone()
}

/// Returns the checks with this status. Latency is left out: this machine's speed is not under
/// test.
pub(super) fn of<'a>(checks: &'a [Value], status: &str) -> Vec<&'a Value> {
    checks.iter().filter(|check| check["status"] == status && check["check"] != "latency").collect()
}

/// Returns the names of the checks with this status.
pub(super) fn names<'a>(checks: &'a [Value], status: &str) -> Vec<&'a str> {
    of(checks, status).iter().map(|check| check["check"].as_str().unwrap()).collect()
}

/// Asserts exactly one problem, in `check`, whose text and fix contain `texts`.
#[track_caller]
fn finds(ran: &Ran, check: &str, texts: &[&str]) {
    let checks = checks(ran, 1);
    let problems = of(&checks, "problem");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["check"], check, "{problems:?}");
    let said = format!("{} {}", problems[0]["text"], problems[0]["fix"]);
    for text in texts {
        assert!(said.contains(text), "{text:?} is missing: {said}");
    }
}

/// Asserts the same for a server that responds by `answer`.
#[track_caller]
fn finds_of(
    answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    check: &str,
    texts: &[&str],
) {
    finds(&doctor(&fake::start(answer), &["--json"]), check, texts);
}

#[test]
fn a_healthy_server_has_no_problem() {
    let server = Serve::start(&["--read-only-token", "reader"]);
    let ran = server.tool(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let right = |line: &str| line.starts_with("ok ") || line.starts_with("note      latency ");
    assert!(ran.stdout.lines().all(right) && ran.stdout.lines().count() == 13, "{ran:?}");
    assert_eq!(server.tool(&["exec", "DBSIZE"]).stdout, "(integer) 0\n");

    let reader = checks(&server.tool(&["doctor", "--json", "--token", "reader"]), 0);
    assert_eq!(names(&reader, "note"), ["scripts", "write"]);
    let without = server.tool(&["doctor", "--no-write"]);
    assert!(without.code == Some(0) && !without.stdout.contains("write"), "{without:?}");
}

/// Ensures that the tests below find the fault that they set up.
#[test]
fn fake_server_is_healthy() {
    let found = checks(&doctor(&fake::start(|_| None), &["--json"]), 0);
    assert_eq!(names(&found, "note"), ["resp2"]);
}

#[test]
fn no_settings() {
    finds(
        &run(tool().args(["doctor", "--json"])),
        "address",
        &["REDIS_REST_URL", "redis-rest serve"],
    );
    finds(
        &run(tool().args(["doctor", "--json", "--url", "https://127.0.0.1:1"])),
        "token",
        &["--token"],
    );
    finds(
        &run(tool().args(["doctor", "--json"]).env("KV_REST_API_URL", "https://h.example")),
        "token",
        &["KV_REST_API_TOKEN"],
    );
}

#[test]
fn an_address_without_its_scheme() {
    for url in ["host.example.com", "localhost:8079", "127.0.0.1:8079"] {
        finds(&doctor(url, &["--json"]), "address", &["no scheme", "https://"]);
    }
    finds(
        &doctor("redis://127.0.0.1:6379", &["--json"]),
        "address",
        &["native protocol", "serve --redis"],
    );
}

#[test]
fn plain_http_to_another_machine() {
    finds(
        &doctor("http://host.example.com", &["--json"]),
        "address",
        &["in the clear", "--allow-http"],
    );
}

#[test]
fn a_token_with_its_quotes() {
    let ran = run(tool().args([
        "doctor",
        "--json",
        "--url",
        "http://127.0.0.1:1",
        "--token",
        "\"s3cret\"",
    ]));
    finds(&ran, "token", &["quotation mark", "copy the token again"]);
}

#[test]
fn address_in_quotes_or_with_a_stray_path() {
    for url in ["\"https://h.example\"", "'https://h.example'", "https://h.example\""] {
        finds(&doctor(url, &["--json"]), "address", &["quotation marks", "remove"]);
    }
    let server = Serve::start(&[]);
    let ran = run(tool()
        .args(["doctor", "--json", "--token", TOKEN, "--url"])
        .arg(format!("{}/wrong", server.url)));
    finds(&ran, "reach", &["for a command", "remove the path"]);
}

#[test]
fn port_of_a_redis() {
    let redis = redis_test!();
    let ran = doctor(&format!("http://127.0.0.1:{}", redis.port()), &["--json"]);
    finds(&ran, "reach", &["a Redis", "serve --redis"]);
}

#[test]
fn server_that_does_not_speak_http() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the test process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            while stream.read(&mut request).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"-ERR unknown command 'POST'\r\n");
            }
        }
    });
    finds(&doctor(&url, &["--json"]), "reach", &["does not speak HTTP", "serve --redis"]);
}

#[test]
fn refusal_by_a_firewall_is_quoted() {
    finds_of(
        |_| Some(error(403, "Command 'PING' is blocked")),
        "token",
        &["is blocked", "firewall"],
    );
}

#[test]
fn https_to_a_port_of_plain_http() {
    let url = fake::start(|_| None).replace("http:", "https:");
    finds(&doctor(&url, &["--json"]), "reach", &["TLS does not work", "http://"]);
}

/// No system resolves a label of 64 letters.
#[test]
fn host_that_is_not_found() {
    let url = format!("https://{}.example", "x".repeat(64));
    finds(&doctor(&url, &["--json"]), "reach", &["cannot be found", "spelling"]);
}

#[test]
fn address_without_a_server() {
    finds(&doctor("http://127.0.0.1:1", &["--json"]), "reach", &["refused", "host and port"]);
}

#[test]
fn server_that_never_responds() {
    // Never accepted: the system completes the connection, and no process reads from it.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let began = Instant::now();
    let ran = doctor(
        &format!("http://{}", silent.local_addr().unwrap()),
        &["--json", "--timeout", "0.2"],
    );
    finds(&ran, "reach", &["no response", "--timeout"]);
    // The default.
    assert!(began.elapsed() < Duration::from_secs(5), "--timeout does not hold");
}

#[test]
fn a_wrong_token() {
    let server = Serve::start(&[]);
    finds(&doctor(&server.url, &["--json"]), "token", &["does not accept", "copy the token again"]);
    finds_of(|_| Some(error(401, "Invalid token")), "token", &["does not accept"]);
}

#[test]
fn a_web_page() {
    for status in [200, 401, 404, 503] {
        let page = move |_: &Request| {
            Some(Answer {
                status,
                headers: "Content-Type: text/html\r\n",
                body: "<!doctype html><title>s3cret</title>".to_owned(),
            })
        };
        finds_of(page, "reach", &["web page", &status.to_string(), "REST URL"]);
    }
    finds_of(
        |_| Some(json_answer(200, &json!({ "hello": "s3cret" }))),
        "reach",
        &["not in the REST protocol"],
    );
    finds_of(
        |_| Some(json_answer(404, &json!({ "message": "s3cret" }))),
        "reach",
        &["HTTP 404", "path"],
    );
}

#[test]
fn a_server_that_redirects() {
    let moved = |_: &Request| {
        Some(Answer {
            status: 308,
            headers: "Location: https://new.example/redis?k=s3cret\r\n",
            body: String::new(),
        })
    };
    finds_of(moved, "reach", &["redirects (HTTP 308)", "https://new.example/redis"]);
}

#[test]
fn redis_that_is_unavailable_or_refuses() {
    finds_of(
        |_| Some(error(503, "DB connection refused")),
        "redis",
        &["the Redis behind it does not", "HTTP 503"],
    );
    finds_of(
        |_| Some(Answer { status: 502, headers: "", body: String::new() }),
        "redis",
        &["the Redis behind it does not"],
    );
    finds_of(
        |_| Some(error(400, "LOADING Redis is loading the dataset in memory")),
        "redis",
        &["loading", "wait"],
    );
    let writes = |text: &'static str| {
        move |request: &Request| (request.name() == "SET").then(|| error(400, text))
    };
    finds_of(
        writes("READONLY You can't write against a read only replica."),
        "write",
        &["replica", "primary"],
    );
    finds_of(
        writes("OOM command not allowed when used memory > 'maxmemory'."),
        "write",
        &["refuses writes", "memory"],
    );
    finds_of(
        |request| (request.name() == "EVAL").then(|| error(400, "ERR unknown command 'EVAL'")),
        "scripts",
        &["unknown command"],
    );
}

/// With the response of this crate's own server.
#[test]
fn a_redis_that_was_killed() {
    let mut redis = redis_test!();
    let server = Serve::start(&["--redis", &redis.url()]);
    let healthy = server.tool(&["doctor"]);
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    redis.stop();
    finds(
        &server.tool(&["doctor", "--json", "--timeout", "20"]),
        "redis",
        &["the Redis behind it does not"],
    );
}

#[test]
fn clock_skew() {
    let skewed = |ahead: bool, by: u64| {
        move |request: &Request| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let by = Duration::from_secs(by);
            (request.name() == "TIME").then(|| {
                json_answer(200, &fake::time(request, if ahead { now + by } else { now - by }))
            })
        }
    };
    finds_of(skewed(true, 3600), "clock", &["ahead of", "NTP"]);
    finds_of(skewed(false, 3600), "clock", &["behind", "NTP"]);
    let little = checks(&doctor(&fake::start(skewed(true, 15)), &["--json"]), 0);
    assert!(of(&little, "note").iter().any(|check| check["check"] == "clock"), "{little:?}");
    finds_of(
        |request| {
            (request.name() == "TIME")
                .then(|| json_answer(200, &json!({ "result": [u64::MAX >> 1, 0] })))
        },
        "clock",
        &["ahead of"],
    );
}

#[test]
fn text_output_has_one_line_per_check() {
    let hostile = |_: &Request| Some(error(400, "ERR \u{1b}[31mred\nsecond line"));
    let ran = doctor(&fake::start(hostile), &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ran:?}");
    assert!(lines[2].starts_with("ok        reach "), "{ran:?}");
    assert!(
        lines[3].starts_with("problem   redis ")
            && lines[3].contains("\\u{1b}[31mred\\nsecond")
            && lines[3].contains(" → "),
        "{ran:?}"
    );
}

#[test]
fn wrong_usage_is_no_diagnosis() {
    for args in [&["--timeout", "0"][..], &["--timeout", "x"], &["--nonsense"], &["more"]] {
        doctor("http://127.0.0.1:1", args).fails(2, &["--help"]);
    }
    // Neither a closed pipe nor a finding is a failure.
    let mut child = tool()
        .args(["doctor", "--url", "http://127.0.0.1:1", "--token", TOKEN])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = soon("the tool", move || child.wait_with_output().unwrap());
    assert!(output.status.code() == Some(1) && output.stderr.is_empty(), "{output:?}");
}
