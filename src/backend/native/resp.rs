//! Replies of Redis in RESP2, read as they arrive and within limits.
//!
//! All callers of a connection depend on its framing, so a reply that exceeds a limit is read to
//! its end, dropped on the way, and replaced by the reason. Only a stream that is not RESP2 ends
//! the connection.
//!
//! Longer than 400 lines: one state machine.

use crate::error::ServerError;
use crate::value::{ELEMENT_BYTES, Value};
use bytes::Bytes;

/// A status or an error of at most this many bytes does not count as a whole reply: its command
/// took about as much.
const FREE_LINE: usize = 256;
/// Largest error text, which is copied several times on its way to the caller.
const MOST_ERROR_BYTES: usize = 64 * 1024;
/// The longest number in a line.
const MOST_NUMBER_BYTES: usize = 30;
/// Announced lengths and counts up to here are allocated at once; memory beyond only as the bytes
/// arrive.
const BELIEVED_BYTES: usize = 16 * 1024 * 1024;
const BELIEVED_ELEMENTS: usize = 1024;
/// Buffers for partial lines are kept up to this size.
const KEPT_LINE_BYTES: usize = 16 * 1024;

/// Limits on the replies to one call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all its replies in memory: those of strings, and [`ELEMENT_BYTES`] for each element
    /// of an array.
    pub bytes: usize,
    /// Nested arrays in one reply.
    pub depth: usize,
}

/// Reason why a reply was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The reply exceeds the bytes that the call has left.
    Bytes,
    /// The arrays of the reply are nested too deeply.
    Depth,
    /// The text of an error in the reply is too long. Only that text said whether the command ran.
    ErrorText,
}

/// A reply that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A single value.
    Whole(Result<Value, Excess>),
    /// The replies within that of `EXEC`, each with its own limit on depth.
    Each(Vec<Result<Value, Excess>>),
}

/// The bytes are not RESP2: the beginning of the next reply is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Reads replies from a stream that may be cut anywhere.
pub struct ReplyReader {
    limits: Limits,
    /// Bytes that the call has left.
    left: usize,
    /// Bytes that the call had left when the current reply began.
    left_before: usize,
    state: State,
    /// The beginning of a line that has not ended yet.
    line: Vec<u8>,
    /// The arrays around the next element, the outermost first.
    open: Vec<Open>,
    dropping: Option<Dropping>,
    each: Option<(usize, Vec<Result<Value, Excess>>)>,
}

/// The position in the framing.
enum State {
    Line,
    /// A line too long to keep. True after a carriage return.
    DroppedLine(bool),
    /// A string, and the number of bytes still to come.
    Text(Vec<u8>, usize),
    DroppedText(usize),
    /// The end of a string's line: the string, and whether its first byte was read.
    TextEnd(Value, bool),
}

struct Open {
    count: usize,
    items: Vec<Value>,
}

/// The rest of a reply that exceeds a limit.
struct Dropping {
    why: Excess,
    /// Elements still to come, without those of nested arrays that have not begun.
    elements: usize,
}

