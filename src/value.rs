//! Replies: RESP values, and their conversion to Rust types.

mod convert;
mod convert_error;
mod fields;
mod float;

pub use convert::{FromValue, Json};
pub use convert_error::ConvertError;
pub use fields::Fields;
pub(crate) use fields::from_fields;
pub use float::Lossy;

use crate::error::ServerError;
use bytes::Bytes;
use std::fmt;

/// A reply in Redis's form (RESP2: maps are flat arrays, floats are text). Every backend returns
/// the same values.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// No value.
    Nil,
    /// An integer, exact over the whole range.
    Int(i64),
    /// A string of any bytes. Status texts other than `OK` are bytes too, since JSON cannot
    /// distinguish them.
    Bytes(Bytes),
    /// The status `OK`.
    Okay,
    /// A list.
    Array(Vec<Value>),
    /// An error inside a list (a script can return one). An error as a whole reply is an
    /// [`Error`](crate::Error) instead.
    Error(ServerError),
}

/// Approximate memory of an element of an array beside the bytes of its string.
#[cfg(feature = "native")]
pub(crate) const ELEMENT_BYTES: usize = 64;

impl Value {
    /// Creates a string value.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// Returns the kind of value, for error texts.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Int(_) => "an integer",
            Self::Bytes(_) => "a string",
            Self::Okay => "OK",
            Self::Array(_) => "an array",
            Self::Error(_) => "an error",
        }
    }
}

/// Shows the contents, of a string at most 256 bytes: it is the program's own data. Nothing in this
/// crate logs a value.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 256;
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Int(number) => write!(f, "Int({number})"),
            Self::Bytes(bytes) if bytes.len() > MOST => {
                write!(f, "Bytes(b\"{}\"… {} bytes)", bytes[..MOST].escape_ascii(), bytes.len())
            }
            Self::Bytes(bytes) => write!(f, "Bytes(b\"{}\")", bytes.escape_ascii()),
            Self::Okay => f.write_str("Okay"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Error(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_contents() {
        let value = Value::Array(vec![
            Value::Int(-1),
            Value::bytes("a\"\né"),
            Value::Nil,
            Value::Okay,
            Value::Error(ServerError::new("ERR s3cret")),
        ]);
        let wanted =
            r#"[Int(-1), Bytes(b"a\"\n\xc3\xa9"), Nil, Okay, ServerError(Redis error ERR)]"#;
        assert_eq!(format!("{value:?}"), wanted);
        let long = format!("{:?}", Value::bytes(vec![b'x'; 1000]));
        assert!(long.len() < 300 && long.ends_with("… 1000 bytes)"), "{long}");
    }
}
