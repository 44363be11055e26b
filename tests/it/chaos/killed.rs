//! Processes whose managers have journals, killed at any moment and restarted with the same file.

use super::faults;
use super::model::{self, Certainty, Deadline, Deadlines, Deviations, Entry};
use chrono::{DateTime, Utc};
use redis_rest_test_support::proxy::{Fault, Proxy};
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PROCESSES: usize = 2;
const USERS: usize = 40;

/// Sessions of one process, by its output before and after each call.
#[derive(Default)]
struct Ledger {
    entries: HashMap<String, Entry>,
    /// Calls that have not returned.
    open: HashMap<String, Vec<String>>,
    /// Users whose log-out began.
    logged_out: HashSet<String>,
    calls: u64,
    wrong: Vec<String>,
}

impl Ledger {
    fn take(&mut self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let [kind, call, rest @ ..] = words.as_slice() else { return };
        match kind.as_str() {
            "begin" => {
                self.begin(rest);
                self.open.insert(call.clone(), rest.to_vec());
            }
            "done" => {
                self.calls += 1;
                if let Some(begun) = self.open.remove(call) {
                    self.done(&begun, &rest[0]);
                }
            }
            "wrong" => self.wrong.push(line.to_owned()),
            _ => {}
        }
    }

    /// A call may take effect from here on.
    fn begin(&mut self, call: &[String]) {
        match call {
            [kind, user, id, version] if kind == "create" => {
                let (user, version) = (user.clone(), version.clone());
                let entry = Entry {
                    user,
                    version,
                    home: 0,
                    ended: Certainty::Maybe,
                    others: Vec::new(),
                    durable: false,
                };
                self.entries.insert(id.clone(), entry);
            }
            [kind, _, id, version] if kind == "update" => {
                self.entry(id).others.push(version.clone());
            }
            [kind, _, id, _] if kind == "end" => {
                let entry = self.entry(id);
                entry.ended = entry.ended.max(Certainty::Maybe);
            }
            [_, user, ..] => {
                // Even if the log-out never returns: the store may have executed it.
                self.logged_out.insert(user.clone());
                self.end_user(user, Certainty::Maybe);
            }
            _ => {}
        }
    }

    fn done(&mut self, call: &[String], result: &str) {
        let durable = result == "Durable";
        let failed = result == "failed";
        let was_logged_out = self.logged_out.contains(&call[1]);
        match call {
            [kind, _, id, _] if kind == "create" => {
                // A process started later does not know of the log-out.
                let certain = durable || !was_logged_out;
                let entry = self.entry(id);
                entry.ended = if failed {
                    Certainty::Yes
                } else if certain {
                    Certainty::No
                } else {
                    Certainty::Maybe
                };
                entry.durable = durable;
            }
            [kind, _, id, version] if kind == "update" && !failed => {
                let entry = self.entry(id);
                entry.version.clone_from(version);
                entry.others.clear();
                entry.durable |= durable;
            }
            [kind, _, id, _] if kind == "end" && !failed => self.entry(id).ended = Certainty::Yes,
            [kind, user, ..] if kind == "logout" && !failed => {
                self.end_user(user, Certainty::Yes);
            }
            _ => {}
        }
    }

    fn entry(&mut self, id: &str) -> &mut Entry {
        self.entries.get_mut(id).unwrap()
    }

    fn end_user(&mut self, user: &str, ended: Certainty) {
        let of_user = self.entries.values_mut().filter(|entry| entry.user == user);
        of_user.for_each(|entry| entry.ended = entry.ended.max(ended));
    }

    /// The process was killed: the results of open calls are unknown.
    fn killed(&mut self) {
        self.open.clear();
    }

    /// Returns the sessions that must exist, for the next process.
    fn alive(&self) -> String {
        let mut text = String::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.ended == Certainty::No) {
            let versions = [&[entry.version.clone()][..], &entry.others].concat().join(",");
            writeln!(text, "{id} {} {versions}", entry.user).unwrap();
        }
        text
    }
}

/// Successive processes, each with the journal of the one before.
struct Process {
    url: String,
    dir: PathBuf,
    number: usize,
    book: Arc<Mutex<Ledger>>,
}

