//! The meaning of an error for the state of the other side.

use super::{Error, ErrorKind, Outcome};

/// Evidence about the other side from the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Works,
    Down,
    Quota,
    /// The caller's own error: no evidence.
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
            // A 4xx concerns the request; a 5xx concerns the server.
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

/// Returns true if the same call may work later, without a change.
pub(super) fn is_transient(error: &Error) -> bool {
    match Signal::of(error) {
        Signal::Down | Signal::Quota => true,
        Signal::Works | Signal::Caller => false,
    }
}

/// Returns true if no working server was reached, and nothing happened.
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
