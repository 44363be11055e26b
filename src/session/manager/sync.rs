//! Between memory and the store: finding, writing, touching.

use super::cache::{Cached, Sync};
use super::{Attached, Inner, SyncMode, unavailable};
use crate::clock;
use crate::session::error::{Conflict, SessionError};
use crate::session::events::EventKind;
use crate::session::record::Session;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

impl Inner {
    /// The session, from memory where that is fresh enough.
    pub(super) async fn find(&self, id: &str) -> Result<Arc<Session>, SessionError> {
        if self.cache.is_buried(id) {
            return Err(SessionError::NotFound);
        }
        let cached = self.cache.get(id);
        let Some(attached) = self.active().filter(|attached| attached.mode == SyncMode::OnAccess) else {
            return cached.map(|cached| cached.session).ok_or_else(|| self.unknown());
        };
        let Some(cached) = cached else {
            return self.fetch(&attached, id, None).await.inspect_err(|error| self.note(&attached, error));
        };
        if cached.sync != Sync::Clean {
            if let Err(error) = self.persist(&cached).await {
                return self.drop_copy(&cached, error);
            }
            return Ok(cached.session);
        }
        if cached.checked.elapsed() <= self.options.max_staleness {
            return Ok(cached.session);
        }
        match self.fetch(&attached, id, Some(cached.version)).await {
            Ok(session) => Ok(session),
            Err(error) if error.is_unavailable() => {
                self.disable(&attached, &error);
                Ok(cached.session)
            }
            Err(error) => self.drop_copy(&cached, error),
        }
    }

    /// Why a session that is not in memory cannot be had: there is none, or only the store could know.
    pub(super) fn unknown(&self) -> SessionError {
        match self.attached() {
            Some(attached) if attached.mode == SyncMode::OnAccess && !attached.available.load(Ordering::Acquire) => unavailable(),
            _ => SessionError::NotFound,
        }
    }

    /// The store says that the session is gone, or not what we have.
    fn drop_copy<T>(&self, cached: &Cached, error: SessionError) -> Result<T, SessionError> {
        if matches!(error, SessionError::NotFound) && self.cache.remove_if(&cached.session.id, cached.version) {
            self.events.send(EventKind::Expired, &cached.session.id);
        }
        Err(error)
    }

    /// Reads from the store; callers of the same session at the same time share one request.
    async fn fetch(&self, attached: &Attached, id: &str, seen: Option<u64>) -> Result<Arc<Session>, SessionError> {
        let flights = || self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = Arc::clone(flights().entry(id.to_owned()).or_default());
        let result = flight.get_or_init(|| attached.store.retrieve_session(id)).await.clone();
        {
            let mut flights = flights();
            if flights.get(id).is_some_and(|current| Arc::ptr_eq(current, &flight)) {
                flights.remove(id);
            }
        }
        let session = self.cache.put_synced(result?, seen).ok_or(SessionError::NotFound)?;
        self.events.send(EventKind::Synced, id);
        Ok(session)
    }

    /// Writes what the store does not have yet. That the store is unavailable is no error: the session stays in memory, unwritten.
    pub(super) async fn persist(&self, cached: &Cached) -> Result<(), SessionError> {
        let Some(attached) = self.active() else { return Ok(()) };
        match self.write(&attached, cached).await {
            Err(error) => self.tolerate(&attached, error),
            Ok(()) => Ok(()),
        }
    }

    /// Writes a copy to the store.
    pub(super) async fn write(&self, attached: &Attached, cached: &Cached) -> Result<(), SessionError> {
        let session = &cached.session;
        match cached.sync {
            Sync::Clean => return Ok(()),
            Sync::New => attached.store.store_session(session).await?,
            Sync::Changed => attached.store.update_session(session).await?,
        }
        self.note_written(cached)?;
        Ok(())
    }

    /// The store has this copy now.
    pub(super) fn note_written(&self, cached: &Cached) -> Result<(), SessionError> {
        let mut session = cached.session.as_ref().clone();
        let text = session.to_json()?;
        session.written_as(&text);
        self.cache.written(cached.version, session);
        self.events.send(EventKind::Synced, &cached.session.id);
        Ok(())
    }

    /// Moves `last_active_at` and slides the time to live, if that is due. Another instance's update is never overwritten: the
    /// record is written only over what was read.
    pub(super) async fn touch(&self, session: Arc<Session>) -> Result<Session, SessionError> {
        let id = session.id.clone();
        let Some(cached) = self.cache.get(&id) else { return Ok(session.as_ref().clone()) };
        let since = cached.touched.map_or_else(|| cached.idle(), |at| at.elapsed());
        if since < self.options.touch_interval {
            return Ok(session.as_ref().clone());
        }
        self.cache.touched(&id);
        let mut moved = cached.session.as_ref().clone();
        moved.last_active_at = clock::utc_now();
        let stored = self.active().filter(|_| cached.sync == Sync::Clean);
        let Some(attached) = stored else {
            // What was unwritten stays so; what was written is not made older than the store's by a touch alone.
            self.cache.replace(moved.clone(), |sync| sync);
            return Ok(moved);
        };
        match self.touch_stored(&attached, &cached, &mut moved).await {
            Ok(()) => Ok(moved),
            Err(error) if error.is_unavailable() => {
                self.disable(&attached, &error);
                self.cache.replace(moved.clone(), |sync| sync);
                Ok(moved)
            }
            Err(error) => self.drop_copy(&cached, error),
        }
    }

    async fn touch_stored(&self, attached: &Attached, cached: &Cached, moved: &mut Session) -> Result<(), SessionError> {
        let text = moved.to_json()?;
        match attached.store.compare_and_update(moved).await {
            Ok(()) => {
                moved.written_as(&text);
                self.cache.replace(moved.clone(), |sync| sync);
                attached.store.touch_loaded(moved, true).await?;
            }
            // Somebody else wrote meanwhile: theirs stands, and becomes our copy.
            Err(SessionError::Conflict(Conflict::Changed)) => {
                attached.store.touch_loaded(moved, true).await?;
                *moved = self.fetch(attached, &cached.session.id, Some(cached.version)).await?.as_ref().clone();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Goes on in memory if the store is unavailable; any other error is the caller's.
    pub(super) fn tolerate(&self, attached: &Attached, error: SessionError) -> Result<(), SessionError> {
        if !error.is_unavailable() {
            return Err(error);
        }
        self.disable(attached, &error);
        Ok(())
    }

    pub(super) fn note(&self, attached: &Attached, error: &SessionError) {
        if error.is_unavailable() {
            self.disable(attached, error);
        }
    }

    /// From now on no call waits for the store, until it is taken up again.
    pub(super) fn disable(&self, attached: &Attached, error: &SessionError) {
        if attached.available.swap(false, Ordering::AcqRel) {
            tracing::warn!(%error, "session store is unavailable: sessions stay in memory and unwritten until it is taken up again");
        }
    }
}
