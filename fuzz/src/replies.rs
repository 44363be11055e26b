//! Replies of other servers, and of this crate's server.

use super::input::{Input, Weight, same};
use bytes::Bytes;
use redis_rest::Value;
use redis_rest::backend::Reply;
use redis_rest::internal::fuzzing::{Format, decode_base64, decode_many, decode_one, decode_resp2};
use redis_rest_server::internal::{Encoder, Encoding as Served};
use serde_json::value::RawValue;

const PLAIN: (Format, Served) = (Format::Plain, Served::Plain);
const BASE64: (Format, Served) = (Format::Base64, Served::Base64);
const RESP2: (Format, Served) = (Format::Resp2, Served::Resp2);

fn one(reply: &Reply, served: Served) -> Bytes {
    let mut body = Vec::new();
    Encoder::one(reply.clone(), served).finish(&mut body);
    body.into()
}

fn many(replies: &[Reply], served: Served) -> Bytes {
    let mut body = Vec::new();
    Encoder::many(replies.to_vec(), served).finish(&mut body);
    body.into()
}

fn same_again(reply: &Reply, (format, served): (Format, Served)) {
    let again =
        decode_one(&one(reply, served), format).expect("what the server writes can be read");
    assert!(same(reply, &again), "written and read it is the same");
}

/// Checks a JSON body of any server: small in memory, and equal when written and read again.
pub fn json_reply(data: &[u8]) {
    let mut input = Input::new(data);
    let count = input.below(5);
    let body = Bytes::copy_from_slice(input.rest());
    let plain = decode_one(&body, Format::Plain);
    if let Some(reply) = &plain {
        if let Ok(value) = reply {
            let weight = Weight::of([value]);
            assert!(weight.values <= body.len() && weight.bytes + weight.errors <= body.len());
        }
        same_again(reply, PLAIN);
    }
    match (decode_one(&body, Format::Checked), &plain) {
        (Some(checked), Some(plain)) => assert!(same(&checked, plain)),
        (Some(_), None) => panic!("checked reads less than plain, not more"),
        (None, Some(_)) => {
            let lost = String::from_utf8_lossy(&body);
            assert!(
                lost.contains('\u{fffd}') || lost.to_ascii_lowercase().contains("\\ufffd"),
                "text is refused only for what it lost"
            );
        }
        (None, None) => {}
    }
    if let Some(reply) = decode_one(&body, Format::Base64) {
        same_again(&reply, BASE64);
        assert!(plain.is_some(), "base64 is text");
    }
    each_entry_as_if_alone(&body, count, Format::Plain);
    each_entry_as_if_alone(&body, count, Format::Base64);
    both_readers_agree(&body, count);
}

/// A body after a space is rejected by the reader of compact bodies.
fn both_readers_agree(body: &Bytes, count: usize) {
    let spaced = Bytes::from([b" ", &body[..]].concat());
    match (decode_one(body, Format::Base64), decode_one(&spaced, Format::Base64)) {
        (Some(ours), Some(theirs)) => assert!(same(&ours, &theirs)),
        (ours, theirs) => assert!(ours.is_none() && theirs.is_none()),
    }
    match (decode_many(body, count, Format::Base64), decode_many(&spaced, count, Format::Base64)) {
        (Some(Ok(ours)), Some(Ok(theirs))) => {
            assert!(ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| same(a, b)))
        }
        (Some(Err(ours)), Some(Err(theirs))) => assert!(same(&Err(ours), &Err(theirs))),
        (ours, theirs) => assert!(ours.is_none() && theirs.is_none()),
    }
}

/// Checks that many replies in one body are as many as the commands, each equal to the reply read
/// alone.
fn each_entry_as_if_alone(body: &Bytes, count: usize, format: Format) {
    match decode_many(body, count, format) {
        Some(Ok(replies)) => {
            assert_eq!(replies.len(), count);
            // Unknown fields of a reply are skipped, whatever bytes their strings contain; a
            // `RawValue` is text.
            if std::str::from_utf8(body).is_err() {
                return;
            }
            let entries: Vec<&RawValue> = serde_json::from_slice(body).unwrap();
            assert_eq!(entries.len(), count);
            for (reply, entry) in replies.iter().zip(entries) {
                let alone =
                    decode_one(&Bytes::copy_from_slice(entry.get().as_bytes()), format).unwrap();
                assert!(same(reply, &alone));
            }
        }
        Some(Err(error)) => {
            assert!(decode_one(body, format).is_some_and(|whole| same(&whole, &Err(error))))
        }
        None => {}
    }
}

