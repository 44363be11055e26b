//! [`FromValue`]: replies to Rust types, without guessing.

use super::{ConvertError, Value};
use crate::error::Error;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;
use std::sync::Arc;

/// A type to which a reply can be converted.
///
/// There is no guessing: the text `007` is the string `"007"`, and reading it as a number is an
/// error, as `INCR` on it would be. Only `Option` and [`Value`] accept nil.
///
/// ```
/// use redis_rest::{FromValue, Value};
/// assert_eq!(i64::from_value(Value::Int(i64::MIN)).unwrap(), i64::MIN);
/// assert_eq!(String::from_value(Value::bytes("007")).unwrap(), "007");
/// assert!(i64::from_value(Value::bytes("007")).is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "a reply cannot be read as `{Self}`",
    label = "not the type of a reply",
    note = "a value that is JSON text is read as `Json<{Self}>`",
    note = "names and values, such as those of `HGETALL`, are read as `Fields<{Self}>`",
    note = "a reply that may be missing is read as an `Option`, any reply as `Value`"
)]
pub trait FromValue: Sized {
    /// Reads `value` as this type.
    ///
    /// # Errors
    /// Fails if the value has another type.
    fn from_value(value: Value) -> Result<Self, ConvertError>;

    /// Reads a value that may be missing.
    #[doc(hidden)]
    fn option_from_value(value: Value) -> Result<Option<Self>, ConvertError> {
        match value {
            Value::Nil => Ok(None),
            other => Self::from_value(other).map(Some),
        }
    }

    /// Reads an array as a list of this type. Tuples take their elements from a flat array too,
    /// Redis's form of pairs; bytes read a string.
    #[doc(hidden)]
    fn list_from_value(value: Value) -> Result<Vec<Self>, ConvertError> {
        array(value)?.into_iter().map(Self::from_value).collect()
    }
}

fn array(value: Value) -> Result<Vec<Value>, ConvertError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(ConvertError::of("an array", &other)),
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        Ok(value)
    }
}

/// Some servers encode the status like any other string.
fn is_okay(bytes: &[u8]) -> bool {
    bytes == b"OK"
}

/// Only `OK`: a longer reply is not discarded.
impl FromValue for () {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Okay => Ok(()),
            Value::Bytes(bytes) if is_okay(&bytes) => Ok(()),
            other => Err(ConvertError::of("OK", &other)),
        }
    }
}

impl FromValue for Bytes {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Okay => Ok(Bytes::from_static(b"OK")),
            Value::Int(n) => Ok(Bytes::copy_from_slice(itoa::Buffer::new().format(n).as_bytes())),
            other => Err(ConvertError::of("a string", &other)),
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let bytes = Bytes::from_value(value)?;
        String::from_utf8(Vec::from(bytes))
            .map_err(|_| ConvertError::new("UTF-8 text", "a string of other bytes"))
    }
}

impl FromValue for Box<str> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        String::from_value(value).map(Into::into)
    }
}

impl FromValue for Arc<str> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        String::from_value(value).map(Into::into)
    }
}

/// Returns true for an integer in the form that Redis accepts: an optional minus, no leading zeros,
/// no plus, no spaces.
pub(super) fn canonical_integer(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    match digits {
        [b'0'] => digits.len() == bytes.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn integer<T: TryFrom<i64> + FromStr>(
    value: Value,
    wanted: &'static str,
) -> Result<T, ConvertError> {
    let out_of_range = || ConvertError::new(wanted, "an integer out of range");
    match value {
        Value::Int(n) => n.try_into().map_err(|_| out_of_range()),
        Value::Bytes(bytes) if canonical_integer(&bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(out_of_range),
        other => Err(ConvertError::of(wanted, &other)),
    }
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl FromValue for $int {
            fn from_value(value: Value) -> Result<Self, ConvertError> {
                integer(value, concat!("an integer that fits ", stringify!($int)))
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize);

impl FromValue for u8 {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        integer(value, "an integer that fits u8")
    }

    /// `Vec<u8>` is the bytes of a string.
    fn list_from_value(value: Value) -> Result<Vec<Self>, ConvertError> {
        Bytes::from_value(value).map(Vec::from)
    }
}

/// `1` and `OK` are true, `0` is false; anything else is an error, including nil: `Option<bool>`
/// reads that.
impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Int(1) | Value::Okay => Ok(true),
            Value::Int(0) => Ok(false),
            Value::Bytes(bytes) if *bytes == *b"1" || is_okay(&bytes) => Ok(true),
            Value::Bytes(bytes) if *bytes == *b"0" => Ok(false),
            other => Err(ConvertError::of("true or false", &other)),
        }
    }
}

/// A nil is `None`. So is a hash without fields read as [`Fields`](super::Fields): Redis has no
/// other sign that a hash does not exist.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        T::option_from_value(value)
    }
}

