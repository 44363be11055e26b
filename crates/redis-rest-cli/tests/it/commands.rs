//! `serve`, `exec`, `bench`, `sessions`.

use super::{Serve, TOKEN, run, soon, tool};
use redis_rest_test_support::raw;
use redis_rest_test_support::redis_test;
use serde_json::{Value, json};
use std::process::Stdio;

#[cfg(unix)]
#[test]
fn serve_prints_one_line_and_stops_on_signals() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Serve::start(&[]);
        server.tool(&["exec", "SET", "k", "v"]).prints("OK\n");
        let (status, rest) = server.signal(signal);
        assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "{signal}");
    }
}

#[test]
fn serve_with_two_tokens_and_limits() {
    let limits = [
        "--max-request-bytes",
        "200",
        "--max-reply-bytes",
        "1000",
        "--script-timeout",
        "0.1",
        "--script-memory-bytes",
        "2000000",
    ];
    let server =
        Serve::start(&[&["--memory", "--read-only-token", "reader"], &limits[..]].concat());
    server.tool(&["exec", "SET", "k", "v"]).prints("OK\n");
    let reader = ["--token", "reader", "exec"];
    server.tool(&[&reader[..], &["GET", "k"]].concat()).prints("\"v\"\n");
    server.tool(&[&reader[..], &["SET", "k", "w"]].concat()).fails(1, &["NOPERM", "another"]);
    server.tool(&["--token", "wrong", "exec", "GET", "k"]).fails(2, &["WRONGPASS", "--token"]);
    server.tool(&["exec", "SET", "k", &"x".repeat(300)]).fails(1, &["max request size exceeded"]);
    server.tool(&["exec", "EVAL", "while true do end", "0"]).fails(1, &["Script killed"]);
    server
        .tool(&["exec", "EVAL", "return string.rep('x', 3e6)", "0"])
        .fails(1, &["not enough memory"]);
    server
        .tool(&["exec", "EVAL", "return string.rep('x', 2000)", "0"])
        .fails(1, &["max response size exceeded"]);
    server.tool(&["exec", "GET", "k"]).prints("\"v\"\n");
    server.tool(&["exec", "GET", "k", "--json"]).fails(1, &["put the tool's options before"]);
}

/// With both defaults: five seconds each.
#[tokio::test]
async fn serve_ends_an_endless_script_of_a_real_redis() {
    let redis = redis_test!();
    let server = Serve::start(&["--redis", &redis.url()]);
    let addr = server.url.trim_start_matches("http://").parse().unwrap();
    let ask = |body: &'static str| {
        let token = format!("Authorization: Bearer {TOKEN}\r\n");
        tokio::spawn(async move { raw::request_with(addr, "POST", "/", &token, body).await })
    };
    let script = ask("[\"EVAL\",\"while true do end\",\"0\"]");
    let gets: Vec<_> = (0..20).map(|_| ask("[\"GET\",\"k\"]")).collect();
    for get in gets {
        assert_eq!(get.await.unwrap(), (200, "{\"result\":null}".to_owned()));
    }
    let (status, text) = script.await.unwrap();
    assert!(status == 400 && text.contains("killed by user"), "{status} {text}");
}

