//! Replies of Redis in RESP2, read as they arrive and within limits.
//!
//! All callers of a connection depend on its framing, so a reply that exceeds a limit is read to its end, dropped as it comes,
//! and replaced by the reason. Only a stream that is not RESP2 ends the connection.

use crate::error::ServerError;
use crate::value::{ELEMENT_BYTES, Value};
use bytes::Bytes;

/// A status or an error of at most this many bytes counts nothing as a whole reply: its command took about as much.
const FREE_LINE: usize = 256;
/// An error text is copied several times on its way to the caller.
const MOST_ERROR_BYTES: usize = 64 * 1024;
/// The longest number in a line.
const MOST_NUMBER_BYTES: usize = 30;
/// A length or count is believed up to here: memory beyond is allocated only as the bytes arrive.
const BELIEVED_BYTES: usize = 16 * 1024 * 1024;
const BELIEVED_ELEMENTS: usize = 1024;
/// Room for lines that come in pieces is kept for the next up to here.
const KEPT_LINE_BYTES: usize = 16 * 1024;

/// Limits on the replies to one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of all its replies in memory: those of strings, and [`ELEMENT_BYTES`] for each element of an array.
    pub(crate) bytes: usize,
    /// Arrays within each other, in one reply.
    pub(crate) depth: usize,
}

/// Why a reply was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It exceeds what the limit leaves of the call's bytes.
    Bytes,
    /// Its arrays are too deep.
    Depth,
    /// The text of an error in it is too long. Whether the command ran, that text would have told.
    ErrorText,
}

/// One reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Whole(Result<Value, Excess>),
    /// The replies within that of `EXEC`, each with the limit on depth for itself.
    Each(Vec<Result<Value, Excess>>),
}

/// The bytes are not RESP2: where the next reply begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Reads replies out of a stream that may be cut anywhere.
pub(crate) struct ReplyReader {
    limits: Limits,
    /// What the call has left of its bytes, and had when the current reply began.
    left: usize,
    left_before: usize,
    state: State,
    /// The beginning of a line that has not ended yet.
    line: Vec<u8>,
    /// The arrays around the next element, the outermost first.
    open: Vec<Open>,
    dropping: Option<Dropping>,
    each: Option<(usize, Vec<Result<Value, Excess>>)>,
}

/// What the next byte belongs to.
enum State {
    Line,
    /// A line too long to keep. True behind a carriage return.
    DroppedLine(bool),
    /// A string, and how many bytes of it are still to come.
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
    /// Elements that are still to come, those of arrays within them not counted before they begin.
    elements: usize,
}

