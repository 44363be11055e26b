//! `scan`: prints keys as they are found.

use crate::args::Scan;
use crate::connection::Connection;
use crate::output::{Failure, Stream, bytes_as_json, name};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Interval between progress updates.
const STEP: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: Scan, connection: &Connection) -> Result<(), Failure> {
    let client = connection.client()?;
    let mut scan = client.scan().count(args.count.get());
    if let Some(pattern) = &args.pattern {
        scan = scan.match_pattern(pattern);
    }
    if let Some(of_type) = &args.of_type {
        scan = scan.of_type(of_type);
    }
    let mut keys = scan.stream();
    let mut out = Stream::new();
    let mut progress = Progress::new();
    let mut found = 0;
    loop {
        let key = tokio::select! {
            biased;
            key = keys.next() => key,
            // The page is exhausted: its keys are shown before the next page is requested.
            () = std::future::ready(()) => {
                out.flush()?;
                loop {
                    tokio::select! {
                        key = keys.next() => break key,
                        () = progress.wait() => progress.show(found),
                    }
                }
            }
        };
        let key = match key {
            Some(Ok(key)) => key,
            Some(Err(error)) => {
                // Keys before the error are shown too.
                progress.clear();
                out.flush()?;
                return Err(error.into());
            }
            None => break,
        };
        progress.make_room();
        let line = if args.json { bytes_as_json(&key).to_string() } else { name(&key) };
        out.write(format!("{line}\n").as_bytes())?;
        found += 1;
        if !out.is_open() || args.limit.is_some_and(|limit| found >= limit.get()) {
            break;
        }
    }
    progress.clear();
    out.flush()
}

/// Progress of a long scan, on a terminal.
struct Progress {
    began: Instant,
    next: Option<tokio::time::Instant>,
    shown: bool,
    /// True if the keys are printed to a terminal too.
    beside_keys: bool,
}

impl Progress {
    fn new() -> Self {
        let next = std::io::stderr().is_terminal().then(|| tokio::time::Instant::now() + STEP);
        Self {
            began: Instant::now(),
            next,
            shown: false,
            beside_keys: std::io::stdout().is_terminal(),
        }
    }

    /// Waits until progress should be shown; for ever if there is no terminal.
    async fn wait(&self) {
        match self.next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    fn show(&mut self, found: u64) {
        self.next = Some(tokio::time::Instant::now() + STEP);
        self.shown = true;
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{found} keys in {} s …",
            self.began.elapsed().as_secs()
        );
    }

    /// Clears the progress line for a key.
    fn make_room(&mut self) {
        if self.beside_keys {
            self.clear();
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
