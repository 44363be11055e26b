//! Encodes replies as JSON and RESP2 piece by piece. Written values are freed, so that the text
//! never exists as a whole beside them.

use super::reply::{Encoding, error_text, write_error};
use bytes::Bytes;
use redis_rest::Value;
use redis_rest::backend::Reply;
use serde::Serializer as _;
use serde_json::ser::{Formatter, Serializer};
use std::io;
use std::vec::IntoIter;

/// A longer string is written in pieces of this size. Base64 encodes three bytes as four letters.
const PIECE: usize = 48 * 1024;

/// Replies not yet written.
pub struct Encoder {
    encoding: Encoding,
    /// In reverse order: the last part is written next.
    parts: Vec<Part>,
}

enum Part {
    Literal(&'static [u8]),
    /// The rest of a string.
    Text(Bytes),
    /// The rest of an array, and whether an element precedes it.
    Values(IntoIter<Value>, bool),
    Reply(Reply),
    Many(Vec<Reply>),
    Replies(IntoIter<Reply>, bool),
}

impl Encoder {
    /// Encodes the reply to one command: `{"result": …}` or `{"error": "…"}`.
    pub fn one(reply: Reply, encoding: Encoding) -> Self {
        Self { encoding, parts: vec![Part::Reply(reply)] }
    }

    /// Encodes the replies to many commands, as an array.
    pub fn many(replies: Vec<Reply>, encoding: Encoding) -> Self {
        Self { encoding, parts: vec![Part::Many(replies)] }
    }

    /// Appends to `out` until it has `enough` bytes or slightly more. Returns true if anything is
    /// left.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        let json = self.encoding != Encoding::Resp2;
        while out.len() < enough
            && let Some(part) = self.parts.pop()
        {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Text(rest) => self.text(rest, out),
                Part::Reply(reply) => self.reply(reply, out),
                Part::Many(replies) => {
                    begin_list(json, replies.len(), out);
                    self.parts.push(Part::Replies(replies.into_iter(), false));
                }
                Part::Replies(mut replies, more) => match replies.next() {
                    Some(reply) => {
                        separate(json && more, out);
                        self.parts.push(Part::Replies(replies, true));
                        self.reply(reply, out);
                    }
                    None => end_list(json, out),
                },
                Part::Values(mut values, more) => match values.next() {
                    Some(value) => {
                        separate(json && more, out);
                        self.parts.push(Part::Values(values, true));
                        self.value(value, out);
                    }
                    None => end_list(json, out),
                },
            }
        }
        !self.parts.is_empty()
    }

    /// Appends the rest.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        while self.fill(out, usize::MAX) {}
    }

    fn reply(&mut self, reply: Reply, out: &mut Vec<u8>) {
        match (reply, self.encoding) {
            (Ok(value), Encoding::Resp2) => self.value(value, out),
            (Ok(value), Encoding::Plain | Encoding::Base64) => {
                out.extend_from_slice(b"{\"result\":");
                self.parts.push(Part::Literal(b"}"));
                self.value(value, out);
            }
            (Err(error), Encoding::Resp2) => write_resp2_error(&error_text(&error), out),
            (Err(error), Encoding::Plain | Encoding::Base64) => {
                write_error(&error_text(&error), out);
            }
        }
    }

    fn value(&mut self, value: Value, out: &mut Vec<u8>) {
        let json = self.encoding != Encoding::Resp2;
        match value {
            Value::Nil if json => out.extend_from_slice(b"null"),
            Value::Nil => out.extend_from_slice(b"$-1\r\n"),
            Value::Int(n) if json => number(n, out),
            Value::Int(n) => {
                out.push(b':');
                number(n, out);
                out.extend_from_slice(b"\r\n");
            }
            // The status is text in every encoding.
            Value::Okay if json => out.extend_from_slice(b"\"OK\""),
            Value::Okay => out.extend_from_slice(b"+OK\r\n"),
            Value::Error(error) if json => write_error(error.message(), out),
            Value::Error(error) => write_resp2_error(error.message(), out),
            Value::Array(items) => {
                begin_list(json, items.len(), out);
                self.parts.push(Part::Values(items.into_iter(), false));
            }
            Value::Bytes(bytes) => {
                let end: &'static [u8] = if json { b"\"" } else { b"\r\n" };
                if json {
                    out.push(b'"')
                } else {
                    length(b'$', bytes.len(), out)
                }
                if bytes.len() > PIECE {
                    self.parts.push(Part::Literal(end));
                    self.text(bytes, out);
                } else {
                    self.piece(&bytes, out);
                    out.extend_from_slice(end);
                }
            }
            // A variant of the non-exhaustive enum that does not exist yet.
            _ => self.value(Value::Nil, out),
        }
    }

    /// Appends the next piece of a string.
    fn text(&mut self, mut rest: Bytes, out: &mut Vec<u8>) {
        let piece = rest.split_to(piece_length(&rest, self.encoding));
        if !rest.is_empty() {
            self.parts.push(Part::Text(rest));
        }
        self.piece(&piece, out);
    }

    fn piece(&self, piece: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Base64 => base64_simd::STANDARD.encode_append(piece, out),
            Encoding::Resp2 => out.extend_from_slice(piece),
            Encoding::Plain => escape(piece, out),
        }
    }
}

