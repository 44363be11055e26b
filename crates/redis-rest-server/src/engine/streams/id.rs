//! The ids of entries.

use crate::engine::args::Fault;
use crate::engine::number::unsigned;
use redis_rest::Value;

pub(super) const BAD_ID: Fault =
    Fault::new("ERR Invalid stream ID specified as stream command argument");

/// Milliseconds, and a number within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(pub(super) u64, pub(super) u64);

/// An id of which the second part may be left to the stream.
pub(super) enum Given {
    Whole(Id),
    Millis(u64),
}

impl Id {
    pub(super) const LOWEST: Self = Self(0, 0);
    pub(super) const HIGHEST: Self = Self(u64::MAX, u64::MAX);

    /// Reads an id whose second part, if it is missing, is `sequence`.
    pub(super) fn parse(text: &[u8], sequence: u64) -> Result<Self, Fault> {
        if text.len() > 127 {
            return Err(BAD_ID);
        }
        let mut parts = text.splitn(2, |byte| *byte == b'-');
        let millis = parts.next().and_then(unsigned).ok_or(BAD_ID)?;
        let sequence = match parts.next() {
            Some(part) => unsigned(part).ok_or(BAD_ID)?,
            None => sequence,
        };
        Ok(Self(millis, sequence))
    }

    /// Reads the id of a new entry: `1-2`, or `1-*`.
    pub(super) fn given(text: &[u8]) -> Result<Given, Fault> {
        match text.strip_suffix(b"-*") {
            Some(millis) if millis.len() < 126 => unsigned(millis).map(Given::Millis).ok_or(BAD_ID),
            _ => Self::parse(text, 0).map(Given::Whole),
        }
    }

    /// Reads an end of a range, which `-` and `+` may be.
    pub(super) fn bound(text: &[u8], sequence: u64) -> Result<Self, Fault> {
        match text {
            b"-" => Ok(Self::LOWEST),
            b"+" => Ok(Self::HIGHEST),
            _ => Self::parse(text, sequence),
        }
    }

    pub(super) fn next(self) -> Option<Self> {
        match (self.0, self.1) {
            (u64::MAX, u64::MAX) => None,
            (millis, u64::MAX) => Some(Self(millis + 1, 0)),
            (millis, sequence) => Some(Self(millis, sequence + 1)),
        }
    }

    pub(super) fn previous(self) -> Option<Self> {
        match (self.0, self.1) {
            (0, 0) => None,
            (millis, 0) => Some(Self(millis - 1, u64::MAX)),
            (millis, sequence) => Some(Self(millis, sequence - 1)),
        }
    }

    pub(super) fn value(self) -> Value {
        Value::bytes(format!("{}-{}", self.0, self.1))
    }
}

/// The start of an interval, which `(` excludes.
pub(super) fn interval_start(text: &[u8]) -> Result<Id, Fault> {
    match text.strip_prefix(b"(") {
        Some(rest) => {
            Id::parse(rest, 0)?.next().ok_or(Fault::new("ERR invalid start ID for the interval"))
        }
        None => Id::bound(text, 0),
    }
}

/// The end of an interval, which `(` excludes.
pub(super) fn interval_end(text: &[u8]) -> Result<Id, Fault> {
    match text.strip_prefix(b"(") {
        Some(rest) => Id::parse(rest, u64::MAX)?
            .previous()
            .ok_or(Fault::new("ERR invalid end ID for the interval")),
        None => Id::bound(text, u64::MAX),
    }
}
