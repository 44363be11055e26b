//! Changes of sessions: under the session's lock noted here, then sent, or kept as pending.

use super::Inner;
use super::decide::{Create, InProgress};
use super::events::EventKind;
use super::health::Created;
use super::journal::{Key, Ticket};
use super::locks::SessionLock;
use super::options::{NewSession, WritePolicy};
use super::outbox::Tombstone;
use super::push::PushOutcome;
use super::state::{Edit, UndoRecord};
use super::store_link::{StoreLink, unavailable};
use crate::clock;
use crate::observe;
use crate::session::durability::Durability;
use crate::session::error::{Conflict, SessionError};
use crate::session::id;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::store::DEFAULT_TTL;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;

/// The link to the store, if it works, and the session's lock.
type Locked = (Option<Arc<StoreLink>>, SessionLock);

/// A change whose call has not returned. Dropped before, it is left to the next flush; a create is
/// given up.
pub(super) struct Unanswered<'a> {
    pub(super) inner: &'a Inner,
    pub(super) undo: Option<UndoRecord>,
    create: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        if self.create {
            self.inner.give_up(undo.session_id());
        }
        self.inner.leave();
    }
}

/// A place that is kept for a session that is being created.
struct Reservation<'a>(&'a Inner);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.0.state().cache.release();
    }
}

/// A directory that is removed, if it is empty, unless the session is created.
struct Directory<'a>(Option<(&'a Inner, &'a Session)>);

impl Drop for Directory<'_> {
    fn drop(&mut self) {
        if let Some((inner, session)) = self.0 {
            inner.workspaces.take_back(&session.user_id, &session.id);
        }
    }
}

impl Inner {
    pub(super) async fn create(
        &self,
        new: NewSession,
        derived: Option<Marks>,
    ) -> Result<Created, SessionError> {
        let (mut session, ends_at) = new.into_parts()?;
        id::check(&session.id)?;
        session.check_writable()?;
        let now = self.utc_now();
        (session.created_at, session.last_active_at) = (now, now);
        self.state().cache.reserve(self.max_sessions, clock::now())?;
        let _place = Reservation(self);
        if let Some(path) = self.workspaces.path(&session.user_id, &session.id) {
            session.workspace_path = path.to_string_lossy().into_owned();
        }
        let session = Arc::new(session);
        let (link, _lock) = self.locked(&session.id).await?;
        if self.state().cache.get(&session.id).is_none() {
            // The directory of a session that is there is that session's.
            self.workspaces.create(&session.user_id, &session.id)?;
        }
        let mut directory = Directory(Some((self, session.as_ref())));
        let default_end = after(now, self.default_ttl());
        let undo = {
            let mut state = self.state();
            let rules = Create {
                create_by: ends_at.map_or(default_end, |end| end.min(default_end)),
                marks: match &derived {
                    Some(marks) => marks.clone(),
                    None => state.marks(&session.user_id, clock::now()),
                },
                derived: derived.is_some(),
                sent: false,
                live: true,
            };
            state.create(&session, self.ids.next(), ends_at, default_end, rules, now)
        };
        let undo = undo.inspect_err(|error| directory.keep_if_taken(error))?;
        let call = Unanswered { inner: self, undo: Some(undo), create: true };
        let in_progress = InProgress { content: true, ttl: ends_at.is_some() };
        let outcome = self.send(link.as_deref(), &session.id, in_progress).await;
        let durability = match self.finish(call, outcome).await {
            Err(SessionError::NotFound) => Err(SessionError::Conflict(Conflict::Deleted)),
            result => result,
        };
        let durability = durability.inspect_err(|error| directory.keep_if_taken(error))?;
        directory.0 = None;
        let mut state = self.state();
        state.cache.count(&session.id);
        if let Some(change) = state.outbox.change_mut(&session.id) {
            change.create.iter_mut().for_each(|create| create.live = false);
        }
        drop(state);
        self.events.send(EventKind::Created, &session.id);
        observe::session_created(durability.label());
        drop(directory);
        Ok(Created { session: Arc::unwrap_or_clone(session), durability })
    }

    /// A create that is given up becomes the end of what it made, and of nothing else.
    fn give_up(&self, id: &str) {
        let mut state = self.state();
        let Some(change) = state.outbox.change(id).cloned() else { return };
        let Some(create) = &change.create else { return };
        state.give_up(id);
        if create.sent {
            let tombstone = Tombstone {
                id: self.ids.next(),
                user_id: Some(change.session.user_id.clone()),
                mark_until: Some(create.create_by),
                made: change.ids.first().copied(),
            };
            state.outbox.add_tombstone(id, tombstone);
        }
        self.settle_session(&state, id);
    }