/// Returns the length of the next piece. In JSON no piece ends within a character, so that its
/// bytes stay together; the text may break between bytes that are no character.
fn piece_length(text: &[u8], encoding: Encoding) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let continues = |at: usize| text[at] & 0b1100_0000 == 0b1000_0000;
    let back = match encoding {
        Encoding::Plain => (0..=3).find(|back| !continues(PIECE - back)).unwrap_or(0),
        Encoding::Base64 | Encoding::Resp2 => 0,
    };
    PIECE - back
}

fn begin_list(json: bool, count: usize, out: &mut Vec<u8>) {
    if json { out.push(b'[') } else { length(b'*', count, out) }
}

fn separate(json: bool, out: &mut Vec<u8>) {
    if json {
        out.push(b',');
    }
}

fn end_list(json: bool, out: &mut Vec<u8>) {
    if json {
        out.push(b']');
    }
}

fn number(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn length(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_resp2_error(text: &str, out: &mut Vec<u8>) {
    out.push(b'-');
    // Error texts stay on one line, even if a script returned line breaks.
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

/// Appends text as the content of a JSON string; bytes that are not UTF-8 become U+FFFD.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        // Writing to memory cannot fail.
        let _ = Serializer::with_formatter(&mut *out, Unquoted).serialize_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Writes strings without their quotes.
struct Unquoted;

impl Formatter for Unquoted {
    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_rest::ServerError;

    /// Returns the text written at once, after checking that writing piece by piece gives the same.
    fn write(encoder: impl Fn() -> Encoder) -> Vec<u8> {
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        encoder().finish(&mut whole);
        let mut encoder = encoder();
        loop {
            let enough = pieces.len() + 1;
            let more = encoder.fill(&mut pieces, enough);
            assert!(pieces.len() <= enough + 6 * PIECE);
            if !more {
                break;
            }
        }
        assert!(whole == pieces);
        whole
    }

    fn one(value: &Value, encoding: Encoding) -> String {
        String::from_utf8(write(|| Encoder::one(Ok(value.clone()), encoding))).unwrap()
    }

    #[test]
    fn every_string_is_base64_except_the_status() {
        let items = vec![
            Value::Okay,
            Value::bytes("OK"),
            Value::bytes(""),
            Value::bytes(&b"\xff"[..]),
            Value::Nil,
            Value::Int(i64::MIN),
            Value::Error(ServerError::new("ERR \"x\"")),
        ];
        let value = Value::Array(vec![Value::Array(items), Value::Array(Vec::new())]);
        assert_eq!(
            one(&value, Encoding::Base64),
            r#"{"result":[["OK","T0s=","","/w==",null,-9223372036854775808,{"error":"ERR \"x\""}],[]]}"#
        );
        assert_eq!(
            one(&value, Encoding::Plain),
            "{\"result\":[[\"OK\",\"OK\",\"\",\"\u{fffd}\",null,-9223372036854775808,{\"error\":\"ERR \\\"x\\\"\"}],[]]}"
        );
    }

    #[test]
    fn long_strings_are_independent_of_piece_boundaries() {
        let mut texts = vec![vec![b'"'; 3 * PIECE], vec![0xbf; 2 * PIECE], vec![0xf0; 2 * PIECE]];
        for shift in 0..4 {
            let text = ["x".repeat(PIECE - shift), "\u{1f980}é\n".repeat(PIECE / 4)].concat();
            texts.push([text.as_bytes(), b"\xf0\x9f\xa6"].concat());
        }
        for text in texts {
            let value = Value::Bytes(text.clone().into());
            let plain = serde_json::to_string(&String::from_utf8_lossy(&text)).unwrap();
            assert!(one(&value, Encoding::Plain) == format!("{{\"result\":{plain}}}"));
            let base64 = base64_simd::STANDARD.encode_to_string(&text);
            assert!(one(&value, Encoding::Base64) == format!("{{\"result\":\"{base64}\"}}"));
            let resp2 = write(|| Encoder::one(Ok(value.clone()), Encoding::Resp2));
            let wanted = [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat();
            assert!(resp2 == wanted);
        }
    }

    #[test]
    fn many_replies_are_an_array() {
        let replies = || vec![Ok(Value::Int(1)), Ok(Value::Array(vec![Value::Nil, Value::Okay]))];
        let many = |encoding| String::from_utf8(write(|| Encoder::many(replies(), encoding)));
        assert_eq!(many(Encoding::Plain).unwrap(), r#"[{"result":1},{"result":[null,"OK"]}]"#);
        assert_eq!(many(Encoding::Resp2).unwrap(), "*2\r\n:1\r\n*2\r\n$-1\r\n+OK\r\n");
        assert!(write(|| Encoder::many(Vec::new(), Encoding::Plain)) == b"[]");
    }
}
