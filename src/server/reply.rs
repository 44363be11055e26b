//! Values to JSON, and to RESP2.

use crate::backend::Reply;
use crate::error::{Error, ErrorKind, Outcome, ServerError};
use crate::value::Value;

/// How strings in a reply are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As text: bytes that are not UTF-8 become U+FFFD.
    Plain,
    /// In base64, at any depth, except the status `OK`.
    Base64,
    /// Not JSON: RESP2.
    Resp2,
}

/// The reply to one command: `{"result": …}` or `{"error": "…"}`.
pub(crate) fn write_reply(reply: &Reply, encoding: Encoding, out: &mut Vec<u8>) {
    if encoding == Encoding::Resp2 {
        return match reply {
            Ok(value) => write_resp2(value, out),
            Err(error) => write_resp2_error(&error_text(error), out),
        };
    }
    match reply {
        Ok(value) => {
            out.extend_from_slice(b"{\"result\":");
            write_value(value, encoding, out);
            out.push(b'}');
        }
        Err(error) => write_error(&error_text(error), out),
    }
}

/// The replies to many commands; in RESP2 as one array.
pub(crate) fn write_replies(replies: &[Reply], encoding: Encoding, out: &mut Vec<u8>) {
    if encoding == Encoding::Resp2 {
        write_length(b'*', replies.len(), out);
        return replies.iter().for_each(|reply| write_reply(reply, encoding, out));
    }
    write_list(replies, out, |reply, out| write_reply(reply, encoding, out));
}

/// The reply, or an error where it does not fit into what is `left` of an answer of `most` bytes. A value may stand in it many times
/// without taking more memory in the backend than once: written out it does.
pub(crate) fn fit(reply: Reply, encoding: Encoding, left: &mut usize, most: usize) -> Reply {
    let size = reply.as_ref().map_or(0, |value| size(value, encoding));
    match left.checked_sub(size) {
        Some(rest) => {
            *left = rest;
            reply
        }
        None => {
            let text = format!(
                "ERR max response size exceeded. Limit: {most} bytes, Actual: {size} bytes; the command was executed"
            );
            Err(Error::redis(ServerError::new(text)))
        }
    }
}

/// About how many bytes a value is on the wire; escapes in texts are not counted.
fn size(value: &Value, encoding: Encoding) -> usize {
    /// Quotes, lengths and separators.
    const FRAME: usize = 8;
    FRAME
        + match value {
            Value::Bytes(bytes) if encoding == Encoding::Base64 => bytes.len() / 3 * 4,
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(items) => {
                items.iter().fold(0, |sum: usize, item| sum.saturating_add(size(item, encoding)))
            }
            Value::Error(error) => error.message().len(),
            Value::Nil | Value::Int(_) | Value::Okay => 0,
        }
}

fn write_length(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn write_resp2_error(text: &str, out: &mut Vec<u8>) {
    out.push(b'-');
    // One line, whatever a script answered.
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

fn write_resp2(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"$-1\r\n"),
        Value::Int(n) => {
            out.push(b':');
            out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Value::Okay => out.extend_from_slice(b"+OK\r\n"),
        Value::Bytes(bytes) => {
            write_length(b'$', bytes.len(), out);
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Value::Array(items) => {
            write_length(b'*', items.len(), out);
            items.iter().for_each(|item| write_resp2(item, out));
        }
        Value::Error(error) => write_resp2_error(error.message(), out),
    }
}

pub(crate) fn write_error(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    write_string(text, out);
    out.push(b'}');
}

/// What clients are told: Redis's own text, or one of the protocol's for a backend that cannot be asked.
pub(crate) fn error_text(error: &Error) -> String {
    match (error.server_message(), error.kind(), error.outcome()) {
        (Some(text), ..) => text.to_owned(),
        (None, ErrorKind::InvalidCommand | ErrorKind::Unsupported, _) => format!("ERR {error}"),
        (None, _, Outcome::NotApplied) => "DB connection refused".to_owned(),
        // The text that says "it may have been applied" to clients of the protocol.
        (None, ..) => "ERR caller gone".to_owned(),
    }
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

fn write_value(value: &Value, encoding: Encoding, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        Value::Okay => out.extend_from_slice(b"\"OK\""),
        Value::Bytes(bytes) if encoding == Encoding::Base64 => {
            out.push(b'"');
            base64_simd::STANDARD.encode_append(bytes, out);
            out.push(b'"');
        }
        // Plain; RESP2 does not come here.
        Value::Bytes(bytes) => write_string(&String::from_utf8_lossy(bytes), out),
        Value::Array(items) => write_list(items, out, |item, out| write_value(item, encoding, out)),
        Value::Error(error) => write_error(error.message(), out),
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(reply: Reply, encoding: Encoding) -> String {
        let mut out = Vec::new();
        write_reply(&reply, encoding, &mut out);
        String::from_utf8(out).unwrap()
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
        let value = Value::Array(vec![Value::Array(items)]);
        assert_eq!(
            json(Ok(value.clone()), Encoding::Base64),
            r#"{"result":[["OK","T0s=","","/w==",null,-9223372036854775808,{"error":"ERR \"x\""}]]}"#
        );
        assert_eq!(
            json(Ok(value), Encoding::Plain),
            "{\"result\":[[\"OK\",\"OK\",\"\",\"\u{fffd}\",null,-9223372036854775808,{\"error\":\"ERR \\\"x\\\"\"}]]}"
        );
    }

    #[test]
    fn errors_say_whether_the_command_may_have_run() {
        let error = |kind| Err(Error::new(kind, "text"));
        assert_eq!(
            json(error(ErrorKind::Connect), Encoding::Base64),
            r#"{"error":"DB connection refused"}"#
        );
        assert_eq!(
            json(error(ErrorKind::Timeout), Encoding::Base64),
            r#"{"error":"ERR caller gone"}"#
        );
        assert_eq!(
            json(error(ErrorKind::Unsupported), Encoding::Base64),
            r#"{"error":"ERR text"}"#
        );
    }
}
