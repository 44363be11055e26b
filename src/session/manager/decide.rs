//! The decision what of a pending change still applies to what the store has: the same for calls,
//! flushes and recovery. No I/O.

use crate::session::change::ChangeId;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::version::Version;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The number of earlier ids of a pending change that are remembered.
const EARLIER: usize = 16;

/// A change of a session that the store has not confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PendingChange {
    /// The session as it is to be.
    #[serde(with = "shared")]
    pub(super) session: Arc<Session>,
    /// The ids of the changes, oldest first. Any but the last may have been executed too.
    pub(super) ids: Vec<ChangeId>,
    /// The last change of the content.
    pub(super) content: Option<ChangeId>,
    /// The last explicit time to live.
    pub(super) ttl: Option<ExplicitTtl>,
    /// Until when the session lives by its last use, unless its time to live is explicit.
    pub(super) slides_to: Option<DateTime<Utc>>,
    /// When the session ends, as far as is known: what a restart goes by.
    pub(super) ends_at: Option<DateTime<Utc>>,
    /// The version that the change was made on.
    pub(super) base: Option<Version>,
    /// Set for a session that the store was never seen to have.
    pub(super) create: Option<Create>,
}

/// An explicit end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExplicitTtl {
    pub(super) id: ChangeId,
    pub(super) ends_at: DateTime<Utc>,
}

/// The rules of a pending create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Create {
    /// No create that may have been sent is sent after this.
    pub(super) create_by: DateTime<Utc>,
    /// The log-outs that the creator knew.
    pub(super) marks: Marks,
    /// The session comes from another one, whose marks it has: it must not learn others.
    pub(super) derived: bool,
    /// The store may have executed it: any that is read from a file.
    #[serde(skip, default = "yes")]
    pub(super) sent: bool,
    /// Its caller still waits.
    #[serde(skip)]
    pub(super) live: bool,
}

fn yes() -> bool {
    true
}

/// A session that is shared, as itself.
mod shared {
    use super::{Arc, Deserialize, Serialize, Session};

    pub(super) fn serialize<S: serde::Serializer>(
        session: &Arc<Session>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        session.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Session>, D::Error> {
        Session::deserialize(deserializer).map(Arc::new)
    }
}

/// The registers that a call in progress changes, in which its change wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InProgress {
    pub(super) content: bool,
    pub(super) ttl: bool,
}

/// The state of the session in the store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Now<'a> {
    /// Nothing is known of the id, or nothing was asked yet.
    Unused,
    /// This version. Without a session, the one that the change was made on, as far as is known.
    Stored(&'a Version, Option<&'a Session>),
    /// Nothing, and the id has existed.
    Gone,
    /// Nothing, and the user has log-outs that the creator did not know.
    LoggedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Write these registers, and the last use. `superseded`: another one is somebody else's.
    Send { content: bool, ttl: bool, superseded: bool },
    /// The store has all of it.
    Done,
    /// A later version of somebody else stands instead.
    Superseded,
    /// The session is over.
    Ended,
}

pub(super) fn decide(
    pending: &PendingChange,
    now: Now<'_>,
    in_progress: InProgress,
    time: DateTime<Utc>,
) -> Decision {
    let (version, stored) = match (now, &pending.create) {
        (Now::Stored(version, stored), _) => (version, stored),
        (Now::Unused, Some(create)) if !pending.lapsed(create, time) => {
            return Decision::Send { content: true, ttl: pending.ttl.is_some(), superseded: false };
        }
        (Now::LoggedOut, Some(create)) if in_progress.content && !create.derived => {
            return Decision::Send { content: true, ttl: pending.ttl.is_some(), superseded: false };
        }
        (Now::Unused | Now::Gone | Now::LoggedOut, _) => return Decision::Ended,
    };
    if stored.is_some_and(|stored| stored.user_id != pending.session.user_id) {
        return Decision::Superseded;
    }
    let content = pending.content(version, in_progress.content);
    if content == Fate::Superseded && pending.create.is_some() {
        // The id may be somebody else's: nothing of it is touched, nor its time to live.
        return Decision::Superseded;
    }
    let ttl = pending.ttl(version, in_progress.ttl);
    let last_used = stored.map(|stored| stored.last_active_at);
    let uses = pending.slides_to.is_some()
        && last_used.is_none_or(|at| at < pending.session.last_active_at);
    let superseded = content == Fate::Superseded || ttl == Fate::Superseded;
    match (content == Fate::Applies, ttl == Fate::Applies) {
        (false, false) if !uses && superseded => Decision::Superseded,
        (false, false) if !uses => Decision::Done,
        (content, ttl) => Decision::Send { content, ttl, superseded },
    }
}

/// The fate of one register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Applies,
    Superseded,
}

impl PendingChange {
    /// The id of the next write.
    pub(super) fn id(&self) -> Option<ChangeId> {
        self.ids.last().copied()
    }

    /// True for a session that is being created, whose caller still waits.
    pub(super) fn is_live(&self) -> bool {
        self.create.as_ref().is_some_and(|create| create.live)
    }

    /// Adds the id of one more change.
    pub(super) fn renew(&mut self, id: ChangeId) {
        self.ids.push(id);
        let surplus = self.ids.len().saturating_sub(EARLIER + 1);
        self.ids.drain(..surplus);
    }

    /// True for a create that must not be sent any more: its session is over, or a copy of it could
    /// arrive too late.
    fn lapsed(&self, create: &Create, time: DateTime<Utc>) -> bool {
        let end = self.ttl.map(|ttl| ttl.ends_at).or(self.slides_to);
        end.is_some_and(|end| end <= time) || (create.sent && create.create_by <= time)
    }

    fn content(&self, now: &Version, in_progress: bool) -> Fate {
        let Some(id) = self.content else { return Fate::Done };
        let overwrites = in_progress && self.create.is_none();
        let based = self.base.as_ref().is_some_and(|base| base.same_content(now));
        self.fate(id, |id| now.has_content(id), overwrites || based)
    }

    fn ttl(&self, now: &Version, in_progress: bool) -> Fate {
        let Some(ttl) = self.ttl else { return Fate::Done };
        let based = match &self.base {
            Some(base) => base.same_ttl(now),
            None => !now.has_explicit_ttl(),
        };
        self.fate(ttl.id, |id| now.has_ttl(id), in_progress || based)
    }

    /// A register that `id` changed last, and that may be written over what is there if `applies`.
    fn fate(&self, id: ChangeId, is_there: impl Fn(ChangeId) -> bool, applies: bool) -> Fate {
        // Every write since then had it.
        let since = self.ids.iter().position(|own| *own == id).unwrap_or(0);
        match self.ids.iter().rposition(|id| is_there(*id)) {
            Some(place) if place >= since => Fate::Done,
            Some(_) => Fate::Applies,
            None if applies => Fate::Applies,
            None => Fate::Superseded,
        }
    }
}

#[cfg(test)]
mod tests;