#[test]
fn serve_refuses_invalid_settings() {
    let server = Serve::start(&[]);
    let taken = server.url.trim_start_matches("http://");
    run(tool().args(["serve", "--listen", taken])).fails(2, &["listen", "--listen"]);
    run(tool().args(["serve", "--listen", "127.0.0.1:0", "--token", "a b"])).fails(2, &["token"]);
    run(tool().args(["serve", "--redis", "redis://127.0.0.1:1"]))
        .fails(2, &["check that Redis is running"]);
    run(tool().args(["serve", "--redis", "redis://127.0.0.1:1", "--memory"]))
        .fails(2, &["cannot be used with"]);
    run(tool().args([
        "serve",
        "--redis",
        "redis://127.0.0.1:1",
        "--script-memory-bytes",
        "2000000",
    ]))
    .fails(2, &["cannot be used with"]);
    run(tool().args(["serve", "--script-timeout", "0.001"])).fails(2, &["0 or a number from 0.01"]);
    run(tool().args(["serve", "--host", "http://redis.example.com"])).fails(2, &["invalid host"]);
    run(tool().args(["serve", "--listen", "0.0.0.0:0"])).fails(2, &["default token"]);
    run(tool().args(["serve", "--listen", "127.0.0.1:0", "--max-header-bytes", "100"]))
        .fails(2, &["8192"]);
    run(tool().args(["serve", "--url", "http://127.0.0.1:1"])).fails(2, &["--listen"]);
    run(tool().args(["serve", "--timeout", "1"])).fails(2, &["--timeout"]);
}

#[test]
fn exec_prints_as_redis_cli_does() {
    let server = Serve::start(&[]);
    for (args, printed) in [
        (&["SET", "name", "Ada \"L\"\n"][..], "OK\n"),
        (&["get", "name"], "\"Ada \\\"L\\\"\\n\"\n"),
        (&["GET", "missing"], "(nil)\n"),
        (&["INCRBY", "n", "-5"], "(integer) -5\n"),
        (&["ECHO", "--json"], "\"--json\"\n"),
        (&["LRANGE", "none", "0", "-1"], "(empty array)\n"),
        (
            &["EVAL", "return {1, {'a', {}}}", "0"],
            "1) (integer) 1\n2) 1) \"a\"\n   2) (empty array)\n",
        ),
    ] {
        server.tool(&[&["exec"], args].concat()).prints(printed);
    }
}

#[test]
fn exec_raw() {
    let server = Serve::start(&[]);
    server.tool(&["exec", "--raw", "SET", "k", "a\"b"]).prints("OK\n");
    server.tool(&["exec", "--raw", "MGET", "k", "none", "k"]).prints("a\"b\n\na\"b\n");
    server.tool(&["exec", "--raw", "--json", "GET", "k"]).fails(2, &["cannot be used with"]);
    server.tool(&["exec", "--raw", "--repeat", "2", "GET", "k"]).fails(2, &["cannot be used with"]);
}

#[test]
fn exec_as_json() {
    let server = Serve::start(&[]);
    server.tool(&["exec", "HSET", "h", "f", "ä", "n", "1"]).prints("(integer) 2\n");
    assert_eq!(server.tool(&["exec", "--json", "HGET", "h", "f"]).json(), json!("ä"));
    assert_eq!(server.tool(&["exec", "--json", "HMGET", "h", "n", "x"]).json(), json!(["1", null]));
    assert_eq!(server.tool(&["exec", "--json", "HLEN", "h"]).json(), json!(2));
    assert_eq!(server.tool(&["exec", "--json", "SET", "k", "v"]).json(), json!("OK"));
}

#[cfg(unix)]
#[test]
fn exec_carries_any_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    let server = Serve::start(&[]);
    let mut set = tool();
    set.env("REDIS_REST_URL", &server.url).env("REDIS_REST_TOKEN", TOKEN);
    run(set.args(["exec", "SET", "bin"]).arg(std::ffi::OsStr::from_bytes(b"\xff\x01")))
        .prints("OK\n");
    server.tool(&["exec", "GET", "bin"]).prints("\"\\xff\\x01\"\n");
    assert_eq!(server.tool(&["exec", "--json", "GET", "bin"]).json(), json!({ "base64": "/wE=" }));
}

/// The environment may hold another token, or none.
#[test]
fn given_token_replaces_that_of_the_environment() {
    let server = Serve::start(&[]);
    for other in [None, Some("another")] {
        let mut ping = tool();
        ping.env("REDIS_REST_URL", &server.url)
            .envs(other.map(|token| ("REDIS_REST_TOKEN", token)));
        run(ping.args(["exec", "--token", TOKEN, "PING"])).prints("\"PONG\"\n");
    }
}

