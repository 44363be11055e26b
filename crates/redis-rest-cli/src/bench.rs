//! `bench`: load on any REST server, and its throughput and latency.

use crate::args::{Bench, Mode};
use crate::connection::Connection;
use crate::output::{Failure, note, print, print_json};
use hdrhistogram::Histogram;
use redis_rest::{Client, Error, cmd};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Commands per request in `--mode pipeline`.
const PIPELINE: u64 = 100;
/// Time to live of the key beyond the load, in case the tool is killed before it deletes the key.
const SPARE: Duration = Duration::from_secs(60);

/// Results of one worker.
struct Tally {
    /// Latencies of calls, in microseconds, with two significant digits.
    latencies: Histogram<u64>,
    ok: u64,
    failed: u64,
    maybe_applied: u64,
    first_error: Option<Error>,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        // Up to the longest deadline of a call and some more; longer latencies count as the bound.
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 2)
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self { latencies, ok: 0, failed: 0, maybe_applied: 0, first_error: None })
    }

    fn count(&mut self, result: Result<(), Error>, commands: u64, took: Duration) {
        self.latencies
            .saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        match result {
            Ok(()) => self.ok += commands,
            Err(error) => {
                let count =
                    if error.maybe_applied() { &mut self.maybe_applied } else { &mut self.failed };
                *count += commands;
                self.first_error.get_or_insert(error);
            }
        }
    }

    fn add(&mut self, other: Self) {
        // Both histograms have the same bounds.
        let _ = self.latencies.add(other.latencies);
        self.ok += other.ok;
        self.failed += other.failed;
        self.maybe_applied += other.maybe_applied;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

pub(crate) async fn run(args: Bench, connection: &Connection) -> Result<(), Failure> {
    let batched = args.mode == Mode::Batched;
    let client =
        connection.client_with(|config| if batched { config } else { config.no_auto_batch() })?;
    let length = Duration::from_secs_f64(args.seconds);
    // A unique key: no other data is touched.
    let key = format!("redis-rest:bench:{}", uuid::Uuid::new_v4());
    let value = "x".repeat(args.value_bytes);
    client.set(&key, &value).ex(length + SPARE).await?;

    let callers = if args.mode == Mode::Sequential { 1 } else { args.concurrency.get() };
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut workers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..callers {
        let load = Load {
            client: client.clone(),
            key: key.clone(),
            value: value.clone(),
            pipeline: args.mode == Mode::Pipeline,
            keep: length + SPARE,
        };
        workers.spawn(load.run(Tally::new()?, Arc::clone(&stop), Arc::clone(&done)));
    }
    progress(length, &done).await;
    stop.store(true, Ordering::Relaxed);
    let mut total = Tally::new()?;
    while let Some(worker) = workers.join_next().await {
        total.add(worker.map_err(|error| Failure::usage(format!("a worker failed: {error}")))?);
    }
    let elapsed = began.elapsed();
    let deleted = client.del([&key]).await;

    if args.json {
        print_json(&summary(&total, &args, callers, elapsed))?
    } else {
        print(report(&total, elapsed).as_bytes())?
    }
    // The counts give the number of errors; the first error gives the reason.
    total.first_error.map_or(Ok(()), |error| Err(Failure::from(error)))?;
    deleted.map(drop).map_err(Failure::from)
}

struct Load {
    client: Client,
    key: String,
    value: String,
    pipeline: bool,
    keep: Duration,
}

impl Load {
    async fn run(self, mut tally: Tally, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Tally {
        let commands = if self.pipeline { PIPELINE } else { 1 };
        while !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let result = if self.pipeline {
                self.pipeline().await
            } else {
                self.client.get::<Option<bytes::Bytes>>(&self.key).await.map(drop)
            };
            tally.count(result, commands, asked.elapsed());
            done.fetch_add(commands, Ordering::Relaxed);
        }
        tally
    }

    async fn pipeline(&self) -> Result<(), Error> {
        let mut pipeline = self.client.pipeline();
        for _ in 0..PIPELINE {
            let _ = pipeline.add(cmd::set(&self.key, &self.value).ex(self.keep));
        }
        pipeline.send().await?.into_values().try_for_each(|reply| reply.map(drop))
    }
}

/// Waits until the load is over, and shows progress on a terminal.
async fn progress(length: Duration, done: &AtomicU64) {
    let ends = tokio::time::Instant::now() + length;
    let shows = std::io::stderr().is_terminal();
    let mut before = 0;
    loop {
        let left = ends.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            break;
        }
        let step = left.min(Duration::from_secs(1));
        tokio::time::sleep(step).await;
        let now = done.load(Ordering::Relaxed);
        if shows {
            let rate = (now - before) as f64 / step.as_secs_f64();
            let _ = write!(
                std::io::stderr(),
                "\r{:3.0} s left, {rate:.0} commands/s   ",
                left.saturating_sub(step).as_secs_f64()
            );
        }
        before = now;
    }
    if shows {
        note("");
    }
}

fn summary(total: &Tally, args: &Bench, callers: usize, elapsed: Duration) -> serde_json::Value {
    serde_json::json!({
        "mode": args.mode.name(),
        "concurrency": callers,
        "value_bytes": args.value_bytes,
        "seconds": elapsed.as_secs_f64(),
        "ok": total.ok,
        "failed": total.failed,
        "maybe_applied": total.maybe_applied,
        "ops_per_second": (total.ok as f64 / elapsed.as_secs_f64()).round(),
        "p50_us": total.latencies.value_at_quantile(0.5),
        "p90_us": total.latencies.value_at_quantile(0.9),
        "p99_us": total.latencies.value_at_quantile(0.99),
        "p999_us": total.latencies.value_at_quantile(0.999),
        "max_us": total.latencies.max(),
    })
}

fn report(total: &Tally, elapsed: Duration) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:.0} commands/s: {} ok, {} failed, {} maybe applied in {:.1} s",
        total.ok as f64 / elapsed.as_secs_f64(),
        total.ok,
        total.failed,
        total.maybe_applied,
        elapsed.as_secs_f64()
    );
    let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
    let shown: Vec<_> = quantiles
        .iter()
        .map(|(name, of)| format!("{name} {} µs", total.latencies.value_at_quantile(*of)))
        .collect();
    let _ = writeln!(text, "latency of a call: {}\n", shown.join(", "));
    let most = total
        .latencies
        .iter_log(16, 2.0)
        .map(|step| step.count_since_last_iteration())
        .max()
        .unwrap_or(1)
        .max(1);
    for step in
        total.latencies.iter_log(16, 2.0).filter(|step| step.count_since_last_iteration() > 0)
    {
        let count = step.count_since_last_iteration();
        let bar = "#".repeat(usize::try_from(count * 50 / most).unwrap_or(50).max(1));
        let _ = writeln!(text, "≤ {:>9} µs {count:>10} {bar}", step.value_iterated_to());
    }
    text
}
