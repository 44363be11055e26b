//! The mixed load, and the expected content of Redis afterwards.

use super::Failure;
use super::server::Servers;
use redis_rest::session::{
    ManagerOptions, Pending, RedisSessionStore, SessionManager, SessionStoreExt as _,
};
use redis_rest::{Client, Error, Event, Outcome, cmd};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const WORKERS: u64 = 32;
const TTL: Duration = Duration::from_secs(3600);
/// Sessions that a worker has at the same time.
const SESSIONS: usize = 20;

/// Outcomes of increments.
#[derive(Clone, Copy, Default)]
struct Counts {
    acknowledged: u64,
    may_have_run: u64,
    did_not_run: u64,
    /// The caller dropped the call.
    dropped: u64,
}

impl Counts {
    fn note(&mut self, result: Result<i64, Error>) {
        match result.map_err(|error| error.outcome()) {
            Ok(_) => self.acknowledged += 1,
            Err(Outcome::NotApplied) => self.did_not_run += 1,
            Err(Outcome::MaybeApplied | Outcome::Applied) => self.may_have_run += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.may_have_run += other.may_have_run;
        self.did_not_run += other.did_not_run;
        self.dropped += other.dropped;
    }

    /// Returns true if a counter may have this value.
    fn allows(&self, value: u64) -> bool {
        (self.acknowledged..=self.acknowledged + self.may_have_run + self.dropped).contains(&value)
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { acknowledged, may_have_run, did_not_run, dropped } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {may_have_run} may have run, {did_not_run} did not, {dropped} dropped by the caller"
        )
    }
}

struct Worker {
    number: u64,
    rng: fastrand::Rng,
    client: Client,
    manager: SessionManager,
    calls: Arc<AtomicU64>,
    plain: Counts,
    once: Counts,
    storm: Counts,
    alive: Vec<String>,
    ended: HashSet<String>,
    /// Sessions in an unknown state: their last call failed.
    unclear: u64,
}

impl Worker {
    async fn run(mut self, end: Instant) -> Self {
        while Instant::now() < end {
            self.calls.fetch_add(1, Ordering::Relaxed);
            match self.rng.u8(0..100) {
                0..15 => {
                    let key = format!("value:{}", self.rng.u32(0..10_000));
                    let value = "x".repeat(self.rng.usize(1..2000));
                    let _ = self.client.set(key, value).ex(Duration::from_secs(60)).await;
                }
                15..30 => drop(
                    self.client
                        .get::<Option<String>>(format!("value:{}", self.rng.u32(0..10_000)))
                        .await,
                ),
                30..45 => self.plain.note(self.client.incr(self.key("plain")).await),
                45..55 => self.once.note(self.client.incr(self.key("once")).exactly_once().await),
                55..70 => self.storm().await,
                70..75 => self.pipeline().await,
                75..78 => drop(self.client.publish("soak", "a message").await),
                _ => self.session().await,
            }
        }
        self
    }

    fn key(&self, kind: &str) -> String {
        format!("{kind}:{}", self.number)
    }

    /// Cancels calls at a random moment: half of the time before a response is possible.
    async fn storm(&mut self) {
        let patience = Duration::from_micros(self.rng.u64(0..2000));
        let call = self.client.incr(self.key("storm"));
        match tokio::time::timeout(patience, call).await {
            Ok(result) => self.storm.note(result),
            Err(_) => self.storm.dropped += 1,
        }
    }

    async fn pipeline(&mut self) {
        let mut pipe = self.client.pipeline();
        let slots: Vec<_> = (0..10).map(|_| pipe.add(cmd::incr(self.key("plain")))).collect();
        match pipe.send().await {
            Ok(mut replies) => {
                slots.into_iter().for_each(|slot| self.plain.note(replies.take(slot)))
            }
            Err(error) => slots.iter().for_each(|_| self.plain.note(Err(error.clone()))),
        }
    }

    async fn session(&mut self) {
        let user = format!("user:{}:{}", self.number, self.rng.u8(0..10));
        if self.alive.len() < SESSIONS {
            match self.manager.create_session(&user, "org").await {
                Ok(created) => self.alive.push(created.session.id),
                Err(_) => self.unclear += 1,
            }
            return;
        }
        let place = self.rng.usize(..self.alive.len());
        match self.rng.u8(0..10) {
            0..5 => drop(self.manager.get_session(&self.alive[place]).await),
            5..8 => {
                if let Ok(session) = self.manager.get_session(&self.alive[place]).await {
                    let _ = self.manager.update_session(&session).await;
                }
            }
            _ => {
                let id = self.alive.swap_remove(place);
                match self.manager.cleanup_session(&id).await {
                    // A tombstone is kept for a while, so that late copies cannot bring the session
                    // back; here for the last comparison only.
                    Ok(_) if self.ended.len() < 1000 => drop(self.ended.insert(id)),
                    Ok(_) => {}
                    Err(_) => self.unclear += 1,
                }
            }
        }
    }
}