#[test]
fn errors_have_an_exit_code_and_advice() {
    let server = Serve::start(&[]);
    server.tool(&["exec", "SET", "k", "v"]).prints("OK\n");
    // The text of the server, which quotes the user's command.
    server.tool(&["exec", "LPUSH", "k", "x"]).fails(1, &["WRONGTYPE Operation against a key"]);
    server.tool(&["exec", "NOSUCH", "typed"]).fails(1, &["unknown command 'NOSUCH'", "'typed'"]);
    server.tool(&["exec", "BLPOP", "k", "0"]).fails(2, &["would block"]);
    let url =
        |url| run(tool().args(["--url", url, "--token", "secret-of-ours", "exec", "GET", "k"]));
    for (ran, texts) in [
        (url("http://127.0.0.1:1"), ["no connection", "redis-rest serve"]),
        (url(&server.url.replace("http:", "https:")), ["no connection", "plain HTTP"]),
        (url("redis://127.0.0.1:1"), ["native protocol", "https://"]),
        (url("http://example.com"), ["in the clear", "--allow-http"]),
        (url("nonsense"), ["no scheme", "https://"]),
        (run(tool().args(["exec", "GET", "k"])), ["REDIS_REST_URL", "--url"]),
        (run(tool().args(["--url", &server.url, "exec", "GET", "k"])), ["--token", "environment"]),
        (run(tool().args(["exec"])), ["required", "--help"]),
        (run(tool().args(["exec", "--nonsense", "GET"])), ["--nonsense", "--help"]),
        (run(tool().args(["exec", "--repeat", "0", "GET"])), ["--repeat", "--help"]),
    ] {
        ran.fails(2, &texts);
        assert!(!ran.stderr.contains("secret-of-ours"), "{ran:?}");
    }
}

#[test]
fn repeat_counts() {
    let server = Serve::start(&[]);
    let summary =
        server.tool(&["exec", "--repeat", "300", "--concurrency", "8", "INCR", "n"]).json();
    assert_eq!(summary["ok"], 300);
    assert_eq!(summary["failed"], 0);
    assert_eq!(summary["maybe_applied"], 0);
    for name in ["ops_per_second", "p50_us", "p99_us"] {
        assert!(summary[name].as_f64().is_some_and(|n| n > 0.0), "{summary}");
    }
    server.tool(&["exec", "GET", "n"]).prints("\"300\"\n");

    let failing = server.tool(&["exec", "--repeat", "3", "LPUSH", "n", "x"]);
    let summary: Value = serde_json::from_str(&failing.stdout).unwrap();
    assert_eq!((&summary["ok"], &summary["failed"]), (&json!(0), &json!(3)));
    assert_eq!(failing.code, Some(1));
    assert!(failing.stderr.contains("WRONGTYPE"), "{failing:?}");
}

