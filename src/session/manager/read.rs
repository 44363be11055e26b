//! Reads: what is pending first, then memory where it is fresh enough, then the store.

use super::held::Held;
use super::options::ReadPolicy;
use super::write::Told;
use super::{Attached, Inner, tolerate, unavailable};
use crate::clock;
use crate::observe::{Place, Retrieval};
use crate::session::error::SessionError;
use crate::session::events::EventKind;
use crate::session::id;
use crate::session::record::Session;
use crate::session::store::SessionList;
use std::collections::HashSet;
use std::sync::Arc;

impl Inner {
    pub(super) async fn get(
        &self,
        id: &str,
        user_id: Option<&str>,
    ) -> Result<Session, SessionError> {
        let retrieval = Retrieval::begin(Place::Manager);
        let result = self.get_unseen(id, user_id).await;
        retrieval.end(result.as_ref().err());
        result
    }

    async fn get_unseen(&self, id: &str, user_id: Option<&str>) -> Result<Session, SessionError> {
        id::check(id)?;
        let session = self.find(id).await?;
        if user_id.is_some_and(|user_id| user_id != session.user_id) {
            return Err(SessionError::NotFound);
        }
        self.sessions.count(id);
        let session = self.touch(session).await?;
        self.events.send(EventKind::Retrieved, id);
        Ok(session)
    }

    /// The session, from memory where that is fresh enough.
    async fn find(&self, id: &str) -> Result<Arc<Session>, SessionError> {
        if self.sessions.is_ended(id) {
            return Err(SessionError::NotFound);
        }
        let ready = self.ready().await;
        let Some(held) = self.sessions.get(id) else {
            return match ready.filter(Attached::is_asked) {
                Some(attached) => self.fetch(&attached, id, false).await,
                None => Err(self.unknown()),
            };
        };
        if held.expired() {
            return self.gone(id);
        }
        let Some(attached) = ready else { return self.as_held(&held) };
        if held.debt.is_some() {
            return self.find_owing(&attached, &held).await;
        }
        if !attached.is_asked() || held.checked.elapsed() <= self.options.max_staleness {
            return Ok(held.session);
        }
        match self.fetch(&attached, id, true).await {
            Ok(session) => Ok(session),
            Err(error) if error.is_unavailable() => self.as_held(&held),
            Err(SessionError::NotFound) if self.sessions.remove_if(id, held.version) => {
                self.events.send(EventKind::Expired, id);
                Err(SessionError::NotFound)
            }
            Err(error) => Err(error),
        }
    }

    /// A session that the store does not have as it is here: it is told now, unless somebody is at it.
    async fn find_owing(
        &self,
        attached: &Attached,
        held: &Held,
    ) -> Result<Arc<Session>, SessionError> {
        let id = &held.session.id;
        let Some(_turn) = self.turns.try_take(id) else { return Ok(Arc::clone(&held.session)) };
        match self.push_in_turn(attached, id).await {
            Ok(Told::Pending(_)) => self.as_held(held),
            Ok(_) => self.sessions.get(id).map(|held| held.session).ok_or(SessionError::NotFound),
            Err(SessionError::NotFound) => Err(SessionError::NotFound),
            // What the store refuses stays here as it is.
            Err(_) => Ok(Arc::clone(&held.session)),
        }
    }

    /// A session while the store cannot be asked.
    fn as_held(&self, held: &Held) -> Result<Arc<Session>, SessionError> {
        if !self.attached().is_some_and(|attached| attached.is_asked()) {
            return Ok(Arc::clone(&held.session));
        }
        let serves = match self.options.reads {
            ReadPolicy::FailClosed => false,
            ReadPolicy::ServeStale(age) => held.debt.is_some() || held.checked.elapsed() <= age,
        };
        if serves { Ok(Arc::clone(&held.session)) } else { Err(unavailable()) }
    }

    /// Why a session that is not in memory cannot be had: there is none, or only the store could know.
    pub(super) fn unknown(&self) -> SessionError {
        match self.attached() {
            Some(attached) if attached.is_asked() && !attached.works() => unavailable(),
            _ => SessionError::NotFound,
        }
    }

    /// Reads from the store; callers of the same session share a request, unless it was sent too long ago for them. `held` says
    /// that there is a copy here.
    pub(super) async fn fetch(
        &self,
        attached: &Attached,
        id: &str,
        held: bool,
    ) -> Result<Arc<Session>, SessionError> {
        let reading = self.sessions.reading();
        let seat = self.flights.join(id, reading.began, self.options.max_staleness);
        let result =
            seat.reply(async { attached.ask(attached.store.retrieve_session(id)).await }).await;
        let sent = seat.sent();
        drop(seat);
        let session =
            self.sessions.put_read(result?, sent, held, &reading).ok_or(SessionError::NotFound)?;
        self.events.send(EventKind::Synced, id);
        Ok(session)
    }

    pub(super) async fn list(&self, user_id: &str) -> Result<SessionList, SessionError> {
        let began = clock::now();
        let mut list = SessionList::default();
        let mut asked = false;
        let ready = self.ready().await.filter(Attached::is_asked);
        list.partial = self.attached().is_some_and(|attached| attached.is_asked());
        if let Some(attached) = ready {
            let reading = self.sessions.reading();
            match attached.ask(attached.store.list_sessions(user_id)).await {
                Ok(found) => {
                    (list.corrupt, list.partial, asked) = (found.corrupt, false, true);
                    for session in found {
                        // Ours where it was not written yet; none where it was ended here.
                        let known = self.sessions.put_read(session, reading.began, false, &reading);
                        list.sessions.extend(known.map(|session| session.as_ref().clone()));
                    }
                }
                Err(error) => tolerate(error)?,
            }
        }
        let listed: HashSet<String> = list.iter().map(|session| session.id.clone()).collect();
        for held in self.sessions.filter(|held| held.session.user_id == user_id) {
            if listed.contains(&held.session.id) || held.expired() {
                continue;
            }
            // The store was asked and does not have it, nor was it written while the answer was on its way.
            let gone = asked && held.debt.is_none() && held.checked < began;
            if gone {
                if self.sessions.remove_if(&held.session.id, held.version) {
                    self.events.send(EventKind::Expired, &held.session.id);
                }
            } else if asked || self.as_held(&held).is_ok() {
                list.sessions.push(held.session.as_ref().clone());
            }
        }
        Ok(list)
    }
}
