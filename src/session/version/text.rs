//! The parts of a version, as the meta key has them.

use crate::session::change::ChangeId;
use std::fmt;

/// The SHA-1 of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct Hash([u8; 20]);

impl Hash {
    pub(in crate::session) fn of(text: impl AsRef<[u8]>) -> Self {
        Self(sha1_smol::Sha1::from(text).digest().bytes())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self(text.parse::<sha1_smol::Digest>().ok().filter(|_| text.len() == 40)?.bytes()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 40];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
        }
        f.write_str(std::str::from_utf8(&hex).map_err(|_| fmt::Error)?)
    }
}

/// The change that a content is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Change(ChangeId),
    /// The record was written by somebody else, after this write.
    Foreign(Hash, Option<ChangeId>),
}

impl Content {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('@') {
            None => ChangeId::parse(text).map(Self::Change),
            Some((hash, write)) => {
                Some(Self::Foreign(Hash::parse(hash)?, optional(write, ChangeId::parse)?))
            }
        }
    }
}

/// `id`, or `hash@v` for the content of somebody else.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => write!(f, "{change}"),
            Self::Foreign(hash, write) => write!(f, "{hash}@{}", Text(write)),
        }
    }
}

/// The change that a time to live is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ttl {
    pub(super) change: ChangeId,
    /// False for a time to live that started over, which later uses slide again.
    pub(super) explicit: bool,
}

impl Ttl {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let change = ChangeId::parse(text.strip_prefix('~').unwrap_or(text))?;
        Some(Self { change, explicit: !text.starts_with('~') })
    }
}

/// `id`, or `~id` for one that started over.
impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.explicit { "" } else { "~" }, self.change)
    }
}

/// A part as it is written: nothing if it is not there.
pub(super) struct Text<'a, T>(pub(super) &'a Option<T>);

impl<T: fmt::Display> fmt::Display for Text<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |part| part.fmt(f))
    }
}

/// A part that may be empty; `None` if it cannot be read.
pub(super) fn optional<T>(text: &str, parse: fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { parse(text).map(Some) }
}

/// The fields of a text, separated by single spaces.
pub(super) fn fields(text: &str) -> Option<[&str; 6]> {
    text.split(' ').collect::<Vec<_>>().try_into().ok()
}
