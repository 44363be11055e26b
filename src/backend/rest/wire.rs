//! Bytes on the wire and values in memory. Pure: no I/O, no retry.

use super::block::{Blocks, SHORT};
use super::limits::{Limits, Room};
use super::resp2;
use crate::backend::Reply;
use crate::command::Command;
use crate::error::{Error, Result, ServerError};
use crate::value::Value;
use base64_simd::AsOut as _;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The argument at this place (0 is the name) is not UTF-8, so JSON cannot carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8(pub(crate) usize);

/// Appends `command` as a JSON array of strings.
pub(crate) fn encode(command: &Command, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
    out.reserve(command.byte_len() + 3 * command.parts().len() + 2);
    out.push(b'[');
    for (index, part) in command.parts().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let text = std::str::from_utf8(part).map_err(|_| NotUtf8(index))?;
        encode_string(text, out);
    }
    out.push(b']');
    Ok(())
}

/// Appends `text` as a JSON string: runs without special characters are copied whole.
fn encode_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, tail) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = tail.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes stand at the beginning that need no escape.
fn plain(bytes: &[u8]) -> usize {
    /// Looked at together, without a branch for each: that compiles to vector instructions.
    const TOGETHER: usize = 32;
    let special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    let all_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, &byte| found | special(byte));
    let whole = bytes.chunks_exact(TOGETHER).take_while(all_plain).count() * TOGETHER;
    let rest = &bytes[whole..];
    whole + rest.iter().position(|&byte| special(byte)).unwrap_or(rest.len())
}

/// How strings in a reply are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Plain,
    /// As they are, where U+FFFD would mean that the server lost bytes.
    Checked,
    /// In base64, except the status `OK`.
    Base64,
    /// Not JSON at all.
    Resp2,
}

/// How a body is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) encoding: Encoding,
    pub(crate) limits: Limits,
}

/// Why a body is no reply. Holds no part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line} column {column}")]
pub(crate) struct Unreadable {
    what: &'static str,
    line: usize,
    column: usize,
    /// It may be a reply, and is more than is allowed.
    exceeds: bool,
}

impl Unreadable {
    /// At this byte of a reply that is not JSON.
    pub(super) fn at(what: &'static str, byte: usize) -> Self {
        Self { what, line: 1, column: byte + 1, exceeds: false }
    }

    pub(super) fn exceeds(what: &'static str, line: usize, column: usize) -> Self {
        Self { what, line, column, exceeds: true }
    }

    /// True for a reply that is more than is allowed.
    pub(super) fn is_too_much(&self) -> bool {
        self.exceeds
    }

    fn of(error: &serde_json::Error, room: &Room) -> Self {
        use serde_json::error::Category;
        if let Some(what) = room.exceeded() {
            return Self::exceeds(what, error.line(), error.column());
        }
        let what = match error.classify() {
            Category::Eof => "the JSON ends early",
            Category::Syntax | Category::Io => "no JSON",
            // The messages of the visitors below are constant; those of serde may quote the reply.
            Category::Data => "no reply of the REST protocol",
        };
        Self { what, line: error.line(), column: error.column(), exceeds: false }
    }
}

/// Reads the reply to one command.
pub(crate) fn decode_one(body: &Bytes, Form { encoding, limits }: Form) -> Result<Reply, Unreadable> {
    if encoding == Encoding::Resp2 {
        let mut replies = resp2::decode(body, 1, limits)?;
        return match (replies.pop(), replies.is_empty()) {
            (Some(value), true) => Ok(entry(value)),
            _ => Err(Unreadable::at("another number of replies than one", 0)),
        };
    }
    let (mut json, room) = (serde_json::Deserializer::from_slice(body), Room::new(limits));
    let value = ValueSeed { encoding, blocks: None, room: &room, depth: 0 };
    let reply = ReplySeed(value).deserialize(&mut json).and_then(|reply| json.end().map(|()| reply));
    reply.map_err(|error| Unreadable::of(&error, &room))
}

/// Reads the replies to a pipeline or transaction: an array of exactly `count`, or one error for the whole.
pub(crate) fn decode_many(body: &Bytes, count: usize, Form { encoding, limits }: Form) -> Result<Result<Vec<Reply>>, Unreadable> {
    if encoding == Encoding::Resp2 {
        return many(resp2::decode(body, count, limits.framed(count))?, count);
    }
    let (mut json, room, blocks) = (serde_json::Deserializer::from_slice(body), Room::new(limits), Blocks::default());
    let value = ValueSeed { encoding, blocks: Some(&blocks), room: &room, depth: 0 };
    let replies = RepliesSeed { count, value }.deserialize(&mut json).and_then(|replies| json.end().map(|()| replies));
    replies.map_err(|error| Unreadable::of(&error, &room))
}

/// An error as a whole reply is an `Err`.
fn entry(value: Value) -> Reply {
    match value {
        Value::Error(error) => Err(Error::redis(error)),
        value => Ok(value),
    }
}

/// A value that does not hold the whole body: the others in it may be of other callers.
fn detached(value: Value, blocks: &Blocks) -> Value {
    match value {
        Value::Bytes(bytes) => Value::Bytes(blocks.copy(bytes)),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| detached(item, blocks)).collect()),
        other => other,
    }
}

