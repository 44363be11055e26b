//! Ends of sessions: noted here first, so that nothing brings them back, then told to the store.

use super::health::{Durability, Saved};
use super::held::Held;
use super::options::WritePolicy;
use super::{Attached, Inner, unavailable};
use crate::session::error::SessionError;
use crate::session::events::EventKind;
use crate::session::id;
use chrono::{DateTime, Utc};
use std::collections::HashSet;

impl Inner {
    pub(super) async fn cleanup(&self, id: &str) -> Result<Saved<bool>, SessionError> {
        id::check(id)?;
        // From here on it is not found, whatever a slow reply brings.
        let held = self.sessions.bury(id);
        let mut user_id = held.as_ref().map(|held| held.session.user_id.clone());
        let mut existed = held.is_some();
        let durability = match self.tell_end(id, held.as_ref(), &mut user_id).await {
            Ok(deleted) => {
                existed |= deleted;
                self.told_end(id);
                Durability::Durable
            }
            Err(error) if !error.is_unavailable() && !error.maybe_applied() => {
                self.sessions.dig_up(id, held);
                return Err(error);
            }
            Err(error) if self.options.writes == WritePolicy::FailClosed => {
                // Where it may have ended, the copy is no longer to be trusted.
                self.sessions.dig_up(id, held.filter(|_| !error.maybe_applied()));
                return Err(error);
            }
            Err(error) => {
                if let Some(attached) = self.attached() {
                    self.leave(&attached);
                }
                self.kept(self.sessions.keep_end(id)).await?;
                if error.maybe_applied() { Durability::MaybeApplied } else { Durability::Pending }
            }
        };
        if existed {
            self.events.send(EventKind::Deleted, id);
        }
        if let Some(user_id) = user_id {
            self.workspaces.remove(&user_id, id).await?;
        }
        Ok(Saved::new(existed, durability))
    }

    /// Ends a session in the store; true when it was there. Without a store there is nobody to be told.
    async fn tell_end(
        &self,
        id: &str,
        held: Option<&Held>,
        user_id: &mut Option<String>,
    ) -> Result<bool, SessionError> {
        if self.attached().is_none() {
            return Ok(false);
        }
        let attached = self.ready().await.ok_or_else(unavailable)?;
        let _turn = self.turns.take(id).await;
        if !self.sessions.is_ended(id) {
            // A flush told it, in the turn before.
            return Ok(false);
        }
        if !attached.works() {
            return Err(unavailable());
        }
        attached.ask(self.delete_stored(&attached, id, held, user_id)).await
    }

    /// The store knows of an end. Who reads from now on asks anew: a read that was sent before may still bring the session.
    pub(super) fn told_end(&self, id: &str) {
        self.flights.forget(id);
        self.sessions.buried(id);
    }

    /// Deletes in the store; finds out whose session it was.
    async fn delete_stored(
        &self,
        attached: &Attached,
        id: &str,
        held: Option<&Held>,
        user_id: &mut Option<String>,
    ) -> Result<bool, SessionError> {
        if let Some(held) = held {
            return attached.store.delete_loaded(&held.session).await;
        }
        match attached.store.retrieve_session(id).await {
            Ok(session) => {
                *user_id = Some(session.user_id.clone());
                attached.store.delete_loaded(&session).await
            }
            Err(SessionError::NotFound | SessionError::Corrupt { .. }) => {
                attached.store.delete_session(id).await
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_user(&self, user_id: &str) -> Result<Saved<usize>, SessionError> {
        let (at, ended) = self.sessions.revoke(user_id);
        let mut known: HashSet<String> = ended.iter().map(|held| held.session.id.clone()).collect();
        let told = match (self.attached(), self.ready().await) {
            (None, _) => {
                known.iter().for_each(|id| self.told_end(id));
                self.sessions.revoked(user_id, at);
                Ok(Vec::new())
            }
            (Some(_), None) => Err(unavailable()),
            (_, Some(attached)) => attached.ask(self.tell_revoked(&attached, user_id, at)).await,
        };
        let durability = match told {
            Ok(deleted) => {
                known.extend(deleted);
                Durability::Durable
            }
            Err(error)
                if self.options.writes == WritePolicy::FailClosed
                    || !(error.is_unavailable() || error.maybe_applied()) =>
            {
                self.sessions.revoked(user_id, at);
                for held in ended {
                    let id = held.session.id.clone();
                    self.sessions.dig_up(&id, Some(held).filter(|_| !error.maybe_applied()));
                }
                return Err(error);
            }
            Err(error) => {
                if let Some(attached) = self.attached() {
                    self.leave(&attached);
                }
                for id in &known {
                    drop(self.sessions.keep_end(id));
                }
                // Written in order: when the last is on the disk, all are.
                self.kept(self.sessions.keep_revoked(user_id, at)).await?;
                if error.maybe_applied() { Durability::MaybeApplied } else { Durability::Pending }
            }
        };
        known.iter().for_each(|id| self.events.send(EventKind::Deleted, id));
        self.workspaces.remove_all(user_id, &known).await;
        Ok(Saved::new(known.len(), durability))
    }

    /// Deletes in the store what a user had at that time; answers the ids.
    pub(super) async fn tell_revoked(
        &self,
        attached: &Attached,
        user_id: &str,
        at: DateTime<Utc>,
    ) -> Result<Vec<String>, SessionError> {
        let listed = attached.store.list_sessions(user_id).await?;
        let listed =
            listed.into_iter().filter(|session| session.created_at <= at).map(|session| session.id);
        // Those too that were held here, and may be on their way there.
        let held = self.sessions.debts(|debts| debts.buried_of(user_id));
        let ids: Vec<String> = listed.chain(held).collect::<HashSet<_>>().into_iter().collect();
        for (_, result) in attached.store.batch_delete_sessions(&ids).await.iter() {
            result.clone()?;
        }
        ids.iter().for_each(|id| self.told_end(id));
        self.sessions.revoked(user_id, at);
        Ok(ids)
    }
}
