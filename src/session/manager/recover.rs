//! Taking up a store that failed: one call probes it, and what it missed is written before anything else.

use super::debts::{Debt, Kind};
use super::health::Pending;
use super::{Attached, Inner};
use crate::breaker::{Admission, Probe, Signal};
use crate::session::error::{Conflict, SessionError};
use crate::session::journal::{Entry, Journal, Written, time};
use crate::session::log_name::log_name;
use crate::session::manager::write::Told;
use crate::session::record::Session;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a [`flush`](super::SessionManager::flush) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Sessions written.
    pub written: usize,
    /// Deletions made up for.
    pub deleted: usize,
    /// Copies dropped because the session was deleted or expired meanwhile, or somebody else's newer version stands.
    pub dropped: usize,
    /// Sessions, and ends of all sessions of a user, that the store refused; they stay unwritten.
    pub failed: usize,
}

/// Most sessions in one step of a flush: what a step has done is noted before the next begins.
const STEP: usize = 100;

/// What a call that makes up for an outage leaves when it is dropped.
struct Rest<'a> {
    leftover: &'a AtomicBool,
    left: bool,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.left {
            self.leftover.store(true, Ordering::Relaxed);
        }
    }
}

impl Inner {
    /// The store, while it works; if it is time to look whether it does again, this call does, and makes up for what it missed.
    pub(super) async fn ready(&self) -> Option<Attached> {
        let attached = self.attached()?;
        match attached.breaker.admit() {
            Admission::Pass => {
                // One change failed while others did not: it is made up for without an outage.
                if self.leftover.swap(false, Ordering::Relaxed) {
                    self.take_up(&attached).await;
                }
                Some(attached).filter(Attached::works)
            }
            Admission::Reject => None,
            Admission::Probe => {
                let probe = Probe::new(&attached.breaker);
                match attached.store.probe().await {
                    Ok(()) => {
                        probe.ended(Signal::Works);
                        self.leftover.store(false, Ordering::Relaxed);
                        self.take_up(&attached).await;
                        self.active()
                    }
                    Err(error) => {
                        attached.remember(&error);
                        probe.ended(if error.signal() == Signal::Quota {
                            Signal::Quota
                        } else {
                            Signal::Down
                        });
                        None
                    }
                }
            }
        }
    }

    /// Something is left pending: if the store works all the same, the next call makes up for it.
    pub(super) fn leave(&self, attached: &Attached) {
        if attached.works() {
            self.leftover.store(true, Ordering::Relaxed);
        }
    }

    /// Writes what the store missed, when it was seen to work again. What this call does not come to, because it fails or is given
    /// up, is left to the next.
    pub(super) async fn take_up(&self, attached: &Attached) {
        let mut rest = Rest { leftover: &self.leftover, left: true };
        match attached.ask(self.flush(attached)).await {
            Ok(flushed) => {
                rest.left = false;
                tracing::info!(?flushed, "session store works again");
            }
            Err(error) => {
                // Where it is not that the store is away, it would be the same for every call.
                rest.left = error.is_unavailable();
                tracing::warn!(%error, "session store failed again while it was told what it had missed");
            }
        }
    }

