//! Processes whose managers have journals, killed at any moment, and started again with the same
//! file.

use super::model::{self, Deadline, Deadlines, Entry, Known, Wrong};
use super::{faults, options, store};
use crate::support::proxy::{Fault, Proxy};
use crate::support::redis::Redis;
use crate::support::rest;
use chrono::{DateTime, Utc};
use redis_rest::Client;
use redis_rest::server::DEFAULT_TOKEN;
use redis_rest::session::{Durability, NewSession, Pending, SessionError, SessionManager};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PROCESSES: usize = 2;
const USERS: usize = 40;
/// Callers in each process.
const CALLERS: usize = 4;

/// A prompt that names a version; one of ten is large.
fn prompt(version: &str, large: bool) -> String {
    if large { format!("{version} {}", "x".repeat(150_000)) } else { version.to_owned() }
}

/// The sessions of one process, by what it printed before each call and after it.
#[derive(Default)]
struct Book {
    entries: HashMap<String, Entry>,
    /// Calls that have not returned.
    open: HashMap<String, Vec<String>>,
    /// Users that were logged out.
    logged_out: HashSet<String>,
    calls: u64,
    wrong: Vec<String>,
}

impl Book {
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

    /// A call may have had its effect from here on.
    fn begin(&mut self, call: &[String]) {
        match call {
            [kind, user, id, version] if kind == "create" => {
                let (user, version) = (user.clone(), version.clone());
                let entry = Entry {
                    user,
                    version,
                    home: 0,
                    ended: Known::Maybe,
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
                entry.ended = entry.ended.max(Known::Maybe);
            }
            [_, user, ..] => self.end_user(&user.clone(), Known::Maybe),
            _ => {}
        }
    }

    fn done(&mut self, call: &[String], result: &str) {
        let durable = result == "Durable";
        let failed = result == "failed";
        let was_logged_out = self.logged_out.contains(&call[1]);
        match call {
            [kind, _, id, _] if kind == "create" => {
                // A process that was started since does not know of the log-out.
                let certain = durable || !was_logged_out;
                let entry = self.entry(id);
                entry.ended = if failed {
                    Known::Yes
                } else if certain {
                    Known::No
                } else {
                    Known::Maybe
                };
                entry.durable = durable;
            }
            [kind, _, id, version] if kind == "update" && !failed => {
                let entry = self.entry(id);
                entry.version.clone_from(version);
                entry.others.clear();
                entry.durable |= durable;
            }
            [kind, _, id, _] if kind == "end" && !failed => self.entry(id).ended = Known::Yes,
            [kind, user, ..] if kind == "logout" && !failed => {
                self.end_user(user, Known::Yes);
                self.logged_out.insert(user.clone());
            }
            _ => {}
        }
    }

    fn entry(&mut self, id: &str) -> &mut Entry {
        self.entries.get_mut(id).unwrap()
    }

    fn end_user(&mut self, user: &str, ended: Known) {
        let of_user = self.entries.values_mut().filter(|entry| entry.user == user);
        of_user.for_each(|entry| entry.ended = entry.ended.max(ended));
    }

    /// The process was killed: nobody hears of the open calls.
    fn killed(&mut self) {
        self.open.clear();
    }

    /// The sessions that must be there, for the next process.
    fn alive(&self) -> String {
        let mut text = String::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.ended == Known::No) {
            let versions = [&[entry.version.clone()][..], &entry.others].concat().join(",");
            writeln!(text, "{id} {} {versions}", entry.user).unwrap();
        }
        text
    }
}

/// One process after another, each with the journal of the one before.
struct Process {
    url: String,
    dir: PathBuf,
    number: usize,
    book: Arc<Mutex<Book>>,
}

impl Process {
    fn spawn(&self, run: usize, ends: bool) -> (Child, std::thread::JoinHandle<()>) {
        std::fs::write(self.dir.join("alive"), self.book.lock().unwrap().alive()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "chaos::killed::manager_process", "--ignored", "--nocapture"])
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

