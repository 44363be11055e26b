//! Replies in JSON as servers write nearly all of them: without spaces, texts in base64 without escapes. They are read here in one pass, a
//! text without looking at each of its bytes before base64 does. Whatever is written otherwise, errors too, is left to the reader of
//! [`json`](super::json), which says what is wrong where something is. Where both read a body they read the same.

use super::Form;
use super::json::decode_base64;
use crate::backend::Reply;
use crate::backend::rest::block::Blocks;
use crate::backend::rest::limits::Room;
use crate::value::Value;

/// The reply to one command.
pub(super) fn one(body: &[u8], form: Form) -> Option<Reply> {
    let mut reader = Reader { rest: body, room: Room::new(form.limits), blocks: None };
    let reply = reader.reply()?;
    reader.ends().then_some(reply)
}

/// The replies to exactly `count` commands.
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
    /// For short values; none: each has memory of its own.
    blocks: Option<&'a Blocks>,
}

impl Reader<'_> {
    /// Goes past `text`, if it is next.
    fn is(&mut self, text: &[u8]) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Nothing follows but what ends a line.
    fn ends(&self) -> bool {
        matches!(self.rest, b"" | b"\n" | b"\r\n")
    }

    fn reply(&mut self) -> Option<Reply> {
        self.is(br#"{"result":"#).then_some(())?;
        let value = self.value(0)?;
        self.is(b"}").then_some(Ok(value))
    }

    /// One value, within `depth` arrays.
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
            // A quote that is escaped ends it too early, at a character that is not of base64.
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

    /// What JSON does not allow (`01`), or is no integer (`1.5`, and `-0`), may begin like one: after its digits does not come what
    /// follows a value, or they are not how the integer is written.
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

    /// What the other reader makes of it, where that is no error.
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
            // One level, and one element, more than the limits allow for all together.
            r#"[{"result":[[[1]]]},{"result":2}]"#,
            r#"[{"result":[1,2,3]},{"result":[1,2]}]"#,
        ] {
            assert!(many(body.as_bytes(), 2, FORM).is_none(), "{body}");
        }
    }
}
