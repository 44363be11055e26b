//! The classes of errors: what each says about the other side.

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
        let text = error.server_message().unwrap_or_default();
        let quotas =
            ["ERR max daily request limit", "ERR max requests limit", "ERR DB capacity quota"];
        if quotas.iter().any(|start| text.starts_with(start)) {
            return Self::Quota;
        }
        match error.kind() {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Io
            | ErrorKind::RateLimited
            | ErrorKind::Decode => Self::Down,
            // A 4xx is about the request; a 5xx is about the server.
            ErrorKind::Http if error.status().is_some_and(|status| status < 500) => Self::Caller,
            ErrorKind::Http => Self::Down,
            // Read-only, full, loading: reachable, but of no use for now.
            ErrorKind::Redis | ErrorKind::Discarded => match error.redis_code() {
                Some(
                    "READONLY" | "OOM" | "MISCONF" | "LOADING" | "BUSY" | "MASTERDOWN"
                    | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS",
                ) => Self::Down,
                _ if text.starts_with("DB connection refused")
                    || text.starts_with("ERR DB connection refused") =>
                {
                    Self::Down
                }
                _ if text.starts_with("ERR caller gone") => Self::Down,
                _ => Self::Works,
            },
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

/// True if nothing was reached that could work, and nothing happened.
pub(super) fn is_unavailable(error: &Error) -> bool {
    if error.outcome() != Outcome::NotApplied {
        return false;
    }
    match error.kind() {
        ErrorKind::Connect => true,
        ErrorKind::Http => matches!(error.status(), Some(502..=504)),
        _ => match error.redis_code() {
            Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN") => true,
            _ if Signal::of(error) == Signal::Quota => true,
            _ => error
                .server_error()
                .is_some_and(|server| server.sentence().starts_with("DB connection refused")),
        },
    }
}
