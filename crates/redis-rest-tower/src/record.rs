//! Conversion between a tower record and a session.

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};
use redis_rest::session::{Conflict, Marks, Metadata, Session, SessionError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use time::OffsetDateTime;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error, Result};

/// Data entry that names the user, unless [`TowerStore::user_of`](super::TowerStore::user_of) is
/// set.
pub const USER_KEY: &str = "user_id";

/// Metadata entry with the expiry time, in RFC 3339.
pub const EXPIRES_AT: &str = "tower.expires_at";

/// Data entry of a record in memory that lists the log-outs everywhere that the session's creator
/// knew. Never stored.
pub const LOG_OUTS: &str = "tower.log_outs";

/// The entry [`LOG_OUTS`]. A session derived by `cycle_id()` knows the same log-outs; a session of
/// another user is a log-in.
#[derive(Serialize, Deserialize)]
struct LogOuts {
    user_id: String,
    known: Marks,
}

/// A record, ready to be written.
pub(super) struct Encoded {
    id: String,
    user_id: String,
    expires_at: DateTime<Utc>,
    metadata: Metadata,
    /// Log-outs known to the session from which this one derives.
    derived: Option<Marks>,
}

impl Encoded {
    pub(super) fn new(record: &Record, user_id: Option<String>) -> Result<Self> {
        if record.data.contains_key(EXPIRES_AT) {
            return Err(Error::Encode(format!(
                "the name {EXPIRES_AT} is reserved: use another name"
            )));
        }
        let unwritable = |_| Error::Encode("cannot encode the session's data".into());
        let date = record.expiry_date;
        // RFC 3339 has four digits for a year.
        let expires_at = DateTime::from_timestamp(date.unix_timestamp(), date.nanosecond())
            .filter(|date| (0..=9999).contains(&date.year()))
            .ok_or_else(|| Error::Encode("the session's expiry date is out of range".into()))?;
        let mut metadata = Metadata::default();
        for (name, value) in record.data.iter().filter(|(name, _)| *name != LOG_OUTS) {
            metadata.insert(name, value).map_err(unwritable)?;
        }
        metadata
            .insert(EXPIRES_AT, expires_at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            .map_err(unwritable)?;
        let id = record.id.to_string();
        let user_id =
            user_id.filter(|user_id| !user_id.is_empty()).unwrap_or_else(|| anonymous(&id));
        let derived = match record.data.get(LOG_OUTS) {
            Some(entry) => LogOuts::deserialize(entry)
                .map_err(|_| {
                    Error::Encode(format!("the name {LOG_OUTS} is reserved: use another name"))
                })
                .map(|entry| (entry.user_id == user_id).then_some(entry.known))?,
            None => None,
        };
        Ok(Self { id, user_id, expires_at, metadata, derived })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn user_id(&self) -> &str {
        &self.user_id
    }

    pub(super) fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    /// Returns the time until the session expires.
    pub(super) fn time_left(&self) -> Duration {
        (self.expires_at - Utc::now()).to_std().unwrap_or_default()
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the log-outs that the original session knew, if this session derives from one of the
    /// same user.
    pub(super) fn derived(&self) -> Option<&Marks> {
        self.derived.as_ref()
    }

    /// Writes the log-outs that the session knows into a created record.
    pub(super) fn note_log_outs(&self, record: &mut Record, known: &Marks) -> Result<()> {
        note_log_outs(record, &self.user_id, known)
    }

    pub(super) fn expired(&self) -> bool {
        self.expires_at <= Utc::now()
    }

    /// Returns a new session.
    pub(super) fn session(&self) -> Session {
        let mut session = Session::new(&self.user_id).id(&self.id);
        session.metadata = self.metadata.clone();
        session
    }

    /// Returns the next version of a stored session. Equal values keep their stored text: a number
    /// that JSON can hold and tower-sessions cannot would be rounded otherwise.
    pub(super) fn over(&self, mut stored: Session) -> std::result::Result<Session, SessionError> {
        if stored.user_id != self.user_id {
            return Err(SessionError::Conflict(Conflict::UserChanged));
        }
        let gone: Vec<String> = stored
            .metadata
            .iter()
            .map(|(name, _)| name)
            .filter(|name| self.metadata.get_raw(name).is_none())
            .map(String::from)
            .collect();
        for name in &gone {
            stored.metadata.remove(name);
        }
        for (name, raw) in self.metadata.iter() {
            if !stored.metadata.get_raw(name).is_some_and(|old| same(old, raw)) {
                let value = serde_json::from_str::<&RawValue>(raw)
                    .map_err(|_| SessionError::Unwritable { field: "metadata" })?;
                stored.metadata.insert(name, value)?;
            }
        }
        stored.last_active_at = Utc::now();
        Ok(stored)
    }
}

/// Returns the user name of a session without a user.
fn anonymous(id: &str) -> String {
    format!("anonymous:{id}")
}

/// An anonymous user cannot be logged out everywhere, so its record has no such entry.
fn note_log_outs(record: &mut Record, user_id: &str, known: &Marks) -> Result<()> {
    record.data.remove(LOG_OUTS);
    if user_id != anonymous(&record.id.to_string()) {
        let entry = LogOuts { user_id: user_id.to_owned(), known: known.clone() };
        let entry = serde_json::to_value(entry)
            .map_err(|_| Error::Encode("cannot encode the session's log-outs".into()))?;
        record.data.insert(LOG_OUTS.to_owned(), entry);
    }
    Ok(())
}

/// Returns true if both texts decode to the same value.
fn same(old: &str, new: &str) -> bool {
    let read = |raw| serde_json::from_str::<Value>(raw).ok();
    old == new || read(old).is_some_and(|old| Some(old) == read(new))
}

/// Returns the record of a session whose creator knew these log-outs, or `None` if it has expired.
pub(super) fn decode(id: Id, session: &Session, known: &Marks) -> Result<Option<Record>> {
    let expires_at = session.metadata.get::<String>(EXPIRES_AT).ok().flatten();
    let expires_at = expires_at
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .ok_or_else(|| Error::Decode("the session's expiry date is missing or unreadable".into()))?
        .to_utc();
    if expires_at <= Utc::now() {
        return Ok(None);
    }
    let nanos = i128::from(expires_at.timestamp()) * 1_000_000_000
        + i128::from(expires_at.timestamp_subsec_nanos());
    let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_err(|_| Error::Decode("the session's expiry date is out of range".into()))?;
    let entries = session.metadata.iter().filter(|(name, _)| *name != EXPIRES_AT);
    let data = entries
        .map(|(name, raw)| Ok((name.to_owned(), serde_json::from_str(raw)?)))
        .collect::<serde_json::Result<_>>();
    let data =
        data.map_err(|_| Error::Decode("cannot decode a value of the session's data".into()))?;
    let mut record = Record { id, data, expiry_date };
    note_log_outs(&mut record, &session.user_id, known)?;
    Ok(Some(record))
}

/// Returns the user that [`USER_KEY`] names.
pub(super) fn user(record: &Record) -> Option<String> {
    match record.data.get(USER_KEY)? {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}
