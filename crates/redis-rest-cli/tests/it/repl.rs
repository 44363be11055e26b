//! `repl` behind a pipe.

use super::{Ran, Serve, TOKEN, output, soon, tool};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

fn with(url: &str, args: &[&str]) -> Command {
    let mut command = tool();
    command.env("REDIS_REST_URL", url).env("REDIS_REST_TOKEN", TOKEN).arg("repl").args(args);
    command
}

/// Runs `repl` with these lines on standard input.
fn repl(server: &Serve, args: &[&str], lines: impl AsRef<[u8]>) -> Ran {
    let mut child = with(&server.url, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The tool may end before it has read everything.
    let _ = stdin.write_all(lines.as_ref());
    drop(stdin);
    output(child)
}

#[test]
fn each_line_is_a_command() {
    let server = Serve::start(&[]);
    let ran = repl(
        &server,
        &[],
        "SET name \"Ada \\\"L\\\"\\x00\"\n\n   \nget name\r\nset 'it\\'s' ''\nGET \"it's\"\nDBSIZE",
    );
    ran.prints("OK\n\"Ada \\\"L\\\"\\x00\"\nOK\n\"\"\n(integer) 2\n");
    assert_eq!(ran.stderr, "");
    repl(&server, &[], "").prints("");
}

#[test]
fn bytes_are_unchanged() {
    let server = Serve::start(&[]);
    repl(&server, &["--raw"], b"SET k \"\\xff\"\nGET k\nSET k \xfe\x01\n")
        .prints_bytes(b"OK\n\xff\nOK\n");
    repl(&server, &[], "GET k").prints("\"\\xfe\\x01\"\n");
    repl(&server, &["--json"], "GET k\nLRANGE none 0 -1\n").prints("{\"base64\":\"/gE=\"}\n[]\n");
}

#[test]
fn failure_does_not_end_the_repl_and_sets_the_exit_code() {
    let server = Serve::start(&[]);
    let ran = repl(&server, &[], "SET k v\nLPUSH k x\nGET k\n");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.starts_with("OK\n(error) WRONGTYPE ") && ran.stdout.ends_with("\n\"v\"\n"),
        "{ran:?}"
    );
    assert_eq!(ran.stderr, "line 2 failed\n");

    // Each command gives one line, whatever the line contains.
    let ran = repl(
        &server,
        &["--json"],
        b"\"open\nBLPOP k 0\n\"a\"b\n\xff\nNOSUCH \"\\n\"\nGET k\nMONITOR\n",
    );
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 7 && lines[5] == json!("v"), "{ran:?}");
    for (line, text) in lines.iter().zip([
        "unclosed",
        "would block",
        "directly after",
        "not UTF-8",
        "unknown command",
    ]) {
        assert!(line["error"].as_str().is_some_and(|error| error.contains(text)), "{text}: {line}");
    }
}

#[test]
fn exit_and_help_are_not_sent() {
    let server = Serve::start(&[]);
    let ran = repl(
        &server,
        &["--raw"],
        "help\nhelp script load\nhelp script\nhelp nosuch\nECHO a\nexit\nECHO b\n",
    );
    ran.prints("a\n");
    for text in ["SET name", "SCRIPT LOAD  (scripting", "SCRIPT EXISTS", "NOSUCH is unknown"] {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
    repl(&server, &[], "QUIT\nECHO b\n").prints("");
}

#[test]
fn repl_ends_when_the_server_fails() {
    let mut server = Serve::start(&[]);
    let ran = repl(&server, &["--token", "wrong"], "GET a\nGET b\n");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(2), 1), "{ran:?}");
    assert!(ran.stderr.contains("line 1 failed; later lines would fail too"), "{ran:?}");
    server.stop();
    let ran = repl(&server, &["--timeout", "2"], "GET a\nGET b\n");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(2), 1), "{ran:?}");
    repl(&server, &["--json", "--raw"], "").fails(2, &["cannot be used with"]);
}

/// Also if the other end writes a command only after it has received the previous reply.
#[test]
fn replies_are_printed_before_the_next_line() {
    let server = Serve::start(&[]);
    let mut child =
        with(&server.url, &[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) =
        (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let read = soon("two replies", move || {
        let mut read = String::new();
        for _ in 0..2 {
            stdin.write_all(b"INCR n\n").unwrap();
            stdout.read_line(&mut read).unwrap();
        }
        read
    });
    assert_eq!(read, "(integer) 1\n(integer) 2\n");
    assert!(soon("the end of its input", move || child.wait().unwrap()).success());
}

/// `… | head -1`.
#[test]
fn closed_output_ends_the_command() {
    let server = Serve::start(&[]);
    let mut child = with(&server.url, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"INCR n\nINCR n\n").unwrap();
    // Standard input stays open, and the tool ends nevertheless.
    let ran = output(child);
    drop(stdin);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    server.tool(&["exec", "GET", "n"]).prints("\"1\"\n");
}
