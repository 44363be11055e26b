//! `scan`: keys, printed as they are found.

use crate::args::Scan;
use crate::connection::Connection;
use crate::output::{Failure, Stream, bytes_as_json, name};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often progress is shown.
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
    let (mut out, mut progress, mut found) = (Stream::new(), Progress::new(), 0);
    loop {
        let key = tokio::select! {
            biased;
            key = keys.next() => key,
            // Nothing more of this page: what was found is shown before the next one is waited for.
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
                // What came before it is shown too.
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

/// How far a long scan has come, on a terminal.
struct Progress {
    began: Instant,
    next: Option<tokio::time::Instant>,
    shown: bool,
    /// The keys go to a terminal too.
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

    /// Until progress should be shown; for ever where nobody looks.
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

    /// Leaves the line to a key.
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
