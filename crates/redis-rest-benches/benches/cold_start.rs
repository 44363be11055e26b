//! Time of a new process to its first reply, and the size of the program.
//!
//!     cargo bench --bench cold_start
//!
//! Each figure is the time from before the process is created until its first reply has been read
//! and printed. Node.js with the official client takes part if `.ci/js/run` has installed it.

#![allow(clippy::expect_used, reason = "what cannot go on ends, and says why")]

mod support;
#[path = "support/tls.rs"]
mod tls;

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::constant::{self, Constant};
use support::report::Wanted;
use tls::Tls;

/// Measures the time from the start of a process to its first reply.
#[derive(Parser)]
struct Args {
    /// Starts of each program. They take turns.
    #[arg(long, default_value_t = 51)]
    starts: usize,
    /// A few starts that only check that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Case {
    name: &'static str,
    program: PathBuf,
    args: Vec<PathBuf>,
    env: Vec<(&'static str, String)>,
}

fn main() -> Result<(), Failure> {
    constant::serve_if_started_as_server();
    let args = Args::parse();
    let starts = if args.quick { 2 } else { args.starts.max(1) };
    let binary = support::build(
        "redis-rest",
        &["--example", "first_reply", "--features", "webpki-roots"],
        "examples/first_reply",
    )?;
    let server = Constant::start(500)?;
    // A single worker thread; the main thread only waits. The measured process needs the
    // processors.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let tls = runtime.block_on(Tls::before(server.addr))?;
    let cases = cases(&binary, &server, &tls);
    let mut measured: Vec<Vec<Duration>> = cases.iter().map(|_| Vec::new()).collect();
    // The first start of each program reads its files from disk, and is not counted.
    for round in 0..=starts {
        for (case, measured) in cases.iter().zip(&mut measured) {
            let took = case.start()?;
            if round > 0 {
                measured.push(took);
            }
        }
    }
    let rows: Vec<_> =
        cases.iter().zip(measured).map(|(case, times)| (case.name, quantiles(times))).collect();
    println!(
        "| exec → first reply, {starts} starts | median ms | fastest ms | slowest ms |\n|---|---:|---:|---:|"
    );
    for (name, [median, fastest, slowest]) in &rows {
        println!("| {name} | {median:.2} | {fastest:.2} | {slowest:.2} |");
    }
    let median = |name: &str| {
        rows.iter().find(|(row, _)| *row == name).map_or(f64::NAN, |(_, times)| times[0])
    };
    println!("\n| figure | measured | wanted |\n|---|---:|---:|");
    row("ms to the first reply over http://", median(HTTP), 10.0);
    row("http://, to Node.js", median(HTTP) / median(NODE_HTTP), 0.1);
    row("https://, to Node.js", median(HTTPS) / median(NODE_HTTPS), 0.1);
    println!("| MB of the program | {:.2} | |", std::fs::metadata(&binary)?.len() as f64 / 1e6);
    Ok(())
}

fn row(name: &str, value: f64, limit: f64) {
    if value.is_finite() {
        println!("| {name} | {value:.3} | {} |", Wanted::AtMost(limit).judges(value));
    }
}

const NOTHING: &str = "a program that does nothing (`true`)";
const HTTP: &str = "redis-rest, http://";
const HTTPS: &str = "redis-rest, https://";
const HTTPS_WEBPKI: &str = "redis-rest, https://, webpki_roots()";
const NODE: &str = "Node.js that does nothing";
const NODE_HTTP: &str = "Node.js, @upstash/redis, http://";
const NODE_HTTPS: &str = "Node.js, @upstash/redis, https://";

fn cases(binary: &Path, server: &Constant, tls: &Tls) -> Vec<Case> {
    let authority = || tls.authority().to_string_lossy().into_owned();
    let case = |name,
                program: &Path,
                args: &[&Path],
                url: String,
                env: Vec<(&'static str, String)>| Case {
        name,
        program: program.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: env
            .into_iter()
            .chain([("REDIS_REST_URL", url), ("REDIS_REST_TOKEN", "bench-token".to_owned())])
            .collect(),
    };
    let trusted = vec![("FIRST_REPLY_CA", authority())];
    let webpki = vec![("FIRST_REPLY_CA", authority()), ("FIRST_REPLY_ROOTS", "webpki".to_owned())];
    let mut cases = vec![
        case(NOTHING, Path::new("true"), &[], String::new(), Vec::new()),
        case(HTTP, binary, &[], server.url(), Vec::new()),
        case(HTTPS, binary, &[], tls.url(), trusted),
        case(HTTPS_WEBPKI, binary, &[], tls.url(), webpki),
    ];
    let js = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/js");
    if js.join("node_modules/@upstash/redis").exists() {
        let (node, script) = (Path::new("node"), js.join("first_reply.mjs"));
        cases.push(case(
            NODE,
            node,
            &[Path::new("--eval"), Path::new("0")],
            String::new(),
            Vec::new(),
        ));
        cases.push(case(NODE_HTTP, node, &[&script], server.url(), Vec::new()));
        cases.push(case(
            NODE_HTTPS,
            node,
            &[&script],
            tls.url(),
            vec![("NODE_EXTRA_CA_CERTS", authority())],
        ));
    } else {
        eprintln!("without Node.js: .ci/js/run installs the official client");
    }
    cases
}

impl Case {
    /// Measures until the first line of a program that prints, or the end of one that does not.
    fn start(&self) -> Result<Duration, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = support::Process(command.spawn()?);
        let line = child.first_line()?;
        let took = began.elapsed();
        let silent = [NOTHING, NODE].contains(&self.name);
        if !child.0.wait()?.success()
            || silent != line.is_empty()
            || !(silent || line.contains("there is a value: true"))
        {
            return Err(format!("{} failed", self.name).into());
        }
        Ok(took)
    }
}

/// Returns median, fastest and slowest, in milliseconds.
fn quantiles(mut times: Vec<Duration>) -> [f64; 3] {
    times.sort_unstable();
    let at = |index: usize| times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    [at(times.len() / 2), at(0), at(times.len().saturating_sub(1))]
}
