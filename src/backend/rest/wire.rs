//! Conversion between bytes on the wire and values in memory. Pure: no I/O, no retry.

mod compact;
pub(crate) mod json;
pub(crate) mod resp2;

use super::block::Blocks;
use super::limits::{Limits, Room};
use crate::backend::Reply;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::value::Value;
use bytes::Bytes;
use json::{RepliesSeed, ReplySeed, ValueSeed};
use serde::de::DeserializeSeed as _;

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
            _ => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
        rest = after;
    }
    out.push(b'"');
}

/// Returns the number of leading bytes that need no escape.
fn plain(bytes: &[u8]) -> usize {
    /// Examined together, without a branch for each: that compiles to vector instructions.
    const TOGETHER: usize = 32;
    let special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    let all_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, &byte| found | special(byte));
    let whole = bytes.chunks_exact(TOGETHER).take_while(all_plain).count() * TOGETHER;
    let rest = &bytes[whole..];
    whole + rest.iter().position(|&byte| special(byte)).unwrap_or(rest.len())
}

/// Format of strings in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Plain text.
    Plain,
    /// Plain text, in which U+FFFD would mean that the server lost bytes.
    Checked,
    /// Unknown: only replies without texts can be read.
    Undecided,
    /// In base64, except the status `OK`.
    Base64,
    /// RESP2 instead of JSON.
    Resp2,
}

/// Format and limits for reading a body.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) format: Format,
    pub(crate) limits: Limits,
}

/// The reason for a truncated body.
pub(super) const ENDS_EARLY: &str = "the reply ends early";

/// Reason why a body is no reply. Contains no part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line} column {column}")]
pub(crate) struct Unreadable {
    what: &'static str,
    line: usize,
    column: usize,
    /// The body may be a reply that exceeds the limits.
    exceeds: bool,
}

impl Unreadable {
    /// Creates an error at this byte of a reply that is not JSON.
    pub(super) fn at(what: &'static str, byte: usize) -> Self {
        Self { what, line: 1, column: byte + 1, exceeds: false }
    }

    pub(super) fn exceeds(what: &'static str, line: usize, column: usize) -> Self {
        Self { what, line, column, exceeds: true }
    }

    /// Returns true for a truncated reply.
    pub(super) fn ends_early(&self) -> bool {
        self.what == ENDS_EARLY
    }

    /// Returns true for a reply that exceeds the limits.
    pub(super) fn is_too_much(&self) -> bool {
        self.exceeds
    }

    fn of(error: &serde_json::Error, room: &Room) -> Self {
        use serde_json::error::Category;
        if let Some(what) = room.exceeded() {
            return Self::exceeds(what, error.line(), error.column());
        }
        let what = match error.classify() {
            Category::Eof => ENDS_EARLY,
            Category::Syntax | Category::Io => "no JSON",
            // The messages of the visitors are constant; those of serde may quote the reply.
            Category::Data => room.refused().unwrap_or("no reply of the REST protocol"),
        };
        Self { what, line: error.line(), column: error.column(), exceeds: false }
    }
}

/// Reads the reply to one command.
pub(crate) fn decode_one(body: &Bytes, form: Form) -> Result<Reply, Unreadable> {
    match form.format {
        Format::Resp2 => {
            let mut replies = resp2::decode(body, 1, form.limits)?;
            match (replies.pop(), replies.is_empty()) {
                (Some(value), true) => Ok(entry(value)),
                _ => Err(Unreadable::at("another number of replies than one", 0)),
            }
        }
        Format::Base64 => compact::one(body, form).map_or_else(|| json_one(body, form), Ok),
        Format::Plain | Format::Checked | Format::Undecided => json_one(body, form),
    }
}

fn json_one(body: &Bytes, Form { format, limits, .. }: Form) -> Result<Reply, Unreadable> {
    let (mut json, room) = (serde_json::Deserializer::from_slice(body), Room::new(limits));
    let value = ValueSeed { format, blocks: None, room: &room, depth: 0 };
    let reply =
        ReplySeed(value).deserialize(&mut json).and_then(|reply| json.end().map(|()| reply));
    reply.map_err(|error| Unreadable::of(&error, &room))
}

