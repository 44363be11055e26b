//! The lines of a journal file: each is sixteen hexadecimal digits of the SHA-1 of the rest, a
//! space, and an entry as JSON.

use crate::session::change::ChangeId;
use crate::session::manager::decide::PendingChange;
use crate::session::manager::outbox::Tombstone;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};

/// Lines that are longer are damaged: 64 MiB.
const LONGEST: u64 = 64 << 20;

/// An entry. The last entry of a session, and of a user, counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most lines are of the large variant")]
pub(in super::super) enum Line {
    /// A session to be written.
    Put(PendingChange),
    /// A session to be ended.
    Delete { id: String, end: Tombstone },
    /// A user to be logged out.
    Revoke { user: String, log_out: ChangeId },
    /// Nothing is pending for this session.
    Settled { id: String },
    /// No log-out of this user is pending.
    SettledUser { user: String },
}

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Key {
    Session(String),
    User(String),
}

impl Line {
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
            Self::Put(change) => (Key::Session(change.session.id.clone()), true),
            Self::Delete { id, .. } => (Key::Session(id.clone()), true),
            Self::Settled { id } => (Key::Session(id.clone()), false),
            Self::Revoke { user, .. } => (Key::User(user.clone()), true),
            Self::SettledUser { user } => (Key::User(user.clone()), false),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // A session that cannot be written is refused before it is pending.
        let text = serde_json::to_string(self);
        text.map(|text| format!("{} {text}\n", checksum(&text)).into_bytes()).unwrap_or_default()
    }
}

fn checksum(text: &str) -> String {
    let mut sum = sha1_smol::Sha1::from(text).digest().to_string();
    sum.truncate(16);
    sum
}

/// The content of a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The entries of what is pending, oldest first.
    pub(super) pending: Vec<Line>,
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
    let mut last: Vec<Option<Line>> = Vec::new();
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
        let (key, pending) = line.key();
        match &line {
            Line::Revoke { user, .. } => drop(log_outs.insert(user.clone(), last.len())),
            Line::Put(change) if change.ids.is_empty() => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            _ => {}
        }
        if let Some(place) = places.insert(key, last.len()) {
            last[place] = None;
        }
        last.push(pending.then_some(line));
    }
    // A log-out ended what was pending for the user before it.
    let is_over = |line: &Line, place: usize| match line {
        Line::Put(change) => log_outs.get(&change.session.user_id).is_some_and(|at| *at > place),
        _ => false,
    };
    let lines = last.into_iter().enumerate();
    content.pending =
        lines.filter_map(|(place, line)| line.filter(|line| !is_over(line, place))).collect();
    Ok(content)
}

/// The entry of a line whose checksum holds.
fn intact(line: &[u8]) -> Option<&str> {
    let (sum, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    (checksum(text) == sum).then_some(text)
}
