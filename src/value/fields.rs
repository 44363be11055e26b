//! [`Fields`]: replies that are names and values, read as structs by serde.

use super::{ConvertError, FromValue, Value};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;

/// A reply of names and values, such as that of `HGETALL`, read as a struct by serde.
///
/// Texts become numbers if the struct has numbers, since Redis stores both as text; `1`, `0`,
/// `true` and `false` become bools. There is no guessing: a `String` of the struct stays one. A
/// hash that does not exist has no fields: `Option<Fields<T>>` reads it as `None`. As an argument
/// the fields are names and values: `client.hset("user:1", Fields(&user))`.
///
/// ```
/// use redis_rest::{Fields, FromValue, Value};
/// #[derive(serde::Deserialize)]
/// struct User { name: String, visits: u64, email: Option<String> }
/// let reply = Value::Array(["name", "Ada", "visits", "7"].map(Value::bytes).into());
/// let Fields(user) = Fields::<User>::from_value(reply).unwrap();
/// assert_eq!((user.name.as_str(), user.visits, user.email), ("Ada", 7, None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fields<T>(pub T);

impl<T: DeserializeOwned> FromValue for Fields<T> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        T::deserialize(De(value)).map(Fields).map_err(|Failed(error)| error)
    }

    fn option_from_value(value: Value) -> Result<Option<Self>, ConvertError> {
        match value {
            Value::Nil => Ok(None),
            Value::Array(items) if items.is_empty() => Ok(None),
            other => Self::from_value(other).map(Some),
        }
    }
}

/// Implements [`FromValue`] for a struct that serde reads.
macro_rules! from_fields {
    ($type:ty) => {
        impl $crate::value::FromValue for $type {
            fn from_value(
                value: $crate::value::Value,
            ) -> Result<Self, $crate::value::ConvertError> {
                $crate::value::Fields::from_value(value).map(|$crate::value::Fields(fields)| fields)
            }
        }
    };
}
pub(crate) use from_fields;

/// A deserialiser of a value.
struct De(Value);

#[derive(Debug)]
struct Failed(ConvertError);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl serde::de::Error for Failed {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(ConvertError::custom(text.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(ConvertError::missing(field))
    }
}

impl<'de> IntoDeserializer<'de, Failed> for De {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
            visitor.$visit(<$type>::from_value(self.0).map_err(Failed)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for De {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        match self.0 {
            Value::Nil => visitor.visit_unit(),
            Value::Int(number) => visitor.visit_i64(number),
            Value::Okay => visitor.visit_borrowed_str("OK"),
            Value::Bytes(bytes) => match String::from_utf8(bytes.into()) {
                Ok(text) => visitor.visit_string(text),
                Err(error) => visitor.visit_byte_buf(error.into_bytes()),
            },
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(De)))
            }
            error @ Value::Error(_) => Err(Failed(ConvertError::of("a value", &error))),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_f32 visit_f32 f32
        deserialize_f64 visit_f64 f64
        deserialize_string visit_string String
        deserialize_str visit_string String
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        match &self.0 {
            Value::Bytes(text) if matches!(&text[..], b"1" | b"true") => visitor.visit_bool(true),
            Value::Bytes(text) if matches!(&text[..], b"0" | b"false") => visitor.visit_bool(false),
            _ => visitor.visit_bool(bool::from_value(self.0).map_err(Failed)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        match self.0 {
            Value::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failed> {
        let pairs = Vec::<(Value, Value)>::from_value(self.0).map_err(Failed)?;
        visitor.visit_map(MapDeserializer::new(
            pairs.into_iter().map(|(name, value)| (De(name), De(value))),
        ))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let pairs = Vec::<(Value, Value)>::from_value(self.0).map_err(Failed)?;
        visitor.visit_map(Members { pairs: pairs.into_iter(), value: None, names })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let name = String::from_value(self.0).map_err(Failed)?;
        visitor.visit_enum(IntoDeserializer::<Failed>::into_deserializer(name))
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct identifier ignored_any }
}

/// The fields of a struct. A key of the reply is data, and only named if it is one of the struct's
/// own names.
struct Members {
    pairs: std::vec::IntoIter<(Value, Value)>,
    value: Option<(Option<&'static str>, Value)>,
    names: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Members {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failed> {
        let Some((key, value)) = self.pairs.next() else { return Ok(None) };
        let is_key = |name: &&str| matches!(&key, Value::Bytes(key) if key == name.as_bytes());
        self.value = Some((self.names.iter().copied().find(is_key), value));
        seed.deserialize(De(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        let (field, value) = self.value.take().unwrap_or((None, Value::Nil));
        seed.deserialize(De(value)).map_err(|Failed(error)| Failed(error.in_field(field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    enum Plan {
        Free,
        Pro,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct User {
        name: String,
        visits: i32,
        score: f64,
        active: bool,
        plan: Plan,
        #[serde(default)]
        note: Option<String>,
    }

    fn reply(parts: &[&str]) -> Value {
        Value::Array(parts.iter().map(|part| Value::bytes(part.to_string())).collect())
    }

    #[test]
    fn a_hash_becomes_a_struct() {
        let parts = [
            "name", "007", "visits", "-7", "score", "1.5", "active", "1", "plan", "Pro", "unknown",
            "x",
        ];
        let Fields(user) = Fields::<User>::from_value(reply(&parts)).unwrap();
        let wanted = User {
            name: "007".into(),
            visits: -7,
            score: 1.5,
            active: true,
            plan: Plan::Pro,
            note: None,
        };
        assert_eq!(user, wanted);
    }

    #[test]
    fn errors_name_the_field_and_quote_nothing() {
        for (parts, wanted) in [
            (&["name", "s3cret"][..], "field `visits`: missing"),
            (
                &["name", "s3cret", "visits", "s3cret"],
                "field `visits`: a string, not an integer that fits i32",
            ),
            (&["name"], "the reply is an array of another length, not an array of groups of 2"),
            (
                &["visits", "1", "plan", "s3cret"],
                "field `plan`: another value, not a value of the wanted type",
            ),
        ] {
            let error = Fields::<User>::from_value(reply(parts)).unwrap_err();
            assert_eq!(error.to_string(), wanted);
            let error = crate::Error::from(error);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
            assert!(std::error::Error::source(&error).is_none(), "the text says it already");
        }
        assert!(Fields::<User>::from_value(Value::Nil).is_err());
        let error = Fields::<User>::from_value(reply(&["plan", "s3cret"])).unwrap_err();
        let error = crate::Error::from(error).verbose().to_string();
        assert!(error.contains("unknown variant `s3cret`"), "{error}");
    }

    #[test]
    fn errors_of_json_have_a_place() {
        let error = crate::Json::<u8>::from_value(Value::bytes("\n  \"s3cret\"")).unwrap_err();
        assert_eq!(error.to_string(), "the reply is JSON of another type (line 2, column 10)");
        assert_eq!(error.position(), Some((2, 10)));
        let error = crate::Error::from(error);
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert!(error.verbose().to_string().contains("s3cret"));
        let error = crate::Json::<u8>::from_value(Value::bytes("s3cret")).unwrap_err();
        assert_eq!(error.to_string(), "the reply is no JSON text (line 1, column 1)");
    }
}