/// A running load.
pub struct Load {
    client: Client,
    manager: SessionManager,
    workers: Vec<JoinHandle<Worker>>,
    listener: JoinHandle<u64>,
    calls: Arc<AtomicU64>,
    started: Instant,
}

impl Load {
    pub fn start(servers: &Servers, seed: u64, length: Duration) -> Result<Self, Failure> {
        let (client, calls) = (servers.client()?, Arc::<AtomicU64>::default());
        let manager = SessionManager::with_options(
            "",
            0,
            ManagerOptions::default().touch_interval(Duration::ZERO),
        );
        let mut rng = fastrand::Rng::with_seed(seed);
        let started = Instant::now();
        let end = started + length;
        let store = Arc::new(RedisSessionStore::new(client.clone(), TTL));
        let workers = (0..WORKERS).map(|number| {
            let rng = rng.fork();
            let client = client.clone();
            let manager = manager.clone();
            let calls = Arc::clone(&calls);
            let (store, first) = (Arc::clone(&store), number == 0);
            tokio::spawn(async move {
                if first {
                    // A single store for all of them. A failed probe is repeated later.
                    let _ = manager.set_session_store(store, true).await;
                }
                let (plain, once, storm) = Default::default();
                let worker = Worker {
                    number,
                    rng,
                    client,
                    manager,
                    calls,
                    plain,
                    once,
                    storm,
                    alive: Vec::new(),
                    ended: HashSet::new(),
                    unclear: 0,
                };
                worker.run(end).await
            })
        });
        let mut subscription = servers.sure()?.subscribe(["soak"]);
        let listener = tokio::spawn(async move {
            let mut heard = 0;
            while let Some(event) = subscription.next().await {
                heard += u64::from(matches!(event, Ok(Event::Message(_))));
                if Instant::now() >= end {
                    break;
                }
            }
            heard
        });
        let workers = workers.collect();
        Ok(Self { client, manager, workers, listener, calls, started })
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits for the workers, and compares. Returns a summary, and the failures.
    pub async fn finish(&mut self, servers: &Servers) -> Result<(String, Vec<String>), Failure> {
        let mut workers = Vec::new();
        for worker in self.workers.drain(..) {
            workers.push(worker.await?);
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let sure = servers.sure()?;
        sure.publish("soak", "the last one").await?;
        let heard = (&mut self.listener).await?;
        let truth = servers.truth().await?;
        let mut wrong = self.compare_counts(&workers, &truth).await?;
        wrong.extend(self.compare_sessions(&workers, &truth).await?);
        // The pool is usable: as many concurrent calls as there were workers succeed without
        // faults.
        for _ in 0..WORKERS {
            self.client.incr("after").exactly_once().await?;
        }
        let sum = |of: fn(&Worker) -> Counts| {
            workers.iter().map(of).fold(Counts::default(), |mut all, one| {
                all.add(&one);
                all
            })
        };
        let calls = self.calls();
        let summary = format!(
            "{calls} calls in {seconds:.0} s by {WORKERS} workers; {heard} messages heard\n\
             INCR: {}\nINCR exactly once: {}\nINCR with impatient callers: {}\nsessions: {} alive, {} unclear",
            sum(|worker| worker.plain),
            sum(|worker| worker.once),
            sum(|worker| worker.storm),
            workers.iter().map(|worker| worker.alive.len()).sum::<usize>(),
            workers.iter().map(|worker| worker.unclear).sum::<u64>(),
        );
        Ok((summary, wrong))
    }

    async fn compare_counts(
        &self,
        workers: &[Worker],
        truth: &Client,
    ) -> Result<Vec<String>, Failure> {
        let mut wrong = Vec::new();
        for worker in workers {
            for (kind, counts) in
                [("plain", worker.plain), ("once", worker.once), ("storm", worker.storm)]
            {
                let value = truth.get::<Option<u64>>(worker.key(kind)).await?.unwrap_or(0);
                if !counts.allows(value) {
                    wrong.push(format!("{} is {value}, after {counts}", worker.key(kind)));
                }
            }
        }
        Ok(wrong)
    }

    async fn compare_sessions(
        &self,
        workers: &[Worker],
        truth: &Client,
    ) -> Result<Vec<String>, Failure> {
        // Faults continue, so that one attempt may not suffice.
        for _ in 0..10 {
            if self.manager.pending() == Pending::default() {
                break;
            }
            let _ = self.manager.flush().await;
        }
        let mut wrong = Vec::new();
        if self.manager.pending() != Pending::default() {
            wrong.push(format!("still pending: {:?}", self.manager.pending()));
        }
        let store = RedisSessionStore::new(truth.clone(), TTL);
        for worker in workers {
            for id in &worker.alive {
                if !store.exists(id).await? {
                    wrong.push(format!("a session of worker {} is lost", worker.number));
                }
            }
            for id in &worker.ended {
                if store.exists(id).await? {
                    wrong.push(format!("a session of worker {} came back", worker.number));
                }
            }
        }
        Ok(wrong)
    }
}
