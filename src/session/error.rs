//! Errors of sessions.

use crate::error::{Error, ErrorKind, Outcome, ServerErrorClass, Signal};
use crate::observe::Retrieved;
use std::fmt;

/// Why a session operation failed. A session that is not there and a Redis that is not there are
/// never confused.
///
/// No text holds a session id, a user id or anything of a record. Where an [`Error`] is the reason,
/// the text holds its text, and [`source`](std::error::Error::source) is what is behind that error,
/// so that a chain says nothing twice.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such session. It did not happen.
    NotFound,
    /// Something else stands in the way. It did not happen.
    Conflict(Conflict),
    /// The manager holds as many sessions as it may. It did not happen.
    LimitReached {
        /// The limit.
        limit: usize,
    },
    /// A session id is 1 to 128 of `A-Z a-z 0-9 _ . -`, and neither `.` nor `..`. Nothing was sent.
    InvalidId,
    /// The record cannot be read as a session, and is left as it is.
    Corrupt {
        /// The field that cannot be read, or `record` or `index` for the whole.
        field: &'static str,
    },
    /// A value cannot be written as JSON. Nothing was sent.
    Unwritable {
        /// The field that cannot be written, or `record` for the whole.
        field: &'static str,
    },
    /// A value is of another type than the one that was asked for.
    WrongType {
        /// The field that the value is in.
        field: &'static str,
    },
    /// Redis could not be reached, or cannot work at the moment. It did not happen.
    Unavailable(Error),
    /// The request left, and no usable answer came back: it may have happened.
    MaybeApplied(Error),
    /// The store was set up in a way that cannot work: no address in the environment, or a prefix
    /// that no cluster can take. Nothing was sent.
    Config(Error),
    /// Redis refused. It did not happen.
    Refused(Error),
    /// The user's index has the other layout;
    /// [`migrate_index`](crate::session::RedisSessionStore::migrate_index) moves it. It did not
    /// happen.
    IndexLayout,
    /// Redis Cluster refused, because record and index have hash slots of their own:
    /// [`cluster`](crate::session::RedisSessionStore::cluster) makes the store keep to one in each
    /// request. It did not happen.
    CrossSlot,
    /// The store was closed. It did not happen.
    Closed,
    /// The store is unavailable, and as much is pending already as the journal may hold. It did not
    /// happen.
    JournalFull {
        /// The limit.
        limit: usize,
    },
    /// The journal file cannot be opened or written. A change that fails with this is undone here,
    /// but the line, or a request before it, may have taken effect.
    Journal {
        /// Why.
        kind: std::io::ErrorKind,
        /// False if nothing happened: the file could not be opened.
        maybe_applied: bool,
    },
    /// A directory of a workspace could not be made or removed.
    Workspace {
        /// Why.
        kind: std::io::ErrorKind,
        /// True if the session has ended all the same; false if it was not created.
        applied: bool,
    },
}

/// The reason why an operation on a session was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// The id was used before, and a delete wins over late copies of a store.
    #[error("the session was deleted or has expired: its id cannot be used again yet")]
    Deleted,
    /// The stored session belongs to another user.
    #[error("the session belongs to another user: the user of a session cannot be changed")]
    UserChanged,
    /// Somebody else wrote the session meanwhile.
    #[error("the session was changed by somebody else meanwhile")]
    Changed,
    /// There is a session with this id already.
    #[error("there is a session with this id already")]
    Exists,
    /// The session comes from another one, whose user was logged out meanwhile.
    #[error("the user was logged out meanwhile")]
    LoggedOut,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("session not found"),
            Self::Conflict(conflict) => write!(f, "{conflict}"),
            Self::LimitReached { limit } => write!(f, "the limit of {limit} sessions is reached"),
            Self::InvalidId => f.write_str("invalid session id: 1 to 128 of A-Z a-z 0-9 _ . - are allowed"),
            Self::Corrupt { field } => write!(f, "the stored record is corrupt: {field}"),
            Self::Unwritable { field } => write!(f, "this cannot be written to a session's record: {field}"),
            Self::WrongType { field } => write!(f, "a value of the session is of another type than was asked for: {field}"),
            Self::Unavailable(error) => write!(f, "Redis is unavailable: {error}"),
            Self::MaybeApplied(error) => write!(f, "the operation may have been applied: {error}"),
            Self::Config(error) => write!(f, "the session store cannot work as it is configured: {error}"),
            Self::Refused(error) => write!(f, "Redis refused: {error}"),
            Self::IndexLayout => f.write_str("the user's index has another layout: migrate it, or configure the store for it"),
            Self::CrossSlot => {
                f.write_str("the keys of a session are in different slots of a Redis Cluster: set `.cluster()` on the session store")
            }
            Self::Closed => f.write_str("the session store is closed"),
            Self::JournalFull { limit } => {
                write!(f, "the store is unavailable, and the journal is full: {limit} sessions are pending")
            }
            Self::Journal { kind, .. } => write!(f, "the journal file: {kind}"),
            Self::Workspace { kind, .. } => write!(f, "workspace: {kind}"),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.redis_error()?.source()
    }
}

