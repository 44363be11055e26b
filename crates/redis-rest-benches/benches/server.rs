//! Cost of `redis-rest serve --redis` on top of HTTP: wrk's requests per second to it and to a
//! server with a constant response.
//!
//!     cargo bench --bench server

#![allow(clippy::expect_used, reason = "what cannot go on ends, and says why")]

mod support;

use clap::Parser;
use redis_rest::Client;
use redis_rest::backend::native::NativeBackend;
use std::path::Path;
use std::process::{Command, Stdio};
use support::Process;
use support::constant::{self, Constant};
use support::redis::Redis;
use support::report::Wanted;

/// Runs wrk against `redis-rest serve --redis` and against a server with a constant response, in
/// turns.
#[derive(Parser)]
struct Args {
    /// Seconds for each load in each round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Rounds; each ratio is shown, and their median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// A short round that only checks that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TOKEN: &str = "bench-token";
const VALUE_BYTES: usize = 500;
const CONNECTIONS: usize = 64;
/// Minimum ratio of the server's requests per second to those of a constant server.
const WANTED: Wanted = Wanted::AtLeast(0.38);

fn main() -> Result<(), Failure> {
    constant::serve_if_started_as_server();
    let args = Args::parse();
    let (seconds, rounds) = if args.quick { (1, 1) } else { (args.seconds, args.rounds) };
    let redis = Redis::start()?;
    fill(&redis)?;
    let constant = Constant::start(VALUE_BYTES)?;
    let (_process, url) = serve(&redis)?;
    let mut ratios = Vec::new();
    println!(
        "| {CONNECTIONS} connections of wrk | requests/s | of the constant server |\n|---|---:|---:|"
    );
    for _ in 0..rounds {
        let floor = wrk(&constant.url(), seconds)?;
        let served = wrk(&url, seconds)?;
        ratios.push(served / floor);
        println!(
            "| a constant reply | {floor:.0} | |\n| redis-rest serve --redis | {served:.0} | {:.2} |",
            served / floor
        );
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("\n| ratio | measured | wanted |\n|---|---:|---:|");
    println!("| serve --redis to a constant reply | {median:.2} | {} |", WANTED.judges(median));
    Ok(())
}

/// Stores the requested value.
fn fill(redis: &Redis) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::from_backend(NativeBackend::connect(&redis.url()).await?);
        client.set("session:1", constant::value(VALUE_BYTES)).await?;
        Ok(())
    })
}

/// Starts the command line tool as the server, and returns its address.
fn serve(redis: &Redis) -> Result<(Process, String), Failure> {
    let mut command = Command::new(support::build("redis-rest-cli", &[], "redis-rest")?);
    command.args(["serve", "--redis", &redis.url(), "--token", TOKEN, "--listen", "127.0.0.1:0"]);
    let mut process = Process(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let line = process.first_line()?;
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .ok_or("`redis-rest serve` did not say its address")?;
    Ok((process, url.to_owned()))
}

/// Returns the requests per second. Fails unless all of them succeeded.
fn wrk(url: &str, seconds: u64) -> Result<f64, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/get.lua");
    let mut command = Command::new("wrk");
    command.args(["-t2", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(script);
    command.args([
        "-H",
        &format!("Authorization: Bearer {TOKEN}"),
        "-H",
        "Content-Type: application/json",
        url,
    ]);
    let output = command
        .output()
        .map_err(|error| format!("wrk does not start; Debian's package wrk has it: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(
            format!("requests failed: {text}{}", String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    let figure = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .ok_or("wrk named no figure")?;
    Ok(figure.trim().parse()?)
}
