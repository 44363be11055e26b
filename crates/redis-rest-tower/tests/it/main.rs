//! The store of tower-sessions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a panic here is a red test, which is what it should be"
)]

/// The same cases over every store and the manager.
mod cases;
/// A log-out everywhere that comes between a request's load and its save.
mod log_outs;
/// With the middleware of tower-sessions in front, as in an application.
mod middleware;
/// Over a manager whose store becomes unavailable, and behaviour that depends on the store.
mod targets;

use redis_rest::Client;
use redis_rest::session::{
    InMemorySessionStore, RedisSessionStore, SessionManager, SessionStore, SessionStoreExt as _,
};
use redis_rest_server::MemoryBackend;
use redis_rest_server::RunningServer;
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::rest;
use redis_rest_tower::TowerStore;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};

const HOUR: Duration = Duration::from_secs(3600);

/// A store of tower-sessions, and a second way to its data.
pub struct Setup {
    pub store: TowerStore,
    pub behind: Arc<dyn SessionStore>,
    clock: Clock,
    _kept: (Option<Redis>, Option<RunningServer>),
}

/// Ways to observe times to live.
enum Clock {
    /// Redis reports how long a key lives.
    Redis(Client, RedisSessionStore),
    /// The clock is moved until the session is gone.
    Memory(InMemorySessionStore),
}

impl Setup {
    /// Closes the underlying store.
    pub fn close(&self) {
        match &self.clock {
            Clock::Redis(_, store) => store.close(),
            Clock::Memory(store) => store.close(),
        }
    }

    /// Asserts that the session lives for `time` from now, give or take a few seconds. In memory it
    /// also asserts that the session is gone after that.
    pub async fn ends_in(&self, id: &Id, time: Duration) {
        const MARGIN: Duration = Duration::from_secs(5);
        match &self.clock {
            Clock::Redis(client, _) => {
                let left: i64 =
                    client.run(redis_rest::cmd("PTTL").arg(format!("session:{id}"))).await.unwrap();
                let left =
                    Duration::from_millis(u64::try_from(left).expect("it is there, and ends"));
                assert!(time - MARGIN < left && left <= time, "{left:?} instead of {time:?}");
            }
            Clock::Memory(store) => {
                let id = id.to_string();
                store.advance(time - MARGIN);
                assert!(store.exists(&id).await.unwrap(), "it ended earlier than in {time:?}");
                store.advance(MARGIN);
                assert!(!store.exists(&id).await.unwrap(), "it lives longer than {time:?}");
            }
        }
    }
}

pub async fn in_memory() -> Option<Setup> {
    let memory = InMemorySessionStore::new(HOUR * 24);
    let behind: Arc<dyn SessionStore> = Arc::new(memory.clone());
    Some(Setup {
        store: TowerStore::new(Arc::clone(&behind)),
        behind,
        clock: Clock::Memory(memory),
        _kept: (None, None),
    })
}

fn over(client: Client, server: RunningServer, redis: Option<Redis>) -> Setup {
    let behind = RedisSessionStore::new(client.clone(), HOUR * 24);
    let clock = Clock::Redis(client, behind.clone());
    let behind: Arc<dyn SessionStore> = Arc::new(behind);
    let store = TowerStore::new(Arc::clone(&behind));
    Setup { store, behind, clock, _kept: (redis, Some(server)) }
}

pub async fn rest_over_redis() -> Option<Setup> {
    let redis = Redis::start()?;
    let server = rest::serve(redis.backend().await).await;
    Some(over(rest::client(&server), server, Some(redis)))
}

pub async fn rest_over_memory() -> Option<Setup> {
    let server = rest::serve(MemoryBackend::new()).await;
    Some(over(rest::client(&server), server, None))
}

/// Returns a manager in front of Redis over REST that reads each time, so that it sees external
/// changes.
pub async fn manager() -> Option<Setup> {
    let setup = rest_over_memory().await?;
    let options = redis_rest::session::ManagerOptions::default().max_staleness(Duration::ZERO);
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::clone(&setup.behind), true).await.unwrap();
    Some(Setup { store: TowerStore::over_manager(manager), ..setup })
}

/// Returns a record with this data that expires after `expires_in`.
pub fn record(data: &[(&str, Value)], expires_in: Duration) -> Record {
    let data = data.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Record { id: Id::default(), data, expiry_date: OffsetDateTime::now_utc() + expires_in }
}