    pub(super) async fn update(
        &self,
        session: &Session,
        ends_at: Option<DateTime<Utc>>,
    ) -> Result<Durability, SessionError> {
        id::check(&session.id)?;
        session.check_writable()?;
        let (link, _lock) = self.locked(&session.id).await?;
        let held = self.load(link.as_deref(), &session.id).await?;
        if held.user_id != session.user_id {
            return Err(SessionError::Conflict(Conflict::UserChanged));
        }
        let edit = Edit {
            id: self.ids.next(),
            session: session.clone(),
            content: true,
            ends_at,
            slides_to: None,
        };
        self.change(link, edit).await
    }

    pub(super) async fn set_ttl(
        &self,
        id: &str,
        ttl: Duration,
    ) -> Result<Durability, SessionError> {
        id::check(id)?;
        let (link, _lock) = self.locked(id).await?;
        let session = self.load(link.as_deref(), id).await?.as_ref().clone();
        let ends_at = Some(after(self.utc_now(), ttl));
        let edit = Edit { id: self.ids.next(), session, content: false, ends_at, slides_to: None };
        self.change(link, edit).await
    }

    async fn change(
        &self,
        link: Option<Arc<StoreLink>>,
        edit: Edit,
    ) -> Result<Durability, SessionError> {
        let in_progress = InProgress { content: edit.content, ttl: edit.ends_at.is_some() };
        let id = edit.session.id.clone();
        let undo = self.state().change(edit, self.utc_now()).ok_or(SessionError::NotFound)?;
        let call = Unanswered { inner: self, undo: Some(undo), create: false };
        let outcome = self.send(link.as_deref(), &id, in_progress).await;
        self.finish(call, outcome).await
    }

    /// Moves `last_active_at` and slides the time to live, unless somebody is changing the session.
    /// Reads never wait for it to be on the disk.
    pub(super) async fn touch(
        &self,
        link: Option<&StoreLink>,
        session: Arc<Session>,
    ) -> Result<Arc<Session>, SessionError> {
        let id = session.id.as_str();
        let Some(_lock) = self.locks.try_lock(id) else { return Ok(session) };
        let now = self.utc_now();
        let Some(held) = self.state().cache.get(id).map(|entry| Arc::clone(&entry.session)) else {
            return Ok(session);
        };
        let mut used = held.as_ref().clone();
        // Another machine's clock may be ahead.
        used.last_active_at = used.last_active_at.max(now);
        let edit = Edit {
            id: self.ids.next(),
            session: used,
            content: false,
            ends_at: None,
            slides_to: Some(after(now, self.default_ttl())),
        };
        let Some(undo) = self.state().change(edit, now) else { return Ok(session) };
        let mut call = Unanswered { inner: self, undo: Some(undo), create: false };
        let outcome = self.send(link, id, InProgress::default()).await;
        let undo = call.undo.take();
        match outcome {
            PushOutcome::Ended | PushOutcome::Overtaken => return Err(SessionError::NotFound),
            PushOutcome::Refused(SessionError::Closed) => {
                self.roll_back(undo, true).await;
                return Err(SessionError::Closed);
            }
            // A use that could not be noted is no reason to refuse the session.
            PushOutcome::Refused(_) => self.roll_back(undo, true).await,
            PushOutcome::Pending(_) if self.refuses(undo.as_ref()) => {
                self.roll_back(undo, true).await
            }
            PushOutcome::Pending(_) => {
                self.note_use(id);
                self.leave();
                self.shorten_journal().await;
            }
            _ => {}
        }
        let held = self.state().cache.get(id).map(|entry| Arc::clone(&entry.session));
        Ok(held.unwrap_or(session))
    }

    /// Adds the pending change of a session to the journal, for which nobody waits.
    fn note_use(&self, id: &str) {
        drop(self.note_pending(&self.state(), id));
    }

    /// The link to the store, if it works, and the lock of a session, for which nothing is pending
    /// that the store would take.
    pub(super) async fn locked(&self, id: &str) -> Result<Locked, SessionError> {
        let link = self.ready().await;
        if link.is_none() && self.fails_closed() {
            return Err(unavailable());
        }
        let lock = self.locks.lock(id).await;
        if let Some(link) = &link
            && self.state().outbox.change(id).is_some()
        {
            let rest = self.rest();
            let outcome = self.push(link, id, InProgress::default()).await;
            rest.end(matches!(outcome, Some(PushOutcome::Pending(_) | PushOutcome::Refused(_))));
        }
        Ok((link.filter(|link| link.works()), lock))
    }

    /// Sends what is pending for a session, if the store works.
    async fn send(
        &self,
        link: Option<&StoreLink>,
        id: &str,
        in_progress: InProgress,
    ) -> PushOutcome {
        match link {
            Some(link) => self.push(link, id, in_progress).await.unwrap_or(PushOutcome::Ended),
            None => PushOutcome::Pending(None),
        }
    }

