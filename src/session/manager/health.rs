//! What a manager says about itself and about what it did.

use crate::breaker::BreakerState;
use crate::error::ErrorKind;
use chrono::{DateTime, Utc};
use std::ops::{Deref, DerefMut};

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The store has it.
    Durable,
    /// The store could not be told yet. It is in the journal, and is made up for.
    Pending,
    /// The store was told and its answer was lost. It is in the journal, and is made sure of.
    MaybeApplied,
}

/// What a change answers, and how far the change has come. Used like the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved<T> {
    value: T,
    durability: Durability,
}

impl<T> Saved<T> {
    pub(super) fn new(value: T, durability: Durability) -> Self {
        Self { value, durability }
    }

    /// How far the change has come.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Saved<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Saved<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// What the store has not been told yet, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Sessions it has never seen.
    pub new: usize,
    /// Sessions that were changed.
    pub changed: usize,
    /// Sessions that were only used, or whose time to live was set.
    pub touched: usize,
    /// Sessions that were deleted.
    pub deleted: usize,
    /// Users all of whose sessions were ended.
    pub revoked: usize,
}

/// The state of a manager and of its store, as it is known here: reading it asks nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store works; `None` without one.
    pub state: Option<BreakerState>,
    /// Since when it does or does not.
    pub since: Option<DateTime<Utc>>,
    /// What it has not been told yet.
    pub pending: Pending,
    /// Why it was last found not to work, and when.
    pub last_error: Option<(ErrorKind, DateTime<Utc>)>,
    /// How many bytes it takes, when it was last asked: when it was set, and by [`maintain`](super::SessionManager::maintain).
    pub redis_memory: Option<u64>,
    /// How many sessions are held in memory.
    pub held: usize,
}
