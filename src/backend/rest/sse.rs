//! Server-sent events: lines that come in chunks, split anywhere.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use std::collections::VecDeque;

/// Header by which client and server of this crate agree that names and payloads of messages are in
/// base64, `Redis-Rest-Events: base64`. The vendor's events are text in lines, which loses carriage
/// returns and bytes that are not UTF-8.
pub const EVENTS_HEADER: HeaderName = HeaderName::from_static("redis-rest-events");
/// The value of [`EVENTS_HEADER`].
pub const IN_BASE64: HeaderValue = HeaderValue::from_static("base64");

/// A parsed item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sse {
    /// The data of an event.
    Data(Bytes),
    /// A comment, which servers send to keep the connection open.
    Comment,
}

/// An event is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Parses chunks into events.
pub(crate) struct Parser {
    /// The incomplete line.
    line: Vec<u8>,
    /// The data of the incomplete event.
    data: Option<Vec<u8>>,
    /// The last line ended with a carriage return: a line feed belongs to it.
    after_return: bool,
    /// No line has ended yet: a byte order mark may precede the first.
    first: bool,
    limit: usize,
    ready: VecDeque<Sse>,
}

impl Parser {
    /// Creates a parser for events of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            data: None,
            after_return: false,
            first: true,
            limit,
            ready: VecDeque::new(),
        }
    }

    /// Returns the next complete event.
    pub(crate) fn next(&mut self) -> Option<Sse> {
        self.ready.pop_front()
    }

    /// Adds a chunk.
    pub(crate) fn feed(&mut self, mut chunk: &[u8]) -> Result<(), TooLarge> {
        while let Some(&first) = chunk.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if self.line.len() + part.len() + self.data.as_ref().map_or(0, Vec::len) > self.limit {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_return = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.take(&line);
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8]) {
        let marked =
            if std::mem::take(&mut self.first) { line.strip_prefix(b"\xEF\xBB\xBF") } else { None };
        let line = marked.unwrap_or(line);
        if line.is_empty() {
            if let Some(data) = self.data.take() {
                self.ready.push_back(Sse::Data(data.into()));
            }
            return;
        }
        if line.starts_with(b":") {
            self.ready.push_back(Sse::Comment);
            return;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                (&line[..colon], line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]))
            }
            None => (line, &[][..]),
        };
        // `event`, `id` and `retry` are ignored.
        if field == b"data" {
            match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Sse> {
        let mut parser = Parser::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            parser.feed(chunk).unwrap();
            events.extend(std::iter::from_fn(|| parser.next()));
        }
        events
    }

    fn data(text: &str) -> Sse {
        Sse::Data(text.to_owned().into())
    }

    #[test]
    fn lines_end_in_three_ways_and_fields_have_their_forms() {
        let text = "\u{feff}data: one\n\n:comment\ndata:two\r\ndata: more\r\n\r\nevent: x\rdata\r\rid: 7\n\ndata:  space\n\ndata: never ends";
        assert_eq!(
            parse([text.as_bytes()]),
            [data("one"), Sse::Comment, data("two\nmore"), data(""), data(" space")]
        );
    }

    #[test]
    fn a_byte_order_mark_is_one_only_at_the_beginning() {
        assert_eq!(
            parse(["\u{feff}data: a\n\n\u{feff}data: b\n\ndata: c\n\n".as_bytes()]),
            [data("a"), data("c")]
        );
    }

    #[test]
    fn an_event_has_a_limit_even_if_no_line_ends() {
        let mut parser = Parser::new(10);
        assert_eq!(parser.feed(b"data: 123456"), Err(TooLarge));
        let mut parser = Parser::new(10);
        parser.feed(b"data: 12\n").unwrap();
        assert_eq!(parser.feed(b"data: 34567\n"), Err(TooLarge));
    }

    proptest! {
        /// Any split of the bytes gives the same events.
        #[test]
        fn any_split_gives_the_same(lines in "(data: ?[a-z,:]{0,5}|:|[a-z]{0,3}|)(\n|\r|\r\n)([a-z:]{0,6}(\n|\r\n|\r)){0,20}", cuts in prop::collection::vec(0usize..80, 0..6)) {
            let bytes = lines.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let split = parse(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
            prop_assert_eq!(split, parse([bytes]));
        }
    }
}
