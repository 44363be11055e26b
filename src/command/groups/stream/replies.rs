//! Replies to commands on streams.

use crate::value::{ConvertError, FromValue, Value, from_fields};
use serde::Deserialize;
use std::time::Duration;

/// An entry of a stream. `R` is the type of its fields: a map, pairs, or a struct with
/// [`Fields`](crate::Fields).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry<R> {
    /// Its id.
    pub id: String,
    /// Its fields; empty if the entry was deleted meanwhile.
    pub fields: R,
}

impl<R: FromValue> FromValue for StreamEntry<R> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (id, fields) = <(String, Value)>::from_value(value)?;
        let fields = if fields == Value::Nil { Value::Array(Vec::new()) } else { fields };
        Ok(Self { id, fields: R::from_value(fields)? })
    }
}

/// The reply to `XCLAIM`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claimed<R> {
    /// The entries.
    pub entries: Vec<StreamEntry<R>>,
    /// The number of entries that were pending and are deleted, if Redis reports it (before 7.0).
    pub missing: usize,
}

/// Returns the live entries, and how many are nil: Redis before 7.0 replaces a deleted entry by
/// nil.
fn entries<R: FromValue>(value: Value) -> Result<(Vec<StreamEntry<R>>, usize), ConvertError> {
    let all = Vec::<Option<StreamEntry<R>>>::from_value(value)?;
    let missing = all.iter().filter(|entry| entry.is_none()).count();
    Ok((all.into_iter().flatten().collect(), missing))
}

impl<R: FromValue> FromValue for Claimed<R> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (entries, missing) = entries(value)?;
        Ok(Self { entries, missing })
    }
}

/// The reply to `XAUTOCLAIM`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoClaimed<R> {
    /// The id to continue from; `0-0` at the end.
    pub next: String,
    /// The entries.
    pub entries: Vec<StreamEntry<R>>,
    /// Ids that were pending and whose entries are deleted (Redis 7.0).
    pub deleted: Vec<String>,
    /// The number of entries that were pending and are deleted, without their ids (Redis 6.2).
    pub missing: usize,
}

/// The reply to `XAUTOCLAIM … JUSTID`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimedIds {
    /// The id to continue from; `0-0` at the end.
    pub next: String,
    /// The ids.
    pub ids: Vec<String>,
    /// Ids that were pending and whose entries are deleted (Redis 7.0).
    pub deleted: Vec<String>,
}

fn claimed(value: Value) -> Result<(String, Value, Vec<String>), ConvertError> {
    let mut parts = Vec::<Value>::from_value(value)?.into_iter();
    let mut part =
        || parts.next().ok_or(ConvertError::new("an array of 2 or 3", "a shorter array"));
    let (next, claimed) = (String::from_value(part()?)?, part()?);
    let deleted = part().map_or(Ok(Vec::new()), Vec::from_value)?;
    Ok((next, claimed, deleted))
}

impl<R: FromValue> FromValue for AutoClaimed<R> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (next, claimed, deleted) = claimed(value)?;
        let (entries, missing) = entries(claimed)?;
        Ok(Self { next, entries, deleted, missing })
    }
}

impl FromValue for ClaimedIds {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (next, ids, deleted) = claimed(value)?;
        Ok(Self { next, ids: Vec::from_value(ids)?, deleted })
    }
}

/// A summary of the entries that a group has not acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingSummary {
    /// The number of entries.
    pub count: u64,
    /// The first id.
    pub first: Option<String>,
    /// The last id.
    pub last: Option<String>,
    /// The number of them that each consumer has.
    pub consumers: Vec<(String, u64)>,
}

impl FromValue for PendingSummary {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (count, first, last, consumers) = FromValue::from_value(value)?;
        let consumers: Option<Vec<(String, u64)>> = consumers;
        Ok(Self { count, first, last, consumers: consumers.unwrap_or_default() })
    }
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingEntry {
    /// Its id.
    pub id: String,
    /// The consumer that has it.
    pub consumer: String,
    /// Its idle time.
    pub idle: Duration,
    /// The number of deliveries.
    pub deliveries: u64,
}

impl FromValue for PendingEntry {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (id, consumer, idle, deliveries) = FromValue::from_value(value)?;
        Ok(Self { id, consumer, idle: Duration::from_millis(idle), deliveries })
    }
}

/// Facts about a stream. Fields that a server does not report are 0 or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The number of entries.
    pub length: u64,
    /// The last id that was given.
    pub last_generated_id: String,
    /// The highest id that was deleted (Redis 7.0).
    pub max_deleted_entry_id: String,
    /// The number of entries that were ever added (Redis 7.0).
    pub entries_added: u64,
    /// The number of groups.
    pub groups: u64,
    /// Keys of the tree that holds it.
    pub radix_tree_keys: u64,
    /// Nodes of the tree that holds it.
    pub radix_tree_nodes: u64,
}
from_fields!(StreamInfo);

/// A group of consumers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// The number of its consumers.
    pub consumers: u64,
    /// The number of entries that were delivered and not acknowledged.
    pub pending: u64,
    /// The last id that was delivered.
    pub last_delivered_id: String,
    /// The number of entries it has read (Redis 7.0), if known.
    pub entries_read: Option<u64>,
    /// The number of entries it has not read yet (Redis 7.0), if known.
    pub lag: Option<u64>,
}
from_fields!(GroupInfo);

/// A consumer of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Its name.
    pub name: String,
    /// The number of entries it has not acknowledged.
    pub pending: u64,
    /// The time since it last asked.
    #[serde(deserialize_with = "millis")]
    pub idle: Duration,
    /// The time since it was last given something (Redis 7.2); `None` if never.
    #[serde(deserialize_with = "millis_or_never")]
    pub inactive: Option<Duration>,
}

fn millis<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// Reads milliseconds; -1 means never.
fn millis_or_never<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    i64::deserialize(deserializer)
        .map(|millis| u64::try_from(millis).ok().map(Duration::from_millis))
}
from_fields!(ConsumerInfo);

#[cfg(test)]
mod tests {
    use super::*;

    /// Redis 6.2 replies with nil for a deleted entry.
    #[test]
    fn deleted_entries_of_a_claim_are_counted() {
        let entry = || {
            let fields = Value::Array(vec![Value::bytes("f"), Value::bytes("v")]);
            Value::Array(vec![Value::bytes("1-1"), fields])
        };
        let list = || Value::Array(vec![Value::Nil, entry(), Value::Nil]);
        let claimed = Claimed::<Vec<(String, String)>>::from_value(list()).unwrap();
        assert_eq!((claimed.entries.len(), claimed.missing), (1, 2));
        let reply = Value::Array(vec![Value::bytes("0-0"), list()]);
        let claimed = AutoClaimed::<Vec<(String, String)>>::from_value(reply).unwrap();
        assert_eq!((claimed.entries.len(), claimed.missing, claimed.deleted.len()), (1, 2, 0));
    }
}
