//! A long run with a mixed load and faults, to find growth, drift and leaks.
//!
//!     cargo bench --bench soak -- --seconds 3600
//!
//! Ends with an error if memory, descriptors or tasks grow, or if Redis does not hold exactly the
//! acknowledged changes. Linux only: it reads `/proc`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what cannot go on ends, and says why")]

mod clients;
mod load;
mod oversized_replies;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use clap::Parser;
use load::Load;
use server::Servers;
use std::time::{Duration, Instant};
use watch::Usage;

/// Searches for growth in a long run.
#[derive(Parser)]
struct Args {
    /// Length of the load in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Number of a thousand requests that meet a fault.
    #[arg(long, default_value_t = 10)]
    faults: u64,
    /// Seed of each worker's actions and cancellations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A few seconds that only check that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Interval of progress lines.
const TOLD: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    server::serve_if_started_as_server();
    let args = Args::parse();
    let length = Duration::from_secs(if args.quick { 5 } else { args.seconds.max(5) });
    let runtime = tokio::runtime::Runtime::new()?;
    let wrong = runtime.block_on(run(&args, length))?;
    if wrong.is_empty() {
        println!("\nnothing grew, and nothing was lost");
        return Ok(());
    }
    Err(format!("{} things are wrong:\n{}", wrong.len(), wrong.join("\n")).into())
}

async fn run(args: &Args, length: Duration) -> Result<Vec<String>, Failure> {
    let servers = Servers::start(args.faults)?;
    let mut wrong = Vec::new();

    // The first client creates state shared by all clients; it is dropped before anything is
    // counted.
    clients::come_and_go(&servers, 1).await?;
    let before = Usage::now()?;
    let mut load = Load::start(&servers, args.seed, length)?;
    let samples = sample(&load, &servers, length).await?;
    let (summary, broken) = load.finish(&servers).await?;
    wrong.extend(broken);
    drop(load);
    let after = watch::settled(&before).await?;
    println!("\n{summary}");
    println!(
        "\n| | resident MB | descriptors | tasks | resident MB of the server |\n|---|---:|---:|---:|---:|"
    );
    println!("| before | {before} |");
    for (name, place) in [("start", 0), ("middle", samples.len() / 2), ("end", samples.len() - 1)] {
        let (usage, server) = &samples[place];
        println!("| {name} | {usage} {:.1} |", *server as f64 / 1e6);
    }
    println!("| after, without the load | {after} |");
    wrong.extend(watch::judge(&samples, &before, &after));

    let (count, started) = (if args.quick { 100 } else { 1000 }, Instant::now());
    let before = Usage::now()?;
    clients::come_and_go(&servers, count).await?;
    let after = watch::settled(&before).await?;
    println!(
        "\n{count} clients made and dropped in {:.1} s: {}",
        started.elapsed().as_secs_f64(),
        before.to(&after)
    );
    wrong.extend(watch::back(&before, &after, "clients that were dropped"));

    wrong.extend(oversized_replies::run().await?);
    Ok(wrong)
}

/// Samples this process and the server's until the time is over.
async fn sample(
    load: &Load,
    servers: &Servers,
    length: Duration,
) -> Result<Vec<(Usage, u64)>, Failure> {
    let (started, mut told) = (Instant::now(), Instant::now());
    let mut samples = Vec::new();
    let mut tick = tokio::time::interval(length / 60);
    // The first tick fires at once, before there is anything to sample.
    tick.tick().await;
    while started.elapsed() < length {
        tick.tick().await;
        samples.push((Usage::now()?, watch::resident_of(servers.pid())?));
        if told.elapsed() >= TOLD {
            told = Instant::now();
            let (usage, _) = samples.last().expect("just taken");
            eprintln!(
                "{:>5.0} s: {} calls; {usage}",
                started.elapsed().as_secs_f64(),
                load.calls()
            );
        }
    }
    Ok(samples)
}
