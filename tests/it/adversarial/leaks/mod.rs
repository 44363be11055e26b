//! No secret is shown: in every kind of error, in every way to format it, in everything that this
//! crate and its dependencies log and trace, in labels of metrics, in `Debug` of types with data,
//! and in panics. A separate process prints everything to its standard output, since loggers and
//! subscribers are global, and the test reads it here.
//!
//! Addresses are secret by this crate's own rule too: its errors, lines and labels contain none.
//! Those of dependencies do.

mod calls;
mod managers;
mod secrets;
mod sessions;
mod shown;
mod wire;

use crate::observability::Recorded;
use redis_rest::{Error, ErrorKind};
use secrets::{MARKS, forms};
use std::fmt::{Debug, Display};

#[test]
fn secrets_are_not_shown() {
    let output = super::run_alone(module_path!(), "in_a_child");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if let Some(path) = std::env::var_os("LEAKS_OUTPUT") {
        std::fs::write(path, &text).unwrap();
    }
    for mark in MARKS {
        for form in forms(mark) {
            let found =
                text.lines().find(|line| line.to_lowercase().contains(&form.to_lowercase()));
            assert!(found.is_none(), "{mark} as {form}: {found:?}");
        }
    }
    assert!(output.status.success(), "{}", &text[text.len().saturating_sub(3000)..]);
    // All expected lines were heard.
    for part in [
        "redis.http{",
        " h2::codec::framed_read: received frame=Headers",
        " h2::codec::framed_write: send frame=Headers",
        "session store is unavailable",
        "lines of the journal file are damaged",
        "a pending change was refused",
        "a session's directory could not be removed",
        "trying again",
        "db_operation_name=\"other\"",
        "logged by log",
    ] {
        assert!(text.contains(part), "nothing with {part}");
    }
    for &kind in ErrorKind::ALL {
        assert!(text.contains(&format!("kind: {kind:?}")), "no error of kind {kind:?}");
    }
    for line in text.lines().filter(|line| {
        line.contains(" redis_rest::")
            || line.starts_with("redis_rest_")
            || line.starts_with("error ")
    }) {
        // An example of an address is no address.
        let line = line.replace("such as redis://127.0.0.1:6379/0", "");
        assert!(!line.contains("127.0.0.1") && !line.contains("localhost"), "an address: {line}");
    }
    // Lines about one session have one name for it.
    let name = text.lines().find_map(|line| line.strip_prefix("log name ")).unwrap();
    let warned = |what: &str| {
        text.lines().any(|line| line.contains(what) && line.contains(&format!("session={name}")))
    };
    assert!(
        warned("a pending change was refused")
            && warned("a session's directory could not be removed"),
        "{name}"
    );
}

/// Prints an error and its causes in all ways.
fn said(error: &(dyn std::error::Error + 'static)) {
    println!("error {error} | {error:?}\nerror {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        println!("error caused by {error} | {error:?} | {error:#?}");
        cause = error.source();
    }
}

/// Prints the error of a call that must fail.
fn failed<T, E: std::error::Error + 'static>(result: Result<T, E>) -> E {
    let Err(error) = result else { panic!("this should have failed") };
    said(&error);
    error
}

/// Prints an error, which must be of this kind.
fn fails<T>(kind: ErrorKind, result: Result<T, Error>) {
    assert_eq!(failed(result).kind(), kind);
}

/// Prints the `Debug` form of a type with data, which must not show the data.
fn shown(value: &dyn Debug) {
    println!("shown {value:?}\nshown {value:#?}");
}

/// Prints the `Debug` form of sessions, or of a type with sessions, which shows only what a session
/// shows: its user and its prompt.
fn shown_session(value: &dyn Debug) {
    let prompt = format!("system_prompt: {:?}", secrets::VALUE);
    let without = |text: String| text.replace(&prompt, "").replace(secrets::USER, "");
    println!("shown {}\nshown {}", without(format!("{value:?}")), without(format!("{value:#?}")));
}

fn written(value: &dyn Display) {
    println!("written {value}");
}

/// A logger for everything logged through `log`.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("log {} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

#[tokio::test]
#[ignore = "run by the test that nothing secret comes out"]
async fn in_a_child() {
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::fmt::format::FmtSpan;
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    log::trace!("logged by log");
    let print = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false);
    tracing::subscriber::set_global_default(print.with_writer(std::io::stdout).finish()).unwrap();
    let recorded = Recorded::here();
    calls::drive().await;
    managers::drive().await;
    wire::drive().await;
    sessions::drive().await;
    shown::drive().await;
    println!("{}", recorded.text());
}
