//! Changes: noted in memory first, then told to the store where it works, and kept as pending where it does not.

use super::debts::Kind;
use super::health::{Durability, Saved};
use super::held::Held;
use super::options::{NewSession, WritePolicy};
use super::state::Before;
use super::turns::Turn;
use super::{Attached, Inner, unavailable};
use crate::clock;
use crate::observe;
use crate::session::error::{Conflict, SessionError};
use crate::session::events::EventKind;
use crate::session::id;
use crate::session::reconcile::{PendingPut, Reconciled, TtlRule};
use crate::session::record::Session;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// What became of telling the store.
pub(super) enum Told {
    /// It has what is held here.
    Durable,
    /// It has something newer, which is held here now.
    Superseded,
    /// It could not be told; the error, if it was tried.
    Pending(Option<SessionError>),
}

impl Inner {
    pub(super) async fn create(&self, new: NewSession) -> Result<Saved<Session>, SessionError> {
        let (mut session, expires_at) = new.into_parts()?;
        let place = self.sessions.reserve(self.max_sessions)?;
        id::check(&session.id)?;
        if let Some(path) = self.workspaces.path(&session.user_id, &session.id) {
            session.workspace_path = path.to_string_lossy().into_owned();
        }
        self.workspaces.create(&session.user_id, &session.id)?;
        let ttl = match expires_at {
            Some(at) => TtlRule::Set(at),
            None => self
                .attached()
                .map_or(TtlRule::Keep, |attached| TtlRule::Slide(deadline(&attached))),
        };
        let before = match self.sessions.add_created(session.clone(), ttl, place) {
            Ok(before) => before,
            Err(error) => {
                // The directory of a session that is there is that session's.
                if matches!(error, SessionError::Conflict(Conflict::Deleted)) {
                    self.workspaces.take_back(&session.user_id, &session.id);
                }
                return Err(error);
            }
        };
        let mut unborn = Unborn { inner: self, session: Some(&session), sent: true };
        let finished = match self.tell(&session.id, before).await {
            // It is held, but not in the file.
            Err(error) if !matches!(error, SessionError::Journal(_)) => {
                if matches!(error, SessionError::Conflict(Conflict::Exists)) {
                    // Directory and id are somebody else's.
                    unborn.session = None;
                }
                unborn.sent = error.maybe_applied();
                return Err(error);
            }
            finished => finished,
        };
        unborn.session = None;
        drop(unborn);
        self.events.send(EventKind::Created, &session.id);
        // One that is held though the file could not take it: pending.
        observe::session_created(*finished.as_ref().unwrap_or(&Durability::Pending));
        finished.map(|durability| Saved::new(session, durability))
    }

    pub(super) async fn update(
        &self,
        session: &Session,
        ttl: TtlRule,
    ) -> Result<Durability, SessionError> {
        id::check(&session.id)?;
        let held = self.load(&session.id).await?;
        if held.session.user_id != session.user_id {
            return Err(SessionError::Conflict(Conflict::UserChanged));
        }
        self.change(&session.id, Kind::Changed, ttl, |_| session.clone()).await
    }

    pub(super) async fn set_ttl(
        &self,
        id: &str,
        ttl: Duration,
    ) -> Result<Durability, SessionError> {
        id::check(id)?;
        self.load(id).await?;
        self.change(id, Kind::Touched, TtlRule::Set(after(ttl)), Session::clone).await
    }

    /// Notes a change of a session that is held, and tells the store.
    async fn change(
        &self,
        id: &str,
        kind: Kind,
        ttl: TtlRule,
        change: impl FnOnce(&Session) -> Session,
    ) -> Result<Durability, SessionError> {
        // While the store works the last writer wins; what was left from an outage does not overwrite what others wrote since.
        let overwrites = kind == Kind::Changed && self.active().is_some();
        let before = self
            .sessions
            .change(id, kind, ttl, overwrites, change)
            .ok_or(SessionError::NotFound)?;
        self.tell(id, before).await
    }

    /// A session, to be changed: also one that only the store has.
    async fn load(&self, id: &str) -> Result<Held, SessionError> {
        if self.sessions.is_ended(id) {
            return Err(SessionError::NotFound);
        }
        if let Some(held) = self.sessions.get(id) {
            return if held.expired() { self.gone(id) } else { Ok(held) };
        }
        let attached = match self.ready().await {
            Some(attached) => attached,
            None => return Err(self.unknown()),
        };
        self.fetch(&attached, id, false).await?;
        self.sessions.get(id).ok_or(SessionError::NotFound)
    }

    /// Moves `last_active_at` and slides the time to live, if that is due. What others wrote is never overwritten.
    pub(super) async fn touch(&self, session: Arc<Session>) -> Result<Session, SessionError> {
        let id = session.id.clone();
        let Some(held) = self.sessions.get(&id) else { return Ok(session.as_ref().clone()) };
        let since = held.touched.map_or_else(|| held.idle(), |at| at.elapsed());
        if since < self.options.touch_interval {
            return Ok(session.as_ref().clone());
        }
        let ttl =
            self.attached().map_or(TtlRule::Keep, |attached| TtlRule::Slide(deadline(&attached)));
        let now = clock::utc_now();
        let moved = |session: &Session| {
            let mut moved = session.clone();
            // Another's clock may be ahead, and what goes back looks older than it is.
            moved.last_active_at = moved.last_active_at.max(now);
            moved
        };
        match self.change(&id, Kind::Touched, ttl, moved).await {
            Err(error @ (SessionError::NotFound | SessionError::Closed)) => Err(error),
            // A use that could not be noted is no reason to refuse the session.
            _ => Ok(self.sessions.get(&id).map_or(session, |held| held.session).as_ref().clone()),
        }
    }

