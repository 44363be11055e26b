//! A manager behind a gate that can be closed, and a second connection to the same Redis that stays
//! open.

use crate::rest;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::session::{
    ManagerOptions, Recovery, RedisSessionStore, Session, SessionManager, SessionStoreExt as _,
};
use redis_rest::{BoxFuture, BreakerPolicy, Client, Error, ErrorKind, Outcome};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

pub const HOUR: Duration = Duration::from_secs(3600);

/// State of the connection to the server.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum GateState {
    Open,
    /// Nothing gets through.
    Closed,
    /// Requests get through, replies are lost.
    RepliesLost,
}

#[derive(Clone)]
pub struct Gate {
    inner: HttpTransport,
    state: Arc<AtomicU8>,
    tried: Arc<AtomicUsize>,
}

impl Gate {
    pub fn new() -> Self {
        Self {
            inner: HttpTransport::new(Duration::from_secs(3)).unwrap(),
            state: Arc::default(),
            tried: Arc::default(),
        }
    }

    pub fn set(&self, state: GateState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub fn attempts(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }
}

impl Transport for Gate {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            self.tried.fetch_add(1, Ordering::Relaxed);
            let state = self.state.load(Ordering::Relaxed);
            if state == GateState::Closed as u8 {
                return Err(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "no way there"));
            }
            let response = self.inner.send(request).await?;
            if state == GateState::RepliesLost as u8 {
                Err(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "no way back"))
            } else {
                Ok(response)
            }
        })
    }
}

pub struct Node {
    pub manager: SessionManager,
    pub gate: Gate,
    pub engine: MemoryBackend,
    pub elsewhere: RedisSessionStore,
    _server: RunningServer,
}

/// Recovers at the first call after the gate is open again.
pub fn at_once() -> Recovery {
    let policy = BreakerPolicy::default()
        .min_calls(1)
        .failure_ratio(0.0)
        .open_for(Duration::ZERO, Duration::ZERO);
    Recovery::Automatic(policy)
}

/// Checks every copy, does not touch, and recovers at the first call after the store works again.
pub fn checked() -> ManagerOptions {
    let options = ManagerOptions::default().recovery(at_once());
    options.max_staleness(Duration::ZERO).touch_interval(HOUR)
}

impl Node {
    pub async fn new(recovery: Recovery) -> Self {
        Self::with_options(ManagerOptions::default().recovery(recovery)).await
    }

    /// Creates the manager with these options, except that every copy is checked and reads do not
    /// touch.
    pub async fn with_options(options: ManagerOptions) -> Self {
        let options = options.max_staleness(Duration::ZERO).touch_interval(HOUR);
        Self::with(SessionManager::with_options("", 0, options)).await
    }

    pub async fn with(manager: SessionManager) -> Self {
        let engine = MemoryBackend::new();
        let server = rest::serve(engine.clone()).await;
        let gate = Gate::new();
        let client = Client::builder()
            .url(server.url())
            .token(DEFAULT_TOKEN)
            .no_retry()
            .transport(gate.clone())
            .build()
            .unwrap();
        manager
            .set_session_store(Arc::new(RedisSessionStore::new(client, HOUR)), true)
            .await
            .unwrap();
        let elsewhere = RedisSessionStore::new(Client::from_backend(engine.clone()), HOUR);
        Self { manager, gate, engine, elsewhere, _server: server }
    }

    pub async fn create(&self) -> Session {
        self.manager.create_session("user", "org").await.unwrap().session
    }

    /// Returns the user's session ids in Redis.
    pub async fn ids(&self) -> Vec<String> {
        self.elsewhere
            .list_sessions("user")
            .await
            .unwrap()
            .into_iter()
            .map(|session| session.id)
            .collect()
    }
}