impl SessionError {
    /// Whether the operation took effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::MaybeApplied(_) | Self::Journal { maybe_applied: true, .. } => {
                Outcome::MaybeApplied
            }
            Self::Workspace { applied: true, .. } => Outcome::Applied,
            Self::NotFound
            | Self::Conflict(_)
            | Self::LimitReached { .. }
            | Self::InvalidId
            | Self::Corrupt { .. }
            | Self::Unwritable { .. }
            | Self::WrongType { .. }
            | Self::Unavailable(_)
            | Self::Config(_)
            | Self::Refused(_)
            | Self::IndexLayout
            | Self::CrossSlot
            | Self::Closed
            | Self::JournalFull { .. }
            | Self::Journal { maybe_applied: false, .. }
            | Self::Workspace { applied: false, .. } => Outcome::NotApplied,
        }
    }

    /// The error of the backend, if one is the reason.
    pub(crate) fn redis_error(&self) -> Option<&Error> {
        match self {
            Self::Unavailable(error)
            | Self::MaybeApplied(error)
            | Self::Config(error)
            | Self::Refused(error) => Some(error),
            _ => None,
        }
    }

    /// True when the operation may have taken effect.
    pub fn maybe_applied(&self) -> bool {
        self.outcome() == Outcome::MaybeApplied
    }

    /// True when there is no such session.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound)
    }

    /// True when Redis could not be reached or could not work, so that trying later makes sense.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            // A script that failed by itself says nothing about the server.
            Self::MaybeApplied(error) => Signal::of(error) == Signal::Down,
            _ => false,
        }
    }

    /// True if the same call may work later, without a change: [`Error::is_transient`], or a journal that is full.
    pub fn is_transient(&self) -> bool {
        match self.redis_error() {
            Some(error) => error.is_transient(),
            None => matches!(self, Self::JournalFull { .. }),
        }
    }

    /// Returns how a read of a session ended.
    pub(super) fn retrieved(error: Option<&Self>) -> Retrieved {
        match error {
            None => Retrieved::Found,
            Some(Self::NotFound) => Retrieved::NotFound,
            Some(_) => Retrieved::Failed,
        }
    }

    /// Returns what the end of a call says about the store.
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Self::Unavailable(error)
            | Self::MaybeApplied(error)
            | Self::Config(error)
            | Self::Refused(error) => Signal::of(error),
            Self::Closed
            | Self::CrossSlot
            | Self::InvalidId
            | Self::Unwritable { .. }
            | Self::WrongType { .. }
            | Self::LimitReached { .. }
            | Self::Workspace { .. }
            | Self::JournalFull { .. }
            | Self::Journal { .. } => Signal::Caller,
            _ => Signal::Works,
        }
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        if error.status() == Some(413) {
            // A request that is too large is refused as a whole, before anything of it is executed.
            return Self::Refused(error.with_outcome(Outcome::NotApplied));
        }
        if error.maybe_applied() {
            return Self::MaybeApplied(error);
        }
        match error.kind() {
            ErrorKind::Redis if error.server_class() == Some(ServerErrorClass::CrossSlot) => {
                Self::CrossSlot
            }
            // Read-only, full, loading, over its quota.
            ErrorKind::Redis if matches!(Signal::of(&error), Signal::Down | Signal::Quota) => {
                Self::Unavailable(error)
            }
            // A status below 500 is about the request: others may be executed.
            ErrorKind::Http if Signal::of(&error) == Signal::Caller => Self::Refused(error),
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Io
            | ErrorKind::RateLimited
            | ErrorKind::Http
            | ErrorKind::Decode => Self::Unavailable(error),
            ErrorKind::Conversion => Self::Corrupt { field: "record" },
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Config => Self::Config(error),
            _ => Self::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_says_each_cause_once() {
        let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for kind in ErrorKind::EACH {
            let error: SessionError = Error::new(kind, "the reason")
                .with_source(std::io::Error::from(cause.kind()))
                .into();
            if matches!(error, SessionError::Corrupt { .. } | SessionError::Closed) {
                continue;
            }
            let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
                error.source()
            });
            let texts: Vec<String> = chain.map(ToString::to_string).collect();
            assert_eq!(texts.len(), 2, "{texts:?}");
            assert!(
                texts[0].contains(": the reason") && texts[1] == cause.to_string(),
                "{texts:?}"
            );
            assert_eq!(
                matches!(error, SessionError::Config(_)),
                kind == ErrorKind::Config,
                "{texts:?}"
            );
        }
    }
}