/// An error inside an array, kept beside the other elements.
impl<T: FromValue> FromValue for Result<T, Error> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Error(error) => Ok(Err(Error::redis(error))),
            other => T::from_value(other).map(Ok),
        }
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        T::list_from_value(value)
    }
}

impl<T: FromValue> FromValue for VecDeque<T> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        T::list_from_value(value).map(Into::into)
    }
}

impl<T: FromValue + Eq + Hash, S: BuildHasher + Default> FromValue for HashSet<T, S> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        Ok(T::list_from_value(value)?.into_iter().collect())
    }
}

impl<T: FromValue + Ord> FromValue for BTreeSet<T> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        Ok(T::list_from_value(value)?.into_iter().collect())
    }
}

impl<K: FromValue + Eq + Hash, V: FromValue, S: BuildHasher + Default> FromValue
    for HashMap<K, V, S>
{
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        Ok(<(K, V)>::list_from_value(value)?.into_iter().collect())
    }
}

impl<K: FromValue + Ord, V: FromValue> FromValue for BTreeMap<K, V> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        Ok(<(K, V)>::list_from_value(value)?.into_iter().collect())
    }
}

macro_rules! tuples {
    ($($arity:literal: $($t:ident)*;)*) => {$(
        impl<$($t: FromValue),*> FromValue for ($($t,)*) {
            fn from_value(value: Value) -> Result<Self, ConvertError> {
                let items = array(value)?;
                if items.len() != $arity {
                    return Err(ConvertError::new(concat!("an array of ", $arity), "an array of another length"));
                }
                let mut items = items.into_iter();
                Ok(($($t::from_value(items.next().unwrap_or(Value::Nil))?,)*))
            }

            /// Reads nested arrays (each element an array of the tuple's length) or a flat one,
            /// RESP2's form of pairs.
            fn list_from_value(value: Value) -> Result<Vec<Self>, ConvertError> {
                let items = array(value)?;
                let nested = |item: &Value| matches!(item, Value::Array(inner) if inner.len() == $arity);
                if items.iter().all(nested) {
                    return items.into_iter().map(Self::from_value).collect();
                }
                if !items.len().is_multiple_of($arity) {
                    return Err(ConvertError::new(concat!("an array of groups of ", $arity), "an array of another length"));
                }
                let mut list = Vec::with_capacity(items.len() / $arity);
                let mut items = items.into_iter();
                while items.len() > 0 {
                    list.push(($($t::from_value(items.next().unwrap_or(Value::Nil))?,)*));
                }
                Ok(list)
            }
        }
    )*};
}
tuples! { 1: A; 2: A B; 3: A B C; 4: A B C D; 5: A B C D E; 6: A B C D E F; }

/// A value stored in Redis as JSON text, by serde. Written as an argument, read as a reply.
///
/// ```
/// use redis_rest::{FromValue, Json, Value};
/// let Json(point) = Json::<(i32, i32)>::from_value(Value::bytes("[1,2]")).unwrap();
/// assert_eq!(point, (1, 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

