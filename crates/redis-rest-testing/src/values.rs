//! Replies from the values that a test writes down.

use bytes::Bytes;
use redis_rest::Value;

/// A value that [`result`](super::result) takes.
///
/// | in Rust | the reply |
/// |---|---|
/// | `&str`, `String` | a string; the two letters `OK` are the status `OK` |
/// | `Vec<u8>`, `&[u8]`, `[u8; N]`, `Bytes` | a string of these bytes, also of the letters `OK` |
/// | integers | an integer |
/// | `bool` | 1 or 0 |
/// | `f32`, `f64` | its text, in Redis's format |
/// | `()`, `None` | nil |
/// | `Vec`, arrays, slices, tuples | an array |
/// | [`serde_json::Value`] | as above; an object is a flat array of names and values, a number with a fraction or beyond 64 bits its text |
/// | [`Value`] | itself |
pub trait ToValue {
    /// Returns the reply.
    fn to_value(self) -> Value;
}

impl ToValue for Value {
    fn to_value(self) -> Value {
        self
    }
}

impl ToValue for () {
    fn to_value(self) -> Value {
        Value::Nil
    }
}

impl ToValue for &str {
    fn to_value(self) -> Value {
        self.to_owned().to_value()
    }
}

impl ToValue for String {
    fn to_value(self) -> Value {
        // Over the wire these two letters are always the status.
        if self == "OK" { Value::Okay } else { Value::bytes(self) }
    }
}

macro_rules! bytes {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            fn to_value(self) -> Value {
                Value::bytes(Bytes::from(self))
            }
        }
    )*};
}
bytes!(Vec<u8>, Bytes);

impl ToValue for &[u8] {
    fn to_value(self) -> Value {
        Value::bytes(self.to_vec())
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(self) -> Value {
        Value::bytes(self.to_vec())
    }
}

impl<const N: usize> ToValue for &[u8; N] {
    fn to_value(self) -> Value {
        Value::bytes(self.to_vec())
    }
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl ToValue for $int {
            fn to_value(self) -> Value {
                Value::Int(self.into())
            }
        }
    )*};
}
// Without `u8`: a `Vec<u8>` is a string.
integers!(bool i8 i16 i32 i64 u16 u32);

macro_rules! floats {
    ($($float:ty)*) => {$(
        impl ToValue for $float {
            fn to_value(self) -> Value {
                Value::bytes(self.to_string())
            }
        }
    )*};
}
floats!(f32 f64);

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(self) -> Value {
        self.map_or(Value::Nil, ToValue::to_value)
    }
}

fn array<T: ToValue>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(items.into_iter().map(ToValue::to_value).collect())
}

impl<T: ToValue> ToValue for Vec<T> {
    fn to_value(self) -> Value {
        array(self)
    }
}

impl<T: ToValue, const N: usize> ToValue for [T; N] {
    fn to_value(self) -> Value {
        array(self)
    }
}

impl<T: ToValue + Clone> ToValue for &[T] {
    fn to_value(self) -> Value {
        array(self.iter().cloned())
    }
}

impl<A: ToValue, B: ToValue> ToValue for (A, B) {
    fn to_value(self) -> Value {
        Value::Array(vec![self.0.to_value(), self.1.to_value()])
    }
}

impl<A: ToValue, B: ToValue, C: ToValue> ToValue for (A, B, C) {
    fn to_value(self) -> Value {
        Value::Array(vec![self.0.to_value(), self.1.to_value(), self.2.to_value()])
    }
}

impl ToValue for serde_json::Value {
    fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Nil,
            Self::Bool(yes) => yes.to_value(),
            Self::Number(number) => {
                number.as_i64().map_or_else(|| Value::bytes(number.to_string()), Value::Int)
            }
            Self::String(text) => text.to_value(),
            Self::Array(items) => array(items),
            Self::Object(fields) => Value::Array(
                fields
                    .into_iter()
                    .flat_map(|(name, value)| [name.to_value(), value.to_value()])
                    .collect(),
            ),
        }
    }
}