    /// Tells the store what it is owed for a session, in the session's turn, which lasts until what was refused is taken back: what
    /// comes next must not be sent with it.
    async fn tell(&self, id: &str, before: Before) -> Result<Durability, SessionError> {
        let Some(attached) = self.ready().await else {
            return self.finish(id, before, Ok(Told::Pending(None)), None).await;
        };
        let turn = self.turns.take(id).await;
        let told = self.push_in_turn(&attached, id).await;
        self.finish(id, before, told, Some(turn)).await
    }

    pub(super) async fn push_in_turn(
        &self,
        attached: &Attached,
        id: &str,
    ) -> Result<Told, SessionError> {
        if !attached.works() {
            return Ok(Told::Pending(None));
        }
        let Some((held, put)) = self.put(attached, id) else {
            // Somebody else told it, in the turn before.
            return self.sessions.get(id).map(|_| Told::Durable).ok_or(SessionError::NotFound);
        };
        let result = attached
            .store
            .reconcile(std::slice::from_ref(&put))
            .await
            .pop()
            .unwrap_or_else(|| Err(unavailable()));
        attached.note(result.as_ref().err());
        match result {
            Ok(result) => self.settle(&held, result),
            Err(error) if error.is_unavailable() || error.maybe_applied() => {
                Ok(Told::Pending(Some(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// What is to be written for a session, which counts as sent from here on.
    pub(super) fn put(&self, attached: &Attached, id: &str) -> Option<(Held, PendingPut)> {
        let text = |session: &Session| session.to_json().unwrap_or_default();
        let held = self
            .sessions
            .sending(id, |session| sha1_smol::Sha1::from(text(session)).digest().to_string())?;
        let debt = held.debt.clone()?;
        let ttl = match (debt.ttl, debt.kind) {
            // Created before there was a store.
            (TtlRule::Keep, Kind::New) => TtlRule::Slide(deadline(attached)),
            (ttl, _) => ttl,
        };
        let session = match &held.stored {
            Some(stored) => held.session.based_on(stored),
            None => held.session.as_new(),
        };
        Some((
            held,
            PendingPut::new(session, ttl)
                .overwriting(debt.overwrites)
                .exclusive(debt.unborn)
                .with_sent(debt.sent),
        ))
    }

    /// Takes up what became of a version that was sent.
    pub(super) fn settle(&self, held: &Held, result: Reconciled) -> Result<Told, SessionError> {
        let told = match &result {
            Reconciled::Written(_) => Told::Durable,
            _ => Told::Superseded,
        };
        match result {
            Reconciled::Written(stored) | Reconciled::Superseded(stored) => {
                self.sessions.stored(held.version, *stored);
                self.events.send(EventKind::Synced, &held.session.id);
                Ok(told)
            }
            Reconciled::Gone | Reconciled::Expired => self.gone(&held.session.id),
        }
    }

    /// The session is no more, whatever was changed meanwhile: an end beats a change.
    pub(super) fn gone<T>(&self, id: &str) -> Result<T, SessionError> {
        if self.sessions.remove(id).is_some() {
            self.events.send(EventKind::Expired, id);
        }
        Err(SessionError::NotFound)
    }

    /// How far a change has come, by what became of telling the store; what was refused is taken back.
    async fn finish(
        &self,
        id: &str,
        before: Before,
        told: Result<Told, SessionError>,
        turn: Option<Turn>,
    ) -> Result<Durability, SessionError> {
        let error = match told {
            Ok(Told::Durable | Told::Superseded) => return Ok(Durability::Durable),
            Ok(Told::Pending(error)) => error,
            Err(SessionError::NotFound) => return Err(SessionError::NotFound),
            Err(error) => {
                self.sessions.take_back(id, before);
                return Err(error);
            }
        };
        let maybe = error.as_ref().is_some_and(SessionError::maybe_applied);
        if let Some(attached) = self.attached() {
            if self.options.writes == WritePolicy::FailClosed {
                self.sessions.take_back(id, before);
                if maybe {
                    // Neither version is known to be the stored one.
                    self.sessions.remove(id);
                }
                return Err(error.unwrap_or_else(unavailable));
            }
            let limit = self.options.max_pending;
            if !maybe && self.sessions.debts(|debts| debts.puts()) > limit {
                self.sessions.take_back(id, before);
                return Err(SessionError::JournalFull { limit });
            }
            // Whoever makes up for it takes the turn.
            drop(turn);
            self.leave(&attached);
        }
        self.sessions.left_pending(id);
        self.kept(self.sessions.keep(id)).await?;
        Ok(if maybe { Durability::MaybeApplied } else { Durability::Pending })
    }
}

/// A session that is being created: if its caller gives up, nobody knows its id, and it ends.
struct Unborn<'a> {
    inner: &'a Inner,
    session: Option<&'a Session>,
    /// The store may have it.
    sent: bool,
}

impl Drop for Unborn<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session else { return };
        match self.inner.attached().filter(|_| self.sent) {
            Some(attached) => {
                drop(self.inner.sessions.bury(&session.id));
                self.inner.leave(&attached);
            }
            None => drop(self.inner.sessions.remove(&session.id)),
        }
        self.inner.workspaces.take_back(&session.user_id, &session.id);
    }
}

/// Until when a session lives that is stored or touched now.
pub(super) fn deadline(attached: &Attached) -> DateTime<Utc> {
    after(attached.store.default_ttl())
}

/// So long from now; a century where that is beyond the calendar.
fn after(ttl: Duration) -> DateTime<Utc> {
    let century = chrono::TimeDelta::days(36_500);
    clock::utc_now() + chrono::TimeDelta::from_std(ttl).unwrap_or(century).min(century)
}