/// Writes JSON text, so that a nested value can be a field of [`Fields`](super::Fields).
impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

/// Reads JSON text.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Json).map_err(serde::de::Error::custom)
    }
}

impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Bytes(bytes) => {
                serde_json::from_slice(&bytes).map(Json).map_err(|error| ConvertError::json(&error))
            }
            other => Err(ConvertError::of("JSON text", &other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fields;
    use super::*;

    #[test]
    fn integers_are_exact_and_strict() {
        assert_eq!(i64::from_value(Value::bytes("-9223372036854775808")), Ok(i64::MIN));
        assert_eq!(u64::from_value(Value::bytes("18446744073709551615")), Ok(u64::MAX));
        for text in ["007", "+1", " 1", "1 ", "-0", "", "-", "1e3", "9223372036854775808"] {
            assert!(i64::from_value(Value::bytes(text)).is_err(), "{text}");
        }
        assert!(u8::from_value(Value::Int(256)).is_err());
        assert!(f64::from_value(Value::Int(i64::MAX)).is_err());
    }

    #[test]
    fn pairs_come_flat_or_nested() {
        let flat =
            Value::Array(vec![Value::bytes("a"), Value::Int(1), Value::bytes("b"), Value::Int(2)]);
        let wanted = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
        assert_eq!(Vec::<(String, i64)>::from_value(flat.clone()), Ok(wanted.clone()));
        let pair = |k: &'static str, n| Value::Array(vec![Value::bytes(k), Value::Int(n)]);
        assert_eq!(Vec::from_value(Value::Array(vec![pair("a", 1), pair("b", 2)])), Ok(wanted));
        assert_eq!(BTreeMap::<String, i64>::from_value(flat).map(|map| map["b"]), Ok(2));
        assert!(Vec::<(String, i64)>::from_value(Value::Array(vec![Value::Int(1)])).is_err());
    }

    #[test]
    fn bytes_and_lists_of_numbers_are_told_apart() {
        assert_eq!(Vec::<u8>::from_value(Value::bytes(&b"\xff\0"[..])), Ok(vec![0xff, 0]));
        assert_eq!(Vec::<u16>::from_value(Value::Array(vec![Value::Int(7)])), Ok(vec![7]));
        assert!(String::from_value(Value::bytes(&b"\xff"[..])).is_err());
    }

    #[test]
    fn bools_are_read_as_they_are_written() {
        for (value, wanted) in [
            (Value::Int(1), true),
            (Value::Int(0), false),
            (Value::bytes("1"), true),
            (Value::bytes("0"), false),
            (Value::Okay, true),
            (Value::bytes("OK"), true),
        ] {
            assert_eq!(bool::from_value(value.clone()), Ok(wanted), "{value:?}");
        }
        for value in [Value::Nil, Value::Int(2), Value::bytes("true"), Value::bytes("")] {
            assert!(bool::from_value(value).is_err());
        }
        assert_eq!(Option::<bool>::from_value(Value::Nil), Ok(None));
    }

    #[test]
    fn a_missing_hash_is_none() {
        type Row = Fields<BTreeMap<String, String>>;
        assert_eq!(Option::<Row>::from_value(Value::Nil), Ok(None));
        assert_eq!(Option::<Row>::from_value(Value::Array(vec![])), Ok(None));
        let empty = BTreeMap::<String, String>::from_value(Value::Array(vec![]));
        assert_eq!(empty, Ok(BTreeMap::new()));
        assert_eq!(
            Option::<BTreeMap<String, String>>::from_value(Value::Array(vec![])),
            Ok(Some(BTreeMap::new()))
        );
    }

    #[test]
    fn nil_is_an_answer_only_where_it_can_be() {
        assert_eq!(Option::<i64>::from_value(Value::Nil), Ok(None));
        assert!(i64::from_value(Value::Nil).is_err());
        assert!(<()>::from_value(Value::Nil).is_err());
        assert!(Vec::<String>::from_value(Value::Nil).is_err());
    }
}