#[test]
fn sessions_from_the_shell() {
    let server = Serve::start(&[]);
    // A record of another service, with an unknown field and a number that no integer type holds.
    let record = r#"{"id":"s1","user_id":"u","org_id":"o","workspace_path":"/w","mcp_client_ids":[],"system_prompt":"a\nb","created_at":"2025-01-15T10:30:00Z","last_active_at":"2025-01-15T11:45:00Z","metadata":{},"extra":1.0}"#;
    server.tool(&["exec", "SET", "session:s1", record]).prints("OK\n");
    server.tool(&["exec", "SET", "user_sessions:u", r#"["s1"]"#]).prints("OK\n");

    let list = "s1  last active 2025-01-15T11:45:00Z  created 2025-01-15T10:30:00Z\n";
    server.tool(&["sessions", "list", "u"]).prints(list);
    server.tool(&["sessions", "list", "nobody"]).prints("no sessions\n");
    assert_eq!(server.tool(&["sessions", "list", "nobody", "--json"]).json(), json!([]));
    let shown = server.tool(&["sessions", "show", "s1"]);
    assert!(
        shown.stdout.contains("prompt       a\\nb\n")
            && shown.stdout.ends_with("\nexpires      never\n"),
        "{shown:?}"
    );
    server.tool(&["exec", "EXPIREAT", "session:s1", "4102444800"]).prints("(integer) 1\n");
    let shown = server.tool(&["sessions", "show", "s1"]).stdout;
    assert!(
        shown.contains("expires      2099-12-31T23:59:5")
            || shown.contains("expires      2100-01-01T00:00:0"),
        "{shown}"
    );
    server.tool(&["sessions", "show", "s1", "--json"]).prints(&format!("{record}\n"));

    let update = [
        "sessions",
        "update",
        "s1",
        "--metadata",
        "plan=pro",
        "--metadata",
        "n=12345678901234567890",
        "--json",
    ];
    let changed =
        record.replace(r#""metadata":{}"#, r#""metadata":{"n":12345678901234567890,"plan":"pro"}"#);
    server.tool(&update).prints(&format!("{changed}\n"));
    server.tool(&["sessions", "show", "s1", "--json"]).prints(&format!("{changed}\n"));

    server.tool(&["sessions", "delete", "s1"]).prints("deleted\n");
    server.tool(&["sessions", "delete", "s1"]).fails(1, &["not found", "sessions list"]);
    server.tool(&["sessions", "show", "s1"]).fails(1, &["not found"]);
    server.tool(&["sessions", "update", "s1", "--metadata", "a=1"]).fails(1, &["not found"]);
    server.tool(&["sessions", "update", "s1", "--metadata", "a"]).fails(2, &["KEY=VALUE"]);
    for id in ["a/b", "..", ""] {
        server.tool(&["sessions", "show", id]).fails(2, &["invalid session id"]);
    }
    server.tool(&["sessions", "list", "u"]).prints("no sessions\n");
}

/// `redis-rest … | head` is no error.
#[test]
fn a_closed_pipe_is_no_error() {
    let server = Serve::start(&[]);
    server.tool(&["exec", "SET", "k", &"x".repeat(100_000)]).prints("OK\n");
    let mut get = tool();
    get.env("REDIS_REST_URL", &server.url)
        .env("REDIS_REST_TOKEN", TOKEN)
        .args(["exec", "GET", "k"]);
    let mut child = get.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = soon("the tool", move || child.wait_with_output().unwrap());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn bench_measures_every_mode_and_deletes_its_key() {
    let serve = Serve::start(&[]);
    for mode in ["sequential", "concurrent", "batched", "pipeline"] {
        let ran = serve.tool(&[
            "bench",
            "--mode",
            mode,
            "--seconds",
            "0.1",
            "--concurrency",
            "4",
            "--value-bytes",
            "100",
            "--json",
        ]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(summary["mode"], mode);
        assert_eq!(summary["failed"], 0);
        assert_eq!(summary["maybe_applied"], 0);
        assert_eq!(summary["concurrency"], if mode == "sequential" { 1 } else { 4 });
        assert!(
            summary["ok"].as_u64().unwrap() > 0
                && summary["p50_us"].as_u64() <= summary["max_us"].as_u64(),
            "{summary}"
        );
    }
    let ran = serve.tool(&["bench", "--seconds", "0.1"]);
    assert!(
        ran.stdout.contains(" commands/s: ")
            && ran.stdout.contains("p99 ")
            && ran.stdout.contains('#'),
        "{}",
        ran.stdout
    );
    assert_eq!(serve.tool(&["exec", "DBSIZE"]).stdout, "(integer) 0\n");
    assert_eq!(
        run(tool().args(["bench", "--url", "http://127.0.0.1:1", "--token", "t"])).code,
        Some(2)
    );
    assert_eq!(run(tool().args(["bench", "--seconds", "-1"])).code, Some(2));
}
