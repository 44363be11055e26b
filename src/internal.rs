//! For the other crates of this workspace. Not part of the public interface: anything here may
//! change with any version.

use crate::command::{Command, keys, refuse};
use crate::error::{Error, ServerError};
use crate::session::{Created, Marks, NewSession, SessionError, SessionManager};

/// The server announces how an event stream is written by them.
pub use crate::backend::rest::sse::{EVENTS_HEADER, IN_BASE64};
/// Matching of the engine's `KEYS`, `SCAN` and patterned subscriptions: by the same code as the
/// client's.
pub use crate::glob::matches as glob_matches;
/// Tokens of the server and of fakes are wiped too.
pub use crate::secret::Secret;

/// The tower store writes a version and sets its end in one step, over what others write meanwhile.
pub use crate::session::ext::{replace, send};

/// Returns why REST cannot carry a command: the server refuses before execution what the client
/// refuses before sending.
pub fn refused_over_rest(command: &Command) -> Option<&'static str> {
    refuse::over_rest(command)
}

/// Returns the indexes of the arguments that are keys: mocks match by keys. `None` for an unknown
/// command.
pub fn key_positions(command: &Command) -> Option<Vec<usize>> {
    keys::positions(command)
}

/// Returns the commands that travel in an exactly-once script: mocks see through it.
pub fn within_exactly_once(command: &Command) -> Vec<Command> {
    crate::client::exactly_once::unwrapped(command)
}

/// Returns true for a temporary refusal of everything: the server's status for it is 503.
pub fn is_busy(error: &Error) -> bool {
    error.server_error().is_some_and(ServerError::is_busy)
}

/// Creates a session derived from another one of the same user, with the log-outs known to that
/// one's creator: after a later log-out it is not created. `cycle_id()` of tower-sessions creates
/// such a session.
///
/// # Errors
/// Fails with [`Conflict::LoggedOut`](crate::session::Conflict::LoggedOut) if the user was logged
/// out since.
pub async fn create_derived(
    manager: &SessionManager,
    new: NewSession,
    marks: Marks,
) -> Result<Created, SessionError> {
    manager.create_derived(new, marks).await
}

/// Returns the log-outs known to the creator of a session that was just read: a tower record
/// carries them.
pub fn marks_of(manager: &SessionManager, id: &str) -> Marks {
    manager.marks_of(id)
}

#[cfg(all(fuzzing, feature = "native"))]
pub mod fuzzing;
