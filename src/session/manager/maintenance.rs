//! Maintenance: sending what is pending, dropping what is idle.

use super::events::EventKind;
use super::flush::Scope;
use super::health::{Flushed, Health, Pending};
use super::store_link::unavailable;
use super::{Inner, SessionManager};
use crate::clock;
use crate::platform;
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::store::{Check, Delete, When};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The pause before a round of maintenance while something that can be sent is pending.
const SOON: Duration = Duration::from_secs(1);

impl SessionManager {
    /// Sends to the store what it has not confirmed yet: sessions created before it was set or
    /// while it was unavailable, updates, ends. Uses a store again that was unavailable, if it
    /// works. Without a store it does nothing.
    ///
    /// Requests have at most 100 sessions and 500 kB of records, and at most eight are under way at
    /// once. Only an unavailable store stops a flush: a change that is refused is counted as
    /// [`failed`](Flushed::failed), and the others go on.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`] or [`SessionError::MaybeApplied`] if the store is unavailable;
    /// the rest stays pending.
    pub async fn flush(&self) -> Result<Flushed, SessionError> {
        let Some(link) = self.0.link() else { return Ok(Flushed::default()) };
        if !link.works() {
            link.store.health(Check::ReadWrite).await.inspect_err(|error| link.remember(error))?;
            link.breaker.close();
        }
        self.0.flush(&link, Scope::All).await
    }

    /// The changes that the store has not confirmed.
    pub fn pending(&self) -> Pending {
        let state = self.0.state();
        let mut pending = Pending {
            deleted: state.outbox.pending_ends(),
            revoked: state.outbox.pending_log_outs(),
            ..Pending::default()
        };
        for change in state.outbox.changes() {
            match (&change.create, change.content) {
                (Some(_), _) => pending.new += 1,
                (None, Some(_)) => pending.changed += 1,
                (None, None) => pending.touched += 1,
            }
        }
        pending
    }

    /// The state of the manager and of its store, as known here. It asks nobody, so it can be read
    /// at any time.
    pub fn health(&self) -> Health {
        let link = self.0.link();
        let state = link.as_ref().map(|link| link.breaker.state());
        let since = state.and_then(|(_, time)| chrono::TimeDelta::from_std(time).ok());
        let seen = link.map(|link| link.seen()).unwrap_or_default();
        Health {
            state: state.map(|(state, _)| state),
            since: since.map(|time| clock::utc_now() - time),
            pending: self.pending(),
            last_error: seen.failed,
            redis_memory: seen.memory,
            held: self.cached(),
        }
    }

