//! `doctor` on other implementations: it names each deviation, and nothing else.

use super::doctor::{checks, doctor, names, of};
use super::fake::{self, Answer, Request, error, healthy, json_answer, text};
use serde_json::{Value, json};

/// Asserts that exactly these checks of a server are not ok: their status, their name, and a part
/// of the text.
#[track_caller]
fn deviates(
    name: &str,
    answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    wanted: &[(&str, &str, &str)],
) {
    let ran = doctor(&fake::start(answer), &["--json"]);
    let problems = wanted.iter().any(|(status, ..)| *status == "problem");
    let checks = checks(&ran, i32::from(problems));
    for status in ["note", "unchecked", "problem"] {
        let of_status: Vec<_> = wanted.iter().filter(|(wanted, ..)| *wanted == status).collect();
        let expected: Vec<_> = of_status.iter().map(|(_, check, _)| *check).collect();
        assert_eq!(names(&checks, status), expected, "{name}: {checks:?}");
        for (found, (.., part)) in of(&checks, status).iter().zip(of_status) {
            assert!(found["text"].as_str().unwrap().contains(part), "{name}: {found}");
        }
    }
}

fn unknown(command: &str) -> Option<Answer> {
    Some(error(400, &format!("ERR unknown command '{command}', with args beginning with: ")))
}

fn result(value: Value) -> Option<Answer> {
    Some(json_answer(200, &json!({ "result": value })))
}

/// Returns a RESP2 body.
fn resp2(body: &str) -> Option<Answer> {
    let headers = "Content-Type: application/octet-stream\r\n";
    Some(Answer { status: 200, headers, body: body.to_owned() })
}

/// Returns a number that was rounded by a double.
fn rounded() -> Option<Answer> {
    result(json!(1_i64 << 53))
}

fn fails_whole(request: &Request) -> bool {
    request.path == "/multi-exec" && request.body.to_string().contains("LLEN")
}

const NO_RESP2: (&str, &str, &str) = ("note", "resp2", "does not reply in RESP2");
const OKAY: (&str, &str, &str) = ("note", "okay", "encodes the status OK");
const ROUNDED: (&str, &str, &str) = ("note", "integers", "2^53");
const WHOLE: (&str, &str, &str) = ("note", "transaction", "hides the results");
const LOST: (&str, &str, &str) = ("note", "bytes", "replaces bytes");
const TEXT: (&str, &str, &str) = ("note", "encoding", "ignores Upstash-Encoding");

#[test]
fn serverless_redis_http() {
    let answer = |request: &Request| match request.name() {
        _ if request.path == "/ECHO" => Some(error(404, "not found")),
        "SET" => result(text(request, "OK")),
        _ if fails_whole(request) => Some(Answer { status: 500, headers: "", body: String::new() }),
        _ => None,
    };
    deviates("srh", answer, &[("note", "bytes", "has no path form"), NO_RESP2, OKAY, WHOLE]);
}

#[test]
fn serverless_redis() {
    let answer = |request: &Request| match request.name() {
        _ if request.path == "/ECHO" => {
            result(text(request, &String::from_utf8_lossy(&request.raw)))
        }
        "SET" => result(text(request, "OK")),
        "INCRBY" => rounded(),
        _ if fails_whole(request) => Some(error(400, "WRONGTYPE Operation against a key")),
        _ => None,
    };
    deviates("serverless-redis", answer, &[LOST, NO_RESP2, OKAY, ROUNDED, WHOLE]);
}

#[test]
fn upstashdis() {
    let answer = |request: &Request| match request.name() {
        _ if request.path == "/multi-exec" => unknown("multi-exec"),
        "INCRBY" => rounded(),
        _ => Some(healthy(&request.plain())),
    };
    let missing = ("note", "transaction", "no /multi-exec");
    deviates("upstashdis", answer, &[TEXT, NO_RESP2, missing, ROUNDED]);
}

#[test]
fn upstash_redis_local() {
    let answer = |request: &Request| match request.name() {
        _ if request.path == "/pipeline" => unknown("pipeline"),
        "PING" if request.path == "/" => result(json!("PONG")),
        _ => None,
    };
    let missing = ("note", "pipeline", "no /pipeline");
    deviates("upstash-redis-local", answer, &[("note", "statuses", "PONG"), NO_RESP2, missing]);
}

/// Uses RESP2 only if the reply is a single string.
#[test]
fn upstash_redis_local_server() {
    let answer = |request: &Request| {
        if !request.resp2 {
            return None;
        }
        match request.name() {
            "ECHO" if request.path == "/" => {
                let echo = request.body[1].as_str().unwrap();
                resp2(&format!("${}\r\n{echo}\r\n", echo.len()))
            }
            // RESP2 by content type, JSON by content.
            _ => resp2(&healthy(&request.plain()).body),
        }
    };
    let strings = ("note", "resp2", "not for arrays and pipelines");
    deviates("upstash-redis-local-server", answer, &[strings]);
}

#[test]
fn redis_rest_proxy() {
    let answer = |request: &Request| match request.name() {
        _ if request.path == "/ECHO" => {
            result(text(request, &String::from_utf8_lossy(&request.raw)))
        }
        "INCRBY" => rounded(),
        _ => None,
    };
    deviates("redis-rest-proxy", answer, &[LOST, NO_RESP2, ROUNDED]);
}

#[test]
fn serverless_elysia_redis_http() {
    let answer = |request: &Request| match request.name() {
        "EVAL" => Some(error(403, "Command 'EVAL' is blocked: not allowed")),
        _ if fails_whole(request) => {
            Some(error(400, "Transaction failed: WRONGTYPE Operation against a key"))
        }
        _ => Some(healthy(&request.plain())),
    };
    let blocked = ("problem", "scripts", "Command 'EVAL' is blocked");
    deviates("serverless-elysia-redis-http", answer, &[TEXT, NO_RESP2, WHOLE, blocked]);
}

/// A refused question leaves the check unchecked, and is no problem.
#[test]
fn server_that_refuses_the_checks() {
    let answer = |request: &Request| match request.name() {
        "ECHO" => Some(error(403, "Command 'ECHO' is blocked")),
        _ if request.path == "/ECHO" => Some(error(403, "Command 'ECHO' is blocked")),
        _ => None,
    };
    let ran = doctor(&fake::start(answer), &["--json"]);
    let checks = checks(&ran, 0);
    assert_eq!(names(&checks, "unchecked"), ["encoding", "resp2"]);
    let script_only = |request: &Request| match request.name() {
        _ if request.path == "/ECHO" => Some(error(404, "not found")),
        "EVAL" if request.body[1] != "return 1" => Some(error(403, "no scripts of yours")),
        _ => None,
    };
    let unchecked = ("unchecked", "bytes", "no scripts of yours");
    deviates("no bytes", script_only, &[NO_RESP2, unchecked]);
}