/// Reads the replies to a pipeline or transaction: an array of exactly `count`, or a single error
/// for the whole.
pub(crate) fn decode_many(
    body: &Bytes,
    count: usize,
    form: Form,
) -> Result<Result<Vec<Reply>>, Unreadable> {
    match form.format {
        Format::Resp2 => {
            many(resp2::decode(body, count, form.limits.framed(count))?, count, &Blocks::default())
        }
        Format::Base64 => compact::many(body, count, form)
            .map_or_else(|| json_many(body, count, form), |replies| Ok(Ok(replies))),
        Format::Plain | Format::Checked | Format::Undecided => json_many(body, count, form),
    }
}

fn json_many(body: &Bytes, count: usize, form: Form) -> Result<Result<Vec<Reply>>, Unreadable> {
    let (mut json, room, blocks) =
        (serde_json::Deserializer::from_slice(body), Room::new(form.limits), Blocks::default());
    let value = ValueSeed { format: form.format, blocks: Some(&blocks), room: &room, depth: 0 };
    let replies = RepliesSeed { count, value }
        .deserialize(&mut json)
        .and_then(|replies| json.end().map(|()| replies));
    replies.map_err(|error| Unreadable::of(&error, &room))
}

/// Converts a complete reply: an error is an `Err`.
fn entry(value: Value) -> Reply {
    match value {
        Value::Error(error) => Err(Error::redis(error)),
        value => Ok(value),
    }
}

/// Returns a value that does not retain the whole body: other values in it may belong to other
/// callers.
fn detached(value: Value, blocks: &Blocks) -> Value {
    match value {
        Value::Bytes(bytes) => Value::Bytes(blocks.copy(bytes)),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| detached(item, blocks)).collect())
        }
        other => other,
    }
}

/// Reads RESP2 replies to a pipeline. Their framing is not documented: one after another, or as one
/// array. With two commands or more these cannot be confused.
fn many(
    mut replies: Vec<Value>,
    count: usize,
    blocks: &Blocks,
) -> Result<Result<Vec<Reply>>, Unreadable> {
    if replies.len() == 1 && count > 1 {
        match replies.pop() {
            Some(Value::Array(items)) => replies = items,
            Some(Value::Error(error)) => return Ok(Err(Error::redis(error))),
            _ => {}
        }
    }
    match replies.len() == count {
        true => Ok(Ok(replies.into_iter().map(|value| entry(detached(value, blocks))).collect())),
        false => Err(Unreadable::at("another number of replies than commands", 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    const BASE64: Form = Form { format: Format::Base64, limits: Limits { depth: 2, elements: 8 } };

    fn encoded(command: &Command) -> String {
        let mut out = Vec::new();
        encode(command, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commands_are_arrays_of_json_strings() {
        let command = cmd("SET").arg("k\"\\\u{1}\n").arg("ü😀\u{2028}").arg(7);
        assert_eq!(encoded(&command), "[\"SET\",\"k\\\"\\\\\\u0001\\n\",\"ü😀\u{2028}\",\"7\"]");
        assert_eq!(
            encode(&cmd("SET").arg("k").arg(&b"\xff"[..]), &mut Vec::new()),
            Err(NotUtf8(2))
        );
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
    fn envelopes_with_both_members_have_one_of_them_null() {
        let read = |body: &'static str| decode_one(&Bytes::from_static(body.as_bytes()), BASE64);
        for body in [r#"{"result":1,"error":null}"#, r#"{"error":null,"result":1}"#] {
            assert!(read(body).unwrap().unwrap() == Value::Int(1), "{body}");
        }
        let error = read(r#"{"result":null,"error":"ERR x"}"#).unwrap().unwrap_err();
        assert_eq!(error.redis_code(), Some("ERR"));
        for body in [
            r#"{"result":1,"result":2}"#,
            r#"{"error":"ERR x","error":"ERR y"}"#,
            r#"{"result":null,"error":null,"error":"ERR x"}"#,
            r#"{"result":1,"error":"ERR x"}"#,
            r#"{"error":null}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn errors_win_over_nothing() {
        let error = decode_one(
            &Bytes::from_static(br#"{"error":"WRONGTYPE Operation against a key"}"#),
            BASE64,
        )
        .unwrap()
        .unwrap_err();
        assert_eq!(error.redis_code(), Some("WRONGTYPE"));
        let mut replies = decode_many(
            &Bytes::from_static(br#"[{"result":"/w=="},{"error":"ERR syntax error"}]"#),
            2,
            BASE64,
        )
        .unwrap()
        .unwrap();
        assert!(replies.pop().unwrap().is_err());
        assert!(
            decode_many(&Bytes::from_static(br#"{"error":"EXECABORT"}"#), 2, BASE64)
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn malformed_bodies_are_unreadable_and_not_quoted() {
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
