//! The JSON of a record, as it is read and written: its members in their order, each kept as it
//! came.

use crate::session::error::SessionError;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::de::{MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;

pub(super) fn required<T: for<'de> Deserialize<'de>>(
    raw: Option<&RawValue>,
    name: &'static str,
) -> Result<T, SessionError> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or(SessionError::Corrupt { field: name })
}

/// A member that may be missing or null.
pub(super) fn optional<T: for<'de> Deserialize<'de> + Default>(
    raw: Option<&RawValue>,
    name: &'static str,
) -> Result<T, SessionError> {
    let Some(raw) = raw else { return Ok(T::default()) };
    serde_json::from_str::<Option<T>>(raw.get())
        .map(Option::unwrap_or_default)
        .map_err(|_| SessionError::Corrupt { field: name })
}

/// A field of a session, as a member of its record.
pub(super) trait Field {
    /// True if `raw` says this already; null says the empty value.
    fn reads_as(&self, raw: &RawValue) -> bool;

    fn write(&self) -> serde_json::Result<Box<RawValue>>;

    /// True for a member that is as good as absent.
    fn is_empty(&self) -> bool;
}

impl<T: Serialize + for<'de> Deserialize<'de> + PartialEq + Default> Field for T {
    fn reads_as(&self, raw: &RawValue) -> bool {
        serde_json::from_str::<Option<T>>(raw.get())
            .is_ok_and(|read| read.unwrap_or_default() == *self)
    }

    fn write(&self) -> serde_json::Result<Box<RawValue>> {
        to_raw_value(self)
    }

    fn is_empty(&self) -> bool {
        *self == T::default()
    }
}

/// A time in RFC 3339, with as many digits as it needs.
#[derive(PartialEq, Default)]
pub(super) struct Time(pub(super) DateTime<Utc>);

impl Time {
    /// Years have four digits in RFC 3339. A time that was read as the last evening of 9999 west of
    /// Greenwich is in the next year.
    pub(super) fn can_be_written(time: &DateTime<Utc>) -> bool {
        (0..=9999).contains(&time.year())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !Self::can_be_written(&self.0) {
            return Err(S::Error::custom("a year that RFC 3339 cannot write"));
        }
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .map(|time| Self(time.to_utc()))
            .map_err(serde::de::Error::custom)
    }
}

/// A member as it is written.
pub(super) struct Member<'a>(pub(super) &'a str, pub(super) Raw<'a>);

pub(super) enum Raw<'a> {
    Old(&'a RawValue),
    New(Box<RawValue>),
}

impl Raw<'_> {
    pub(super) fn get(&self) -> &str {
        match self {
            Self::Old(raw) => raw.get(),
            Self::New(raw) => raw.get(),
        }
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Old(raw) => raw.serialize(serializer),
            Self::New(raw) => raw.serialize(serializer),
        }
    }
}

pub(super) struct Ordered<'a>(pub(super) &'a [Member<'a>]);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Member(name, raw) in self.0 {
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}

/// The members of a JSON object in their order.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
