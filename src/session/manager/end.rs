//! Ends of sessions: noted here first, so that nothing brings them back, then sent to the store, or
//! kept as pending.

use super::Inner;
use super::events::EventKind;
use super::health::{Ended, LoggedOut};
use super::journal::{Key, Line};
use super::locks::SessionLocks;
use super::outbox::Tombstone;
use super::state::{UndoRecord, until};
use super::store_link::{StoreLink, unavailable};
use crate::session::change::ChangeId;
use crate::session::chunks;
use crate::session::durability::Durability;
use crate::session::error::SessionError;
use crate::session::id;
use crate::session::store::{Delete, When};
use std::collections::BTreeSet;
use std::time::Duration;

impl Inner {
    pub(super) async fn cleanup(&self, id: &str) -> Result<Ended, SessionError> {
        id::check(id)?;
        let link = self.ready().await;
        if link.is_none() && self.fails_closed() {
            return Err(unavailable());
        }
        let _lock = self.locks.lock(id).await;
        let link = link.filter(|link| link.works());
        let mut user_id = None;
        if let Some(link) = link.as_deref().filter(|_| self.workspaces.has_root()) {
            user_id = self.owner(link, id).await?;
        }
        let Some((end, undo)) = self.note_end(id, user_id, link.as_deref())? else {
            return Ok(Ended { existed: false, durability: Durability::Durable });
        };
        let held = undo.held().is_some();
        let user_id = self.user_of_end(id, &undo);
        let ended = self.finish_end(id, end, undo, link.as_deref()).await?;
        let existed = held || ended.existed;
        if existed {
            self.events.send(EventKind::Deleted, id);
        }
        if let Some(user_id) = user_id {
            self.workspaces.remove(&user_id, id).await?;
        }
        Ok(Ended { existed, ..ended })
    }

    /// The user of a session that is not held: its directory is named by it.
    async fn owner(&self, link: &StoreLink, id: &str) -> Result<Option<String>, SessionError> {
        if self.state().cache.get(id).is_some() {
            return Ok(None);
        }
        let (mut results, _) = link.ask_many(link.store.get(&[id])).await;
        match results.pop() {
            Some(Ok(stored)) => Ok(Some(stored.session.user_id)),
            Some(Err(SessionError::Closed)) => Err(SessionError::Closed),
            _ => Ok(None),
        }
    }

    /// Ends a session here. `None` for one that is not known, if no store is set.
    fn note_end(
        &self,
        id: &str,
        user_id: Option<String>,
        link: Option<&StoreLink>,
    ) -> Result<Option<(ChangeId, UndoRecord)>, SessionError> {
        let mut state = self.state();
        let entry = state.cache.get(id);
        let change = state.outbox.change(id);
        if entry.is_none() && change.is_none() {
            let pending = state.outbox.pending_ends();
            let limit = self.options.max_pending;
            if self.link().is_none() && state.outbox.tombstone(id).is_none() {
                return Ok(None);
            }
            if link.is_none() && state.outbox.tombstone(id).is_none() && pending >= limit {
                return Err(SessionError::JournalFull { limit });
            }
        }
        let create = change.and_then(|change| change.create.as_ref());
        let tombstone = Tombstone {
            id: self.ids.next(),
            user_id: entry.map(|entry| entry.session.user_id.clone()).or(user_id),
            mark_until: create.map(|create| create.create_by),
            made: None,
        };
        let end = tombstone.id;
        Ok(Some((end, state.end(id, tombstone))))
    }

    fn user_of_end(&self, id: &str, undo: &UndoRecord) -> Option<String> {
        let held = undo.held().map(|session| session.user_id.clone());
        held.or_else(|| self.state().outbox.tombstone(id).and_then(|end| end.user_id.clone()))
    }

    /// Sends an end that was noted, and keeps it as pending if the store is unavailable.
    async fn finish_end(
        &self,
        id: &str,
        end: ChangeId,
        undo: UndoRecord,
        link: Option<&StoreLink>,
    ) -> Result<Ended, SessionError> {
        let rest = self.rest();
        let never_sent = undo.pending.as_ref().and_then(|change| change.create.as_ref());
        if never_sent.is_some_and(|create| !create.sent) {
            // Only the journal can bring it back.
            let ticket = {
                let mut state = self.state();
                state.outbox.remove_tombstone(id, end);
                let key = Key::Session(id.to_owned());
                self.journal.as_ref().and_then(|journal| journal.settle(key))
            };
            if let Err(kind) = self.written(ticket).await {
                return Err(SessionError::Journal { kind, maybe_applied: true });
            }
            rest.end(false);
            return Ok(Ended { existed: true, durability: Durability::Durable });
        }
        let result = match link {
            Some(link) => self.send_end(link, id).await,
            None => Err(unavailable()),
        };
        let error = match result {
            Ok(existed) => {
                rest.end(false);
                return Ok(Ended { existed, durability: Durability::Durable });
            }
            Err(error) => error,
        };
        match self.keep(error, || self.note_pending(&self.state(), id)).await {
            Ok(durability) => Ok(Ended { existed: false, durability }),
            Err((error, keep_copy)) => {
                self.roll_back(Some(undo), keep_copy).await;
                Err(error)
            }
        }
    }