    /// Flushes within `deadline` and drops the manager's hold on the store.
    ///
    /// # Errors
    /// The errors of [`flush`](Self::flush); [`SessionError::Unavailable`] if the deadline passed
    /// first.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Flushed, SessionError> {
        let flushed = platform::timeout(deadline, self.flush()).await;
        self.0.set_link(None);
        flushed.unwrap_or_else(|| {
            Err(SessionError::Unavailable(crate::Error::new(
                crate::ErrorKind::Timeout,
                "the deadline of the shutdown passed",
            )))
        })
    }

    /// Drops copies of sessions from memory that were not used for `max_idle`, or are over; returns
    /// how many. Redis keeps them, and pending ones stay.
    pub fn cleanup_inactive_sessions(&self, max_idle: Duration) -> usize {
        let now = clock::now();
        let idle = self
            .0
            .state()
            .cache
            .filter(|entry| entry.is_over(now) || self.0.idle(&entry.session) >= max_idle);
        let dropped = idle.iter().filter(|entry| {
            let state = &mut *self.0.state();
            let id = entry.session.id.as_str();
            state.outbox.change(id).is_none() && state.cache.remove_if(id, entry.tick)
        });
        dropped.inspect(|entry| self.0.events.send(EventKind::Evicted, &entry.session.id)).count()
    }

    /// Ends sessions held here that were not used for `max_idle`; returns how many. The store is
    /// asked again before, and deletes only what nobody used or changed meanwhile: one node's idle
    /// view does not end a session that is active on another.
    ///
    /// # Errors
    /// The store's errors; [`SessionError::Unavailable`] at once while it does not work.
    /// Sessions ended before the error stay ended.
    pub async fn delete_inactive_sessions(
        &self,
        max_idle: Duration,
    ) -> Result<usize, SessionError> {
        let mut ended = 0;
        let idle = self.0.state().cache.filter(|entry| self.0.idle(&entry.session) >= max_idle);
        for entry in idle {
            ended += usize::from(match self.0.link() {
                None => self.cleanup_session(&entry.session.id).await?.existed,
                Some(_) => self.0.delete_idle(&entry.session, max_idle).await?,
            });
        }
        Ok(ended)
    }

    /// Does a round of maintenance: [`flush`](Self::flush), then
    /// [`cleanup_inactive_sessions`](Self::cleanup_inactive_sessions).
    /// [`maintenance`](Self::maintenance) does it again and again; a function without background
    /// tasks calls it by hand.
    ///
    /// # Errors
    /// The errors of [`flush`](Self::flush).
    pub async fn maintain(&self, max_idle: Duration) -> Result<Flushed, SessionError> {
        let flushed = self.flush().await;
        self.cleanup_inactive_sessions(max_idle);
        if let (Ok(_), Some(link)) = (&flushed, self.0.link().filter(|link| link.works())) {
            link.measure().await;
        }
        flushed
    }

    /// A task for the background that does [`maintain`](Self::maintain) every `interval`; within a
    /// second if a call was cancelled, or something that can be sent is pending. It ends when the
    /// last clone of the manager is dropped.
    ///
    /// ```
    /// # async fn run(manager: redis_rest::session::SessionManager) {
    /// use std::time::Duration;
    /// tokio::spawn(manager.maintenance(Duration::from_secs(30), Duration::from_secs(24 * 3600)));
    /// # }
    /// ```
    pub fn maintenance(
        &self,
        interval: Duration,
        max_idle: Duration,
    ) -> impl Future<Output = ()> + use<> {
        let manager = Arc::downgrade(&self.0);
        let wake = Arc::clone(&self.0.wake);
        async move {
            let mut next = clock::after(interval);
            loop {
                let Some(soon) = manager.upgrade().map(|inner| inner.is_flush_due()) else {
                    return;
                };
                let left = next.saturating_duration_since(clock::now());
                let pause = if soon { left.min(SOON) } else { left };
                let woken = platform::timeout(pause, wake.notified()).await;
                let Some(inner) = manager.upgrade() else { return };
                let manager = SessionManager(inner);
                if woken.is_some() && !manager.0.is_flush_due() {
                    continue;
                }
                next = clock::after(interval);
                if let Err(error) = manager.maintain(max_idle).await {
                    tracing::debug!(%error, "maintenance of sessions");
                }
            }
        }
    }
}

impl Inner {
    /// Something is pending that a store that works would take.
    fn is_flush_due(&self) -> bool {
        self.flush_needed.load(Ordering::Acquire) && self.link().is_some_and(|link| link.works())
    }

    async fn delete_idle(
        &self,
        session: &Session,
        max_idle: Duration,
    ) -> Result<bool, SessionError> {
        let id = session.id.as_str();
        let link = self.ready().await.ok_or_else(unavailable)?;
        let _lock = self.locks.lock(id).await;
        let (mut results, _) = link.ask_many(link.store.get(&[id])).await;
        let stored = match results.pop().unwrap_or_else(|| Err(unavailable())) {
            Ok(stored) => stored,
            Err(SessionError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.idle(&stored.session) < max_idle {
            return Ok(false);
        }
        let delete = Delete {
            id: self.ids.next(),
            session: id,
            user_id: Some(&stored.session.user_id),
            mark_for: Duration::ZERO,
            when: When::Unchanged(&stored.version),
        };
        let (mut results, _) = link.ask_many(link.store.delete(&[delete])).await;
        if !results.pop().unwrap_or_else(|| Err(unavailable()))? {
            return Ok(false);
        }
        self.flights.forget(id);
        {
            let mut state = self.state();
            state.gone(id);
            self.settle_session(&state, id);
        }
        self.events.send(EventKind::Deleted, id);
        self.workspaces.remove_all(&session.user_id, [&session.id]).await;
        Ok(true)
    }
}
