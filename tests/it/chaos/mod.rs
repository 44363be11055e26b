//! Four managers, two hundred users, and faults of every kind between them and Redis and in Redis;
//! afterwards the stored data is compared with the acknowledged changes.
//!
//! A seed decides the operations of each worker and the faults; the machine decides how they
//! interleave.

mod faults;
mod killed;
mod model;
mod process;

use chrono::{DateTime, TimeDelta, Utc};
use model::{Certainty, Deadline, Deadlines, Deviations, Entry};
use redis_rest::session::{
    Conflict, Durability, ManagerOptions, NewSession, Pending, Recovery, RedisSessionStore,
    Session, SessionError, SessionManager, SessionStoreExt as _,
};
use redis_rest::{BreakerPolicy, Client};
use redis_rest_server::DEFAULT_TOKEN;
use redis_rest_test_support::proxy::{Fault, Proxy};
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MANAGERS: usize = 4;
const WORKERS: usize = 16;
const USERS: usize = 200;
const TTL: Duration = Duration::from_secs(3600);

/// A concurrent caller of the managers. Only this worker changes its users and sessions; others
/// read them.
struct Worker {
    rng: fastrand::Rng,
    managers: Arc<Vec<SessionManager>>,
    users: Vec<String>,
    entries: HashMap<String, Entry>,
    /// In the order of creation, which the seed decides. Ids are random.
    alive: Vec<String>,
    /// Logged-out users, and the managers that logged them out.
    log_outs: HashSet<(String, usize)>,
    deadlines: Deadlines,
    /// Ids of all workers.
    all: Arc<std::sync::Mutex<Vec<String>>>,
    operations: Arc<AtomicU64>,
    /// Results that a manager must never return for a session that it holds.
    refused: Vec<String>,
    count: u64,
}

fn plus(at: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    at + TimeDelta::from_std(ttl).unwrap()
}

impl Worker {
    async fn run(mut self, end: tokio::time::Instant) -> Self {
        while tokio::time::Instant::now() < end {
            self.operations.fetch_add(1, Ordering::Relaxed);
            self.count += 1;
            self.alive.retain(|id| self.entries[id].ended == Certainty::No);
            let id = (!self.alive.is_empty())
                .then(|| self.alive[self.rng.usize(..self.alive.len())].clone());
            match (self.rng.u8(0..100), id) {
                (0..25, _) | (_, None) => self.create().await,
                (25..45, Some(id)) => self.update(&id).await,
                (45..60, Some(id)) => self.get(&id).await,
                (60..75, Some(_)) => self.get_another().await,
                (75..80, Some(id)) => self.set_ttl(&id).await,
                (80..95, Some(id)) => self.end(&id).await,
                (_, Some(id)) => self.end_user(&id).await,
            }
            if self.rng.u8(0..4) == 0 {
                tokio::time::sleep(Duration::from_millis(self.rng.u64(0..10))).await;
            }
        }
        self
    }

    fn name(&mut self) -> String {
        format!("{}-{}", self.users[0], self.count)
    }

    async fn create(&mut self) {
        let user = self.users[self.rng.usize(..self.users.len())].clone();
        let home = self.rng.usize(..MANAGERS);
        let version = self.name();
        // A log-out by another manager ends a session created here until this manager knows of it,
        // at the latest when the store has executed both.
        let mut others = self.log_outs.iter().filter(|(of, by)| *of == user && *by != home);
        let is_pending = others.clone().any(|(_, by)| self.managers[*by].pending().revoked > 0);
        let was_logged_out = others.next().is_some();
        let before = Utc::now();
        match self.managers[home]
            .create_session_with(NewSession::new(&user, "org").system_prompt(&version))
            .await
        {
            Ok(created) => {
                let durable = created.durability == Durability::Durable;
                let overtaken = is_pending || (was_logged_out && !durable);
                let ended = if overtaken { Certainty::Maybe } else { Certainty::No };
                let id = created.session.id;
                let deadline = Deadline {
                    earliest: plus(before, TTL),
                    latest: plus(Utc::now(), TTL),
                    pinned: false,
                };
                self.deadlines.lock().unwrap().insert(id.clone(), deadline);
                self.all.lock().unwrap().push(id.clone());
                let entry = Entry { user, home, ended, version, others: Vec::new(), durable };
                self.alive.push(id.clone());
                self.entries.insert(id, entry);
            }
            // A pending log-out ended the session before the reply to the create arrived.
            Err(SessionError::Conflict(Conflict::Deleted)) if is_pending => {}
            Err(error) => self.refused.push(format!("create: {error:?}")),
        }
    }