impl ReplyReader {
    /// Creates a reader at the beginning of a reply.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            left: limits.bytes,
            left_before: limits.bytes,
            state: State::Line,
            line: Vec::new(),
            open: Vec::new(),
            dropping: None,
            each: None,
        }
    }

    /// Begins the replies to another call, which may take `bytes`.
    pub(crate) fn begin(&mut self, bytes: usize) {
        self.left = bytes;
        self.left_before = bytes;
    }

    /// Reads up to the end of one reply and removes the bytes read from `input`; returns `None` if
    /// more has to come. A reply that is an array of `each` elements is read as that many replies.
    pub fn read(
        &mut self,
        input: &mut &[u8],
        each: Option<usize>,
    ) -> Result<Option<Received>, Broken> {
        while !input.is_empty() {
            let received = match std::mem::replace(&mut self.state, State::Line) {
                State::Line => self.read_line(input, each)?,
                State::DroppedLine(mut behind_cr) => {
                    let mut ended = false;
                    while let (false, Some((&byte, rest))) = (ended, input.split_first()) {
                        ended = behind_cr && byte == b'\n';
                        behind_cr = byte == b'\r';
                        *input = rest;
                    }
                    if !ended {
                        self.state = State::DroppedLine(behind_cr);
                    }
                    if ended { self.complete(Value::Nil) } else { None }
                }
                State::Text(mut text, missing) => {
                    let piece = take(input, missing);
                    // At most doubles, and ends with exactly the announced length.
                    if text.capacity() - text.len() < piece.len() {
                        text.reserve_exact(missing.min(text.len().max(piece.len())));
                    }
                    text.extend_from_slice(piece);
                    let missing = missing - piece.len();
                    self.state = match missing {
                        0 => State::TextEnd(Value::Bytes(text.into()), false),
                        _ => State::Text(text, missing),
                    };
                    None
                }
                State::DroppedText(missing) => {
                    let missing = missing - take(input, missing).len();
                    self.state = match missing {
                        0 => State::TextEnd(Value::Nil, false),
                        _ => State::DroppedText(missing),
                    };
                    None
                }
                State::TextEnd(value, begun) => match (take(input, 1), begun) {
                    (b"\r", false) => {
                        self.state = State::TextEnd(value, true);
                        None
                    }
                    (b"\n", true) => self.complete(value),
                    _ => return Err(Broken),
                },
            };
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    fn read_line(
        &mut self,
        input: &mut &[u8],
        each: Option<usize>,
    ) -> Result<Option<Received>, Broken> {
        let all: &[u8] = input;
        let end = memchr::memchr(b'\n', all).map_or(all.len(), |at| at + 1);
        let (piece, rest) = all.split_at(end);
        *input = rest;
        if self.line.is_empty()
            && let Some(line) = piece.strip_suffix(b"\r\n")
        {
            return self.line(line, input, each);
        }
        let kind = *self.line.first().or(piece.first()).ok_or(Broken)?;
        let most = match kind {
            b'+' if self.dropping.is_none() => self.left.saturating_add(FREE_LINE),
            b'-' if self.dropping.is_none() => MOST_ERROR_BYTES,
            _ => MOST_NUMBER_BYTES,
        };
        // Plus its type byte and a carriage return, which may belong to it.
        let most = most.saturating_add(2);
        self.line.extend_from_slice(piece);
        if self.line.ends_with(b"\r\n") {
            let mut line = std::mem::take(&mut self.line);
            let received = self.line(&line[..line.len() - 2], input, each);
            // The buffer is kept for the next line, unless it is large.
            if line.capacity() <= KEPT_LINE_BYTES {
                line.clear();
                self.line = line;
            }
            return received;
        }
        if self.line.len() > most {
            let why = match kind {
                b'+' => Excess::Bytes,
                b'-' => Excess::ErrorText,
                _ => return Err(Broken),
            };
            let behind_cr = self.line.ends_with(b"\r");
            self.line = Vec::new();
            if self.dropping.is_none() {
                self.drop_reply(why);
            }
            self.state = State::DroppedLine(behind_cr);
        }
        Ok(None)
    }

    /// Processes a complete line without its end, and the bytes after it.
    fn line(
        &mut self,
        line: &[u8],
        behind: &mut &[u8],
        each: Option<usize>,
    ) -> Result<Option<Received>, Broken> {
        let (kind, text) = line.split_first().ok_or(Broken)?;
        let free = self.open.is_empty() && text.len() <= FREE_LINE;
        let value = match kind {
            b'+' | b'-' if self.dropping.is_some() => Value::Nil,
            b'+' if text == b"OK" => Value::Okay,
            b'+' if free || self.charge(text.len()) => Value::Bytes(Bytes::copy_from_slice(text)),
            b'+' => return Ok(self.exceed(Excess::Bytes)),
            b'-' if text.len() <= MOST_ERROR_BYTES => {
                let text = String::from_utf8_lossy(text);
                if !free && !self.charge(text.len()) {
                    return Ok(self.exceed(Excess::ErrorText));
                }
                Value::Error(ServerError::new(text))
            }
            b'-' => return Ok(self.exceed(Excess::ErrorText)),
            b':' => Value::Int(number(text)?),
            b'$' => match length(text)? {
                None => Value::Nil,
                Some(length) => return self.begin_text(length, behind),
            },
            b'*' => match length(text)? {
                None => Value::Nil,
                Some(count) => return self.begin_array(count, each),
            },
            _ => return Err(Broken),
        };
        Ok(self.complete(value))
    }

    fn begin_text(
        &mut self,
        length: usize,
        behind: &mut &[u8],
    ) -> Result<Option<Received>, Broken> {
        if self.dropping.is_none() && !self.charge(length) {
            self.drop_reply(Excess::Bytes);
        }
        if self.dropping.is_none()
            && let Some((text, rest)) = behind.split_at_checked(length)
            && let Some(rest) = rest.strip_prefix(b"\r\n")
        {
            *behind = rest;
            return Ok(self.complete(Value::Bytes(Bytes::copy_from_slice(text))));
        }
        self.state = match (self.dropping.is_some(), length) {
            (false, 0) => State::TextEnd(Value::Bytes(Bytes::new()), false),
            (false, _) => State::Text(Vec::with_capacity(length.min(BELIEVED_BYTES)), length),
            (true, 0) => State::TextEnd(Value::Nil, false),
            (true, _) => State::DroppedText(length),
        };
        Ok(None)
    }

    fn begin_array(
        &mut self,
        count: usize,
        each: Option<usize>,
    ) -> Result<Option<Received>, Broken> {
        if let Some(dropping) = &mut self.dropping {
            // The array itself is not complete yet, and adds its elements.
            dropping.elements = dropping.elements.checked_add(count).ok_or(Broken)?;
            return Ok(self.complete(Value::Nil));
        }
        if self.open.is_empty() && self.each.is_none() && each == Some(count) {
            self.each = Some((count, Vec::with_capacity(count.min(BELIEVED_ELEMENTS))));
            return Ok(self.end_each());
        }
        let why = match count.checked_mul(ELEMENT_BYTES) {
            _ if self.open.len() >= self.limits.depth => Some(Excess::Depth),
            Some(bytes) if self.charge(bytes) => None,
            _ => Some(Excess::Bytes),
        };
        if let Some(why) = why {
            self.drop_reply(why);
            return self.begin_array(count, each);
        }
        if count == 0 {
            return Ok(self.complete(Value::Array(Vec::new())));
        }
        let items = Vec::with_capacity(count.min(BELIEVED_ELEMENTS));
        self.open.push(Open { count, items });
        Ok(None)
    }

    fn charge(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Drops the current reply, whose last line was read to its end.
    fn exceed(&mut self, why: Excess) -> Option<Received> {
        self.drop_reply(why);
        self.complete(Value::Nil)
    }

    /// Frees the current reply. The current element, and those after it, are still to come.
    fn drop_reply(&mut self, why: Excess) {
        // Each open array has one unfinished element: the next open array, or the current element.
        let behind = self.open.iter().map(|open| open.count - open.items.len() - 1).sum::<usize>();
        self.open = Vec::new();
        self.left = self.left_before;
        self.dropping = Some(Dropping { why, elements: behind + 1 });
    }

    /// Adds a complete element, and completes the arrays whose last element it is.
    fn complete(&mut self, mut value: Value) -> Option<Received> {
        if let Some(dropping) = &mut self.dropping {
            dropping.elements -= 1;
            if dropping.elements > 0 {
                return None;
            }
            let why = dropping.why;
            self.dropping = None;
            return self.end_reply(Err(why));
        }
        while let Some(open) = self.open.last_mut() {
            open.items.push(value);
            if open.items.len() < open.count {
                return None;
            }
            value = Value::Array(std::mem::take(&mut open.items));
            self.open.pop();
        }
        self.end_reply(Ok(value))
    }

    fn end_reply(&mut self, reply: Result<Value, Excess>) -> Option<Received> {
        self.left_before = self.left;
        match &mut self.each {
            None => Some(Received::Whole(reply)),
            Some((_, replies)) => {
                replies.push(reply);
                self.end_each()
            }
        }
    }

    fn end_each(&mut self) -> Option<Received> {
        let (_, replies) = self.each.take_if(|(count, replies)| replies.len() == *count)?;
        Some(Received::Each(replies))
    }
}

/// Removes at most `most` bytes from the beginning of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (piece, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    piece
}

fn number(text: &[u8]) -> Result<i64, Broken> {
    let text = std::str::from_utf8(text).map_err(|_| Broken)?;
    match text.len() <= MOST_NUMBER_BYTES && !text.starts_with('+') {
        true => text.parse().map_err(|_| Broken),
        false => Err(Broken),
    }
}

/// Parses a length; `None` for -1, which is nil.
fn length(text: &[u8]) -> Result<Option<usize>, Broken> {
    match number(text)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| Broken),
    }
}

#[cfg(test)]
mod tests;
