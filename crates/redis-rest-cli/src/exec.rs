//! `exec`: one command from the shell, once or many times.

use crate::args::Exec;
use crate::connection::Connection;
use crate::output::{Failure, print, print_line};
use redis_rest::{Client, Command, Error, Value, cmd};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub(crate) async fn run(args: Exec, connection: &Connection) -> Result<(), Failure> {
    let command = command(&args)?;
    let client = connection.client()?;
    if let Some(count) = args.repeat {
        return repeat(client, command, args.exactly_once, count.get(), args.concurrency.get())
            .await;
    }
    let reply: Value = call(&client, command, args.exactly_once).await.map_err(|error| {
        let failure = Failure::from(error);
        if has_late_option(&args) { failure.hint(OPTIONS_FIRST) } else { failure }
    })?;
    print(&args.show.format().line(&reply))
}

async fn call(client: &Client, command: Command, exactly_once: bool) -> Result<Value, Error> {
    let call = client.run(command);
    if exactly_once { call.exactly_once().await } else { call.await }
}

fn command(args: &Exec) -> Result<Command, Failure> {
    let mut words = args.command.iter();
    let name = words
        .next()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Failure::usage("the command's name is not UTF-8: check the spelling"))?;
    // On Unix these are the bytes that the shell passed.
    Ok(words.fold(cmd(name), |command, word| command.arg(word.as_encoded_bytes())))
}

const OPTIONS_FIRST: &str =
    "put the tool's options before the command: everything after its name was sent as an argument";

/// Returns true if an option of this tool is among the arguments of the command.
fn has_late_option(args: &Exec) -> bool {
    const OPTIONS: [&str; 9] = [
        "--json",
        "--raw",
        "--url",
        "--token",
        "--timeout",
        "--allow-http",
        "--repeat",
        "--concurrency",
        "--exactly-once",
    ];
    args.command.iter().any(|word| OPTIONS.iter().any(|option| word == option))
}

/// Results of one worker.
#[derive(Default)]
struct Tally {
    /// Latencies of replies and errors, in microseconds.
    latencies: Vec<u64>,
    ok: u64,
    failed: u64,
    maybe_applied: u64,
    first_error: Option<Error>,
}

impl Tally {
    fn count(&mut self, reply: Result<Value, Error>, took: Duration) {
        self.latencies.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        match reply {
            Ok(_) => self.ok += 1,
            Err(error) => {
                if error.maybe_applied() {
                    self.maybe_applied += 1
                } else {
                    self.failed += 1
                }
                self.first_error.get_or_insert(error);
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.ok += other.ok;
        self.failed += other.failed;
        self.maybe_applied += other.maybe_applied;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// Returns the latency that `percent` per cent of the calls did not exceed. The latencies are
    /// sorted.
    fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or_default()
    }
}

/// The line of JSON. The first three add up to the number of calls.
#[derive(Serialize)]
struct Summary {
    ok: u64,
    failed: u64,
    maybe_applied: u64,
    ops_per_second: f64,
    p50_us: u64,
    p99_us: u64,
}

async fn repeat(
    client: Client,
    command: Command,
    exactly_once: bool,
    count: u64,
    concurrency: usize,
) -> Result<(), Failure> {
    let started = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency.min(usize::try_from(count).unwrap_or(usize::MAX)) {
        let client = client.clone();
        let command = command.clone();
        let next = Arc::clone(&next);
        workers.spawn(async move {
            let mut tally = Tally::default();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let begun = Instant::now();
                let reply = call(&client, command.clone(), exactly_once).await;
                tally.count(reply, begun.elapsed());
            }
            tally
        });
    }
    let mut total = Tally::default();
    while let Some(worker) = workers.join_next().await {
        total.add(worker.map_err(|error| Failure::usage(format!("a worker failed: {error}")))?);
    }
    let seconds = started.elapsed().as_secs_f64().max(f64::EPSILON);
    total.latencies.sort_unstable();
    let summary = Summary {
        ok: total.ok,
        failed: total.failed,
        maybe_applied: total.maybe_applied,
        ops_per_second: (count as f64 / seconds).round(),
        p50_us: total.percentile(50),
        p99_us: total.percentile(99),
    };
    print_line(
        &serde_json::to_string(&summary).map_err(|error| Failure::usage(error.to_string()))?,
    )?;
    // The counts give the number of errors; the first error gives the reason.
    total.first_error.map_or(Ok(()), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let tally = |latencies: Vec<u64>| Tally { latencies, ..Tally::default() };
        assert_eq!(tally((1..=100).collect()).percentile(50), 50);
        assert_eq!(tally((1..=100).collect()).percentile(99), 99);
        assert_eq!(tally(vec![7]).percentile(99), 7);
        assert_eq!(tally(vec![]).percentile(50), 0);
    }
}