    /// Starts processes and kills them until the end; the last one sends what is pending.
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

async fn chaos(seed: u64, time: Duration) -> Option<(Wrong, Vec<String>)> {
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
    let (mut entries, mut wrong, mut calls) = (HashMap::new(), Vec::new(), 0);
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

fn users_of(process: usize) -> impl Iterator<Item = String> {
    (0..USERS).map(move |user| format!("user-{process}-{user}"))
}

async fn check(seed: u64, time: Duration) {
    let Some((found, wrong)) = chaos(seed, time).await else { return };
    wrong.iter().take(20).for_each(|line| println!("{line}"));
    assert_eq!((found, wrong.len()), (Wrong::default(), 0), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_and_undo_nothing() {
    check(1, Duration::from_secs(6)).await;
}

/// `CHAOS_SEED` and `CHAOS_SECONDS` choose; without them it is ten seeds of half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: run it by hand"]
async fn killed_processes_for_long() {
    let (seeds, time) = super::seeds_and_time();
    for seed in seeds {
        check(seed, time).await;
    }
}

/// A session that must be there, and the versions that it may have.
#[derive(Clone)]
struct Alive {
    id: String,
    user: String,
    versions: Vec<String>,
}

/// One of those who call the manager of a process. Its users are its own.
struct Caller {
    manager: SessionManager,
    rng: fastrand::Rng,
    name: String,
    users: Vec<String>,
    alive: Vec<Alive>,
    count: u64,
}

impl Caller {
    async fn run(mut self) {
        loop {
            self.count += 1;
            let place = (!self.alive.is_empty()).then(|| self.rng.usize(..self.alive.len()));
            match (self.rng.u8(0..100), place) {
                (0..30, _) | (_, None) => self.create().await,
                (30..60, Some(place)) => self.update(place).await,
                (60..75, Some(place)) => drop(self.read(place).await),
                (75..94, Some(place)) => self.end(place).await,
                (_, Some(place)) => self.log_out(place).await,
            }
        }
    }

    fn begin(&self, words: &[&str]) -> String {
        let call = format!("{}-{}", self.name, self.count);
        println!("begin {call} {}", words.join(" "));
        call
    }

    async fn create(&mut self) {
        let user = self.users[self.rng.usize(..self.users.len())].clone();
        let (id, version) = (format!("{}-{}", self.name, self.count), self.version());
        let call = self.begin(&["create", &user, &id, &version]);
        let new = NewSession::new(&user, "org").id(&id);
        let new = new.system_prompt(prompt(&version, self.rng.u8(0..10) == 0));
        match self.manager.create_session_with(new).await {
            Ok(created) => {
                done(&call, &created.durability);
                if created.durability == Durability::Durable {
                    self.alive.push(Alive { id, user, versions: vec![version] });
                }
            }
            Err(error) => println!("wrong {call} create: {error:?}"),
        }
    }

    fn version(&self) -> String {
        format!("v{}-{}", self.name, self.count)
    }

    async fn update(&mut self, place: usize) {
        let Some(mut session) = self.read(place).await else { return };
        let Alive { id, user, .. } = self.alive[place].clone();
        let version = self.version();
        session.system_prompt = prompt(&version, self.rng.u8(0..10) == 0);
        let call = self.begin(&["update", &user, &id, &version]);
        match self.manager.update_session(&session).await {
            Ok(Durability::Superseded) => println!("wrong {call} update: superseded"),
            Ok(durability) => {
                self.alive[place].versions = vec![version];
                done(&call, &durability);
            }
            Err(error) => println!("wrong {call} update: {error:?}"),
        }
    }

    /// A session of an earlier process is unknown while the store is unavailable.
    async fn read(&mut self, place: usize) -> Option<redis_rest::session::Session> {
        let Alive { id, versions, .. } = &self.alive[place];
        match self.manager.get_session(id).await {
            Ok(session) => {
                let version = model::version_of(&session.system_prompt);
                if !versions.iter().any(|known| known == version) {
                    println!("wrong {id} has {version} instead of {versions:?}");
                }
                Some(session)
            }
            Err(error) if error.is_unavailable() || error.maybe_applied() => None,
            Err(error) => {
                println!("wrong {id} read: {error:?}");
                None
            }
        }
    }

    async fn end(&mut self, place: usize) {
        let Alive { id, user, .. } = self.alive.swap_remove(place);
        let call = self.begin(&["end", &user, &id, "-"]);
        match self.manager.cleanup_session(&id).await {
            Ok(ended) => done(&call, &ended.durability),
            Err(error) => println!("wrong {call} end: {error:?}"),
        }
    }

    async fn log_out(&mut self, place: usize) {
        let user = self.alive[place].user.clone();
        self.alive.retain(|alive| alive.user != user);
        let call = self.begin(&["logout", &user, "-", "-"]);
        match self.manager.delete_user_sessions(&user).await {
            Ok(ended) => done(&call, &ended.durability),
            Err(error) => println!("wrong {call} log-out: {error:?}"),
        }
    }
}

fn done(call: &str, durability: &Durability) {
    println!("done {call} {durability:?}");
}

/// The other process of the tests above, which start it; by itself it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by killed_processes_lose_and_undo_nothing"]
async fn manager_process() {
    let read = |name: &str| std::env::var(name);
    let (Ok(url), Ok(dir), Ok(run)) = (read("CHAOS_URL"), read("CHAOS_DIR"), read("CHAOS_RUN"))
    else {
        return;
    };
    println!();
    let ends = read("CHAOS_ENDS").is_ok_and(|ends| !ends.is_empty());
    let dir = Path::new(&dir);
    let manager = SessionManager::with_journal("", 0, options(), dir.join("journal")).unwrap();
    let client = Client::builder().url(url).token(DEFAULT_TOKEN);
    // The last one has time.
    let scale = if ends { 20 } else { 1 };
    let client = client.timeout(Duration::from_millis(500) * scale);
    let client = client.deadline(Duration::from_secs(1) * scale);
    let store = Arc::new(store(client.build().unwrap(), false));
    let set = manager.set_session_store(store, true).await;
    if ends {
        set.unwrap();
        // Another call's end can be in the way of the first.
        for _ in 0..2 {
            manager.flush().await.unwrap();
        }
        assert_eq!(manager.pending(), Pending::default());
        return;
    }
    if let Err(error) = set {
        assert!(matches!(error, SessionError::Unavailable(_) | SessionError::MaybeApplied(_)));
    }
    let alive: Vec<Alive> = std::fs::read_to_string(dir.join("alive"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            let (id, user) = (word(), word());
            Alive { id, user, versions: word().split(',').map(str::to_owned).collect() }
        })
        .collect();
    let number: usize = run.split('-').next().unwrap().parse().unwrap();
    let mut rng = fastrand::Rng::with_seed(run.bytes().fold(7, |a, b| a * 31 + u64::from(b)));
    let callers = (0..CALLERS).map(|caller| {
        let users: Vec<String> = users_of(number).skip(caller).step_by(CALLERS).collect();
        let alive = alive.iter().filter(|alive| users.contains(&alive.user)).cloned().collect();
        let name = format!("{run}-{caller}");
        let manager = manager.clone();
        tokio::spawn(Caller { manager, rng: rng.fork(), name, users, alive, count: 0 }.run())
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}
