//! The whole table: every failure × every idempotency. `docs/retries.md` holds the same table, and
//! is compared.

use redis_rest::{Command, Error, ErrorKind, Idempotency, Outcome, RetryPolicy, Value, cmd};
use redis_rest_test_support::scripted::{
    Scripted, ScriptedResponse, redis_error, respond, respond_retry_after,
};
use std::time::Duration;

/// Commands that are retried.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Retried {
    Any,
    /// All commands that may run twice.
    Safe,
    /// All commands that may run twice, once.
    Once,
    None,
}

use ErrorKind as Kind;
use Outcome::{Applied, MaybeApplied, NotApplied};
use Retried::{Any, Once, Safe};

struct Row {
    what: &'static str,
    answer: ScriptedResponse,
    again: Retried,
    kind: ErrorKind,
    /// The outcome that the final error reports. For a read-only command always `NotApplied`.
    outcome: Outcome,
}

fn fails(kind: ErrorKind, outcome: Outcome) -> ScriptedResponse {
    ScriptedResponse::Fail(Error::custom(kind, outcome, "scripted"))
}

const IN_SCRIPT: &str = "script: 1a2b, on @user_script:1.";

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let row = |what, answer, again, kind, outcome| Row { what, answer, again, kind, outcome };
    vec![
        row("no connection", fails(Kind::Connect, NotApplied), Any, Kind::Connect, NotApplied),
        row("no connection or stream in time", ScriptedResponse::NeverLeaves, Any, Kind::Timeout, NotApplied),
        row("no reply in time", ScriptedResponse::Never, Safe, Kind::Timeout, MaybeApplied),
        row("the connection broke", fails(Kind::Io, MaybeApplied), Safe, Kind::Io, MaybeApplied),
        row("the connection broke before the request had left", ScriptedResponse::BreaksEarly, Any, Kind::Io, NotApplied),
        row("429", respond(429, ""), Any, Kind::RateLimited, NotApplied),
        row("429 with `Retry-After`", respond_retry_after(429, "1", "<html>"), Any, Kind::RateLimited, NotApplied),
        row("429 with a Redis error", redis_error(429, "ERR slow down"), Any, Kind::RateLimited, NotApplied),
        row("429 with a quota error", redis_error(429, "ERR max requests limit exceeded. Limit: 1"), Retried::None, Kind::RateLimited, NotApplied),
        row("421 or 425", respond(421, ""), Any, Kind::Http, NotApplied),
        row("408 before the request had left", ScriptedResponse::Early(408), Any, Kind::Http, NotApplied),
        row("408", respond(408, ""), Safe, Kind::Http, MaybeApplied),
        row("503", respond(503, ""), Safe, Kind::Http, MaybeApplied),
        row("503 before the request had left", ScriptedResponse::Early(503), Any, Kind::Http, NotApplied),
        row("503 with `Retry-After`", respond_retry_after(503, "1", ""), Safe, Kind::Http, MaybeApplied),
        row("500 without a body", respond(500, ""), Safe, Kind::Http, MaybeApplied),
        row("502 with a page of HTML", respond(502, "<html>"), Safe, Kind::Http, MaybeApplied),
        row("500 with a result", respond(500, r#"{"result":1}"#), Safe, Kind::Http, MaybeApplied),
        row("500 with a Redis error", redis_error(500, "ERR internal"), Safe, Kind::Redis, MaybeApplied),
        row("500 with a quota error", redis_error(500, "ERR DB capacity quota exceeded"), Retried::None, Kind::Redis, MaybeApplied),
        row("503 with `LOADING`", redis_error(503, "LOADING Redis is loading"), Any, Kind::Redis, NotApplied),
        row("200 without a body", respond(200, ""), Safe, Kind::Decode, MaybeApplied),
        row("200 with half a reply", respond(200, r#"{"result":"#), Safe, Kind::Decode, MaybeApplied),
        row("200 with a page of HTML", respond(200, "<html>"), Once, Kind::Decode, MaybeApplied),
        row("a reply that is too large", fails(Kind::ReplyTooLarge, MaybeApplied), Retried::None, Kind::ReplyTooLarge, MaybeApplied),
        row("`LOADING`", redis_error(200, "LOADING Redis is loading the dataset in memory"), Any, Kind::Redis, NotApplied),
        row("`TRYAGAIN`", redis_error(200, "TRYAGAIN Multiple keys request during rehashing of slot"), Any, Kind::Redis, NotApplied),
        row("`MASTERDOWN`", redis_error(200, "MASTERDOWN Link with MASTER is down"), Any, Kind::Redis, NotApplied),
        row("`CLUSTERDOWN`", redis_error(400, "CLUSTERDOWN Hash slot not served"), Any, Kind::Redis, NotApplied),
        row("`BUSY`", redis_error(400, "BUSY Redis is busy running a script."), Any, Kind::Redis, NotApplied),
        row("`READONLY` during an upgrade", redis_error(400, "READONLY Writes are temporarily rejected due to server upgrade"), Any, Kind::Redis, NotApplied),
        row("`DB connection refused`", redis_error(400, "ERR DB connection refused"), Any, Kind::Redis, NotApplied),
        row("one of these from within a script", redis_error(200, &format!("MASTERDOWN Link with MASTER is down {IN_SCRIPT}")), Safe, Kind::Redis, MaybeApplied),
        row("`ERR caller gone`", redis_error(400, "ERR caller gone"), Safe, Kind::Redis, MaybeApplied),
        row("another error from within a script", redis_error(200, &format!("WRONGTYPE Operation {IN_SCRIPT}")), Retried::None, Kind::Redis, MaybeApplied),
        row("`NOSCRIPT`", redis_error(400, "NOSCRIPT No matching script. Please use EVAL."), Retried::None, Kind::Redis, NotApplied),
        row("`NOSCRIPT` from within a script", redis_error(400, &format!("NOSCRIPT No matching script. {IN_SCRIPT}")), Retried::None, Kind::Redis, NotApplied),
        row("`READONLY` for good", redis_error(400, "READONLY You can't write against a read only replica."), Retried::None, Kind::Redis, NotApplied),
        row("another Redis error", redis_error(400, "WRONGTYPE Operation against a key"), Retried::None, Kind::Redis, NotApplied),
        row("a quota: requests of a day", redis_error(400, "ERR max daily request limit exceeded. Limit: 1"), Retried::None, Kind::Redis, NotApplied),
        row("a quota: requests", redis_error(400, "ERR max requests limit exceeded. Limit: 1"), Retried::None, Kind::Redis, NotApplied),
        row("a quota: size of the database", redis_error(400, "ERR DB capacity quota exceeded"), Retried::None, Kind::Redis, NotApplied),
        row("a quota: size of the request", redis_error(413, "ERR max request size exceeded. Limit: 1 bytes, Actual: 2 bytes"), Retried::None, Kind::Redis, NotApplied),
        row("a quota: size of the key", redis_error(400, "ERR max key size exceeded. Limit: 1"), Retried::None, Kind::Redis, NotApplied),
        row("a quota: size of the record", redis_error(400, "ERR max single record size exceeded"), Retried::None, Kind::Redis, NotApplied),
        row("`EXECABORT`", redis_error(400, "EXECABORT Transaction discarded"), Retried::None, Kind::Discarded, NotApplied),
        row("`WRONGPASS`", redis_error(401, "WRONGPASS invalid or missing auth token"), Retried::None, Kind::Unauthorized, NotApplied),
        row("`NOPERM`", redis_error(400, "NOPERM this user has no permissions"), Retried::None, Kind::Unauthorized, NotApplied),
        row("401 or 403", respond(403, ""), Retried::None, Kind::Unauthorized, NotApplied),
        row("a redirect", respond(307, ""), Retried::None, Kind::Http, NotApplied),
        row("501", respond(501, ""), Retried::None, Kind::Http, NotApplied),
        row("another 4xx", respond(404, "<html>"), Retried::None, Kind::Http, NotApplied),
        row("413 without a Redis error", respond(413, ""), Retried::None, Kind::Http, NotApplied),
        row("refused before sending: the settings", fails(Kind::Config, NotApplied), Retried::None, Kind::Config, NotApplied),
        row("refused before sending: the command", fails(Kind::InvalidCommand, NotApplied), Retried::None, Kind::InvalidCommand, NotApplied),
        row("refused before sending: not for REST", fails(Kind::Unsupported, NotApplied), Retried::None, Kind::Unsupported, NotApplied),
        row("closed", fails(Kind::Closed, NotApplied), Retried::None, Kind::Closed, NotApplied),
        row("a reply of another type", fails(Kind::Conversion, Applied), Retried::None, Kind::Conversion, Applied),
        row("an integer that a script cannot hold", fails(Kind::Inexact, Applied), Retried::None, Kind::Inexact, Applied),
    ]
}

fn command(safety: Idempotency) -> Command {
    let command = match safety {
        Idempotency::ReadOnly => cmd("GET").arg("k"),
        Idempotency::Idempotent => cmd("SET").arg("k").arg("v"),
        Idempotency::EffectIdempotent => cmd("DEL").arg("k"),
        Idempotency::NonIdempotent => cmd("INCR").arg("k"),
    };
    assert_eq!(command.idempotency(), safety);
    command
}

fn is_retried(again: Retried, safety: Idempotency, replay_effect_idempotent: bool) -> bool {
    match again {
        Any => true,
        Retried::None => false,
        Safe | Once => match safety {
            Idempotency::ReadOnly | Idempotency::Idempotent => true,
            Idempotency::EffectIdempotent => replay_effect_idempotent,
            Idempotency::NonIdempotent => false,
        },
    }
}

#[tokio::test(start_paused = true)]
async fn every_failure_with_every_idempotency() {
    const ATTEMPTS: u32 = 3;
    let policy = || {
        RetryPolicy::default()
            .max_attempts(ATTEMPTS)
            .backoff(Duration::from_millis(10), Duration::from_millis(20))
    };
    for row in table() {
        for safety in Idempotency::ALL {
            for replay in [true, false] {
                let policy =
                    if replay { policy() } else { policy().no_effect_idempotent_replays() };
                let transport = Scripted::sequence([row.answer.clone()]);
                let client = transport
                    .config()
                    .timeout(Duration::from_secs(1))
                    .retry(policy)
                    .build()
                    .unwrap();
                let error = client.run::<Value>(command(safety)).await.unwrap_err();
                let case = format!(
                    "{} × {safety:?}, effect-idempotent replays {replay}: {error:?}",
                    row.what
                );
                let attempts = match is_retried(row.again, safety, replay) {
                    true if row.again == Once => 2,
                    true => ATTEMPTS,
                    false => 1,
                };
                assert_eq!(error.attempts(), attempts, "{case}");
                assert_eq!(transport.count(), attempts as usize, "{case}");
                assert_eq!(error.kind(), row.kind, "{case}");
                let outcome =
                    if safety == Idempotency::ReadOnly { NotApplied } else { row.outcome };
                assert_eq!(error.outcome(), outcome, "{case}");
                let (status, wait) = match row.answer {
                    ScriptedResponse::Respond { status, ref header, .. } => {
                        (Some(status), header.as_ref().map(|_| Duration::from_secs(1)))
                    }
                    ScriptedResponse::Early(status) => (Some(status), None),
                    ScriptedResponse::Fail(_)
                    | ScriptedResponse::BreaksEarly
                    | ScriptedResponse::Never
                    | ScriptedResponse::NeverLeaves => (None, None),
                };
                assert_eq!((error.status(), error.retry_after()), (status, wait), "{case}");
                // Without retries, everything is sent once.
                let once = client.run::<Value>(command(safety)).no_retry().await.unwrap_err();
                assert_eq!((once.attempts(), once.outcome()), (1, outcome), "{case}");
            }
        }
    }
}

#[test]
fn table_covers_every_error_kind() {
    let table = table();
    for kind in ErrorKind::ALL {
        assert!(table.iter().any(|row| row.kind == *kind), "{kind:?}");
    }
}

#[test]
fn the_documentation_holds_this_table() {
    let mut lines = vec![
        "| what failed | `Error::kind` | read-only | idempotent | effect-idempotent | not replay-safe | `Error::outcome` of a write |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for row in table() {
        let cell = |safety| match is_retried(row.again, safety, true) {
            true if row.again == Once => "once",
            true => "again",
            false => "–",
        };
        let cells = Idempotency::ALL.map(cell).join(" | ");
        lines.push(format!("| {} | `{:?}` | {cells} | `{:?}` |", row.what, row.kind, row.outcome));
    }
    let expected = lines.join("\n");
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/retries.md")).unwrap();
    let found: Vec<_> = text
        .lines()
        .skip_while(|line| !line.starts_with("| what failed"))
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(found.join("\n") == expected, "docs/retries.md should hold this table:\n{expected}\n");
}
