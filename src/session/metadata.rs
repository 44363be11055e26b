//! A session's metadata: names and JSON values, each kept as it was written until it is changed.

use super::error::SessionError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::fmt;

/// Free data of a session. Values are JSON, kept to the letter: a number of any size survives.
///
/// ```
/// use redis_rest::session::Metadata;
/// let mut metadata = Metadata::default();
/// metadata.insert("plan", "pro").unwrap();
/// metadata.insert("seats", 12).unwrap();
/// assert_eq!(metadata.get::<String>("plan").unwrap().as_deref(), Some("pro"));
/// assert_eq!(metadata.get::<u32>("seats").unwrap(), Some(12));
/// assert_eq!(metadata.get::<u32>("other").unwrap(), None);
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, Box<RawValue>>);

impl Metadata {
    /// Sets a value.
    ///
    /// # Errors
    /// [`SessionError::Unwritable`] when `value` cannot be written as JSON (a map with keys that
    /// are no strings, for example).
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        value: impl Serialize,
    ) -> Result<(), SessionError> {
        // The error of serde_json may quote the value.
        let raw =
            to_raw_value(&value).map_err(|_| SessionError::Unwritable { field: "metadata" })?;
        self.0.insert(name.into(), raw);
        Ok(())
    }

    /// The value of `name` as a type of yours; `None` when there is none.
    ///
    /// # Errors
    /// [`SessionError::WrongType`] when the value is of another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        let Some(raw) = self.get_raw(name) else { return Ok(None) };
        serde_json::from_str(raw)
            .map(Some)
            .map_err(|_| SessionError::WrongType { field: "metadata" })
    }

    /// The JSON text of the value of `name`.
    pub fn get_raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// Removes a value; true when there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Names and JSON texts, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), raw.get()))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Equal when names and JSON texts are.
impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Metadata {}

/// Shows the names only.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
