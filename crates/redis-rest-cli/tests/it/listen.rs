//! `subscribe`, `monitor`, `scan`.

use super::{Serve, TOKEN, output, run, soon, tool};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

fn start(url: &str, args: &[&str]) -> Child {
    let mut command = tool();
    command.env("REDIS_REST_URL", url).env("REDIS_REST_TOKEN", TOKEN).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Reads events in JSON one by one.
struct Events {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Events {
    fn of(server: &Serve, args: &[&str]) -> Self {
        let mut child = start(&server.url, &[args, &["--json"]].concat());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines: Some(lines) }
    }

    fn next(&mut self) -> Option<Value> {
        let mut lines = self.lines.take().unwrap();
        let (line, lines) = soon("an event", move || (lines.next(), lines));
        self.lines = Some(lines);
        line.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    /// Returns the exit code and standard error at the end.
    fn ends(mut self) -> (Option<i32>, String) {
        assert_eq!(self.next(), None);
        let ran = output(self.child);
        (ran.code, ran.stderr)
    }
}

#[test]
fn messages_are_printed_in_order() {
    let server = Serve::start(&[]);
    let mut events = Events::of(&server, &["subscribe", "news", "a,b", "--count", "2"]);
    let mut names: Vec<_> =
        (0..2).map(|_| events.next().unwrap()).map(|event| event["to"].clone()).collect();
    names.sort_by_key(Value::to_string);
    assert_eq!(names, [json!("a,b"), json!("news")]);
    server.tool(&["exec", "PUBLISH", "news", "one\ntwo"]).prints("(integer) 1\n");
    assert_eq!(
        events.next(),
        Some(json!({ "event": "message", "channel": "news", "payload": "one\ntwo" }))
    );
    server.tool(&["exec", "PUBLISH", "a,b", "c"]).prints("(integer) 1\n");
    assert_eq!(
        events.next(),
        Some(json!({ "event": "message", "channel": "a,b", "payload": "c" }))
    );
    assert_eq!(events.ends(), (Some(0), String::new()));
}

#[test]
fn patterns_and_all_commands() {
    let server = Serve::start(&[]);
    // The server looks up a command that it meets for the first time, which the monitor would
    // report too.
    server.tool(&["exec", "PUBLISH", "other", "x"]).prints("(integer) 0\n");
    let mut rooms = Events::of(&server, &["subscribe", "--pattern", "room:*", "--count", "1"]);
    let mut monitor = Events::of(&server, &["monitor", "--count", "1"]);
    assert_eq!(rooms.next(), Some(json!({ "event": "listening", "to": "room:*" })));
    assert_eq!(monitor.next(), Some(json!({ "event": "listening" })));
    server.tool(&["exec", "PUBLISH", "room:1", "hi"]).prints("(integer) 1\n");
    assert_eq!(
        rooms.next(),
        Some(
            json!({ "event": "message", "pattern": "room:*", "channel": "room:1", "payload": "hi" })
        )
    );
    let command = monitor.next().unwrap();
    assert!(
        command["event"] == "command"
            && command["line"].as_str().is_some_and(|line| line.contains("PUBLISH")),
        "{command}"
    );
    assert_eq!((rooms.ends().0, monitor.ends().0), (Some(0), Some(0)));
}

/// Waits for a line of standard error, and keeps reading: a full pipe would block the tool.
fn note(stderr: ChildStderr, wanted: &'static str) {
    soon(wanted, move || {
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == wanted), "{wanted:?} is missing");
        std::thread::spawn(move || lines.for_each(drop));
    });
}

#[test]
fn text_output_has_a_line_per_message() {
    let server = Serve::start(&[]);
    let mut child = start(&server.url, &["subscribe", "news", "--count", "2"]);
    note(child.stderr.take().unwrap(), "listening to news");
    for text in ["plain ä", "\u{1b}[2J\n"] {
        server.tool(&["exec", "PUBLISH", "news", text]).prints("(integer) 1\n");
    }
    output(child).prints("news\tplain ä\nnews\t\"\\x1b[2J\\n\"\n");
}

