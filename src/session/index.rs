//! How a user's session ids are kept.

use super::error::SessionError;
use crate::command::{Call, Unbound, cmd};
use crate::error::Error;
use crate::value::Value;

/// The layout of the index of a user's sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexLayout {
    /// A JSON array of ids under `user_sessions:{user}`, shared with other services. The default. A
    /// new session is appended in place; storing one again reads the whole array, and a deletion
    /// writes it again. In an array of more than 16 KiB (400 sessions or so) an id that expired and
    /// is used again may stand twice until the next clean-up, which no reader of this crate shows.
    #[default]
    JsonArray,
    /// A sorted set of ids, scored by deadline in Unix milliseconds. A change costs the same for
    /// ten sessions and for a hundred thousand, and expired ids leave by themselves. For users with
    /// very many sessions, where no other service reads the index.
    SortedSet,
}

/// The command that reads the index at `key`.
pub(super) fn read(layout: IndexLayout, key: &[u8]) -> Call<Value, Unbound> {
    Call::new(match layout {
        IndexLayout::JsonArray => cmd("GET").arg(key),
        IndexLayout::SortedSet => cmd("ZRANGE").arg(key).arg(0).arg(-1),
    })
}

/// The ids in the reply to [`read`], each once, in their order.
pub(crate) fn ids(reply: Result<Value, Error>) -> Result<Vec<String>, SessionError> {
    Ok(listed(reply)?.0)
}

/// The same, and whether some stand there twice.
pub(super) fn listed(reply: Result<Value, Error>) -> Result<(Vec<String>, bool), SessionError> {
    let corrupt = || SessionError::Corrupt { field: "index" };
    let value = reply.map_err(|error| match error.redis_code() {
        Some("WRONGTYPE") => SessionError::IndexLayout,
        _ => error.into(),
    })?;
    let mut ids: Vec<String> = match value {
        Value::Nil => Vec::new(),
        Value::Bytes(text) if text.iter().all(u8::is_ascii_whitespace) => Vec::new(),
        Value::Bytes(text) => {
            serde_json::from_slice::<Option<_>>(&text).map_err(|_| corrupt())?.unwrap_or_default()
        }
        Value::Array(_) => crate::FromValue::from_value(value).map_err(|_| corrupt())?,
        _ => return Err(corrupt()),
    };
    let mut seen = std::collections::HashSet::with_capacity(ids.len());
    let count = ids.len();
    ids.retain(|id| seen.insert(id.clone()));
    let twice = ids.len() < count;
    Ok((ids, twice))
}