    /// The result of a change. One that was refused is rolled back; one that is pending is in the
    /// journal before.
    async fn finish(
        &self,
        mut call: Unanswered<'_>,
        outcome: PushOutcome,
    ) -> Result<Durability, SessionError> {
        let error = match outcome {
            // The end that overtook it may still fail.
            PushOutcome::Durable | PushOutcome::Overtaken => {
                call.undo = None;
                return Ok(Durability::Durable);
            }
            PushOutcome::Superseded => {
                call.undo = None;
                return Ok(Durability::Superseded);
            }
            PushOutcome::Ended => {
                call.undo = None;
                return Err(SessionError::NotFound);
            }
            PushOutcome::LoggedOut => {
                call.undo = None;
                return Err(SessionError::Conflict(Conflict::LoggedOut));
            }
            PushOutcome::Exists => {
                self.roll_back(call.undo.take(), true).await;
                return Err(SessionError::Conflict(Conflict::Exists));
            }
            PushOutcome::Refused(error) => {
                self.roll_back(call.undo.take(), true).await;
                return Err(error);
            }
            PushOutcome::Pending(error) => error.unwrap_or_else(unavailable),
        };
        let maybe = error.maybe_applied();
        if !maybe && !self.fails_closed() && self.refuses(call.undo.as_ref()) {
            self.roll_back(call.undo.take(), true).await;
            return Err(SessionError::JournalFull { limit: self.options.max_pending });
        }
        let id = call.undo.as_ref().map_or("", UndoRecord::session_id);
        match self.keep(error, || self.note_pending(&self.state(), id)).await {
            Ok(durability) => {
                call.undo = None;
                self.leave();
                Ok(durability)
            }
            Err((error, keep_copy)) => {
                // A create that may have been executed is given up.
                if !(call.create && maybe) {
                    self.roll_back(call.undo.take(), keep_copy).await;
                }
                Err(error)
            }
        }
    }

    /// Keeps what could not be sent as pending, once the line that `note` adds is on the disk. Else
    /// the error, and whether the copies that were held are still known to be what is stored.
    pub(super) async fn keep(
        &self,
        error: SessionError,
        note: impl FnOnce() -> Option<Ticket>,
    ) -> Result<Durability, (SessionError, bool)> {
        let maybe = error.maybe_applied();
        if self.fails_closed() || !(error.is_unavailable() || maybe) {
            return Err((error, !maybe));
        }
        if let Err(kind) = self.written(note()).await {
            return Err((SessionError::Journal { kind, maybe_applied: true }, !maybe));
        }
        self.shorten_journal().await;
        Ok(if maybe { Durability::MaybeApplied } else { Durability::Pending })
    }

    /// Changes fail while the store is unavailable.
    pub(super) fn fails_closed(&self) -> bool {
        self.options.writes == WritePolicy::FailClosed && self.link().is_some()
    }

    /// True if a change cannot stay pending: policy or the limit forbid it, and none of the session
    /// was pending before.
    fn refuses(&self, undo: Option<&UndoRecord>) -> bool {
        self.link().is_some()
            && undo.is_some_and(|undo| undo.pending.is_none())
            && (self.options.writes == WritePolicy::FailClosed
                || self.state().outbox.pending_changes() > self.options.max_pending)
    }

    /// Restores a session as it was, here and in the journal, if that may hold the change.
    pub(super) async fn roll_back(&self, undo: Option<UndoRecord>, keep_copy: bool) {
        let Some(undo) = undo else { return };
        let id = undo.session_id().to_owned();
        let ticket = {
            let mut state = self.state();
            if !state.roll_back(undo, keep_copy) {
                return;
            }
            let noted = self.note_pending(&state, &id);
            noted.or_else(|| self.journal.as_ref()?.settle(Key::Session(id)))
        };
        // The failure of the change is what the caller is told.
        let _ = self.written(ticket).await;
    }
}

impl Directory<'_> {
    /// Directory and id are somebody else's.
    fn keep_if_taken(&mut self, error: &SessionError) {
        if matches!(error, SessionError::Conflict(Conflict::Exists)) {
            self.0 = None;
        }
    }
}

/// So long after `now`; a century if that is beyond the calendar.
fn after(now: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    let century = TimeDelta::days(36_500);
    now + TimeDelta::from_std(ttl).unwrap_or(century).min(century)
}

impl Inner {
    /// The default time to live: the store's.
    pub(super) fn default_ttl(&self) -> Duration {
        self.link().map_or(DEFAULT_TTL, |link| link.store.default_ttl())
    }
}
