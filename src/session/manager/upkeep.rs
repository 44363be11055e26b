//! What is done from time to time: writing what is unwritten, dropping what is idle.

use super::health::{Health, Pending};
use super::recover::Flushed;
use super::{Attached, Inner, SessionManager, unavailable};
use crate::session::error::SessionError;
use crate::session::events::EventKind;
use crate::session::record::Session;
use crate::{clock, platform};
use std::sync::Arc;
use std::time::Duration;

impl SessionManager {
    /// Writes to the store what it does not have yet: sessions created before it was set or while it was unavailable, updates,
    /// deletions. Takes up a store again that was unavailable, if it is healthy. Without a store it does nothing.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`] or [`SessionError::MaybeApplied`] when the store cannot be reached; what is unwritten stays so.
    pub async fn flush(&self) -> Result<Flushed, SessionError> {
        let Some(attached) = self.0.attached() else { return Ok(Flushed::default()) };
        if !attached.works() {
            attached.store.probe().await?;
            attached.breaker.close();
        }
        attached.ask(self.0.flush(&attached)).await
    }

    /// What the store has not been told yet.
    pub fn pending(&self) -> Pending {
        self.0.pending()
    }

    /// The state of the manager and of its store, as known here. It asks nobody, so it can be read at any time.
    pub fn health(&self) -> Health {
        let attached = self.0.attached();
        let (state, since) = match attached.as_ref().map(|attached| attached.breaker.state()) {
            Some((state, time)) => (
                Some(state),
                chrono::TimeDelta::from_std(time).ok().map(|time| clock::utc_now() - time),
            ),
            None => (None, None),
        };
        let seen = attached.map(|attached| attached.seen()).unwrap_or_default();
        Health {
            state,
            since,
            pending: self.pending(),
            last_error: seen.failed,
            redis_memory: seen.memory,
            held: self.cached(),
        }
    }

    /// Flushes within `deadline` and drops the manager's hold on the store.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); [`SessionError::Unavailable`] when the deadline passed first.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Flushed, SessionError> {
        let flushed = platform::timeout(deadline, self.flush()).await;
        *self.0.attached.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        flushed.unwrap_or_else(|| {
            Err(SessionError::Unavailable(crate::Error::new(
                crate::ErrorKind::Timeout,
                "the deadline of the shutdown passed",
            )))
        })
    }

    /// Drops copies of sessions that were not used for `max_idle` from memory; answers how many. Redis keeps them, and what it does
    /// not have yet stays.
    pub fn cleanup_inactive_sessions(&self, max_idle: Duration) -> usize {
        let idle = self.0.sessions.filter(|held| held.debt.is_none() && held.idle() >= max_idle);
        let dropped =
            idle.iter().filter(|held| self.0.sessions.remove_if(&held.session.id, held.version));
        dropped.inspect(|held| self.0.events.send(EventKind::Evicted, &held.session.id)).count()
    }

    /// Ends sessions held here that were not used for `max_idle`; answers how many. The store is asked again before, and deletes
    /// only what nobody used or changed meanwhile: one node's idle view does not end a session that is active on another.
    ///
    /// # Errors
    /// What the store answers; [`SessionError::Unavailable`] at once while it does not work. Sessions ended before the error stay
    /// ended.
    pub async fn delete_inactive_sessions(
        &self,
        max_idle: Duration,
    ) -> Result<usize, SessionError> {
        let mut ended = 0;
        for held in self.0.sessions.filter(|held| held.idle() >= max_idle) {
            if self.0.attached().is_none() {
                ended += usize::from(*self.cleanup_session(&held.session.id).await?);
                continue;
            }
            let attached = self.0.ready().await.ok_or_else(unavailable)?;
            ended += usize::from(
                attached.ask(self.0.delete_idle(&attached, &held.session, max_idle)).await?,
            );
        }
        Ok(ended)
    }

    /// One step of upkeep: [`flush`](Self::flush), then [`cleanup_inactive_sessions`](Self::cleanup_inactive_sessions). What
    /// [`maintenance`](Self::maintenance) does again and again; a function without background tasks calls it by hand.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn maintain(&self, max_idle: Duration) -> Result<Flushed, SessionError> {
        let flushed = self.flush().await;
        self.cleanup_inactive_sessions(max_idle);
        if let (Ok(_), Some(attached)) = (&flushed, self.0.active()) {
            attached.measure().await;
        }
        flushed
    }

    /// A task for the background that does [`maintain`](Self::maintain) every `interval`. It ends when the last clone of the
    /// manager is dropped.
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
        let mut ended = self.events();
        async move {
            loop {
                // Ends at once when the manager does, not only after the interval.
                let pause =
                    platform::timeout(interval, async { while ended.next().await.is_some() {} })
                        .await;
                let (None, Some(inner)) = (pause, manager.upgrade()) else { return };
                if let Err(error) = SessionManager(inner).maintain(max_idle).await {
                    tracing::debug!(%error, "maintenance of sessions");
                }
            }
        }
    }
}

impl Inner {
    async fn delete_idle(
        &self,
        attached: &Attached,
        session: &Session,
        max_idle: Duration,
    ) -> Result<bool, SessionError> {
        let fresh = match attached.store.retrieve_session(&session.id).await {
            Ok(fresh) => fresh,
            Err(SessionError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let idle = (clock::utc_now() - fresh.last_active_at).to_std().unwrap_or_default();
        if idle < max_idle {
            return Ok(false);
        }
        match attached.store.compare_and_delete(&fresh).await {
            Ok(()) => {}
            Err(SessionError::NotFound | SessionError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        // A list that was sent before may still bring it.
        self.sessions.bury(&session.id);
        self.told_end(&session.id);
        self.events.send(EventKind::Deleted, &session.id);
        self.workspaces.remove_all(&session.user_id, [&session.id]).await;
        Ok(true)
    }
}
