//! Sending what is pending after an outage, a cancelled call or a restart.

use super::Inner;
use super::decide::InProgress;
use super::health::Flushed;
use super::journal::{Journal, Key};
use super::locks::SessionLocks;
use super::push::PushOutcome;
use super::store_link::StoreLink;
use crate::clock;
use crate::platform;
use crate::retry::breaker::{Admission, Probe, Signal};
use crate::session::chunks;
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::redacted_id::redacted_id;
use crate::session::store::Check;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The part of the pending changes that is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// A part that a call may be made to wait for.
    OneBatch,
}

/// Sets that a flush is needed, unless what was begun is brought to an end.
#[must_use]
pub(super) struct Rest<'a>(Option<&'a Inner>);

impl Rest<'_> {
    /// Ends the work. A flush is needed if something is left.
    pub(super) fn end(mut self, left: bool) {
        self.0 = self.0.filter(|_| left);
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if let Some(inner) = self.0 {
            inner.leave();
        }
    }
}

/// The result of a batch of a flush.
enum Batch {
    Done(Flushed),
    /// Nothing of it could be done, and more than one change was in it.
    Split(Vec<String>),
    Unavailable(Flushed, SessionError),
}

/// The kinds of pending changes that are sent in batches.
#[derive(Clone, Copy)]
enum Kind {
    Ends,
    Changes,
}

impl Inner {
    /// Something is pending: the next call or round of maintenance sends it, if a store is set.
    pub(super) fn leave(&self) {
        if self.link().is_none() {
            return;
        }
        self.flush_needed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(super) fn rest(&self) -> Rest<'_> {
        Rest(Some(self))
    }

    /// The store, if it works. If it is time to find out whether it works again, this call does;
    /// and it sends at most one batch of what is pending.
    pub(super) async fn ready(&self) -> Option<Arc<StoreLink>> {
        let link = self.link()?;
        match link.breaker.admit() {
            Admission::Pass => {
                if self.flush_needed.load(Ordering::Acquire) {
                    self.catch_up(&link).await;
                    return Some(link).filter(|link| link.works());
                }
                Some(link)
            }
            Admission::Reject => None,
            Admission::Probe => {
                let probe = Probe::new(&link.breaker);
                match link.store.health(Check::ReadWrite).await {
                    Ok(_) => {
                        probe.ended(Signal::Works);
                        tracing::info!("session store works again");
                        self.catch_up(&link).await;
                        Some(link).filter(|link| link.works())
                    }
                    Err(error) => {
                        link.remember(&error);
                        probe.ended(match error.signal() {
                            Signal::Quota => Signal::Quota,
                            _ => Signal::Down,
                        });
                        None
                    }
                }
            }
        }
    }

    /// Sends at most one batch of what is due.
    pub(super) async fn catch_up(&self, link: &StoreLink) {
        if !self.state().outbox.is_due(clock::now()) {
            return;
        }
        if let Err(error) = self.flush(link, Scope::OneBatch).await {
            tracing::warn!(%error, "pending changes of sessions could not be sent");
        }
    }

    /// Sends what is due: log-outs, ends, changes. Changes of sessions that somebody is changing at
    /// this moment are left to them. Returns an error only if the store is unavailable.
    pub(super) async fn flush(
        &self,
        link: &StoreLink,
        scope: Scope,
    ) -> Result<Flushed, SessionError> {
        let rest = self.rest();
        self.flush_needed.store(false, Ordering::Release);
        let result = self.flush_due(link, scope).await;
        let (failed, left) = {
            let mut state = self.state();
            let failed = state.outbox.rest(clock::now());
            (failed, !state.outbox.is_empty())
        };
        // Nobody has to be woken for what waits or is in somebody's hands.
        rest.end(false);
        if left {
            self.flush_needed.store(true, Ordering::Release);
        }
        self.tidy_journal().await;
        result.map(|flushed| Flushed { failed, ..flushed })
    }