    async fn update(&mut self, id: &str) {
        let version = self.name();
        let entry = self.entries[id].clone();
        let manager = self.managers[entry.home].clone();
        let Some(mut session) = self.read(id, entry.home).await else { return };
        session.system_prompt.clone_from(&version);
        let result = manager.update_session(&session).await;
        let entry = self.entries.get_mut(id).unwrap();
        match result {
            // No other worker changes its content.
            Ok(Durability::Superseded) => self.refused.push("update: superseded".into()),
            Ok(durability) => {
                entry.durable |= durability == Durability::Durable;
                entry.version = version;
                entry.others.clear();
            }
            Err(error) => {
                entry.others.push(version);
                self.refused.push(format!("update: {error:?}"));
            }
        }
    }

    /// Reads through the manager that holds the session, which must succeed.
    async fn read(&mut self, id: &str, home: usize) -> Option<Session> {
        let result = self.managers[home].get_session(id).await;
        self.used(id);
        match result {
            Ok(session) => {
                let entry = &self.entries[id];
                if session.system_prompt != entry.version
                    && !entry.others.contains(&session.system_prompt)
                {
                    self.refused
                        .push(format!("get: {:?} instead of {entry:?}", session.system_prompt));
                }
                Some(session)
            }
            Err(error) => {
                self.refused.push(format!("get: {error:?} of {:?}", self.entries[id]));
                None
            }
        }
    }

    async fn get(&mut self, id: &str) {
        let home = self.entries[id].home;
        self.read(id, home).await;
    }

    /// Reads another worker's session through any manager: it may be gone, unreachable or stale.
    async fn get_another(&mut self) {
        let id = {
            let all = self.all.lock().unwrap();
            all[self.rng.usize(..all.len())].clone()
        };
        let result = self.managers[self.rng.usize(..MANAGERS)].get_session(&id).await;
        self.used(&id);
        if let Err(error) = result
            && !matches!(error, SessionError::NotFound)
            && !error.is_unavailable()
            && !error.maybe_applied()
        {
            self.refused.push(format!("get of another's: {error:?}"));
        }
    }

    /// A use may slide the deadline. It does not while another call changes the session.
    fn used(&self, id: &str) {
        let mut deadlines = self.deadlines.lock().unwrap();
        let deadline = deadlines.get_mut(id).unwrap();
        if !deadline.pinned {
            deadline.latest = deadline.latest.max(plus(Utc::now(), TTL));
        }
    }

    async fn set_ttl(&mut self, id: &str) {
        let ttl = Duration::from_secs(self.rng.u64(600..7200));
        let before = Utc::now();
        let result = self.managers[self.entries[id].home].set_ttl(id, ttl).await;
        match result {
            Ok(_) => {
                let set = Deadline {
                    earliest: plus(before, ttl),
                    latest: plus(Utc::now(), ttl),
                    pinned: true,
                };
                self.deadlines.lock().unwrap().insert(id.to_owned(), set);
            }
            Err(error) => self.refused.push(format!("set_ttl: {error:?}")),
        }
    }

    /// Deletes through the worker's own manager, or through another, which may not know the session
    /// yet.
    async fn end(&mut self, id: &str) {
        let home = self.entries[id].home;
        let by = if self.rng.bool() { home } else { self.rng.usize(..MANAGERS) };
        let result = self.managers[by].cleanup_session(id).await;
        let entry = self.entries.get_mut(id).unwrap();
        match result {
            Ok(_) => {
                entry.ended = Certainty::Yes;
                if self.managers[by].get_session(id).await.is_ok() {
                    self.refused.push("get: found after its end".into());
                }
            }
            Err(error) => {
                entry.ended = Certainty::Maybe;
                self.refused.push(format!("end: {error:?}"));
            }
        }
    }

    /// Logs out everywhere. Another manager cannot know changes that are only pending in this one.
    async fn end_user(&mut self, id: &str) {
        let user = self.entries[id].user.clone();
        let by = self.rng.usize(..MANAGERS);
        let result = self.managers[by].delete_user_sessions(&user).await;
        for entry in self
            .entries
            .values_mut()
            .filter(|entry| entry.user == user && entry.ended != Certainty::Yes)
        {
            entry.ended = if result.is_ok() && (entry.durable || entry.home == by) {
                Certainty::Yes
            } else {
                Certainty::Maybe
            };
        }
        self.log_outs.insert((user, by));
        if let Err(error) = result {
            self.refused.push(format!("end of all: {error:?}"));
        }
    }
}

