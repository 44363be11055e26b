//! [`ConvertError`]: why a reply could not be read.

use super::Value;
use crate::error::{Error, Outcome, ServerError};
use std::fmt;
use std::sync::Arc;

/// Reason why a reply does not have the wanted type. Names types, the struct's own fields, and
/// places in JSON; never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertError {
    wanted: &'static str,
    found: &'static str,
    field: Option<&'static str>,
    /// Line and column in JSON text, from 1.
    at: Option<(usize, usize)>,
    text: Option<Quoting>,
    nested: Option<ServerError>,
}

/// A text that may quote a value: it is shown only on request.
#[derive(Clone, PartialEq, Eq)]
struct Quoting(Arc<str>);

impl fmt::Debug for Quoting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ConvertError {
    /// Creates an error. `wanted` and `found` name types: they are shown to users and must not
    /// contain data.
    pub const fn new(wanted: &'static str, found: &'static str) -> Self {
        Self { wanted, found, field: None, at: None, text: None, nested: None }
    }

    pub(super) fn of(wanted: &'static str, value: &Value) -> Self {
        let nested = if let Value::Error(error) = value { Some(error.clone()) } else { None };
        Self { nested, ..Self::new(wanted, value.kind()) }
    }

    /// Creates an error for a field of the struct that the reply lacks.
    pub(super) fn missing(field: &'static str) -> Self {
        Self::new("a field", "missing").in_field(Some(field))
    }

    /// Creates an error with the deserializer's text, which may quote a value.
    pub(super) fn custom(text: String) -> Self {
        let text = Some(Quoting(text.into()));
        Self { text, ..Self::new("a value of the wanted type", "another value") }
    }

    /// Converts an error of serde_json, of which only the class and the place are free of data.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        let found = if error.is_data() { "JSON of another type" } else { "no JSON text" };
        Self { at: Some((error.line(), error.column())), found, ..Self::custom(error.to_string()) }
    }

    /// Adds the field's name, unless a field in it is named already.
    pub(super) fn in_field(mut self, field: Option<&'static str>) -> Self {
        self.field = self.field.or(field);
        self
    }

    /// Returns the field of the struct that could not be read, by the struct's own name.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// Returns line and column of the JSON text that could not be read, both from 1.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.at
    }

    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, verbose: bool) -> fmt::Result {
        let Self { wanted, found, field, at, text, .. } = self;
        match field {
            Some(field) => write!(f, "field `{field}`: {found}")?,
            None => write!(f, "the reply is {found}")?,
        }
        match at {
            Some((line, column)) => write!(f, " (line {line}, column {column})")?,
            None if *found == "missing" => {}
            None => write!(f, ", not {wanted}")?,
        }
        match text {
            Some(Quoting(text)) if verbose => write!(f, ": {text}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl std::error::Error for ConvertError {}

impl From<ConvertError> for Error {
    /// The command ran: [`Outcome::Applied`].
    fn from(error: ConvertError) -> Self {
        match error.nested {
            Some(server) => Error::redis(server).with_outcome(Outcome::Applied),
            None => Error::conversion(error),
        }
    }
}