impl Process {
    fn spawn(&self, run: usize, ends: bool) -> (Child, std::thread::JoinHandle<()>) {
        std::fs::write(self.dir.join("alive"), self.book.lock().unwrap().alive()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "chaos::process::manager_process", "--ignored", "--nocapture"])
            .env("CHAOS_URL", &self.url)
            .env("CHAOS_DIR", &self.dir)
            .env("CHAOS_RUN", format!("{}-{run}", self.number))
            .env("CHAOS_ENDS", if ends { "1" } else { "" })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let book = Arc::clone(&self.book);
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                book.lock().unwrap().take(&line);
            }
        });
        (child, reader)
    }

    /// Starts and kills processes until the end; the last one sends all pending changes.
    fn run(&self, mut rng: fastrand::Rng, end: std::time::Instant) -> usize {
        let mut run = 0;
        while std::time::Instant::now() < end {
            let (mut child, reader) = self.spawn(run, false);
            std::thread::sleep(Duration::from_millis(rng.u64(100..1500)));
            child.kill().unwrap();
            child.wait().unwrap();
            reader.join().unwrap();
            self.book.lock().unwrap().killed();
            run += 1;
        }
        run
    }

    fn finish(&self, run: usize) {
        let (mut child, reader) = self.spawn(run, true);
        assert!(child.wait().unwrap().success(), "the last process could not send all");
        reader.join().unwrap();
    }
}

async fn chaos(seed: u64, time: Duration) -> Option<(Deviations, Vec<String>)> {
    let mut redis = Redis::start_durable()?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let server = rest::serve(redis.backend().await).await;
    let dir = tempfile::tempdir().unwrap();
    let (mut proxies, mut processes) = (Vec::new(), Vec::new());
    for number in 0..PROCESSES {
        let proxy = Proxy::start(server.local_addr(), Fault::Drop, 0).await;
        let dir = dir.path().join(number.to_string());
        std::fs::create_dir(&dir).unwrap();
        let book = Arc::default();
        processes.push(Arc::new(Process { url: proxy.url(), dir, number, book }));
        proxies.push(proxy);
    }
    let end = std::time::Instant::now() + time;
    let runs: Vec<_> = processes
        .iter()
        .map(|process| {
            let (process, rng) = (Arc::clone(process), rng.fork());
            tokio::task::spawn_blocking(move || process.run(rng, end))
        })
        .collect();
    let count = faults::run(rng.fork(), &proxies, &mut redis, time).await;
    let mut killed = 0;
    for (run, process) in runs.into_iter().zip(&processes) {
        let (run, process) = (run.await.unwrap(), Arc::clone(process));
        killed += run;
        tokio::task::spawn_blocking(move || process.finish(run)).await.unwrap();
    }
    let mut entries = HashMap::new();
    let mut wrong = Vec::new();
    let mut calls = 0;
    for process in &processes {
        let mut book = process.book.lock().unwrap();
        entries.extend(book.entries.drain());
        wrong.append(&mut book.wrong);
        calls += book.calls;
    }
    println!(
        "seed {seed}: {killed} processes killed, {calls} calls, {} sessions, {count} faults",
        entries.len()
    );
    let any = Deadline {
        earliest: DateTime::<Utc>::UNIX_EPOCH,
        latest: DateTime::<Utc>::MAX_UTC - chrono::TimeDelta::days(1),
        pinned: true,
    };
    let deadlines: Deadlines =
        Arc::new(Mutex::new(entries.keys().map(|id| (id.clone(), any)).collect()));
    let users: Vec<String> = (0..PROCESSES).flat_map(users_of).collect();
    let found = model::compare(&rest::client(&server), &entries, &deadlines, &users).await;
    Some((found, wrong))
}

pub fn users_of(process: usize) -> impl Iterator<Item = String> {
    (0..USERS).map(move |user| format!("user-{process}-{user}"))
}

async fn check(seed: u64, time: Duration) {
    let (found, wrong) = redis_test!(chaos(seed, time).await);
    wrong.iter().take(20).for_each(|line| println!("{line}"));
    assert_eq!((found, wrong.len()), (Deviations::default(), 0), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_and_undo_nothing() {
    check(1, Duration::from_secs(6)).await;
}

/// `CHAOS_SEED` and `CHAOS_SECONDS` override the default of ten seeds of half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: run it by hand"]
async fn killed_processes_for_long() {
    let (seeds, time) = super::seeds_and_time();
    for seed in seeds {
        check(seed, time).await;
    }
}