#[cfg(unix)]
#[test]
fn signals_end_it_without_an_error() {
    let server = Serve::start(&[]);
    for (signal, what) in [
        ("-INT", &["subscribe", "news"][..]),
        ("-TERM", &["subscribe", "news"]),
        ("-TERM", &["monitor"]),
    ] {
        let mut events = Events::of(&server, what);
        events.next().unwrap();
        assert!(
            Command::new("kill")
                .args([signal, &events.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(events.ends(), (Some(0), String::new()), "{signal} {what:?}");
    }
}

#[test]
fn lost_connection_is_reported() {
    let mut server = Serve::start(&[]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut events = Events::of(&server, &["subscribe", "news", "--count", "1"]);
    assert_eq!(events.next(), Some(json!({ "event": "listening", "to": "news" })));
    server.stop();
    let again = Serve::start(&["--listen", &address]);
    assert_eq!(events.next(), Some(json!({ "event": "gap" })));
    assert_eq!(events.next(), Some(json!({ "event": "listening", "to": "news" })));
    again.tool(&["exec", "PUBLISH", "news", "x"]).prints("(integer) 1\n");
    assert_eq!(events.next().unwrap()["payload"], "x");
    assert_eq!(events.ends().0, Some(0));
}

#[test]
fn closed_output_ends_the_command() {
    let server = Serve::start(&[]);
    let mut child = start(&server.url, &["subscribe", "news"]);
    drop(child.stdout.take());
    note(child.stderr.take().unwrap(), "listening to news");
    server.tool(&["exec", "PUBLISH", "news", "x"]).prints("(integer) 1\n");
    assert_eq!(output(child).code, Some(0));
}

#[test]
fn invalid_subscription_targets() {
    let server = Serve::start(&["--read-only-token", "reader"]);
    server.tool(&["--token", "wrong", "subscribe", "news"]).fails(2, &["WRONGPASS"]);
    server.tool(&["--token", "reader", "monitor"]).fails(1, &["NOPERM"]);
    server.tool(&["subscribe", ".."]).fails(2, &["cannot travel in a URL path"]);
    server.tool(&["subscribe", "news", "--count", "0"]).fails(2, &["--count"]);
    server.tool(&["subscribe"]).fails(2, &["CHANNEL"]);
    run(tool().args(["monitor"])).fails(2, &["REDIS_REST_URL"]);
}

#[test]
fn scan_prints_matching_keys() {
    let server = Serve::start(&[]);
    for n in 0..30 {
        server.tool(&["exec", "SET", &format!("user:{n}"), "x"]).prints("OK\n");
    }
    server.tool(&["exec", "RPUSH", "list\n1", "x"]).prints("(integer) 1\n");
    let scanned = |args: &[&str]| {
        let ran = server.tool(&[&["scan"], args].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        let mut lines: Vec<_> = ran.stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    };
    assert_eq!(scanned(&[]).len(), 31);
    assert_eq!(
        scanned(&["user:1?", "--count", "3"]),
        (10..20).map(|n| format!("user:{n}")).collect::<Vec<_>>()
    );
    assert_eq!(scanned(&["--type", "list"]), ["\"list\\n1\""]);
    assert_eq!(scanned(&["--type", "list", "--json"]), ["\"list\\n1\""]);
    assert_eq!(scanned(&["user:*", "--limit", "7"]).len(), 7);
    assert!(scanned(&["nothing*"]).is_empty());
    server.tool(&["scan", "--limit", "0"]).fails(2, &["--limit"]);
    server.tool(&["scan", "--count", "x"]).fails(2, &["--count"]);
    server.tool(&["--token", "wrong", "scan"]).fails(2, &["WRONGPASS"]);
}

#[test]
fn scan_prints_keys_of_any_bytes() {
    let server = Serve::start(&[]);
    server.tool(&["exec", "EVAL", "return redis.call('SET', '\\255k', 'x')", "0"]).prints("OK\n");
    server.tool(&["scan"]).prints("\"\\xffk\"\n");
    server.tool(&["scan", "--json"]).prints("{\"base64\":\"/2s=\"}\n");
}

/// A page is shown before the next one arrives.
#[test]
fn keys_are_printed_before_the_scan_ends() {
    use super::fake::{self, json_answer};
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let url = fake::start(move |request| match request.body[1].as_str() {
        Some("0") => Some(json_answer(200, &json!({ "result": ["Nw==", ["Zmlyc3Q="]] }))),
        _ => {
            // Waits until the test has seen the first page.
            let _ = held.lock().unwrap().recv();
            Some(json_answer(200, &json!({ "result": ["MA==", ["bGFzdA=="]] })))
        }
    });
    let mut child = start(&url, &["scan", "--encoding", "base64"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (first, lines) = soon("the first key", move || (lines.next().unwrap().unwrap(), lines));
    assert_eq!(first, "first");
    hold.send(()).unwrap();
    let rest = soon("the last key", move || lines.map_while(Result::ok).collect::<Vec<_>>());
    assert_eq!(rest, ["last"]);
    assert_eq!(output(child).code, Some(0));
}