/// How a server frames the replies to a pipeline is not documented: one after another, or as one array. With two commands or more
/// these cannot be confused.
fn many(mut replies: Vec<Value>, count: usize) -> Result<Result<Vec<Reply>>, Unreadable> {
    if replies.len() == 1 && count > 1 {
        match replies.pop() {
            Some(Value::Array(items)) => replies = items,
            Some(Value::Error(error)) => return Ok(Err(Error::redis(error))),
            _ => {}
        }
    }
    let blocks = Blocks::default();
    match replies.len() == count {
        true => Ok(Ok(replies.into_iter().map(|value| entry(detached(value, &blocks))).collect())),
        false => Err(Unreadable::at("another number of replies than commands", 0)),
    }
}

/// One `{"result": …}` or `{"error": "…"}`.
#[derive(Clone, Copy)]
struct ReplySeed<'a>(ValueSeed<'a>);

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
        let mut reply = None;
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::Result => reply = Some(Ok(map.next_value_seed(self.0)?)),
                Field::Error => reply = Some(Err(Error::redis(ServerError::new(map.next_value::<String>()?)))),
                Field::Other => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        reply.ok_or_else(|| A::Error::custom("neither a result nor an error"))
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

/// The replies to a pipeline, or one error object.
struct RepliesSeed<'a> {
    count: usize,
    value: ValueSeed<'a>,
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
        // The count is ours, so it is safe to reserve.
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

/// One value of a result.
#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    encoding: Encoding,
    /// For short values; none: each has memory of its own.
    blocks: Option<&'a Blocks>,
    room: &'a Room,
    /// Within how many others it stands.
    depth: usize,
}

impl ValueSeed<'_> {
    /// For what stands within this value.
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
        match self.encoding {
            Encoding::Checked if text.contains('\u{FFFD}') => Err(E::custom("a string that has lost bytes")),
            Encoding::Plain | Encoding::Checked | Encoding::Resp2 => Ok(Value::Bytes(Bytes::copy_from_slice(text.as_bytes()))),
            Encoding::Base64 => {
                decode_base64(text.as_bytes(), self.blocks).map(Value::Bytes).ok_or_else(|| E::custom("a string that is not base64"))
            }
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
        Some(blocks) if length <= SHORT => {
            blocks.value(length, |room| base64_simd::STANDARD.decode(text, room.as_out()).is_ok().then_some(()))
        }
        _ => {
            // Of exactly the right size: `Bytes` takes it over as it is then.
            let mut bytes = Vec::with_capacity(length);
            base64_simd::STANDARD.decode_append(text, &mut bytes).ok()?;
            Some(bytes.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    const BASE64: Form = Form { encoding: Encoding::Base64, limits: Limits { depth: 2, elements: 8 } };

    fn encoded(command: &Command) -> String {
        let mut out = Vec::new();
        encode(command, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commands_are_arrays_of_json_strings() {
        let command = cmd("SET").arg("k\"\\\u{1}\n").arg("ü😀\u{2028}").arg(7);
        assert_eq!(encoded(&command), "[\"SET\",\"k\\\"\\\\\\u0001\\n\",\"ü😀\u{2028}\",\"7\"]");
        assert_eq!(encode(&cmd("SET").arg("k").arg(&b"\xff"[..]), &mut Vec::new()), Err(NotUtf8(2)));
    }

    #[test]
    fn values_in_base64() {
        let body = br#"{"result":["OK","T0s=",null,-9223372036854775808,["/w=="],""]}"#;
        let value = decode_one(&Bytes::from_static(body), BASE64).unwrap().unwrap();
        let wanted = vec![
            Value::Okay,
            Value::bytes("OK"),
            Value::Nil,
            Value::Int(i64::MIN),
            Value::Array(vec![Value::bytes(&b"\xff"[..])]),
            Value::bytes(""),
        ];
        assert!(value == Value::Array(wanted));
    }

    #[test]
    fn errors_win_over_nothing() {
        let error = decode_one(&Bytes::from_static(br#"{"error":"WRONGTYPE Operation against a key"}"#), BASE64).unwrap().unwrap_err();
        assert_eq!(error.redis_code(), Some("WRONGTYPE"));
        let mut replies =
            decode_many(&Bytes::from_static(br#"[{"result":"/w=="},{"error":"ERR syntax error"}]"#), 2, BASE64).unwrap().unwrap();
        assert!(replies.pop().unwrap().is_err());
        assert!(decode_many(&Bytes::from_static(br#"{"error":"EXECABORT"}"#), 2, BASE64).unwrap().is_err());
    }

    #[test]
    fn what_is_no_reply_is_unreadable_and_never_quoted() {
        for body in [
            "",
            "<html>s3cret",
            "{",
            r#"{"result":"s3cret"}"#,
            r#"{"result":1.5}"#,
            r#"{"result":18446744073709551615}"#,
            "[]",
            "1",
            r#"{"other":"s3cret"}"#,
            r#"{"result":null} s3cret"#,
            r#"{"result":{"s3cret":1}}"#,
            r#"{"error":1}"#,
        ] {
            let error = decode_one(&Bytes::from_static(body.as_bytes()), BASE64).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let two = &Bytes::from_static(br#"[{"result":1},{"result":2}]"#);
        assert!(decode_many(two, 1, BASE64).is_err());
        assert!(decode_many(two, 3, BASE64).is_err());
    }
}
