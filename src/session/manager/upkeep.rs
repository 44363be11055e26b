//! What is done from time to time: writing what is unwritten, dropping what is idle.

use super::cache::{Cached, Sync};
use super::{Attached, Inner, SessionManager};
use crate::platform;
use crate::session::error::{Conflict, SessionError};
use crate::session::events::EventKind;
use crate::session::reconcile::Reconciled;
use crate::session::record::Session;
use std::sync::Arc;
use std::time::Duration;

/// What a [`flush`](SessionManager::flush) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Sessions written.
    pub written: usize,
    /// Deletions made up for.
    pub deleted: usize,
    /// Copies dropped because the session was deleted or expired meanwhile, or somebody else's newer version stands.
    pub dropped: usize,
    /// Sessions that the store refused; they stay unwritten.
    pub failed: usize,
}

/// What the store has not been told yet, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Sessions it has never seen.
    pub new: usize,
    /// Sessions that were changed.
    pub changed: usize,
    /// Sessions that were only used.
    pub touched: usize,
    /// Sessions that were deleted.
    pub deleted: usize,
    /// Users all of whose sessions were ended.
    pub revoked: usize,
}

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
        let (deleted, revoked) = (self.0.cache.buried().len(), self.0.cache.revoked().len());
        let mut pending = Pending { deleted, revoked, ..Pending::default() };
        for cached in self.0.cache.filter(|cached| cached.sync != Sync::Clean || cached.offline.is_some()) {
            match cached.sync {
                Sync::New => pending.new += 1,
                Sync::Changed => pending.changed += 1,
                Sync::Clean => pending.touched += 1,
            }
        }
        pending
    }

    /// Flushes within `deadline` and drops the manager's hold on the store.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); [`SessionError::Unavailable`] when the deadline passed first.
    pub async fn shutdown(&self, deadline: Duration) -> Result<Flushed, SessionError> {
        let flushed = platform::timeout(deadline, self.flush()).await;
        *self.0.attached.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        flushed.unwrap_or_else(|| {
            Err(SessionError::Unavailable(crate::Error::new(crate::ErrorKind::Timeout, "the deadline of the shutdown passed")))
        })
    }

    /// Drops copies of sessions that were not used for `max_idle` from memory; answers how many. Redis keeps them, and what it does
    /// not have yet stays.
    pub fn cleanup_inactive_sessions(&self, max_idle: Duration) -> usize {
        let idle = self.0.cache.filter(|cached| cached.sync == Sync::Clean && cached.offline.is_none() && cached.idle() >= max_idle);
        let dropped = idle.iter().filter(|cached| self.0.cache.remove_if(&cached.session.id, cached.version));
        dropped.inspect(|cached| self.0.events.send(EventKind::Evicted, &cached.session.id)).count()
    }

    /// Ends sessions held here that were not used for `max_idle`; answers how many. The store is asked again before, and deletes
    /// only what nobody used or changed meanwhile: one node's idle view does not end a session that is active on another.
    ///
    /// # Errors
    /// What the store answers. Sessions ended before the error stay ended.
    pub async fn delete_inactive_sessions(&self, max_idle: Duration) -> Result<usize, SessionError> {
        let mut ended = 0;
        for cached in self.0.cache.filter(|cached| cached.idle() >= max_idle) {
            let Some(attached) = self.0.attached() else {
                ended += usize::from(self.cleanup_session(&cached.session.id).await?);
                continue;
            };
            match self.0.delete_idle(&attached, &cached.session, max_idle).await {
                Ok(deleted) => ended += usize::from(deleted),
                Err(error) => {
                    attached.note(Some(&error));
                    return Err(error);
                }
            }
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
    pub fn maintenance(&self, interval: Duration, max_idle: Duration) -> impl Future<Output = ()> + use<> {
        let manager = Arc::downgrade(&self.0);
        let mut ended = self.events();
        async move {
            loop {
                // Ends at once when the manager does, not only after the interval.
                let pause = platform::timeout(interval, async { while ended.next().await.is_some() {} }).await;
                let (None, Some(inner)) = (pause, manager.upgrade()) else { return };
                if let Err(error) = SessionManager(inner).maintain(max_idle).await {
                    tracing::debug!(%error, "maintenance of sessions");
                }
            }
        }
    }
}

impl Inner {
    async fn flush(&self, attached: &Attached) -> Result<Flushed, SessionError> {
        let mut flushed = Flushed::default();
        for (user_id, at) in self.cache.revoked() {
            flushed.deleted += self.delete_revoked(attached, &user_id, at).await?;
        }
        let buried = self.cache.buried();
        for (id, result) in attached.store.batch_delete_sessions(&buried).await.iter() {
            match result {
                Ok(()) => {
                    self.cache.unbury(id);
                    flushed.deleted += 1;
                }
                Err(error) if error.is_unavailable() => return Err(error.clone()),
                Err(_) => flushed.failed += 1,
            }
        }
        // What an outage left is written on conditions, with the deadlines it had.
        let owed = self.cache.filter(|cached| cached.offline.is_some());
        let puts: Vec<_> = owed.iter().map(|cached| self.pending_put(attached, cached)).collect();
        for (cached, result) in owed.iter().zip(attached.store.reconcile(&puts).await) {
            let result = match result {
                Ok(result) => self.settle(attached, cached, result).await.map(|()| result == Reconciled::Written),
                Err(error) => Err(error),
            };
            self.tally(cached, result, &mut flushed)?;
        }
        let new = self.cache.filter(|cached| cached.sync == Sync::New && cached.offline.is_none());
        let sessions: Vec<Session> = new.iter().map(|cached| cached.session.as_ref().clone()).collect();
        let stored = attached.store.batch_store_sessions(&sessions).await;
        for (cached, (_, result)) in new.iter().zip(stored.iter()) {
            let result = result.clone().and_then(|()| self.note_written(cached)).map(|()| true);
            self.tally(cached, result, &mut flushed)?;
        }
        for cached in self.cache.filter(|cached| cached.sync == Sync::Changed && cached.offline.is_none()) {
            let result = attached.store.update_session(&cached.session).await;
            let result = result.and_then(|()| self.note_written(&cached)).map(|()| true);
            self.tally(&cached, result, &mut flushed)?;
        }
        Ok(flushed)
    }

    /// Writes what the store missed, when it was seen to work again.
    pub(super) async fn take_up(&self, attached: &Attached) {
        match attached.ask(self.flush(attached)).await {
            Ok(flushed) => tracing::info!(?flushed, "session store works again"),
            Err(error) => tracing::warn!(%error, "session store failed again while it was told what it had missed"),
        }
    }

    /// Counts what became of a session; `Ok(false)` is one that was dropped.
    fn tally(&self, cached: &Cached, result: Result<bool, SessionError>, flushed: &mut Flushed) -> Result<(), SessionError> {
        match result {
            Ok(true) => flushed.written += 1,
            Ok(false) => flushed.dropped += 1,
            Err(error) if error.is_unavailable() => return Err(error),
            Err(SessionError::NotFound | SessionError::Conflict(Conflict::Deleted)) => {
                if self.cache.remove_if(&cached.session.id, cached.version) {
                    self.events.send(EventKind::Expired, &cached.session.id);
                }
                flushed.dropped += 1;
            }
            Err(error) => {
                tracing::warn!(%error, "a session could not be written");
                flushed.failed += 1;
            }
        }
        Ok(())
    }

    async fn delete_idle(&self, attached: &Attached, session: &Session, max_idle: Duration) -> Result<bool, SessionError> {
        let fresh = match attached.store.retrieve_session(&session.id).await {
            Ok(fresh) => fresh,
            Err(SessionError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let idle = (crate::clock::utc_now() - fresh.last_active_at).to_std().unwrap_or_default();
        if idle < max_idle {
            return Ok(false);
        }
        match attached.store.compare_and_delete(&fresh).await {
            Ok(()) => {}
            Err(SessionError::NotFound | SessionError::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.cache.remove(&session.id);
        self.remove_workspace(&session.user_id, &session.id);
        self.events.send(EventKind::Deleted, &session.id);
        Ok(true)
    }
}
