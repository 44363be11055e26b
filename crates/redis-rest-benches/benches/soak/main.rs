//! A long run with a mixed load and faults: what grows, what drifts, what is left behind.
//!
//!     cargo bench --bench soak -- --seconds 3600
//!
//! Ends with an error when memory, descriptors or tasks grow, or when what Redis holds is not what was acknowledged. Linux only: it reads
//! `/proc`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what cannot go on ends, and says why")]

mod clients;
mod hostile;
mod load;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use clap::Parser;
use load::Load;
use server::Servers;
use std::time::{Duration, Instant};
use watch::Usage;

/// Looks for what grows in a long run.
#[derive(Parser)]
struct Args {
    /// How long the load runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Of a thousand requests, so many meet a fault.
    #[arg(long, default_value_t = 10)]
    faults: u64,
    /// Decides what each worker does, and when it changes its mind.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A few seconds: to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What happens on the way is told at this interval.
const TOLD: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    server::serve_if_told();
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

    // The first client makes what all of them share; it is gone again before anything is counted.
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

    wrong.extend(hostile::replies().await?);
    Ok(wrong)
}

/// Looks at this process and the server's until the time is over.
async fn sample(
    load: &Load,
    servers: &Servers,
    length: Duration,
) -> Result<Vec<(Usage, u64)>, Failure> {
    let (started, mut told) = (Instant::now(), Instant::now());
    let mut samples = Vec::new();
    let mut tick = tokio::time::interval(length / 60);
    // The first one is at once, before anything is there.
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
