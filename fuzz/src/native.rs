//! Replies of Redis over TCP, cut into pieces of any length, with any limits.

use super::input::{Input, Weight};
use bytes::Bytes;
use redis_rest::internal::fuzzing::{
    Broken, DEEPEST, Excess, Received, ReplyLimits as Limits, ReplyReader, decode_resp2,
};
use redis_rest::{ServerError, Value};
use redis_rest_server::internal::{Encoder, Encoding};

const WIDE: Limits = Limits { bytes: usize::MAX, depth: usize::MAX };

/// Reads the replies in `bytes`, cut at these places. Returns false if they are not RESP2. Reply
/// number `of.0` is that of a transaction of `of.1` commands.
fn read(bytes: &[u8], cuts: &[u8], limits: Limits, of: (usize, usize)) -> (Vec<Received>, bool) {
    let (mut reader, mut replies) = (ReplyReader::new(limits), Vec::new());
    let mut rest = bytes;
    for cut in cuts.iter().map(|&cut| usize::from(cut)).chain([usize::MAX]) {
        let (mut piece, behind) = rest.split_at(cut.min(rest.len()));
        rest = behind;
        loop {
            let each = Some(of.1).filter(|_| replies.len() == of.0);
            match reader.read(&mut piece, each) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(Broken) => return (replies, false),
            }
        }
        assert!(piece.is_empty(), "what is no reply yet was kept");
    }
    (replies, true)
}

/// Returns the memory as the reader counts it: the bytes of strings, and 64 for each element of an
/// array.
fn memory_bytes(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::Error(error) => error.message().len(),
        Value::Array(items) => items.iter().map(|item| 64 + memory_bytes(item)).sum(),
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Checks that both values are equal, and that the limited one is within its limit.
fn same(limited: &Result<Value, Excess>, wide: &Result<Value, Excess>, limits: Limits) {
    let Ok(wide) = wide else {
        // Only the text of an error may exceed every limit.
        assert!(matches!(limited, Err(Excess::ErrorText | Excess::Bytes | Excess::Depth)));
        return;
    };
    match limited {
        Ok(value) => assert!(value == wide && depth(value) <= limits.depth),
        Err(Excess::Depth) => assert!(depth(wide) > limits.depth),
        Err(Excess::Bytes | Excess::ErrorText) => assert!(memory_bytes(wide) > 0),
    }
}

/// Checks a stream of any bytes: cuts change nothing, a limit changes only the replies that exceed
/// it, and replies without a limit are equal to those of the reader of HTTP bodies.
pub fn native_replies(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = Limits { bytes: 1 << input.below(16), depth: input.below(8) };
    let of = (input.below(4), input.below(4));
    let cuts = [input.byte(), input.byte(), input.byte(), input.byte()];
    if input.byte().is_multiple_of(4) {
        written_and_read(&mut input, &cuts);
        return;
    }
    let bytes = input.rest();

    let (wide, sound) = read(bytes, &[], WIDE, of);
    let limited = read(bytes, &cuts, limits, of);
    assert!(limited == read(bytes, &[], limits, of), "cuts change nothing");
    assert!(limited.0.len() == wide.len() && limited.1 == sound, "limits keep the framing");
    let mut kept = 0;
    for (limited, wide) in limited.0.iter().zip(&wide) {
        match (limited, wide) {
            (Received::Whole(limited), Received::Whole(wide)) => same(limited, wide, limits),
            (Received::Each(limited), Received::Each(wide)) => {
                assert!(limited.len() == wide.len() && limited.len() == of.1);
                limited.iter().zip(wide).for_each(|(limited, wide)| same(limited, wide, limits));
            }
            _ => panic!("limits do not change what a reply is"),
        }
        let values: Vec<&Value> = match limited {
            Received::Whole(reply) => reply.iter().collect(),
            Received::Each(replies) => replies.iter().flatten().collect(),
        };
        // A short line is free, and each of its bytes may become U+FFFD.
        let charged = |value: &&Value| memory_bytes(value) > 3 * 256 || depth(value) > 0;
        kept += values.into_iter().filter(charged).map(memory_bytes).sum::<usize>();
    }
    assert!(kept <= limits.bytes, "a call holds no more than its limit");
    as_over_http(bytes, &wide, sound);
}

/// Checks that every complete reply is read like an HTTP body.
fn as_over_http(bytes: &[u8], wide: &[Received], sound: bool) {
    let values: Option<Vec<&Value>> = wide
        .iter()
        .map(|reply| match reply {
            Received::Whole(Ok(value)) if depth(value) < DEEPEST => Some(value),
            _ => None,
        })
        .collect();
    let (Some(values), true) = (values, sound) else { return };
    let weight = Weight::of(values.iter().copied());
    assert!(weight.values <= bytes.len() && weight.bytes <= bytes.len());
    // The last complete reply may be followed by the beginning of another.
    let (mut reader, mut rest) = (ReplyReader::new(WIDE), bytes);
    for _ in &values {
        assert!(reader.read(&mut rest, None).is_ok_and(|reply| reply.is_some()));
    }
    let whole = Bytes::copy_from_slice(&bytes[..bytes.len() - rest.len()]);
    let read = decode_resp2(&whole).expect("both readers can read it");
    assert!(read.iter().eq(values), "both readers agree");
}

/// Checks that replies written by the server are read unchanged.
fn written_and_read(input: &mut Input<'_>, cuts: &[u8]) {
    let replies: Vec<_> = (0..input.below(6)).map(|_| input.reply()).collect();
    let mut bytes = Vec::new();
    for reply in &replies {
        Encoder::one(reply.clone(), Encoding::Resp2).finish(&mut bytes);
    }
    let (read, sound) = read(&bytes, cuts, WIDE, (usize::MAX, 0));
    assert!(sound && read.len() == replies.len());
    for (read, reply) in read.iter().zip(&replies) {
        let wanted = match reply {
            Ok(value) => value.clone(),
            Err(error) => Value::Error(ServerError::new(error.server_message().unwrap())),
        };
        assert!(*read == Received::Whole(Ok(wanted)));
    }
}