    async fn send_end(&self, link: &StoreLink, id: &str) -> Result<bool, SessionError> {
        let (mut results, _) = self.send_ends(link, &[id.to_owned()]).await;
        results.pop().map_or(Ok(false), |(_, result)| result)
    }

    /// Ends what a create made that was given up, if that is still pending. Called by the holder of
    /// the session's lock.
    pub(super) async fn finish_create(
        &self,
        link: &StoreLink,
        id: &str,
    ) -> Result<(), SessionError> {
        let rest = self.rest();
        let result = self.send_end(link, id).await;
        rest.end(result.is_err());
        result.map(drop)
    }

    /// Sends the pending ends of these sessions, whose locks the caller holds, in one request. True
    /// if the store is unavailable.
    pub(super) async fn send_ends(
        &self,
        link: &StoreLink,
        ids: &[String],
    ) -> (Vec<(String, Result<bool, SessionError>)>, bool) {
        let now = self.utc_now();
        let ends: Vec<(String, Tombstone)> = {
            let state = self.state();
            let end = |id: &String| Some((id.clone(), state.outbox.tombstone(id)?.clone()));
            ids.iter().filter_map(end).collect()
        };
        let deletes: Vec<Delete<'_>> = ends
            .iter()
            .map(|(id, end)| Delete {
                id: end.id,
                session: id,
                user_id: end.user_id.as_deref(),
                mark_for: end.mark_until.map_or(Duration::ZERO, |at| until(at, now)),
                when: end.made.map_or(When::Always, When::Made),
            })
            .collect();
        if deletes.is_empty() {
            return (Vec::new(), false);
        }
        let (results, unavailable) = link.ask_many(link.store.delete(&deletes)).await;
        let results = ends.iter().zip(results).map(|((id, end), result)| {
            if let Ok(existed) = &result {
                self.flights.forget(id);
                let mut state = self.state();
                state.ended(id, end, *existed);
                if state.outbox.tombstone(id).is_none() && state.outbox.change(id).is_none() {
                    self.settle_session(&state, id);
                }
            }
            (id.clone(), result)
        });
        (results.collect(), unavailable)
    }

    pub(super) async fn delete_user(&self, user_id: &str) -> Result<LoggedOut, SessionError> {
        let link = self.ready().await;
        if link.is_none() && self.fails_closed() {
            return Err(unavailable());
        }
        let _lock = self.locks.lock(SessionLocks::of_user(user_id)).await;
        let log_out = self.ids.next();
        let rest = self.rest();
        let undo = self.state().log_out(user_id, log_out);
        let mut ended: BTreeSet<String> = undo
            .iter()
            .filter(|undo| undo.held().is_some())
            .map(|undo| undo.session_id().to_owned())
            .collect();
        let result = match link.as_deref().filter(|link| link.works()) {
            Some(link) => self.send_log_out(link, user_id, log_out).await,
            None => Err(unavailable()),
        };
        let durability = match result {
            Ok(deleted) => {
                ended.extend(deleted);
                rest.end(false);
                Durability::Durable
            }
            Err(_) if self.link().is_none() && self.is_local(&undo) => {
                self.end_locally(user_id, log_out, &undo).await?;
                rest.end(false);
                Durability::Durable
            }
            Err(error) => {
                let note = || self.journal_log_out(user_id, log_out, &undo);
                match self.keep(error, note).await {
                    Ok(durability) => durability,
                    Err((error, keep_copies)) => {
                        self.restore(user_id, log_out, undo, keep_copies).await;
                        return Err(error);
                    }
                }
            }
        };
        ended.iter().for_each(|id| self.events.send(EventKind::Deleted, id));
        self.workspaces.remove_all(user_id, &ended).await;
        Ok(LoggedOut { sessions: ended.len(), durability })
    }

    /// True if no store can have any of these sessions.
    fn is_local(&self, undo: &[UndoRecord]) -> bool {
        undo.iter().all(|undo| {
            let create = undo.pending.as_ref().and_then(|change| change.create.as_ref());
            create.is_some_and(|create| !create.sent)
        })
    }

