//! Between memory and the store: finding, writing, touching.

use super::cache::{Cached, Sync};
use super::{Attached, Inner, SyncMode, tolerate, unavailable};
use crate::clock;
use crate::session::error::{Conflict, SessionError};
use crate::session::events::EventKind;
use crate::session::reconcile::{PendingPut, Reconciled, TtlRule};
use crate::session::record::Session;
use chrono::{DateTime, Utc};
use std::sync::{Arc, PoisonError};

impl Inner {
    /// The session, from memory where that is fresh enough.
    pub(super) async fn find(&self, id: &str) -> Result<Arc<Session>, SessionError> {
        if self.cache.is_buried(id) {
            return Err(SessionError::NotFound);
        }
        let ready = self.ready().await;
        let cached = self.cache.get(id);
        let Some(attached) = ready.filter(|attached| attached.mode == SyncMode::OnAccess) else {
            return cached.map(|cached| cached.session).ok_or_else(|| self.unknown());
        };
        let Some(cached) = cached else {
            return self.fetch(&attached, id, None).await;
        };
        if cached.sync != Sync::Clean || cached.offline.is_some() {
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
            Err(error) if error.is_unavailable() => Ok(cached.session),
            Err(error) => self.drop_copy(&cached, error),
        }
    }

    /// Why a session that is not in memory cannot be had: there is none, or only the store could know.
    pub(super) fn unknown(&self) -> SessionError {
        match self.attached() {
            Some(attached) if attached.mode == SyncMode::OnAccess && !attached.works() => unavailable(),
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
        let result = flight.get_or_init(|| attached.ask(attached.store.retrieve_session(id))).await.clone();
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

    /// Writes what the store does not have yet. That the store is unavailable is no error: the session stays in memory, and what is
    /// owed is remembered.
    pub(super) async fn persist(&self, cached: &Cached) -> Result<(), SessionError> {
        let Some(attached) = self.attached() else { return Ok(()) };
        if !attached.works() {
            self.owe(&attached, cached, None);
            return Ok(());
        }
        let Err(error) = self.write(&attached, cached).await else { return Ok(()) };
        if error.is_unavailable() {
            let sent = error.maybe_applied().then(|| cached.session.to_json()).transpose()?;
            self.owe(&attached, cached, sent.as_deref());
        }
        tolerate(error)
    }

    /// Remembers that the store has to be told: for a session it has never seen with the deadline that it has from now.
    fn owe(&self, attached: &Attached, cached: &Cached, sent: Option<&str>) {
        let until = (cached.sync == Sync::New).then(|| deadline(attached));
        self.cache.owe(&cached.session.id, until, sent.map(|text| sha1_smol::Sha1::from(text).digest().to_string()));
    }

    /// Writes a copy to the store.
    async fn write(&self, attached: &Attached, cached: &Cached) -> Result<(), SessionError> {
        let session = &cached.session;
        if cached.offline.is_some() {
            let results = attached.store.reconcile(&[self.pending_put(attached, cached)]).await;
            attached.note(results.iter().find_map(|result| result.as_ref().err()));
            return match results.into_iter().next() {
                Some(result) => self.settle(attached, cached, result?).await,
                None => Ok(()),
            };
        }
        match cached.sync {
            Sync::Clean => return Ok(()),
            Sync::New => attached.ask(attached.store.store_session(session)).await?,
            Sync::Changed => attached.ask(attached.store.update_session(session)).await?,
        }
        self.note_written(cached)
    }

    /// What the store is owed, with its absolute deadline.
    pub(super) fn pending_put(&self, attached: &Attached, cached: &Cached) -> PendingPut {
        let offline = cached.offline.clone().unwrap_or_default();
        let ttl = match (offline.until, cached.sync) {
            (Some(until), _) => TtlRule::Slide(until),
            (None, Sync::New) => TtlRule::Slide(deadline(attached)),
            (None, _) => TtlRule::Keep,
        };
        PendingPut::new(cached.session.as_ref().clone(), ttl).with_sent(offline.sent)
    }

    /// Takes up what became of a session that was owed.
    pub(super) async fn settle(&self, attached: &Attached, cached: &Cached, result: Reconciled) -> Result<(), SessionError> {
        match result {
            Reconciled::Written => self.note_written(cached),
            Reconciled::Gone | Reconciled::Expired => self.drop_copy(cached, SessionError::NotFound),
            // Theirs stands, and is read when it is asked for. Of sliding deadlines the later counts all the same.
            Reconciled::Superseded => {
                if cached.sync == Sync::Clean {
                    attached.ask(attached.store.touch_loaded(&cached.session, true)).await?;
                }
                self.cache.remove_if(&cached.session.id, cached.version);
                Ok(())
            }
        }
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
            self.touch_in_memory(&moved);
            return Ok(moved);
        };
        match self.touch_stored(&attached, &cached, &mut moved).await {
            Ok(()) => Ok(moved),
            Err(error) if error.is_unavailable() => {
                self.touch_in_memory(&moved);
                Ok(moved)
            }
            Err(error) => self.drop_copy(&cached, error),
        }
    }

    /// The store is told later, on the condition that nobody else wrote meanwhile.
    fn touch_in_memory(&self, moved: &Session) {
        self.cache.replace(moved.clone(), |sync| sync);
        if let Some(attached) = self.attached() {
            self.cache.owe(&moved.id, Some(deadline(&attached)), None);
        }
    }

    async fn touch_stored(&self, attached: &Attached, cached: &Cached, moved: &mut Session) -> Result<(), SessionError> {
        let text = moved.to_json()?;
        match attached.ask(attached.store.compare_and_update(moved)).await {
            Ok(()) => {
                moved.written_as(&text);
                self.cache.replace(moved.clone(), |sync| sync);
                attached.ask(attached.store.touch_loaded(moved, true)).await?;
            }
            // Somebody else wrote meanwhile: theirs stands, and becomes our copy.
            Err(SessionError::Conflict(Conflict::Changed)) => {
                attached.ask(attached.store.touch_loaded(moved, true)).await?;
                *moved = self.fetch(attached, &cached.session.id, Some(cached.version)).await?.as_ref().clone();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Until when a session lives that is stored or touched now.
fn deadline(attached: &Attached) -> DateTime<Utc> {
    // A time to live beyond the calendar is cut to a century.
    let century = chrono::TimeDelta::days(36_500);
    let ttl = chrono::TimeDelta::from_std(attached.store.default_ttl()).unwrap_or(century).min(century);
    clock::utc_now() + ttl
}
