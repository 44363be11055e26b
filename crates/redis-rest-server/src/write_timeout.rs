//! A connection that closes if its client accepts no output: an unread response must not stay in
//! memory.

use crate::clock;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

/// Bytes that a client must accept within the time limit unless it accepts everything: a reader of
/// one byte a second holds as much memory as one that reads nothing.
const ENOUGH: usize = 64 * 1024;

pub(super) struct WithWriteTimeout {
    stream: TcpStream,
    limit: Duration,
    /// Set while bytes wait for the client.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes accepted since the deadline was set.
    taken: usize,
}

impl WithWriteTimeout {
    pub(super) fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, deadline: None, taken: 0 }
    }

    /// Updates the deadline after one write of `offered` bytes, which are all pending bytes.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) if count < offered => {
                self.taken = self.taken.saturating_add(count)
            }
            Poll::Ready(_) => self.deadline = None,
            Poll::Pending => {
                let limit = self.limit;
                let taken = &mut self.taken;
                let deadline = self.deadline.get_or_insert_with(|| {
                    *taken = 0;
                    Box::pin(sleep_until(clock::after(limit)))
                });
                while deadline.as_mut().poll(context).is_ready() {
                    if *taken < ENOUGH {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    *taken = 0;
                    deadline.as_mut().reset(clock::after(limit));
                }
            }
        }
        written
    }
}

impl AsyncRead for WithWriteTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for WithWriteTimeout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, parts.iter().map(|part| part.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