/// Checks a RESP2 body: no more than was sent, equal when written and read again, and no reply if
/// it was cut.
pub fn resp2_reply(data: &[u8]) {
    let mut input = Input::new(data);
    let (count, cut) = (input.below(5), usize::from(input.byte()));
    let body = Bytes::copy_from_slice(input.rest());
    // Near the nesting limit: replies to a pipeline may go one level deeper.
    let deep = body.iter().filter(|&&byte| byte == b'*').count() > 100;
    let Some(values) = decode_resp2(&body) else {
        assert!(
            decode_one(&body, Format::Resp2).is_none()
                && (deep || decode_many(&body, count, Format::Resp2).is_none())
        );
        return;
    };
    let weight = Weight::of(&values);
    assert!(
        weight.values <= body.len() / 3
            && weight.bytes <= body.len()
            && weight.errors <= 3 * body.len()
    );
    let written = |values: &[Value]| {
        let mut out = Vec::new();
        values
            .iter()
            .for_each(|value| Encoder::one(Ok(value.clone()), Served::Resp2).finish(&mut out));
        Bytes::from(out)
    };
    // Errors lose their line breaks in the first writing, and nothing in the second.
    let again = decode_resp2(&written(&values)).expect("what was read can be written and read");
    assert!(decode_resp2(&written(&again)).is_some_and(|third| third == again));
    if !body.windows(2).any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n')) {
        assert!(again == values);
    }
    if !body.is_empty() {
        let shorter = body.slice(..cut % body.len());
        if let Some(fewer) = decode_resp2(&shorter) {
            assert!(fewer.len() < values.len() && values.starts_with(&fewer));
        }
    }
    let alone = decode_one(&body, Format::Resp2).is_some();
    assert!(if deep { !alone || values.len() == 1 } else { alone == (values.len() == 1) });
    if let Some(Ok(replies)) = decode_many(&body, count, Format::Resp2) {
        assert_eq!(replies.len(), count);
        let inner = match &values[..] {
            [Value::Array(items)] if count > 1 => items,
            _ => &values,
        };
        assert!(replies.iter().zip(inner).all(|(reply, value)| match (reply, value) {
            (Ok(reply), value) => reply == value,
            (Err(error), Value::Error(server)) => error.server_message() == Some(server.message()),
            (Err(_), _) => false,
        }));
    }
}

/// Decodes base64 with a slow and simple decoder. Returns `None` if it is not base64.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bits = 0_u32;
    let mut held = 0;
    let mut out = Vec::new();
    for letter in &text[..text.len() - padding] {
        let place = LETTERS.iter().position(|known| known == letter)?;
        (bits, held) = (bits << 6 | u32::try_from(place).unwrap(), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // Bits that belong to no byte must be zero: otherwise two texts would mean the same.
    (bits == 0).then_some(out)
}

/// Compares a base64 string, alone and beside others, with another decoder.
pub fn base64_reply(data: &[u8]) {
    let wanted = base64(data);
    for read in decode_base64(data) {
        assert!(read.as_deref() == wanted.as_deref());
    }
    let body = [b"{\"result\":[\"", data, b"\"]}"].concat();
    let reply = decode_one(&body.into(), Format::Base64);
    if data == b"OK" {
        assert!(matches!(reply, Some(Ok(Value::Array(items))) if items == [Value::Okay]));
    } else if let Some(bytes) = wanted {
        assert!(matches!(reply, Some(Ok(Value::Array(items))) if items == [Value::bytes(bytes)]));
    } else if !data.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        assert!(reply.is_none());
    }
    let value = Ok(Value::bytes(data.to_vec()));
    same_again(&value, BASE64);
    let all = [value.clone(), value.clone()];
    let read = decode_many(&many(&all, Served::Base64), 2, Format::Base64).unwrap().unwrap();
    assert!(read.iter().all(|reply| same(reply, &value)));
}

/// Returns the part of a value that text preserves: bytes that are no text are lost, and the string
/// `OK` looks like the status.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Bytes(bytes) if &bytes[..] == b"OK" => Value::Okay,
        Value::Bytes(bytes) => Value::bytes(String::from_utf8_lossy(bytes).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(as_text).collect()),
        other => other.clone(),
    }
}

/// Checks any replies, as the server writes them in each format: each decoder reads them unchanged.
pub fn reply_formats(data: &[u8]) {
    let mut input = Input::new(data);
    let count = 1 + input.below(4);
    let replies: Vec<Reply> = (0..count).map(|_| input.reply()).collect();
    let texts: Vec<Reply> =
        replies.iter().map(|reply| reply.as_ref().map(as_text).map_err(Clone::clone)).collect();
    for ((format, served), wanted) in [(BASE64, &replies), (RESP2, &replies), (PLAIN, &texts)] {
        for (reply, wanted) in replies.iter().zip(wanted) {
            let read = decode_one(&one(reply, served), format)
                .expect("what the server writes can be read");
            assert!(same(&read, wanted));
        }
        // A single entry of a pipeline is not requested in RESP2: its frame could be an array's.
        if format != Format::Resp2 || count > 1 {
            let read = decode_many(&many(&replies, served), count, format)
                .expect("what the server writes can be read")
                .unwrap();
            assert!(
                read.len() == count
                    && read.iter().zip(wanted).all(|(read, wanted)| same(read, wanted))
            );
        }
    }
}