    /// Ends sessions that only this process, and its journal, can know.
    async fn end_locally(
        &self,
        user_id: &str,
        log_out: ChangeId,
        undo: &[UndoRecord],
    ) -> Result<(), SessionError> {
        let ticket = {
            let mut state = self.state();
            state.outbox.remove_log_out(user_id, log_out);
            // A session that comes from one of these is not created.
            let known = [log_out].into_iter().collect();
            state.outbox.learn(user_id, &known, self.default_ttl(), crate::clock::now());
            let settle = |undo: &UndoRecord| {
                self.journal.as_ref()?.settle(Key::Session(undo.session_id().to_owned()))
            };
            undo.iter().filter_map(settle).last()
        };
        let written = self.written(ticket).await;
        written.map_err(|kind| SessionError::Journal { kind, maybe_applied: true })
    }

    /// Restores the sessions of a user whose log-out was refused, here and in the journal, if that
    /// may hold the log-out.
    async fn restore(
        &self,
        user_id: &str,
        log_out: ChangeId,
        undo: Vec<UndoRecord>,
        keep_copies: bool,
    ) {
        let ticket = {
            let mut state = self.state();
            state.outbox.remove_log_out(user_id, log_out);
            let ids: Vec<_> = undo.iter().map(|undo| undo.session_id().to_owned()).collect();
            state.roll_back_log_out(undo, keep_copies);
            self.journal.as_ref().and_then(|journal| {
                let settled = journal.settle(Key::User(user_id.to_owned()));
                let lines = ids.iter().filter_map(|id| state.outbox.line(id));
                lines.map(|line| journal.add(&line)).last().or(settled)
            })
        };
        // The failure of the log-out is what the caller is told.
        let _ = self.written(ticket).await;
    }

    /// The line of a log-out, and of the sessions that it ended here.
    fn journal_log_out(
        &self,
        user_id: &str,
        log_out: ChangeId,
        undo: &[UndoRecord],
    ) -> Option<super::journal::Ticket> {
        let journal = self.journal.as_ref()?;
        let _state = self.state();
        let ticket = journal.add(&Line::Revoke { user: user_id.to_owned(), log_out });
        let settle = |undo: &UndoRecord| journal.settle(Key::Session(undo.session_id().to_owned()));
        // Lines are written in their order: when the last is on the disk, all are.
        Some(undo.iter().filter_map(settle).last().unwrap_or(ticket))
    }

    /// Logs a user out in the store. Returns the ids of the sessions that this ended. Each step may
    /// be repeated at any time.
    pub(super) async fn send_log_out(
        &self,
        link: &StoreLink,
        user_id: &str,
        log_out: ChangeId,
    ) -> Result<Vec<String>, SessionError> {
        let (mut results, _) =
            link.ask_many(async { vec![link.store.revoke(user_id, log_out).await] }).await;
        let mut ids = results.pop().unwrap_or_else(|| Err(unavailable()))?;
        // A session that was held here ends also if the index has lost it.
        let mut held = self.state().outbox.logged_out(user_id);
        held.retain(|id| !ids.contains(id));
        ids.extend(held);
        let mut ended = Vec::new();
        let mut batches: Vec<&[String]> = ids.chunks(chunks::MOST).rev().collect();
        while let Some(batch) = batches.pop() {
            let deletes: Vec<Delete<'_>> = batch
                .iter()
                .map(|session| Delete {
                    id: self.ids.next(),
                    session,
                    user_id: Some(user_id),
                    mark_for: Duration::ZERO,
                    when: When::UnlessKnown(log_out),
                })
                .collect();
            let (results, unavailable) = link.ask_many(link.store.delete(&deletes)).await;
            let failed = results.iter().all(Result::is_err);
            if failed && !unavailable && batch.len() > 1 {
                // Some of it cannot be done: it is split until only that fails.
                let (one, other) = batch.split_at(batch.len() / 2);
                batches.extend([other, one]);
                continue;
            }
            let mut refused = None;
            for (id, result) in batch.iter().zip(results) {
                match result {
                    Ok(true) => {
                        self.flights.forget(id);
                        let mut state = self.state();
                        state.gone(id);
                        self.settle_session(&state, id);
                        ended.push(id.clone());
                    }
                    Ok(false) => {}
                    // Left as it is: no session that can be used.
                    Err(SessionError::Corrupt { .. } | SessionError::InvalidId) => {}
                    Err(error) => refused = Some(error),
                }
            }
            if let Some(error) = refused {
                return Err(error);
            }
        }
        let ttl = link.store.default_ttl();
        let mut state = self.state();
        let known = [log_out].into_iter().collect();
        state.outbox.learn(user_id, &known, ttl, crate::clock::now());
        state.cache.note_log_out(user_id, log_out);
        if state.outbox.remove_log_out(user_id, log_out)
            && let Some(journal) = &self.journal
        {
            drop(journal.settle(Key::User(user_id.to_owned())));
        }
        Ok(ended)
    }
}
