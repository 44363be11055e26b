//! Makes the lines of a RESP2 stream UTF-8.
//!
//! Redis quotes arguments in its errors, cut at 128 bytes wherever that falls, and a script can answer with any bytes. The
//! RESP parser behind the native backend wants UTF-8 there: one such line would end the connection, and with it the calls of
//! everyone else on it. Bulk strings pass untouched.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const CHUNK: usize = 16 * 1024;

/// A stream whose status and error lines are UTF-8: other bytes are replaced by U+FFFD.
pub(super) struct Utf8Lines<S> {
    inner: S,
    chunk: Box<[u8]>,
    filter: Filter,
    /// How much of the filter's output was handed on.
    given: usize,
}

impl<S> Utf8Lines<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, chunk: vec![0; CHUNK].into(), filter: Filter::default(), given: 0 }
    }
}

/// Follows the framing: lines, and behind a `$` line as many bytes as it says.
#[derive(Default)]
struct Filter {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Bytes of a bulk string, with its line end, that are still to come.
    bulk: u64,
    out: Vec<u8>,
}

impl Filter {
    fn feed(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            if self.bulk > 0 {
                let (bulk, rest) = input
                    .split_at(usize::try_from(self.bulk).unwrap_or(usize::MAX).min(input.len()));
                self.out.extend_from_slice(bulk);
                self.bulk -= bulk.len() as u64;
                input = rest;
                continue;
            }
            let end = input.iter().position(|&byte| byte == b'\n').map_or(input.len(), |at| at + 1);
            let (part, rest) = input.split_at(end);
            self.line.extend_from_slice(part);
            input = rest;
            if self.line.ends_with(b"\r\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        match self.line.first() {
            Some(b'$') => {
                let length = std::str::from_utf8(&self.line[1..])
                    .ok()
                    .and_then(|text| text.trim().parse::<u64>().ok());
                // No number, or -1 for nil: no bytes follow.
                self.bulk = length.map_or(0, |length| length.saturating_add(2));
                self.out.extend_from_slice(&self.line);
            }
            _ => self.out.extend_from_slice(String::from_utf8_lossy(&self.line).as_bytes()),
        }
        self.line.clear();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Utf8Lines<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.given == this.filter.out.len() {
            this.filter.out.clear();
            this.given = 0;
            let mut chunk = ReadBuf::new(&mut this.chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.filter.feed(chunk.filled());
        }
        let available = &this.filter.out[this.given..];
        let count = available.len().min(into.remaining());
        into.put_slice(&available[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Utf8Lines<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_are_changed_however_the_stream_is_cut() {
        let input = b"-ERR \xff\r\n$6\r\n-\xff\r\n\xff\xfe\r\n+\xc3\xa9\r\n$-1\r\n*2\r\n$0\r\n\r\n:1\r\n-\xc3\r\n";
        let wanted =
            [&b"-ERR \xef\xbf\xbd\r\n$6\r\n-\xff\r\n\xff\xfe\r\n+\xc3\xa9\r\n$-1\r\n*2\r\n$0\r\n\r\n:1\r\n-\xef\xbf\xbd\r\n"[..]].concat();
        for step in 1..=input.len() {
            let mut filter = Filter::default();
            input.chunks(step).for_each(|chunk| filter.feed(chunk));
            assert_eq!(filter.out, wanted, "cut every {step} bytes");
        }
    }
}
