//! `redis-rest`: a REST server for development, shell access to commands, keys, messages and
//! sessions, load generation, and a doctor.
//!
//! Exit codes: 0 success; 1 a Redis error, a missing session, or a problem found by the doctor; 2
//! usage or connection.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod completions;
mod connection;
mod doctor;
mod exec;
mod help;
mod listen;
mod output;
mod repl;
mod scan;
mod serve;
mod sessions;
mod signals;

use args::Action;
use output::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = help::arguments();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::usage(format!("cannot start the runtime: {error}")).report(),
    };
    let result = runtime.block_on(async {
        match args.action {
            Action::Serve(serve) => serve::run(serve, &args.connection).await,
            Action::Exec(exec) => exec::run(exec, &args.connection).await,
            Action::Repl(repl) => repl::run(repl, &args.connection).await,
            Action::Scan(scan) => scan::run(scan, &args.connection).await,
            Action::Subscribe(subscribe) => listen::subscribe(subscribe, &args.connection).await,
            Action::Monitor(monitor) => listen::monitor(monitor, &args.connection).await,
            Action::Sessions(sessions) => sessions::run(sessions, &args.connection).await,
            Action::Bench(bench) => bench::run(bench, &args.connection).await,
            Action::Doctor(doctor) => doctor::run(doctor, &args.connection).await,
            Action::Completions { shell } => completions::run(shell),
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
