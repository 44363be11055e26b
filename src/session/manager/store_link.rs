//! [`StoreLink`]: the store that was set, whether it works, and what was last seen of it.

use super::options::{Recovery, SyncMode};
use crate::clock;
use crate::error::ErrorKind;
use crate::observe::{self, Guarded};
use crate::platform::Mutex;
use crate::retry::breaker::{Breaker, BreakerState, Signal};
use crate::session::error::SessionError;
use crate::session::store::{Check, SessionStore, StoreHealth};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// A store that was set.
pub(super) struct StoreLink {
    pub(super) store: Arc<dyn SessionStore>,
    mode: SyncMode,
    /// Closed while the store works.
    pub(super) breaker: Breaker,
    seen: Mutex<Seen>,
}

/// The last failure of a store, and its memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) failed: Option<(ErrorKind, DateTime<Utc>)>,
    pub(super) memory: Option<u64>,
}

impl StoreLink {
    pub(super) fn new(store: Arc<dyn SessionStore>, mode: SyncMode, recovery: &Recovery) -> Self {
        let breaker = Breaker::new(recovery.policy(), Guarded::SessionStore);
        Self { store, mode, breaker, seen: Mutex::default() }
    }

    pub(super) fn works(&self) -> bool {
        self.breaker.state().0 == BreakerState::Closed
    }

    /// Reads ask the store.
    pub(super) fn is_asked(&self) -> bool {
        self.mode == SyncMode::OnAccess
    }

    /// Runs a request for one session, and notes how it ended.
    pub(super) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        let result = call.await;
        self.note(result.as_ref().err());
        result
    }

    /// Runs a request as [`ask`](Self::ask) does, for a request that can be large: a timeout says
    /// that the store is unavailable only if a ping fails too. True if it is unavailable.
    pub(super) async fn ask_many<T>(
        &self,
        call: impl Future<Output = Vec<Result<T, SessionError>>>,
    ) -> (Vec<Result<T, SessionError>>, bool) {
        let results = call.await;
        let unavailable =
            results.iter().find_map(|result| result.as_ref().err().filter(|e| e.is_unavailable()));
        let Some(error) = unavailable else {
            let first = results.first().and_then(|result| result.as_ref().err());
            self.note(first);
            return (results, false);
        };
        if is_timeout(error) && self.store.health(Check::Ping).await.is_ok() {
            self.note(None);
            return (results, false);
        }
        self.note(Some(error));
        (results, true)
    }

    fn note(&self, error: Option<&SessionError>) {
        let signal = error.map_or(Signal::Works, SessionError::signal);
        let opened = self.breaker.record(signal);
        if let (Signal::Down | Signal::Quota, Some(error)) = (signal, error) {
            self.remember(error);
        }
        if let (true, Some(error)) = (opened, error) {
            tracing::warn!(%error, "session store is unavailable: sessions stay in memory, and changes pending");
        }
    }

    pub(super) fn seen(&self) -> Seen {
        *self.seen.lock()
    }

    /// Remembers why the store was found not to work.
    pub(super) fn remember(&self, error: &SessionError) {
        if let Some(error) = error.redis_error() {
            let failed = Some((error.kind(), clock::utc_now()));
            self.seen.lock().failed = failed;
        }
    }

    /// Asks how much memory the store takes.
    pub(super) async fn measure(&self) {
        if let Ok(health) = self.store.health(Check::Ping).await {
            self.measured(health);
        }
    }

    pub(super) fn measured(&self, health: StoreHealth) {
        observe::redis_memory(health.memory_used);
        self.seen.lock().memory = health.memory_used;
    }
}

fn is_timeout(error: &SessionError) -> bool {
    error.redis_error().is_some_and(|error| error.kind() == ErrorKind::Timeout)
}

/// The error of a store that is set and does not work.
pub(super) fn unavailable() -> SessionError {
    SessionError::Unavailable(crate::Error::new(
        ErrorKind::Connect,
        "the session store failed before and has not recovered",
    ))
}
