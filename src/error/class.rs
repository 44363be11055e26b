//! What an error says about the other side.

use super::{Error, ErrorKind, Outcome};

/// The news about the other side that the end of a call brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Works,
    Down,
    Quota,
    /// The caller's own error: says nothing.
    Caller,
}

impl Signal {
    pub(crate) fn of(error: &Error) -> Self {
        let server = error.server_class().map(|class| class.facts().signal);
        match error.kind() {
            _ if server == Some(Self::Quota) => Self::Quota,
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Io
            | ErrorKind::RateLimited
            | ErrorKind::Decode => Self::Down,
            // A 4xx is about the request; a 5xx is about the server.
            ErrorKind::Http if error.status().is_some_and(|status| status < 500) => Self::Caller,
            ErrorKind::Http => Self::Down,
            ErrorKind::Redis | ErrorKind::Discarded => server.unwrap_or(Self::Works),
            ErrorKind::Conversion | ErrorKind::Inexact => Self::Works,
            ErrorKind::Config
            | ErrorKind::InvalidCommand
            | ErrorKind::Unauthorized
            | ErrorKind::ReplyTooLarge
            | ErrorKind::Unsupported
            | ErrorKind::Closed => Self::Caller,
        }
    }
}

/// True if the same call may work later, without a change.
pub(super) fn is_transient(error: &Error) -> bool {
    match Signal::of(error) {
        Signal::Down | Signal::Quota => true,
        Signal::Works | Signal::Caller => false,
    }
}

/// True if nothing was reached that could work, and nothing happened.
pub(super) fn is_unavailable(error: &Error) -> bool {
    match (error.outcome(), error.kind()) {
        (Outcome::MaybeApplied | Outcome::Applied, _) => false,
        (Outcome::NotApplied, ErrorKind::Connect) => true,
        (Outcome::NotApplied, ErrorKind::Http) => matches!(error.status(), Some(502..=504)),
        (
            Outcome::NotApplied,
            ErrorKind::Timeout
            | ErrorKind::Io
            | ErrorKind::RateLimited
            | ErrorKind::Decode
            | ErrorKind::Redis
            | ErrorKind::Discarded
            | ErrorKind::Conversion
            | ErrorKind::Inexact
            | ErrorKind::Config
            | ErrorKind::InvalidCommand
            | ErrorKind::Unauthorized
            | ErrorKind::ReplyTooLarge
            | ErrorKind::Unsupported
            | ErrorKind::Closed,
        ) => error.server_class().is_some_and(|class| class.facts().is_unavailable),
    }
}
