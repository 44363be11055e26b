//! Reads JSON replies straight into values, without a tree of JSON in between.

use super::Format;
use crate::backend::Reply;
use crate::backend::rest::block::{Blocks, SHORT};
use crate::backend::rest::limits::Room;
use crate::error::{Error, Result, ServerError};
use crate::value::Value;
use base64_simd::AsOut as _;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Reads one `{"result": …}` or `{"error": "…"}`.
#[derive(Clone, Copy)]
pub(super) struct ReplySeed<'a>(pub(super) ValueSeed<'a>);

impl<'de> DeserializeSeed<'de> for ReplySeed<'_> {
    type Value = Reply;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Reply, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReplySeed<'_> {
    type Value = Reply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a result or an error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reply, A::Error> {
        // Some servers write both members, one of them null.
        let (mut result, mut error) = (None, None);
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::Result if result.is_none() => result = Some(map.next_value_seed(self.0)?),
                Field::Error if error.is_none() => {
                    error = Some(map.next_value::<Option<String>>()?)
                }
                Field::Result | Field::Error => {
                    return Err(A::Error::custom("a member that is there twice"));
                }
                Field::Other => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        match (result, error.flatten()) {
            (None | Some(Value::Nil), Some(text)) => Ok(Err(Error::redis(ServerError::new(text)))),
            (Some(_), Some(_)) => Err(A::Error::custom("a result and an error")),
            (Some(value), None) => Ok(Ok(value)),
            (None, None) => Err(A::Error::custom("neither a result nor an error")),
        }
    }
}

enum Field {
    Result,
    Error,
    Other,
}

impl<'de> serde::Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl Visitor<'_> for Names {
            type Value = Field;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Field, E> {
                Ok(match name {
                    "result" => Field::Result,
                    "error" => Field::Error,
                    _ => Field::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Names)
    }
}

/// Reads the replies to a pipeline, or one error object.
pub(super) struct RepliesSeed<'a> {
    pub(super) count: usize,
    pub(super) value: ValueSeed<'a>,
}

impl<'de> DeserializeSeed<'de> for RepliesSeed<'_> {
    type Value = Result<Vec<Reply>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RepliesSeed<'_> {
    type Value = Result<Vec<Reply>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of replies, or one error")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        match ReplySeed(self.value).visit_map(map)? {
            Err(error) => Ok(Err(error)),
            Ok(_) => Err(A::Error::custom("one result for many commands")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // The count is the client's, so it is safe to reserve.
        let mut replies = Vec::with_capacity(self.count);
        while let Some(reply) = seq.next_element_seed(ReplySeed(self.value))? {
            if replies.len() == self.count {
                return Err(A::Error::custom("more replies than commands"));
            }
            replies.push(reply);
        }
        if replies.len() < self.count {
            return Err(A::Error::custom("fewer replies than commands"));
        }
        Ok(Ok(replies))
    }
}

const LOST_BYTES: &str = "a value in which the server replaced bytes that are not UTF-8 by U+FFFD \
                          (Encoding::Text reads it all the same)";

/// Reads one value of a result.
#[derive(Clone, Copy)]
pub(super) struct ValueSeed<'a> {
    pub(super) format: Format,
    /// For short values; `None`: each has separate memory.
    pub(super) blocks: Option<&'a Blocks>,
    pub(super) room: &'a Room,
    /// Number of enclosing arrays.
    pub(super) depth: usize,
}

impl ValueSeed<'_> {
    /// Returns the seed for the elements of this value.
    fn within(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, an integer, a string or an array")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(Value::Int(n))
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Value, E> {
        n.try_into().map(Value::Int).map_err(|_| E::custom("an integer beyond 64 bits"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        // Padded base64 has a length divisible by four, so these two letters are always the status.
        if text == "OK" {
            return Ok(Value::Okay);
        }
        match self.format {
            Format::Checked if text.contains('\u{FFFD}') => {
                Err(E::custom(self.room.refuse(LOST_BYTES)))
            }
            Format::Undecided if !text.is_empty() => {
                Err(E::custom("a string of an unknown encoding"))
            }
            Format::Plain | Format::Checked | Format::Undecided | Format::Resp2 => {
                Ok(Value::Bytes(Bytes::copy_from_slice(text.as_bytes())))
            }
            Format::Base64 => decode_base64(text.as_bytes(), self.blocks)
                .map(Value::Bytes)
                .ok_or_else(|| E::custom("a string that is not base64")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.room.array(self.depth).map_err(A::Error::custom)?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.within())? {
            self.room.element().map_err(A::Error::custom)?;
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    /// An error inside an array.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        self.room.array(self.depth).map_err(A::Error::custom)?;
        match ReplySeed(self.within()).visit_map(map)? {
            Ok(_) => Err(A::Error::custom("a result inside a result")),
            Err(error) => match error.server_error() {
                Some(server) => Ok(Value::Error(server.clone())),
                None => Err(A::Error::custom("an error without a text")),
            },
        }
    }
}

pub(crate) fn decode_base64(text: &[u8], blocks: Option<&Blocks>) -> Option<Bytes> {
    let length = base64_simd::STANDARD.decoded_length(text).ok()?;
    match blocks {
        Some(blocks) if length <= SHORT => blocks.value(length, |room| {
            base64_simd::STANDARD.decode(text, room.as_out()).is_ok().then_some(())
        }),
        _ => {
            // Allocated to size: `Bytes` takes it over without copying.
            let mut bytes = Vec::with_capacity(length);
            base64_simd::STANDARD.decode_append(text, &mut bytes).ok()?;
            Some(bytes.into())
        }
    }
}
