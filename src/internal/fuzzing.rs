//! Private functions that the targets of `fuzz/` call. Compiled only with `--cfg fuzzing`, as
//! `cargo fuzz` sets it.

use crate::backend::Reply;
use crate::backend::rest::block::Blocks;
use crate::backend::rest::sse::{Parser, Sse};
use crate::backend::rest::wire::resp2;
use crate::backend::rest::wire::{self, Form, json};
use crate::backend::rest::{Config, DEEPEST as DEPTH, Limits, listen};
use crate::backend::{Event, SubscriptionTarget};
use crate::command::Command;
use crate::error::Result;
use crate::session::record::Members;
use crate::value::Value;
use bytes::Bytes;
use url::Url;

/// The reader of replies over TCP.
pub use crate::backend::native::resp::{
    Broken, Excess, Limits as ReplyLimits, Received, ReplyReader,
};
/// The times in response headers.
pub use crate::backend::rest::response_headers;

/// The deepest arrays that HTTP bodies may have.
pub const DEEPEST: usize = DEPTH;

/// The widest limits that can be read.
const LIMITS: Limits = Limits { depth: DEEPEST, elements: usize::MAX };

/// The writing of strings in a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Without a change.
    Plain,
    /// Without a change. U+FFFD means that the server lost bytes.
    Checked,
    /// In base64.
    Base64,
    /// RESP2 instead of JSON.
    Resp2,
}

fn form(format: Format) -> Form {
    let format = match format {
        Format::Plain => wire::Format::Plain,
        Format::Checked => wire::Format::Checked,
        Format::Base64 => wire::Format::Base64,
        Format::Resp2 => wire::Format::Resp2,
    };
    Form { format, limits: LIMITS }
}

/// Reads the body of one reply.
pub fn decode_one(body: &Bytes, format: Format) -> Option<Reply> {
    wire::decode_one(body, form(format)).ok()
}

/// Reads the body of `count` replies.
pub fn decode_many(body: &Bytes, count: usize, format: Format) -> Option<Result<Vec<Reply>>> {
    wire::decode_many(body, count, form(format)).ok()
}

/// Reads all values of a body in RESP2.
pub fn decode_resp2(body: &Bytes) -> Option<Vec<Value>> {
    resp2::decode(body, usize::MAX, LIMITS).ok()
}

/// Reads a string in base64: alone, and three times beside each other.
pub fn decode_base64(text: &[u8]) -> [Option<Bytes>; 4] {
    let blocks = Blocks::default();
    let beside = || json::decode_base64(text, Some(&blocks));
    [json::decode_base64(text, None), beside(), beside(), beside()]
}

/// Writes a command as the body of a request; `None` if it is not text.
pub fn encode(command: &Command) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    wire::encode(command, &mut out).ok().map(|()| out)
}

/// Returns the events in `bytes`, which come in pieces of these lengths and the rest: `None` for a
/// comment. False if an event was larger than `limit`.
pub fn parse_events(bytes: &[u8], cuts: &[u8], limit: usize) -> (Vec<Option<Bytes>>, bool) {
    let data = |event| match event {
        Sse::Data(data) => Some(data),
        Sse::Comment => None,
    };
    let mut parser = Parser::new(limit);
    let (mut events, mut rest) = (Vec::new(), bytes);
    for cut in cuts.iter().map(|&cut| usize::from(cut)).chain([usize::MAX]) {
        let (chunk, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        let taken = parser.feed(chunk);
        events.extend(std::iter::from_fn(|| parser.next()).map(data));
        if taken.is_err() {
            return (events, false);
        }
    }
    (events, true)
}

/// Reads the data of an event.
///
/// # Errors
/// Fails if such a subscription has no such event.
pub fn read_event(what: &SubscriptionTarget, data: &Bytes) -> Result<Option<Event>> {
    listen::read(what, data)
}

/// Reads the data of an event with names and payload in base64.
///
/// # Errors
/// Fails if such a subscription has no such event.
pub fn read_event_base64(what: &SubscriptionTarget, data: &Bytes) -> Result<Option<Event>> {
    listen::read_base64(what, data)
}

/// Reads a user's index of sessions.
pub fn session_ids(index: &[u8]) -> Option<Vec<String>> {
    crate::session::index::ids(Ok(Value::bytes(index.to_vec()))).ok()
}

/// Returns the members of a JSON object as they are written, in their order.
pub fn json_members(json: &str) -> Option<Vec<(String, String)>> {
    let Members(members) = serde_json::from_str(json).ok()?;
    Some(members.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect())
}

/// Returns the address and the token of these settings, in their used form.
pub fn address_and_token(config: &Config) -> (Option<Url>, Option<String>) {
    (config.parsed_url().ok(), config.checked_token().ok().map(str::to_owned))
}
