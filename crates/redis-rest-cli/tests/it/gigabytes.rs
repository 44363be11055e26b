//! Small requests for gigabytes, sent to the real program: asserts its memory as the system counts
//! it, and that of the Redis behind it.

use super::{Serve, TOKEN};
use redis_rest_test_support::process::Process;
use redis_rest_test_support::raw;
use redis_rest_test_support::redis_test;
use serde_json::{Value, json};

/// An eighth of the default; the attacks' values are scaled alike.
const LIMIT: usize = 8 * 1024 * 1024;
/// Memory of the program beside three times the limit.
const ELSE: usize = 64_000_000;

struct Attacked {
    redis: Process,
    serve: Serve,
    used_before: usize,
}

impl Attacked {
    /// Starts a server in front of a Redis that holds `big`, a string of `bytes` bytes.
    fn start(bytes: usize) -> Option<Self> {
        // Without a bound, a server without limits would use all memory of the machine.
        let bound = ["--client-output-buffer-limit", "normal", "1500mb", "0", "0"];
        let redis = Process::start_with(&bound)?;
        redis.query::<()>(&format!("SET big {}", "x".repeat(bytes)));
        let limit = LIMIT.to_string();
        let serve = Serve::start(&["--redis", &redis.url(), "--max-reply-bytes", &limit]);
        let used_before = memory(&redis, "used_memory");
        Some(Self { redis, serve, used_before })
    }

    async fn ask(&self, target: &str, commands: Value) -> Vec<Value> {
        let addr = self.serve.url.trim_start_matches("http://").parse().unwrap();
        let headers = format!("Authorization: Bearer {TOKEN}\r\n");
        let (status, body) =
            raw::request_with(addr, "POST", target, &headers, commands.to_string()).await;
        assert_eq!(status, 200, "{}", &body[..body.len().min(200)]);
        let Value::Array(replies) = serde_json::from_str(&body).unwrap() else {
            panic!("an array of replies")
        };
        replies
    }

    /// Returns the program's peak memory.
    fn peak(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.serve.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    #[track_caller]
    fn stayed_small(&self) {
        self.stayed_below(3 * LIMIT + ELSE);
    }

    #[track_caller]
    fn stayed_below(&self, most: usize) {
        let peak = self.peak();
        assert!(peak < most, "{peak} bytes, and {most} are allowed");
    }

    #[track_caller]
    fn redis_stayed_small(&self, largest: usize) {
        let risen = memory(&self.redis, "used_memory_peak") - self.used_before;
        let most = 2 * LIMIT + 16 * largest;
        assert!(risen <= most, "{risen} bytes, and {most} are allowed");
    }
}

fn memory(redis: &Process, field: &str) -> usize {
    let info: String = redis.query("INFO memory");
    let value = |line: &str| line.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok();
    info.lines().find_map(value).unwrap()
}

/// Asserts that each reply is the value or says that it was left out although its command ran;
/// returns how many are the value.
fn values(replies: &[Value], bytes: usize) -> usize {
    let is_value = |reply: &&Value| match (&reply["result"], &reply["error"]) {
        (Value::String(value), Value::Null) => value.len() == bytes,
        (Value::Null, Value::String(text)) => {
            assert!(text.starts_with("ERR max response size exceeded"), "{text}");
            assert!(text.ends_with("the command was executed"), "{text}");
            false
        }
        _ => panic!("neither a value nor an error"),
    };
    replies.iter().filter(is_value).count()
}

async fn pipeline(bytes: usize, gets: usize, fit: usize) {
    let attacked = redis_test!(Attacked::start(bytes));
    let mut commands = vec![json!(["GET", "big"]); gets];
    commands.push(json!(["INCR", "behind"]));
    let replies = attacked.ask("/pipeline", Value::Array(commands)).await;
    assert_eq!((replies.len(), values(&replies[..gets], bytes)), (gets + 1, fit));
    // The command behind them ran, and its reply fits.
    assert_eq!(replies[gets], json!({ "result": 1 }));
    attacked.stayed_small();
    attacked.redis_stayed_small(bytes);
}

#[tokio::test]
async fn a_pipeline_of_replies_that_are_each_too_large_takes_little_memory() {
    pipeline(LIMIT + 1, 40, 0).await;
}

#[tokio::test]
async fn a_pipeline_of_replies_of_which_one_fits_takes_little_memory() {
    pipeline(LIMIT - 500_000, 40, 1).await;
}

#[tokio::test]
async fn a_pipeline_of_very_many_large_replies_takes_little_memory() {
    pipeline(1_250_000, 1000, 6).await;
}

/// Redis builds the replies of a transaction as a whole, for every client.
#[tokio::test]
async fn a_transaction_of_large_replies_takes_little_memory() {
    for (bytes, fit) in [(LIMIT + 1, 0), (LIMIT - 500_000, 1), (1_250_000, 6)] {
        let attacked = redis_test!(Attacked::start(bytes));
        let mut commands = vec![json!(["GET", "big"]); 20];
        commands.push(json!(["INCR", "behind"]));
        let replies = attacked.ask("/multi-exec", Value::Array(commands)).await;
        assert_eq!((replies.len(), values(&replies[..20], bytes)), (21, fit));
        assert_eq!(replies[20], json!({ "result": 1 }));
        attacked.stayed_small();
    }
}

/// The text is six times as long in JSON as in memory.
#[tokio::test]
async fn a_reply_that_grows_when_it_is_written_takes_little_memory() {
    let attacked = redis_test!(Attacked::start(1));
    attacked.redis.query::<i64>(&format!("SETRANGE zeros {} x", LIMIT - 500_000));
    let replies = attacked.ask("/pipeline", json!([["GET", "zeros"], ["GET", "zeros"]])).await;
    let first = replies[0]["result"].as_str().unwrap();
    assert!(first.len() == LIMIT - 500_000 + 1 && first.starts_with('\0'));
    // The value only, without the 50 MB of its text.
    attacked.stayed_below(2 * LIMIT + ELSE / 2);
}

/// Elements cost more than their bytes.
#[tokio::test]
async fn replies_of_many_small_elements_take_little_memory() {
    let attacked = redis_test!(Attacked::start(1));
    for (elements, fits) in [(120_000, true), (140_000, false)] {
        let script = format!("local t = {{}} for i = 1, {elements} do t[i] = 1 end return t");
        let commands = vec![json!(["EVAL", script, 0]); 10];
        let replies = attacked.ask("/pipeline", Value::Array(commands)).await;
        let whole =
            |reply: &&Value| reply["result"].as_array().is_some_and(|all| all.len() == elements);
        assert_eq!(replies.iter().filter(whole).count(), usize::from(fits));
    }
    attacked.stayed_small();
}
