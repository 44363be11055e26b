//! [`Marks`]: the log-outs that the creator of a session knew.

use super::change::{ChangeId, serde_as_text};
use super::error::SessionError;
use std::fmt;
use std::str::FromStr;

/// The log-outs of a user that the creator of a session knew: at most [`Marks::MOST`] ids, without
/// an order. A log-out does not end a session whose marks have it.
#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<ChangeId>);

impl Marks {
    /// The most marks. With more, an old log-out that is repeated can end a session that was
    /// created after it.
    pub const MOST: usize = 8;

    /// Adds a log-out. The one that was added first makes room.
    pub fn insert(&mut self, log_out: ChangeId) {
        self.learn(&Self(vec![log_out]));
    }

    /// Adds the log-outs that a store has, all of which stay.
    pub fn learn(&mut self, stored: &Self) {
        self.0.retain(|log_out| !stored.contains(*log_out));
        self.0.extend(&stored.0);
        self.0.drain(..self.0.len().saturating_sub(Self::MOST));
    }

    /// True if this log-out is among them.
    pub fn contains(&self, log_out: ChangeId) -> bool {
        self.0.contains(&log_out)
    }

    /// True if all of them are among `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|log_out| other.contains(log_out))
    }

    /// The log-outs.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ChangeId> {
        self.0.iter().copied()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads ids that are separated by commas.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let ids = text.split(',').filter(|id| !id.is_empty());
        ids.map(ChangeId::parse).collect::<Option<Vec<_>>>().map(Self)
    }
}

/// Equal if they have the same log-outs.
impl PartialEq for Marks {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.is_subset(other)
    }
}

impl Eq for Marks {}

impl FromIterator<ChangeId> for Marks {
    fn from_iter<I: IntoIterator<Item = ChangeId>>(log_outs: I) -> Self {
        let mut marks = Self::default();
        log_outs.into_iter().for_each(|log_out| marks.insert(log_out));
        marks
    }
}

/// Ids, separated by commas.
impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(place, id)| write!(f, "{}{id}", if place == 0 { "" } else { "," }))
    }
}

serde_as_text!(Marks);

impl FromStr for Marks {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        Self::parse(text).ok_or(SessionError::Corrupt { field: "marks" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_what_the_store_has() {
        let ids: Vec<ChangeId> = (0..12).map(|_| ChangeId::new()).collect();
        let mut known: Marks = ids[..8].iter().copied().collect();
        let stored: Marks = ids[..4].iter().chain(&ids[8..]).copied().collect();
        assert!(!stored.is_subset(&known));
        known.learn(&stored);
        assert!(stored.is_subset(&known) && known.iter().len() == Marks::MOST);
        assert_eq!(Marks::parse(&known.to_string()).unwrap(), known);
        assert_eq!(Marks::parse("").unwrap(), Marks::default());
        assert!(Marks::parse("x").is_none());
    }
}