    async fn flush_due(&self, link: &StoreLink, scope: Scope) -> Result<Flushed, SessionError> {
        let most = match scope {
            Scope::All => usize::MAX,
            Scope::OneBatch => self.state().batch,
        };
        let [log_outs, ends, changes] = self.state().outbox.due(most, clock::now());
        let log_outs = match scope {
            Scope::All => log_outs.as_slice(),
            Scope::OneBatch => &log_outs[..log_outs.len().min(chunks::AT_ONCE)],
        };
        let mut flushed = Flushed::default();
        for users in log_outs.chunks(chunks::AT_ONCE) {
            let results = users.iter().map(|user_id| self.flush_log_out(link, user_id));
            for result in platform::join_all(results).await {
                flushed.deleted += result?;
            }
        }
        let ends = ends.chunks(chunks::MOST).map(<[String]>::to_vec).collect();
        self.flush_batches(link, Kind::Ends, ends, scope, &mut flushed).await?;
        let mut changes = self.batches(changes);
        if scope == Scope::OneBatch {
            changes.truncate(1);
        }
        self.flush_batches(link, Kind::Changes, changes, scope, &mut flushed).await?;
        Ok(flushed)
    }

    /// Sends a log-out. Returns how many sessions it ended.
    async fn flush_log_out(&self, link: &StoreLink, user_id: &str) -> Result<usize, SessionError> {
        let Some(_lock) = self.locks.try_lock(SessionLocks::of_user(user_id)) else { return Ok(0) };
        self.push_log_out(link, user_id).await
    }

    /// Sends the pending log-out of a user, before a session of theirs is created.
    pub(super) async fn log_out_first(&self, link: &StoreLink, user_id: &str) {
        let rest = self.rest();
        let _lock = self.locks.lock(SessionLocks::of_user(user_id)).await;
        // A failure was noted, and the log-out stays pending.
        let _ = self.push_log_out(link, user_id).await;
        rest.end(self.state().outbox.log_out(user_id).is_some());
    }

