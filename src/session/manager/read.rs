//! Reads: memory if it is fresh enough, then the store.

use super::Inner;
use super::cache::{Began, CacheEntry};
use super::decide::{InProgress, PendingChange};
use super::events::EventKind;
use super::options::ReadPolicy;
use super::push::PushOutcome;
use super::store_link::{StoreLink, unavailable};
use crate::clock;
use crate::observe::{Place, Retrieval};
use crate::session::SessionList;
use crate::session::error::SessionError;
use crate::session::id;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::store::{Listed, Stored};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The result of a look into memory.
enum Look {
    Serve(Arc<Session>),
    /// Serves it, and its last use is due.
    Touch(Arc<Session>),
    /// The store has not all that is pending.
    Push,
    /// A create of this id was given up, and the store has not yet ended what it made.
    Finish,
    /// Only the store knows; the tick of the copy that is held.
    Fetch(Option<u64>),
    /// The copy was dropped since the store was asked, or the session is only being created here.
    Dropped,
    Fail(SessionError),
}

/// A request under way, whose reply must bring back nothing that ends meanwhile.
pub(super) struct Reading<'a>(pub(super) Began, &'a Inner);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.1.state().cache.end(self.0);
    }
}

impl Inner {
    pub(super) fn begin(&self) -> Reading<'_> {
        Reading(self.state().cache.begin(), self)
    }

    pub(super) async fn get(
        &self,
        id: &str,
        user_id: Option<&str>,
    ) -> Result<Arc<Session>, SessionError> {
        let retrieval = Retrieval::begin(Place::Manager);
        let result = self.find(id, user_id).await;
        retrieval.end(SessionError::retrieved(result.as_ref().err()));
        result
    }

    async fn find(&self, id: &str, user_id: Option<&str>) -> Result<Arc<Session>, SessionError> {
        id::check(id)?;
        let ready = self.ready().await;
        let mut link = ready.as_deref();
        // Whether the copy that is held was just compared with the store, or cannot be.
        let mut consulted = false;
        let mut fetched = Err(SessionError::NotFound);
        let session = loop {
            match self.look(id, user_id, link, consulted) {
                Look::Serve(session) => break session,
                Look::Touch(session) => break self.touch(link, session).await?,
                Look::Fail(error) => return Err(error),
                Look::Dropped => {
                    let of_user = |session: &Arc<Session>| {
                        user_id.is_none_or(|user_id| user_id == session.user_id)
                    };
                    break fetched.and_then(|session| {
                        Some(session).filter(of_user).ok_or(SessionError::NotFound)
                    })?;
                }
                Look::Push => {
                    if let (Some(link), Some(_lock)) = (link, self.locks.try_lock(id)) {
                        let rest = self.rest();
                        let outcome = self.push(link, id, InProgress::default()).await;
                        rest.end(self.state().outbox.change(id).is_some());
                        if matches!(outcome, Some(PushOutcome::Ended | PushOutcome::Overtaken)) {
                            return Err(SessionError::NotFound);
                        }
                    }
                }
                Look::Finish => {
                    let Some(link) = link else { return Err(self.unknown(link)) };
                    let _lock = self.locks.lock(id).await;
                    self.finish_create(link, id).await?;
                    continue;
                }
                Look::Fetch(tick) => {
                    let Some(store) = link else { return Err(self.unknown(link)) };
                    match self.fetch(store, id).await {
                        Ok(session) => fetched = Ok(session),
                        Err(error) if error.is_unavailable() && tick.is_some() => {
                            (link, fetched) = (None, Err(error));
                        }
                        Err(SessionError::NotFound) => return Err(self.not_found(id, tick)),
                        Err(error) => return Err(error),
                    }
                }
            }
            consulted = true;
        };
        self.events.send(EventKind::Retrieved, id);
        Ok(session)
    }

    /// Looks a session up in memory; `link` is set if the store works. One lock, and nothing is
    /// allocated.
    fn look(
        &self,
        id: &str,
        user_id: Option<&str>,
        link: Option<&StoreLink>,
        consulted: bool,
    ) -> Look {
        let state = &mut *self.state();
        match state.outbox.tombstone(id) {
            // The id may be somebody else's.
            Some(end) if end.made.is_some() => return Look::Finish,
            Some(_) => return Look::Fail(SessionError::NotFound),
            None => {}
        }
        let pending = state.outbox.change(id);
        // A session that is being created is nobody's yet: the id may be taken.
        let entry = state.cache.get(id).filter(|_| !pending.is_some_and(PendingChange::is_live));
        let Some(entry) = entry else {
            return match link.filter(|link| link.is_asked() && !consulted) {
                Some(_) => Look::Fetch(None),
                None if consulted => Look::Dropped,
                None if state.outbox.is_logged_out(id) => Look::Fail(SessionError::NotFound),
                None => Look::Fail(self.unknown(link)),
            };
        };
        let now = clock::now();
        if entry.is_over(now) {
            let ours = entry.has_explicit_ttl() || pending.is_some();
            return match link.filter(|link| link.is_asked() && !consulted) {
                // Another manager may have used it since.
                Some(_) if pending.is_none() => Look::Fetch(Some(entry.tick)),
                _ if ours => Look::Fail(SessionError::NotFound),
                _ => Look::Fail(self.unknown(link)),
            };
        }
        match link {
            Some(_) if pending.is_some() && !consulted => return Look::Push,
            Some(link) => {
                let age = now.saturating_duration_since(entry.checked);
                if pending.is_none()
                    && link.is_asked()
                    && !consulted
                    && age > self.options.max_staleness
                {
                    return Look::Fetch(Some(entry.tick));
                }
            }
            None if !self.serves(entry, pending.is_some()) => return Look::Fail(unavailable()),
            None => {}
        }
        if user_id.is_some_and(|user_id| user_id != entry.session.user_id) {
            return Look::Fail(SessionError::NotFound);
        }
        let since = match entry.touched {
            Some(at) => now.saturating_duration_since(at),
            None => self.idle(&entry.session),
        };
        let session = Arc::clone(&entry.session);
        if !entry.counted {
            state.cache.count(id);
        }
        if since < self.options.touch_interval {
            Look::Serve(session)
        } else {
            Look::Touch(session)
        }
    }

    /// The time since a session's last use, by its record.
    pub(super) fn idle(&self, session: &Session) -> Duration {
        (self.utc_now() - session.last_active_at).to_std().unwrap_or_default()
    }

    /// True if a copy is served though the store cannot be asked.
    fn serves(&self, entry: &CacheEntry, pending: bool) -> bool {
        let age = clock::now().saturating_duration_since(entry.checked);
        !self.is_asked()
            || match self.options.reads {
                ReadPolicy::FailClosed => false,
                ReadPolicy::ServeStale(most) => pending || age <= most,
            }
    }

    /// Reads ask a store that was set.
    fn is_asked(&self) -> bool {
        self.link().is_some_and(|link| link.is_asked())
    }

    /// Why a session that is not in memory cannot be had: there is none, or only the store could
    /// know, which could not be asked. By what this call found: the store may work by now.
    fn unknown(&self, link: Option<&StoreLink>) -> SessionError {
        if link.is_none() && self.is_asked() { unavailable() } else { SessionError::NotFound }
    }

    /// The store has no such session: the copy that was held goes, unless it has changed since.
    fn not_found(&self, id: &str, tick: Option<u64>) -> SessionError {
        let removed = tick.is_some_and(|tick| {
            let state = &mut *self.state();
            state.outbox.change(id).is_none() && state.cache.remove_if(id, tick)
        });
        if removed {
            self.events.send(EventKind::Expired, id);
        }
        SessionError::NotFound
    }

    /// A session to be changed by the holder of its lock: also one that only the store has.
    pub(super) async fn load(
        &self,
        link: Option<&StoreLink>,
        id: &str,
    ) -> Result<Arc<Session>, SessionError> {
        if self.state().outbox.tombstone(id).is_some_and(|end| end.made.is_some()) {
            let Some(link) = link else { return Err(self.unknown(link)) };
            self.finish_create(link, id).await?;
        }
        if let Some(held) = self.held(id) {
            return held;
        }
        let Some(link) = link else { return Err(self.unknown(link)) };
        self.fetch(link, id).await
    }

    /// The session as it is held: an error for one that has ended here.
    fn held(&self, id: &str) -> Option<Result<Arc<Session>, SessionError>> {
        let state = self.state();
        if state.outbox.tombstone(id).is_some() {
            return Some(Err(SessionError::NotFound));
        }
        let entry = state.cache.get(id)?;
        if !entry.is_over(clock::now()) {
            return Some(Ok(Arc::clone(&entry.session)));
        }
        let ours = entry.has_explicit_ttl() || state.outbox.change(id).is_some();
        ours.then_some(Err(SessionError::NotFound))
    }

    /// The log-outs that a session's creator knew, as far as is known here.
    pub(super) fn marks_of(&self, id: &str) -> Marks {
        let state = self.state();
        let create = state.outbox.change(id).and_then(|change| change.create.as_ref());
        let version = state.cache.get(id).and_then(|entry| entry.version.as_ref());
        create
            .map(|create| create.marks.clone())
            .or_else(|| version.map(|version| version.marks().clone()))
            .unwrap_or_default()
    }

    /// Reads from the store; callers of the same session share a request, unless it was sent too
    /// long ago for them.
    pub(super) async fn fetch(
        &self,
        link: &StoreLink,
        id: &str,
    ) -> Result<Arc<Session>, SessionError> {
        let reading = self.begin();
        let oldest = self.options.max_staleness;
        let (mut result, mut sent) = self.ask_shared(link, id, reading.0, oldest).await;
        if matches!(result, Err(SessionError::NotFound)) && sent.tick < reading.0.tick {
            // Another manager may have created it between that request and this call.
            let again = self.begin();
            let since = clock::now().saturating_duration_since(reading.0.at);
            (result, sent) = self.ask_shared(link, id, again.0, since).await;
        }
        let stored = result.inspect_err(|error| {
            if let SessionError::NotFound = error {
                let mut state = self.state();
                // A change that is pending learns by its own reply what is there: it may be sent,
                // or executed, after this read.
                if state.outbox.change(id).is_none() {
                    state.cache.note_not_found(id, sent);
                }
            }
        })?;
        let session = self.state().take_read(stored, sent, reading.0);
        let session = session.ok_or(SessionError::NotFound)?;
        self.events.send(EventKind::Synced, id);
        Ok(session)
    }

    /// Reads a session by a request that others wait for too, which is at most `oldest` old. And
    /// when that was sent.
    async fn ask_shared(
        &self,
        link: &StoreLink,
        id: &str,
        began: Began,
        oldest: Duration,
    ) -> (Result<Stored, SessionError>, Began) {
        let seat = self.flights.join(id, began, oldest);
        let ask = async {
            let read =
                async { link.store.get(&[id]).await.pop().unwrap_or_else(|| Err(unavailable())) };
            link.ask(read).await
        };
        (seat.reply(ask).await, seat.began())
    }

    pub(super) async fn list(&self, user_id: &str) -> Result<SessionList, SessionError> {
        let mut list = SessionList::default();
        let ready = self.ready().await.filter(|link| link.is_asked());
        list.partial = self.is_asked();
        let mut asked = None;
        if let Some(link) = &ready {
            let reading = self.begin();
            let ask = async { vec![link.store.list(user_id).await] };
            let (mut results, _) = link.ask_many(ask).await;
            match results.pop().unwrap_or_else(|| Err(unavailable())) {
                Ok(found) => {
                    let Listed { sessions, corrupt, partial, .. } = found;
                    list.corrupt = corrupt;
                    list.partial = partial.is_some();
                    let mut state = self.state();
                    // Ours if it is pending; none if it has ended here.
                    let took = sessions
                        .into_iter()
                        .filter_map(|stored| state.take_read(stored, reading.0, reading.0));
                    list.sessions.extend(took.map(Arc::unwrap_or_clone));
                    asked = Some(reading.0.at);
                }
                Err(error) if error.is_unavailable() => {}
                Err(error) => return Err(error),
            }
        }
        let listed: HashSet<&str> =
            list.sessions.iter().map(|session| session.id.as_str()).collect();
        let now = clock::now();
        let mut held = self.state().cache.filter(|entry| {
            entry.session.user_id == user_id
                && !listed.contains(entry.session.id.as_str())
                && !entry.is_over(now)
        });
        held.retain(|entry| {
            let id = entry.session.id.as_str();
            let mut state = self.state();
            if state.outbox.change(id).is_some_and(PendingChange::is_live) {
                return false;
            }
            let pending = state.outbox.change(id).is_some();
            // The store was asked and does not have it, nor was it written while the reply was on
            // its way.
            let gone = !list.partial && !pending && asked.is_some_and(|at| entry.checked < at);
            if gone && state.cache.remove_if(id, entry.tick) {
                drop(state);
                self.events.send(EventKind::Expired, id);
            }
            !gone && (asked.is_some() || self.serves(entry, pending))
        });
        list.sessions.extend(held.into_iter().map(|entry| Arc::unwrap_or_clone(entry.session)));
        Ok(list)
    }
}