/// Runs with a seed for a time. Returns the deviations at the end.
async fn chaos(seed: u64, time: Duration, two_steps: bool) -> Option<(Deviations, Vec<String>)> {
    let mut redis = Redis::start_durable()?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let server = rest::serve(redis.backend().await).await;
    let mut proxies = Vec::new();
    let mut managers = Vec::new();
    for _ in 0..MANAGERS {
        let proxy = Proxy::start(server.local_addr(), Fault::Drop, 0).await;
        let client = Client::builder().url(proxy.url()).token(DEFAULT_TOKEN);
        let client = client
            .timeout(Duration::from_millis(200))
            .deadline(Duration::from_millis(500))
            .build()
            .unwrap();
        let manager = SessionManager::with_options("", 0, options());
        manager.set_session_store(Arc::new(store(client, two_steps)), true).await.unwrap();
        proxies.push(proxy);
        managers.push(manager);
    }
    let managers = Arc::new(managers);
    let deadlines = Deadlines::default();
    let all = Arc::default();
    let operations = Arc::new(AtomicU64::new(0));
    let users: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let end = tokio::time::Instant::now() + time;
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let worker = Worker {
                rng: rng.fork(),
                managers: Arc::clone(&managers),
                users: users.iter().skip(number).step_by(WORKERS).cloned().collect(),
                entries: HashMap::new(),
                alive: Vec::new(),
                log_outs: HashSet::new(),
                deadlines: Arc::clone(&deadlines),
                all: Arc::clone(&all),
                operations: Arc::clone(&operations),
                refused: Vec::new(),
                count: 0,
            };
            tokio::spawn(worker.run(end))
        })
        .collect();
    let faults = faults::run(rng.fork(), &proxies, &mut redis, time).await;
    let (mut entries, mut refused) = (HashMap::new(), Vec::new());
    for worker in workers {
        let worker = worker.await.unwrap();
        entries.extend(worker.entries);
        refused.extend(worker.refused);
    }
    for proxy in &proxies {
        proxy.idle().await;
    }
    flush_all(&managers).await;
    let client = rest::client(&server);
    if two_steps {
        // Changes cut off between their steps may have left ids without a session.
        for user in &users {
            store(client.clone(), two_steps).cleanup_expired_sessions(user).await.unwrap();
        }
    }
    let wrong = model::compare(&client, &entries, &deadlines, &users).await;
    let met: u64 = proxies.iter().map(Proxy::faults).sum();
    println!(
        "seed {seed}: {} operations, {} sessions, {faults} faults, which {met} requests met",
        operations.load(Ordering::Relaxed),
        entries.len()
    );
    Some((wrong, refused))
}

/// Checks each copy, and recovers soon.
fn options() -> ManagerOptions {
    let soon = BreakerPolicy::default().min_calls(1).failure_ratio(0.0);
    let soon = soon.open_for(Duration::from_millis(50), Duration::from_millis(200));
    let options = ManagerOptions::default().recovery(Recovery::Automatic(soon));
    options.max_staleness(Duration::ZERO).touch_interval(Duration::ZERO)
}

/// Returns the store, in two steps as on a cluster if requested.
fn store(client: Client, two_steps: bool) -> RedisSessionStore {
    let store = RedisSessionStore::new(client, TTL);
    if two_steps { store.cluster() } else { store }
}

async fn check(seed: u64, time: Duration, two_steps: bool) {
    let (wrong, refused) = redis_test!(chaos(seed, time, two_steps).await);
    refused.iter().take(20).for_each(|error| println!("{error}"));
    assert_eq!((wrong, refused.len()), (Deviations::default(), 0), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_for_a_short_time() {
    check(1, Duration::from_secs(6), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_for_a_short_time_in_two_steps() {
    check(2, Duration::from_secs(6), true).await;
}

/// `CHAOS_SEED` and `CHAOS_SECONDS` override the default of ten seeds of half a minute. Every other
/// seed uses two steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: run it by hand"]
async fn chaos_for_long() {
    let (seeds, time) = seeds_and_time();
    for seed in seeds {
        check(seed, time, seed % 2 == 0).await;
    }
}

fn seeds_and_time() -> (std::ops::RangeInclusive<u64>, Duration) {
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let time = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(30));
    (number("CHAOS_SEED").map_or(1..=10, |seed| seed..=seed), time)
}

/// Flushes until nothing is pending. A busy machine may delay a request past its timeout, and a
/// change of one manager can block another's, so each is flushed at least twice.
async fn flush_all(managers: &[SessionManager]) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    for turn in 1.. {
        let mut results = Vec::new();
        for manager in managers {
            results.push(manager.flush().await);
        }
        let pending = || managers.iter().map(SessionManager::pending);
        if turn > 1 && pending().all(|pending| pending == Pending::default()) {
            return;
        }
        let pending: Vec<_> = pending().collect();
        assert!(tokio::time::Instant::now() < end, "still pending: {pending:?}, {results:?}");
    }
}