    /// Revocations, ends, changes, uses, in this order. What is done is noted at once, so that a flush that fails goes on where it
    /// stopped. What somebody is telling the store at this moment is left to them.
    pub(super) async fn flush(&self, attached: &Attached) -> Result<Flushed, SessionError> {
        let mut flushed = Flushed::default();
        for (user_id, at) in self.sessions.debts(|debts| debts.revoked()) {
            match self.tell_revoked(attached, &user_id, at).await {
                Ok(ended) => flushed.deleted += ended.len(),
                Err(error) if error.is_unavailable() || error.maybe_applied() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the end of a user's sessions could not be written");
                    flushed.failed += 1;
                }
            }
        }
        let buried = self.sessions.debts(|debts| debts.buried());
        for step in buried.chunks(STEP) {
            self.flush_ends(attached, step, &mut flushed).await?;
        }
        let mut owing = self.sessions.owing();
        // In the order of creation, as they would stand in the index without an outage.
        owing.sort_by_key(|held| {
            (
                held.debt.as_ref().is_some_and(|debt| debt.kind == Kind::Touched),
                held.session.created_at,
            )
        });
        let ids: Vec<String> = owing.iter().map(|held| held.session.id.clone()).collect();
        for step in ids.chunks(STEP) {
            self.flush_changes(attached, step, &mut flushed).await?;
        }
        Ok(flushed)
    }

    async fn flush_ends(
        &self,
        attached: &Attached,
        ids: &[String],
        flushed: &mut Flushed,
    ) -> Result<(), SessionError> {
        let turns: Vec<_> =
            ids.iter().filter_map(|id| Some((id.clone(), self.turns.try_take(id)?))).collect();
        let ids: Vec<String> = turns
            .iter()
            .map(|(id, _)| id.clone())
            .filter(|id| self.sessions.is_ended(id))
            .collect();
        let mut failure = None;
        for (id, result) in attached.store.batch_delete_sessions(&ids).await.iter() {
            match result {
                Ok(()) => {
                    self.told_end(id);
                    flushed.deleted += 1;
                }
                Err(error) if error.is_unavailable() || error.maybe_applied() => {
                    failure = Some(error.clone())
                }
                Err(error) => {
                    tracing::warn!(session = %log_name(id), %error, "the end of a session could not be written");
                    flushed.failed += 1;
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// What an outage left is written on conditions, with the deadlines it had.
    async fn flush_changes(
        &self,
        attached: &Attached,
        ids: &[String],
        flushed: &mut Flushed,
    ) -> Result<(), SessionError> {
        let turns: Vec<_> =
            ids.iter().filter_map(|id| Some((id, self.turns.try_take(id)?))).collect();
        let (sent, puts): (Vec<_>, Vec<_>) =
            turns.iter().filter_map(|(id, _)| self.put(attached, id)).unzip();
        let mut failure = None;
        for (held, result) in sent.iter().zip(attached.store.reconcile(&puts).await) {
            match result.and_then(|result| self.settle(held, result)) {
                Ok(Told::Durable) => flushed.written += 1,
                Ok(_) | Err(SessionError::NotFound | SessionError::Conflict(Conflict::Deleted)) => {
                    flushed.dropped += 1
                }
                Err(error) if error.is_unavailable() || error.maybe_applied() => {
                    failure = Some(error)
                }
                Err(error) => {
                    tracing::warn!(session = %log_name(&held.session.id), %error, "a session could not be written");
                    flushed.failed += 1;
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    pub(super) fn pending(&self) -> Pending {
        let mut pending = self.sessions.debts(|debts| debts.pending());
        for debt in self.sessions.owing().into_iter().filter_map(|held| held.debt) {
            match debt.kind {
                Kind::New => pending.new += 1,
                Kind::Changed => pending.changed += 1,
                Kind::Touched => pending.touched += 1,
            }
        }
        pending
    }

    /// Opens a journal file and takes up what it holds.
    pub(super) fn open_journal(&self, path: &Path) -> Result<(), SessionError> {
        let (file, entries) = Journal::open(path)?;
        self.leftover.store(!entries.is_empty(), Ordering::Relaxed);
        for entry in entries {
            match entry {
                Entry::Put { record, base, touched, ttl, sent } => {
                    let session = Session::from_json(record)?;
                    let stored = base.map(Session::from_json).transpose()?;
                    let kind = match (&stored, touched) {
                        (None, _) => Kind::New,
                        (Some(_), true) => Kind::Touched,
                        (Some(_), false) => Kind::Changed,
                    };
                    let debt = Debt { sent, ..Debt::new(kind, ttl.into()) };
                    self.sessions.add_pending(session, stored, debt);
                }
                Entry::Delete { id, user_id } => {
                    self.sessions.debts(|debts| debts.bury(&id, user_id))
                }
                Entry::Revoke { user_id, until } => {
                    self.sessions.debts(|debts| debts.revoke(&user_id, time(until)))
                }
                Entry::Settled { .. } | Entry::Forgiven { .. } => {}
            }
        }
        self.sessions.debts(|debts| debts.keep_in(file));
        Ok(())
    }

    /// Waits until an entry of the journal file is on the disk.
    pub(super) async fn kept(&self, written: Option<Written>) -> Result<(), SessionError> {
        match written {
            None => Ok(()),
            Some(written) => written
                .await
                .unwrap_or(Err(std::io::ErrorKind::BrokenPipe))
                .map_err(SessionError::Journal),
        }
    }
}
