//! Reads the form in which servers write nearly all JSON replies: without spaces, texts in base64
//! without escapes. A single pass suffices, without examining each byte of a text before base64
//! does. Any other form, errors included, is left to the reader of [`json`](super::json), which
//! reports errors. If both read a body their results are equal.

use super::Form;
use super::json::decode_base64;
use crate::backend::Reply;
use crate::backend::rest::block::Blocks;
use crate::backend::rest::limits::Room;
use crate::value::Value;

/// Reads the reply to one command.
pub(super) fn one(body: &[u8], form: Form) -> Option<Reply> {
    let mut reader = Reader { rest: body, room: Room::new(form.limits), blocks: None };
    let reply = reader.reply()?;
    reader.ends().then_some(reply)
}

/// Reads the replies to exactly `count` commands.
pub(super) fn many(body: &[u8], count: usize, form: Form) -> Option<Vec<Reply>> {
    let blocks = Blocks::default();
    let mut reader = Reader { rest: body, room: Room::new(form.limits), blocks: Some(&blocks) };
    let mut replies = Vec::with_capacity(count);
    reader.is(b"[").then_some(())?;
    for index in 0..count {
        (index == 0 || reader.is(b",")).then_some(())?;
        replies.push(reader.reply()?);
    }
    (reader.is(b"]") && reader.ends()).then_some(replies)
}

struct Reader<'a> {
    rest: &'a [u8],
    room: Room,
    /// For short values; `None`: each has separate memory.
    blocks: Option<&'a Blocks>,
}

impl Reader<'_> {
    /// Consumes `text`, if it is next.
    fn is(&mut self, text: &[u8]) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Returns true if only the end of a line follows.
    fn ends(&self) -> bool {
        matches!(self.rest, b"" | b"\n" | b"\r\n")
    }

    fn reply(&mut self) -> Option<Reply> {
        self.is(br#"{"result":"#).then_some(())?;
        let value = self.value(0)?;
        self.is(b"}").then_some(Ok(value))
    }

    /// Reads one value, within `depth` arrays.
    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.rest.first()? {
            b'"' => self.text(),
            b'n' => self.is(b"null").then_some(Value::Nil),
            b'[' => self.array(depth),
            _ => self.integer(),
        }
    }

    fn text(&mut self) -> Option<Value> {
        let text = &self.rest[1..];
        let end = memchr::memchr(b'"', text)?;
        self.rest = &text[end + 1..];
        match &text[..end] {
            b"OK" => Some(Value::Okay),
            // An escaped quote ends it too early, at a character that is not base64.
            text => decode_base64(text, self.blocks).map(Value::Bytes),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.room.array(depth).ok()?;
        self.is(b"[").then_some(())?;
        let mut items = Vec::new();
        while !self.is(b"]") {
            (items.is_empty() || self.is(b",")).then_some(())?;
            self.room.element().ok()?;
            items.push(self.value(depth + 1)?);
        }
        Some(Value::Array(items))
    }

    /// Reads an integer. Invalid JSON (`01`), and numbers that are no integers (`1.5`, and `-0`),
    /// may begin like one: then the digits are not followed by the end of a value, or are not the
    /// canonical form of the integer.
    fn integer(&mut self) -> Option<Value> {
        let sign = usize::from(self.rest.starts_with(b"-"));
        let length =
            sign + self.rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        let integer = std::str::from_utf8(number).ok()?.parse().ok()?;
        (itoa::Buffer::new().format(integer).as_bytes() == number).then_some(Value::Int(integer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, json_many, json_one};
    use super::*;
    use crate::backend::rest::limits::Limits;
    use bytes::Bytes;

    const FORM: Form = Form { format: Format::Base64, limits: Limits { depth: 2, elements: 4 } };

    /// Returns the other reader's result, unless that is an error.
    fn thorough(result: &str) -> Option<Value> {
        json_one(&Bytes::from(format!("{{\"result\":{result}}}")), FORM).ok()?.ok()
    }

    #[test]
    fn compact_reader_agrees_with_the_general_reader() {
        for result in [
            "null",
            "\"OK\"",
            "\"\"",
            "\"T0s=\"",
            "0",
            "-1",
            "9223372036854775807",
            "[]",
            "[\"T0s=\",null,[7]]",
            "-9223372036854775808",
        ] {
            let value =
                one(format!("{{\"result\":{result}}}\n").as_bytes(), FORM).map(Result::unwrap);
            assert!(value.is_some() && value == thorough(result), "{result}");
            let three = format!("[{{\"result\":1}},{{\"result\":{result}}},{{\"result\":null}}]");
            let replies = many(three.as_bytes(), 3, FORM).unwrap();
            assert!(replies.len() == 3 && replies[1].as_ref().ok() == value.as_ref());
            assert!(
                many(three.as_bytes(), 2, FORM).is_none()
                    && many(three.as_bytes(), 4, FORM).is_none()
            );
            assert!(json_many(&Bytes::from(three), 3, FORM).is_ok());
        }
    }

    #[test]
    fn other_bodies_are_left_to_the_general_reader() {
        for result in [
            "01",
            "-",
            "-0",
            "-01",
            "1.5",
            "1e3",
            "9223372036854775808",
            "\"T0s\"",
            "\"T0s=",
            "\"T0\\u0073=\"",
            "\"\\\"\"",
            "true",
            "nul",
            "[1,]",
            "[,1]",
            "[1 ]",
            " 1",
            "[[[1]]]",
            "[1,2,3,4,5]",
            "{\"error\":\"ERR\"}",
        ] {
            assert!(one(format!("{{\"result\":{result}}}").as_bytes(), FORM).is_none(), "{result}");
        }
        for body in [
            "",
            "{}",
            "[]",
            "{\"error\":\"ERR\"}",
            "{\"result\":1}x",
            "{\"result\":1,\"a\":2}",
            "{ \"result\":1}",
        ] {
            assert!(one(body.as_bytes(), FORM).is_none(), "{body}");
        }
        for body in [
            r#"{"result":1"#,
            r#"{"result":1,"result":2}"#,
            r#"{"result":1,"error":"ERR"}"#,
            r#"{"error":"OK"}"#,
            r#"{"result":"ok"}"#,
            r#"{"result":[1""]}"#,
            "{\"result\":1}\0",
            "{\"result\":1}\u{c}",
        ] {
            assert!(one(body.as_bytes(), FORM).is_none(), "{body:?}");
        }
    }

    #[test]
    fn a_body_of_several_is_all_replies_or_is_left_to_the_other_reader() {
        for body in [
            r#"[,{"result":1},{"result":2}]"#,
            r#"[{"result":1}{"result":2}]"#,
            r#"[{"result":1},{"result":2]"#,
            r#"[{"result":1},{"result":2}"#,
            r#"[{"result":1},{"result":2}]x"#,
            r#"[{"result":1},{"error":"OK"}]"#,
            // A level, and an element, more than the limits allow in total.
            r#"[{"result":[[[1]]]},{"result":2}]"#,
            r#"[{"result":[1,2,3]},{"result":[1,2]}]"#,
        ] {
            assert!(many(body.as_bytes(), 2, FORM).is_none(), "{body}");
        }
    }
}
