//! [`ChangeId`]: the name of one change, and [`ChangeIds`], which makes them.

use super::error::SessionError;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The length of a writer's name.
const NAME: usize = 8;

/// The id of one change: a write, a delete or a log-out. The caller of a
/// [`SessionStore`](super::SessionStore) makes it, and a store executes each id at most once. A
/// retry, a late copy of a request and a line of a journal carry the id of the change that they
/// repeat.
///
/// Its text is `writer.seq`, about 12 bytes: 8 characters for the process, and a count.
///
/// ```
/// use redis_rest::session::ChangeId;
/// let (first, second) = (ChangeId::new(), ChangeId::new());
/// assert_ne!(first, second);
/// assert_eq!(first.to_string().parse::<ChangeId>().unwrap(), first);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId {
    writer: [u8; NAME],
    seq: u64,
}

impl ChangeId {
    /// The next id of this process.
    #[expect(clippy::new_without_default, reason = "a default value is not a new one each time")]
    pub fn new() -> Self {
        static IDS: LazyLock<ChangeIds> = LazyLock::new(ChangeIds::new);
        IDS.next()
    }

    /// Reads the text of an id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (writer, seq) = text.split_once('.')?;
        let canonical = seq == "0" || !seq.starts_with('0');
        let digits = canonical && seq.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { writer: name(writer)?, seq: digits.then(|| seq.parse().ok())?? })
    }
}

/// The bytes of a writer's name: 8 of `A-Z a-z 0-9 _ -`.
fn name(text: &str) -> Option<[u8; NAME]> {
    let name: [u8; NAME] = text.as_bytes().try_into().ok()?;
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .then_some(name)
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.writer).map_err(|_| fmt::Error)?)?;
        write!(f, ".{}", self.seq)
    }
}

/// Shows the id, which is no credential.
impl fmt::Debug for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeId({self})")
    }
}

impl FromStr for ChangeId {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        Self::parse(text).ok_or(SessionError::Corrupt { field: "change_id" })
    }
}

/// Writes and reads a type as its text.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(reader)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use serde_as_text;
serde_as_text!(ChangeId);

/// Makes the change ids of one writer. [`ChangeId::new`] has one for the process; a simulation has
/// one for each process that it simulates, and names them itself.
#[derive(Debug)]
pub struct ChangeIds {
    writer: [u8; NAME],
    next: AtomicU64,
}

impl ChangeIds {
    /// Ids under a random name of 48 bits.
    pub fn new() -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        // The last 8 bytes of a random UUID: the low six bits of each are random.
        let [.., a, b, c, d, e, f, g, h] = *Uuid::new_v4().as_bytes();
        let writer = [a, b, c, d, e, f, g, h].map(|byte| ALPHABET[usize::from(byte % 64)]);
        Self { writer, next: AtomicU64::new(0) }
    }

    /// Ids under a chosen name. A name must not be used by two writers of the same store.
    ///
    /// # Errors
    /// [`SessionError::Corrupt`] unless the name is 8 of `A-Z a-z 0-9 _ -`.
    pub fn named(writer: &str) -> Result<Self, SessionError> {
        let writer = name(writer).ok_or(SessionError::Corrupt { field: "change_id" })?;
        Ok(Self { writer, next: AtomicU64::new(0) })
    }

    /// The next id.
    pub fn next(&self) -> ChangeId {
        ChangeId { writer: self.writer, seq: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Default for ChangeIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let ids = ChangeIds::named("a-Z_0129").unwrap();
        assert_eq!(ids.next().to_string(), "a-Z_0129.0");
        let second = ids.next();
        assert_eq!(second.to_string(), "a-Z_0129.1");
        assert_eq!("a-Z_0129.1".parse::<ChangeId>().unwrap(), second);
        for text in [
            "",
            ".",
            "a-Z_0129",
            "a-Z_0129.",
            "a-Z_0129.01",
            "a-Z_0129.+1",
            "short.1",
            "toolongname.1",
            "a Z_0129.1",
            "ääää.1",
        ] {
            assert!(text.parse::<ChangeId>().is_err(), "{text}");
        }
        assert!("a-Z_0129.18446744073709551616".parse::<ChangeId>().is_err());
    }

    #[test]
    fn writers_have_names_of_their_own() {
        let names: std::collections::HashSet<_> =
            (0..100).map(|_| ChangeIds::new().next().writer).collect();
        assert_eq!(names.len(), 100);
    }
}
