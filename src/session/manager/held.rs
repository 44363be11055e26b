//! A session as a manager holds it, and what becomes of it when its changes overlap: each is noted before the one ahead of it was
//! answered, so what is taken back, or stored, may have changed since.

use super::debts::{Debt, Kind, entry};
use crate::clock::{self, Instant};
use crate::session::journal::Entry;
use crate::session::reconcile::TtlRule;
use crate::session::record::Session;
use std::sync::Arc;
use std::time::Duration;

/// A session held in memory.
#[derive(Clone)]
pub(super) struct Held {
    /// What readers see.
    pub(super) session: Arc<Session>,
    /// The version that the store was last known to have; `None` for one that it has never seen.
    pub(super) stored: Option<Arc<Session>>,
    /// What the store is owed for it.
    pub(super) debt: Option<Debt>,
    /// When the store was last seen to have it.
    pub(super) checked: Instant,
    /// When `last_active_at` was last moved.
    pub(super) touched: Option<Instant>,
    /// Counts towards the limit: created or used here.
    pub(super) counted: bool,
    /// Changes with every change, so that a slow reply does not overwrite what came after its request.
    pub(super) version: u64,
    /// The version of the last change that was more than a use.
    pub(super) content: u64,
    /// What uses since then want of the time to live.
    pub(super) used: TtlRule,
    /// Versions that changes may still go back to, and how the session was, or would have been, when they were answered.
    pub(super) earlier: Vec<(u64, Held)>,
}

impl Held {
    /// What a journal file has to hold of it.
    pub(super) fn entry(&self) -> Option<Entry> {
        entry(&self.session, self.stored.as_deref(), self.debt.as_ref()?)
    }

    /// How long ago the session was last used, by its record.
    pub(super) fn idle(&self) -> Duration {
        (clock::utc_now() - self.session.last_active_at).to_std().unwrap_or_default()
    }

    /// True when its deadline passed, as far as it is known here: what the store knows better is not owed.
    pub(super) fn expired(&self) -> bool {
        let deadline = self.debt.as_ref().and_then(|debt| debt.ttl.deadline());
        deadline.is_some_and(|at| at <= clock::utc_now())
    }

    /// After a change of what is held.
    pub(super) fn changed(&mut self, version: u64, kind: Kind, ttl: TtlRule) {
        self.version = version;
        self.touched = Some(clock::now());
        match kind {
            Kind::Touched => self.used = self.used.and(ttl),
            Kind::New | Kind::Changed => (self.content, self.used) = (version, TtlRule::Keep),
        }
    }

    /// How it was before a change, now that those ahead of it were answered.
    pub(super) fn settled(&mut self, mut was: Held) -> Held {
        while let Some(place) = self.earlier.iter().position(|(version, _)| *version == was.version)
        {
            was = self.earlier.swap_remove(place).1;
        }
        was.earlier.clear();
        was
    }

    /// The change that made `version` was not made, though others came after it; `was` is how it was before.
    pub(super) fn without(&mut self, version: u64, was: Held) {
        let was = self.settled(was);
        if self.content == version {
            let (kind, overwrites, ttl) = match &was.debt {
                Some(debt) => (debt.kind, debt.overwrites, debt.ttl),
                None => (Kind::Touched, false, TtlRule::Keep),
            };
            if let Some(debt) = &mut self.debt {
                (debt.kind, debt.overwrites, debt.ttl) = (kind, overwrites, ttl.and(self.used));
            }
            self.session = self.used_as(&was.session);
            (self.content, self.used) = (was.content, was.used.and(self.used));
        }
        self.earlier.push((version, was));
    }

    /// The store took `version`, after which others came, and has `stored` now, held here as `new_version` if those are taken back.
    pub(super) fn stored_meanwhile(
        &mut self,
        version: u64,
        stored: Arc<Session>,
        new_version: u64,
    ) {
        let uses_only = self.content <= version;
        if let Some(debt) = &mut self.debt {
            debt.seen(uses_only);
        }
        if uses_only {
            // What is stored may be somebody else's, which is then what was used.
            self.session = self.used_as(&stored);
        }
        let was = Held {
            session: stored,
            debt: None,
            version: new_version,
            content: new_version,
            earlier: Vec::new(),
            ..self.clone()
        };
        // Whoever waits came after this version, and goes back no further.
        self.earlier = vec![(version, was)];
    }

    /// This version of the session, as last used here or there.
    fn used_as(&self, session: &Session) -> Arc<Session> {
        let mut used = session.clone();
        used.last_active_at = used.last_active_at.max(self.session.last_active_at);
        Arc::new(used)
    }
}
