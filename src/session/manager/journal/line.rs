//! The lines of a journal file: each is sixteen hexadecimal digits of the SHA-1 of the rest, a
//! space, and an entry as JSON.

use crate::session::change::ChangeId;
use crate::session::error::SessionError;
use crate::session::manager::decide::{Create, ExplicitTtl, PendingChange};
use crate::session::manager::outbox::Tombstone;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::version::Version;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

/// Lines that are longer are damaged: 64 MiB.
const LONGEST: u64 = 64 << 20;

/// An entry. The last entry of a session, and of a user, counts. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most lines are of the large variant")]
pub(in super::super) enum Line {
    /// A session to be written.
    Put {
        id: String,
        ids: Vec<ChangeId>,
        content: Option<ChangeId>,
        ttl: Option<(ChangeId, i64)>,
        slides_to: Option<i64>,
        ends_at: Option<i64>,
        base: Option<Version>,
        create: Option<NewSession>,
        text: String,
    },
    /// A session to be ended.
    Delete {
        id: String,
        end: ChangeId,
        user: Option<String>,
        mark_until: Option<i64>,
        made: Option<ChangeId>,
    },
    /// A user to be logged out.
    Revoke { user: String, log_out: ChangeId },
    /// Nothing is pending for this session.
    Settled { id: String },
    /// No log-out of this user is pending.
    SettledUser { user: String },
}

/// The rules of a create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct NewSession {
    by: i64,
    marks: Marks,
    derived: bool,
}

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Key {
    Session(String),
    User(String),
}

/// A pending change that a file held.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most entries are of the large variant")]
pub(in super::super) enum Recovered {
    Change(PendingChange),
    End(String, Tombstone),
    LogOut(String, ChangeId),
}

impl Line {
    /// `None` for a session that cannot be written, which no pending change has.
    pub(in super::super) fn put(change: &PendingChange) -> Option<Self> {
        Some(Self::Put {
            id: change.session.id.clone(),
            ids: change.ids.clone(),
            content: change.content,
            ttl: change.ttl.map(|ttl| (ttl.id, millis(ttl.ends_at))),
            slides_to: change.slides_to.map(millis),
            ends_at: change.ends_at.map(millis),
            base: change.base.clone(),
            create: change.create.as_ref().map(|create| NewSession {
                by: millis(create.create_by),
                marks: create.marks.clone(),
                derived: create.derived,
            }),
            text: change.session.to_json().ok()?,
        })
    }

    pub(in super::super) fn delete(id: &str, tombstone: &Tombstone) -> Self {
        Self::Delete {
            id: id.to_owned(),
            end: tombstone.id,
            user: tombstone.user_id.clone(),
            mark_until: tombstone.mark_until.map(millis),
            made: tombstone.made,
        }
    }

    pub(in super::super) fn revoke(user_id: &str, log_out: ChangeId) -> Self {
        Self::Revoke { user: user_id.to_owned(), log_out }
    }

    /// Nothing is pending there.
    pub(in super::super) fn settled(key: Key) -> Self {
        match key {
            Key::Session(id) => Self::Settled { id },
            Key::User(user) => Self::SettledUser { user },
        }
    }

    /// Whom the line is about, and whether something is pending then.
    pub(super) fn key(&self) -> (Key, bool) {
        match self {
            Self::Put { id, .. } | Self::Delete { id, .. } => (Key::Session(id.clone()), true),
            Self::Settled { id } => (Key::Session(id.clone()), false),
            Self::Revoke { user, .. } => (Key::User(user.clone()), true),
            Self::SettledUser { user } => (Key::User(user.clone()), false),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Strings and numbers only: there is nothing that JSON could not hold.
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("{} {text}\n", checksum(&text)).into_bytes()
    }

    fn recover(self) -> Result<Option<Recovered>, SessionError> {
        Ok(Some(match self {
            Self::Put { id, ids, content, ttl, slides_to, ends_at, base, create, text } => {
                let session = Session::from_json(text)?;
                if session.id != id || ids.is_empty() {
                    return Err(SessionError::Corrupt { field: "journal" });
                }
                Recovered::Change(PendingChange {
                    session: Arc::new(session),
                    ids,
                    content,
                    ttl: ttl.map(|(id, ends_at)| ExplicitTtl { id, ends_at: time(ends_at) }),
                    slides_to: slides_to.map(time),
                    ends_at: ends_at.map(time),
                    base,
                    // Every line of a file may have been sent.
                    create: create.map(|NewSession { by, marks, derived }| Create {
                        create_by: time(by),
                        marks,
                        derived,
                        sent: true,
                        live: false,
                    }),
                })
            }
            Self::Delete { id, end, user, mark_until, made } => {
                let mark_until = mark_until.map(time);
                Recovered::End(id, Tombstone { id: end, user_id: user, mark_until, made })
            }
            Self::Revoke { user, log_out } => Recovered::LogOut(user, log_out),
            Self::Settled { .. } | Self::SettledUser { .. } => return Ok(None),
        }))
    }
}

fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

/// A time; the end of the calendar if it is beyond that.
fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn checksum(text: &str) -> String {
    let mut sum = sha1_smol::Sha1::from(text).digest().to_string();
    sum.truncate(16);
    sum
}

/// The content of a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The pending changes, oldest first, and whom they are about.
    pub(super) pending: Vec<(Key, Recovered)>,
    pub(super) lines: usize,
    /// Lines that cannot be read: cut off by a crash, or damaged.
    pub(super) damaged: usize,
    /// The last line has no end.
    pub(super) torn: bool,
}

/// Reads a file.
///
/// # Errors
/// `InvalidData` for a line that is intact and of another version: to go on would lose what it
/// says.
pub(super) fn read(mut file: impl BufRead) -> io::Result<Content> {
    let mut content = Content::default();
    let mut last: Vec<Option<(Key, Line)>> = Vec::new();
    let mut places = HashMap::new();
    let mut log_outs = HashMap::new();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if (&mut file).take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        content.torn = bytes.last() != Some(&b'\n');
        let line = bytes.trim_ascii();
        if line.is_empty() {
            continue;
        }
        content.lines += 1;
        let Some(text) = intact(line) else {
            content.damaged += 1;
            continue;
        };
        let line: Line = serde_json::from_str(text).map_err(|_| io::ErrorKind::InvalidData)?;
        let (key, owed) = line.key();
        if let Line::Revoke { user, .. } = &line {
            log_outs.insert(user.clone(), last.len());
        }
        if let Some(place) = places.insert(key.clone(), last.len()) {
            last[place] = None;
        }
        last.push(owed.then_some((key, line)));
    }
    for (place, entry) in last.into_iter().enumerate() {
        let Some((key, line)) = entry else { continue };
        match line.recover().map_err(|_| io::ErrorKind::InvalidData)? {
            // A log-out ended what was pending for the user before it.
            Some(Recovered::Change(change))
                if log_outs.get(&change.session.user_id).is_some_and(|at| *at > place) => {}
            Some(recovered) => content.pending.push((key, recovered)),
            None => {}
        }
    }
    Ok(content)
}

/// The entry of a line whose checksum holds.
fn intact(line: &[u8]) -> Option<&str> {
    let (sum, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    (checksum(text) == sum).then_some(text)
}