impl ReplyReader {
    pub(crate) fn new(limits: Limits) -> Self {
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

    /// The replies to another call begin, which may take `bytes`.
    pub(crate) fn begin(&mut self, bytes: usize) {
        self.left = bytes;
        self.left_before = bytes;
    }

    /// Reads up to the end of one reply and takes what it reads off `input`; `None` if more has to come. A reply that is an
    /// array of `each` elements is read as that many replies.
    pub(crate) fn read(
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
                    // Never more than as much again as has come, and exactly what is missing at last.
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
        // Beside its kind and a carriage return, which may belong to it.
        let most = most.saturating_add(2);
        self.line.extend_from_slice(piece);
        if self.line.ends_with(b"\r\n") {
            let mut line = std::mem::take(&mut self.line);
            let received = self.line(&line[..line.len() - 2], input, each);
            // The room is kept for the next line, unless it is large.
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

    /// A whole line, without its end, and what stands behind it.
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
            // The array itself is not complete yet, and counts for as many more.
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

    /// Frees the current reply. The element that is being read, and those behind it, are still to come.
    fn drop_reply(&mut self, why: Excess) {
        // One element of each open array is under way: it is that array within it, or the current element.
        let behind = self.open.iter().map(|open| open.count - open.items.len() - 1).sum::<usize>();
        self.open = Vec::new();
        self.left = self.left_before;
        self.dropping = Some(Dropping { why, elements: behind + 1 });
    }

    /// One element is there, and perhaps the arrays that it is the last of.
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

/// At most `most` bytes off the beginning of `input`.
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

/// A length; `None` for -1, which is nil.
fn length(text: &[u8]) -> Result<Option<usize>, Broken> {
    match number(text)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Limits = Limits { bytes: 1 << 20, depth: 64 };

    /// All replies in `stream`, cut every `step` bytes; the last call's replies begin with each.
    fn read(stream: &[u8], step: usize, limits: Limits) -> Result<Vec<Received>, Broken> {
        let (mut reader, mut replies) = (ReplyReader::new(limits), Vec::new());
        for mut piece in stream.chunks(step) {
            while let Some(reply) = reader.read(&mut piece, None)? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    fn read_all(stream: &[u8], limits: Limits) -> Vec<Received> {
        let all = read(stream, stream.len(), limits).unwrap();
        for step in 1..stream.len().min(20) {
            assert!(read(stream, step, limits).unwrap() == all, "cut every {step} bytes");
        }
        all
    }

    fn whole(value: Value) -> Received {
        Received::Whole(Ok(value))
    }

    fn deep(arrays: usize) -> Vec<u8> {
        [b"*1\r\n".repeat(arrays), b":1\r\n".to_vec()].concat()
    }

    #[test]
    fn every_kind_of_reply_is_read_however_the_stream_is_cut() {
        let stream =
            b"+OK\r\n+a\xff\nb\r\n-ERR \xff\r\n:-9223372036854775808\r\n$-1\r\n*-1\r\n$0\r\n\r\n\
            $4\r\n\r\n\xff-\r\n*0\r\n*3\r\n$1\r\na\r\n*1\r\n*0\r\n-MOVED 1 h:1\r\n";
        let nested = vec![
            Value::bytes("a"),
            Value::Array(vec![Value::Array(Vec::new())]),
            Value::Error(ServerError::new("MOVED 1 h:1")),
        ];
        let wanted = [
            Value::Okay,
            Value::bytes(&b"a\xff\nb"[..]),
            Value::Error(ServerError::new("ERR \u{fffd}")),
            Value::Int(i64::MIN),
            Value::Nil,
            Value::Nil,
            Value::bytes(""),
            Value::bytes(&b"\r\n\xff-"[..]),
            Value::Array(Vec::new()),
            Value::Array(nested),
        ];
        assert!(read_all(stream, WIDE) == wanted.map(whole));
    }

    #[test]
    fn replies_beyond_a_limit_are_dropped_and_those_around_them_are_not() {
        let limits = Limits { bytes: 1000, depth: 3 };
        let long = "x".repeat(1001);
        let dropped = [
            (format!("${}\r\n{long}\r\n", long.len()).into_bytes(), Excess::Bytes),
            (format!("+{long}{long}\r\n").into_bytes(), Excess::Bytes),
            (format!("-{}\r\n", "x".repeat(70_000)).into_bytes(), Excess::ErrorText),
            (format!("*2\r\n*1\r\n+{long}\r\n+{long}\r\n").into_bytes(), Excess::Bytes),
            (b"*16\r\n".iter().chain(&b":1\r\n".repeat(16)).copied().collect(), Excess::Bytes),
            (b"*1000000000000\r\n".to_vec(), Excess::Bytes),
            (deep(4), Excess::Depth),
            (
                [&b"*3\r\n*2\r\n"[..], &deep(100), b"$2\r\n\r\n\r\n-a\r\n*-1\r\n"].concat(),
                Excess::Depth,
            ),
        ];
        for (reply, why) in dropped {
            let endless = reply.starts_with(b"*1000000000000");
            let stream = [b"+OK\r\n", &reply[..], b"$2\r\nhi\r\n"].concat();
            let mut wanted = vec![whole(Value::Okay)];
            if !endless {
                wanted.extend([Received::Whole(Err(why)), whole(Value::bytes("hi"))]);
            }
            assert!(read_all(&stream, limits) == wanted, "{why:?}, {} bytes", reply.len());
        }
        assert!(matches!(&read_all(&deep(3), limits)[..], [Received::Whole(Ok(_))]));
    }

    #[test]
    fn a_call_has_one_limit_and_its_small_replies_fit_behind_a_large_one() {
        let limits = Limits { bytes: 10, depth: 1 };
        let stream = b"$6\r\naaaaaa\r\n$6\r\nbbbbbb\r\n$4\r\ncccc\r\n:1\r\n-ERR no\r\n$1\r\nd\r\n";
        let wanted = vec![
            whole(Value::bytes("aaaaaa")),
            Received::Whole(Err(Excess::Bytes)),
            whole(Value::bytes("cccc")),
            whole(Value::Int(1)),
            whole(Value::Error(ServerError::new("ERR no"))),
            Received::Whole(Err(Excess::Bytes)),
        ];
        assert!(read_all(stream, limits) == wanted);
        let mut reader = ReplyReader::new(limits);
        let mut input = &b"$6\r\naaaaaa\r\n$6\r\nbbbbbb\r\n"[..];
        assert!(reader.read(&mut input, None) == Ok(Some(whole(Value::bytes("aaaaaa")))));
        reader.begin(6);
        assert!(reader.read(&mut input, None) == Ok(Some(whole(Value::bytes("bbbbbb")))));
    }

    #[test]
    fn replies_of_a_transaction_are_dropped_one_by_one() {
        let stream = [b"*4\r\n:1\r\n$9\r\nxxxxxxxxx\r\n", &deep(2)[..], b"$2\r\nhi\r\n"].concat();
        let limits = Limits { bytes: 80, depth: 1 };
        for step in 1..stream.len() {
            let mut reader = ReplyReader::new(limits);
            let mut replies = stream.chunks(step).filter_map(|mut piece| {
                let reply = reader.read(&mut piece, Some(4)).unwrap();
                assert!(piece.is_empty());
                reply
            });
            let wanted = Received::Each(vec![
                Ok(Value::Int(1)),
                Ok(Value::bytes("xxxxxxxxx")),
                Err(Excess::Depth),
                Ok(Value::bytes("hi")),
            ]);
            assert!(replies.next() == Some(wanted), "cut every {step} bytes");
            assert!(replies.next().is_none());
        }
        // Another number of replies is one reply.
        let read = ReplyReader::new(WIDE).read(&mut &b"*1\r\n:1\r\n"[..], Some(2));
        assert!(read == Ok(Some(whole(Value::Array(vec![Value::Int(1)])))));
    }

    #[test]
    fn bytes_that_are_no_reply_are_refused_and_cost_nothing() {
        let endless = [b":".to_vec(), b"1".repeat(100)].concat();
        for stream in [
            &b"x\r\n"[..],
            b"\r\n",
            b":\r\n",
            b":+1\r\n",
            b":1x\r\n",
            b"$-2\r\n",
            b"*-2\r\n",
            b"$9223372036854775808\r\n",
            b"$1\r\nab\r\n",
            b"$1\r\na\rb",
            b"_\r\n",
            b"#t\r\n",
            b"%1\r\n",
            b"*1\r\n*9223372036854775807\r\n*9223372036854775807\r\n*9223372036854775807\r\n",
            &endless,
        ] {
            for step in 1..=stream.len() {
                assert!(read(stream, step, WIDE) == Err(Broken), "{}", stream.escape_ascii());
            }
        }
    }
}
