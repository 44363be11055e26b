//! The examples, run as a new user runs them.

#[cfg(feature = "native")]
use redis_rest_server::DEFAULT_TOKEN;
#[cfg(feature = "native")]
use redis_rest_test_support::redis_test;
#[cfg(feature = "native")]
use redis_rest_test_support::rest;
use std::process::Command;

/// Examples that need more than the default features.
const NEED_FEATURES: [&str; 2] = ["first_reply", "observability"];

/// Returns the example that cargo built beside this test.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let built =
        test.parent().and_then(std::path::Path::parent).unwrap().join("examples").join(name);
    let path = built.with_extension(std::env::consts::EXE_EXTENSION);
    // `cargo test` built it; `cargo test --test it` did not, and must not run an outdated one.
    let mut cargo = Command::new(env!("CARGO"));
    // Cargo's variables for this package would change the input of some build scripts, and cause a
    // full rebuild.
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("CARGO_PKG_"))
        .for_each(|name| {
            cargo.env_remove(name);
        });
    let cargo = cargo
        .env_remove("CARGO_MANIFEST_DIR")
        .args(["build", "--quiet", "--package", "redis-rest", "--example", name])
        .args(
            ["--features", "metrics,webpki-roots"]
                .into_iter()
                .filter(|_| NEED_FEATURES.contains(&name)),
        )
        .status()
        .unwrap();
    assert!(cargo.success(), "example {name} does not build");
    let mut command = Command::new(path);
    for name in ["REDIS_REST_URL", "UPSTASH_REDIS_REST_URL", "KV_REST_API_URL"] {
        command.env_remove(name);
    }
    command
}

/// Runs an example to its end; its output must contain all of `parts`.
pub fn shows(name: &str, parts: &[&str]) -> String {
    let text = shows_by(example(name));
    has(&text, parts);
    text
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

fn shows_by(mut example: Command) -> String {
    let output = example.output().unwrap();
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{text}\n{errors}");
    text
}

#[test]
fn quickstart_shows_the_wire_and_no_token() {
    let text = shows(
        "quickstart",
        &[
            "started a server with an embedded engine",
            "→ POST /  [\"SET\",\"quickstart:greeting\",\"hello\",\"EX\",\"60\"]",
            "← 200  {\"result\":\"OK\"}",
            "read back: \"You are a helpful assistant\"",
            "the user has 2 sessions",
            "gone, and an update would not bring it back",
        ],
    );
    assert!(!text.contains("local-token") && !text.contains("Bearer"), "{text}");
}

#[cfg(feature = "native")]
#[tokio::test(flavor = "multi_thread")]
async fn worker_example_runs() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let mut command = example("worker");
    command.env("REDIS_REST_URL", server.url()).env("REDIS_REST_TOKEN", DEFAULT_TOKEN);
    let ran = tokio::task::spawn_blocking(move || shows_by(command));
    has(
        &ran.await.unwrap(),
        &[
            "best: [(\"ada\", 150.0), (\"grace\", 90.0)]",
            "hash: Some(4)",
            "no hash: true",
            "JSON: true",
            "pipeline: None, 2",
            "transaction: (7, 3)",
            "script: 2",
            "the lock is ours",
            "released: true",
        ],
    );
}

#[test]
fn outage_example_loses_nothing() {
    shows(
        "outage",
        &[
            "the store works: false",
            "a list of 2 took",
            "unavailable, not \"not found\"",
            "new: 1, changed: 1, touched: 0, deleted: 1",
            "new: 0, changed: 0, touched: 0, deleted: 0",
            "Redis has 2 sessions",
            "the update arrived: true",
            "the ended one came back: false",
        ],
    );
}

#[test]
fn sessions_shows_every_part_of_the_store() {
    shows(
        "sessions",
        &[
            "basic set-up: created, persisted: true",
            "direct use: 1 listed; exists after the delete: false",
            "batches: three stored and deleted, all well: true",
            "migration: in Redis before it was asked for: false, after: true",
            "times to live: default 43200s, and a touch finds it AlreadyLonger",
            "sync Off: a session of another instance is found: false",
            "sync OnAccess: a session of another instance is found: true",
            "errors: session not found",
            "errors: created in memory; persisted: false",
            "monitoring: healthy: true",
            "several instances: created here, found there: true",
        ],
    );
}

#[test]
fn custom_transport_example_runs() {
    shows("custom_transport", &["3 visits of Ada"]);
}

#[test]
fn first_reply_example_needs_an_address() {
    shows("first_reply", &["REDIS_REST_URL with REDIS_REST_TOKEN", "Start a server with"]);
}