    /// Sends a log-out for the holder of the user's lock.
    async fn push_log_out(&self, link: &StoreLink, user_id: &str) -> Result<usize, SessionError> {
        let Some(log_out) = self.state().outbox.log_out(user_id) else { return Ok(0) };
        match self.send_log_out(link, user_id, log_out).await {
            Ok(ended) => Ok(ended.len()),
            Err(error) if !link.works() && error.is_unavailable() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "a user could not be logged out, which is tried again");
                self.state().outbox.delay(&Key::User(user_id.to_owned()), clock::now());
                Ok(0)
            }
        }
    }

    /// Batches of changes by number and size, in their order.
    fn batches(&self, ids: Vec<String>) -> VecDeque<Vec<String>> {
        let sessions: Vec<(String, Arc<Session>)> = {
            let state = self.state();
            let session = |id: String| {
                let session = Arc::clone(&state.outbox.change(&id)?.session);
                Some((id, session))
            };
            ids.into_iter().filter_map(session).collect()
        };
        let bytes =
            |(_, session): &(_, Arc<Session>)| session.to_json().map_or(0, |text| text.len());
        let ids = |part: &[(String, _)]| part.iter().map(|(id, _)| id.clone()).collect();
        chunks::split(&sessions, bytes).into_iter().map(|(_, part)| ids(part)).collect()
    }

    async fn flush_batches(
        &self,
        link: &StoreLink,
        kind: Kind,
        mut batches: VecDeque<Vec<String>>,
        scope: Scope,
        flushed: &mut Flushed,
    ) -> Result<(), SessionError> {
        while !batches.is_empty() {
            let now: Vec<_> = batches.drain(..batches.len().min(chunks::AT_ONCE)).collect();
            let results = now.into_iter().map(|ids| self.flush_batch(link, kind, ids));
            let mut unavailable = None;
            for result in platform::join_all(results).await {
                let done = match result {
                    Batch::Done(done) => done,
                    Batch::Unavailable(done, error) => {
                        unavailable = Some(error);
                        done
                    }
                    Batch::Split(ids) if scope == Scope::OneBatch => {
                        // The next call sends less.
                        self.state().batch = (ids.len() / 2).max(1);
                        continue;
                    }
                    Batch::Split(mut ids) => {
                        let other = ids.split_off(ids.len() / 2);
                        batches.extend([ids, other]);
                        continue;
                    }
                };
                flushed.written += done.written;
                flushed.deleted += done.deleted;
                flushed.dropped += done.dropped;
            }
            if let Some(error) = unavailable {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sends a batch in one request.
    async fn flush_batch(&self, link: &StoreLink, kind: Kind, ids: Vec<String>) -> Batch {
        let locks: Vec<_> =
            ids.iter().filter_map(|id| Some((id, self.locks.try_lock(id.as_str())?))).collect();
        let ids: Vec<String> = locks.iter().map(|(id, _)| (*id).clone()).collect();
        let (results, unavailable) = match kind {
            Kind::Ends => {
                let (results, unavailable) = self.send_ends(link, &ids).await;
                let results = results.into_iter().map(|(id, result)| (id, result.map(|_| None)));
                (results.collect::<Vec<_>>(), unavailable)
            }
            Kind::Changes => {
                let (outcomes, unavailable) =
                    self.push_all(link, &ids, InProgress::default()).await;
                let results = outcomes.into_iter().map(|(id, outcome)| match outcome {
                    PushOutcome::Refused(error) | PushOutcome::Pending(Some(error)) => {
                        (id, Err(error))
                    }
                    outcome => (id, Ok(Some(outcome))),
                });
                (results.collect(), unavailable)
            }
        };
        if !unavailable && results.len() > 1 && results.iter().all(|(_, result)| result.is_err()) {
            return Batch::Split(ids.clone());
        }
        let mut flushed = Flushed::default();
        let mut failure = None;
        for (id, result) in results {
            match result {
                Ok(None) => flushed.deleted += 1,
                Ok(Some(PushOutcome::Durable)) => flushed.written += 1,
                // Others keep writing: it is tried again.
                Ok(Some(PushOutcome::Pending(_))) => {}
                Ok(Some(_)) => flushed.dropped += 1,
                Err(error) if unavailable && (error.is_unavailable() || error.maybe_applied()) => {
                    failure = Some(error)
                }
                Err(error) => {
                    tracing::warn!(session = %redacted_id(&id), %error, "a pending change was refused, and is tried again");
                    self.state().outbox.delay(&Key::Session(id), clock::now());
                }
            }
        }
        match failure {
            Some(error) => Batch::Unavailable(flushed, error),
            None => {
                self.state().batch = chunks::MOST;
                Batch::Done(flushed)
            }
        }
    }

    /// Writes the lines of the journal that nobody waits for, and the file anew if most of it is
    /// outdated.
    async fn tidy_journal(&self) {
        if let Some(journal) = self.journal.as_ref().filter(|journal| journal.is_untidy()) {
            let pending = |take: &mut dyn FnMut()| {
                let state = self.state();
                take();
                state.outbox.lines()
            };
            journal.tidy(pending).await;
        }
    }

    /// Writes the file anew if most of it is outdated: in an outage nothing is flushed.
    pub(super) async fn shorten_journal(&self) {
        if self.journal.as_ref().is_some_and(Journal::is_long) {
            self.tidy_journal().await;
        }
    }

    /// Waits until a line of the journal is on the disk.
    pub(super) async fn written(
        &self,
        ticket: Option<super::journal::Ticket>,
    ) -> Result<(), std::io::ErrorKind> {
        match self.journal.as_ref().zip(ticket) {
            Some((journal, ticket)) => journal.written(ticket).await,
            None => Ok(()),
        }
    }
}
