//! The results of [`SessionStoreExt`](super::SessionStoreExt): lists, batches, touches.

use super::error::SessionError;
use super::record::Session;
use std::fmt;

/// The result of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Touched {
    /// The session lives for the default time to live from now.
    Extended,
    /// The session lives longer than that already.
    AlreadyLonger,
}

/// The sessions of a user.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct SessionList {
    /// The sessions, in the order of the index.
    pub sessions: Vec<Session>,
    /// The number of records that could not be read or belong to another user. Nothing happens to
    /// these.
    pub corrupt: usize,
    /// True if a part could not be read: there may be more sessions.
    pub partial: bool,
}

impl IntoIterator for SessionList {
    type Item = Session;
    type IntoIter = std::vec::IntoIter<Session>;
    fn into_iter(self) -> Self::IntoIter {
        self.sessions.into_iter()
    }
}

/// The results of a batch, one for each session, in its order.
#[derive(Clone)]
#[must_use = "a session of the batch may have failed"]
pub struct BatchOutcome(Vec<(String, Result<(), SessionError>)>);

impl BatchOutcome {
    /// From ids and their results.
    pub fn new(results: Vec<(String, Result<(), SessionError>)>) -> Self {
        Self(results)
    }

    /// Ids and results.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Result<(), SessionError>)> {
        self.0.iter().map(|(id, result)| (id.as_str(), result))
    }

    /// The ids that failed, and why. The others stand.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &SessionError)> {
        self.iter().filter_map(|(id, result)| result.as_ref().err().map(|error| (id, error)))
    }

    /// True if all succeeded.
    pub fn is_ok(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The first failure, where one is enough to know.
    ///
    /// # Errors
    /// The error of the first session that failed.
    pub fn ok(self) -> Result<(), SessionError> {
        self.0.into_iter().try_for_each(|(_, result)| result)
    }
}

/// Shows counts only: ids are credentials.
impl fmt::Debug for BatchOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchOutcome({} sessions, {} failed)", self.0.len(), self.failed().count())
    }
}
