//! A connection to Redis, shared by many callers.
//!
//! Requests are sent in the order of their arrival, each in one piece, and replies come back in
//! that order. The connection of the `redis` crate cannot tell the replies to one call from those
//! to the next before they are in memory, so it cannot limit them.

use super::connect::Stream;
use super::resp::{Limits, Received, ReplyReader};
use super::sentinel::Moved;
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

const CHUNK: usize = 64 * 1024;
/// Most requests that wait to be sent; further callers wait for room.
const QUEUED: usize = 64;
/// Requests up to this size are coalesced; larger ones are not copied.
const COALESCED: usize = 16 * 1024;

/// The two directions of an unshared connection.
pub(super) struct Wire {
    limits: Limits,
    outgoing: WriteHalf<Box<dyn Stream>>,
    incoming: Incoming,
}

struct Incoming {
    stream: ReadHalf<Box<dyn Stream>>,
    reader: ReplyReader,
    chunk: Box<[u8]>,
    unread: Range<usize>,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>, limits: Limits) -> Self {
        let (read, outgoing) = tokio::io::split(stream);
        let incoming = Incoming {
            stream: read,
            reader: ReplyReader::new(limits),
            chunk: vec![0; CHUNK].into(),
            unread: 0..0,
        };
        Self { limits, outgoing, incoming }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.outgoing.write_all(bytes).await?;
        self.outgoing.flush().await
    }

    /// Receives the next reply or message, with the whole limit for itself. Cancel safe.
    pub(super) async fn receive(&mut self) -> io::Result<Received> {
        let received = self.incoming.receive(None).await;
        self.incoming.reader.begin(self.limits.bytes);
        received
    }
}

impl Incoming {
    /// Waits until bytes arrive.
    async fn fill(&mut self) -> io::Result<()> {
        if self.unread.is_empty() {
            let count = self.stream.read(&mut self.chunk).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.unread = 0..count;
        }
        Ok(())
    }

    async fn receive(&mut self, each: Option<usize>) -> io::Result<Received> {
        loop {
            self.fill().await?;
            let mut input = &self.chunk[self.unread.clone()];
            let received = self.reader.read(&mut input, each);
            self.unread.start = self.unread.end - input.len();
            match received {
                Ok(None) => {}
                Ok(Some(received)) => return Ok(received),
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Reason why a request has no replies. It may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The connection broke.
    Connection,
    /// The bytes are not RESP2.
    Unreadable,
}

/// A caller's request, and the channel for its replies.
struct Request {
    pieces: Vec<Bytes>,
    caller: Caller,
}

struct Caller {
    replies: usize,
    /// The last reply is an array of this many replies.
    each: Option<usize>,
    to: oneshot::Sender<Result<Vec<Received>, Lost>>,
}

/// A handle of a shared connection. The connection is closed when the last one is dropped.
#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

struct Shared {
    requests: mpsc::Sender<Request>,
    driver: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Shares a connection, which is closed when `moved` ends.
    pub(super) fn share(wire: Wire, moved: Option<Moved>) -> Self {
        let (requests, queue) = mpsc::channel(QUEUED);
        let (sent, callers) = mpsc::unbounded_channel();
        let driver = async move {
            let moved = async {
                match moved {
                    Some(moved) => moved.await,
                    None => std::future::pending().await,
                }
            };
            // Each ends with the connection, and waiting callers receive their errors.
            tokio::select! {
                _ = write(wire.outgoing, queue, sent) => {}
                () = read(wire.incoming, callers, wire.limits) => {}
                () = moved => {}
            }
        };
        let driver = tokio::spawn(driver).abort_handle();
        Self(Arc::new(Shared { requests, driver }))
    }

    /// Sends `pieces` one after another, and waits for as many replies, of which the last is itself
    /// an array of replies if `each` gives their number.
    pub(super) async fn call(
        &self,
        pieces: Vec<Bytes>,
        each: Option<usize>,
    ) -> Result<Vec<Received>, Lost> {
        let (to, received) = oneshot::channel();
        let replies = pieces.len();
        let request = Request { pieces, caller: Caller { replies, each, to } };
        self.0.requests.send(request).await.map_err(|_| Lost::Connection)?;
        received.await.unwrap_or(Err(Lost::Connection))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.requests.is_closed()
    }

    /// Returns true for handles of the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

async fn write(
    mut stream: WriteHalf<Box<dyn Stream>>,
    mut queue: mpsc::Receiver<Request>,
    sent: mpsc::UnboundedSender<Caller>,
) -> io::Result<()> {
    let (mut requests, mut buffer) = (Vec::new(), Vec::new());
    while queue.recv_many(&mut requests, QUEUED).await > 0 {
        for Request { pieces, caller } in requests.drain(..) {
            // A cancelled caller: its request need not be sent.
            if caller.to.is_closed() {
                continue;
            }
            // Before its first byte, so that no reply arrives earlier. An error means that the
            // reader has ended.
            let _ = sent.send(caller);
            for piece in pieces {
                if buffer.len() + piece.len() > COALESCED {
                    stream.write_all(&buffer).await?;
                    buffer.clear();
                }
                match piece.len() > COALESCED {
                    true => stream.write_all(&piece).await?,
                    false => buffer.extend_from_slice(&piece),
                }
            }
        }
        stream.write_all(&buffer).await?;
        buffer.clear();
        stream.flush().await?;
    }
    Ok(())
}

async fn read(
    mut incoming: Incoming,
    mut callers: mpsc::UnboundedReceiver<Caller>,
    limits: Limits,
) {
    // An unexpected reply ends the connection too.
    while incoming.fill().await.is_ok()
        && let Ok(caller) = callers.try_recv()
    {
        // Nothing large is kept for a cancelled caller.
        incoming.reader.begin(if caller.to.is_closed() { 0 } else { limits.bytes });
        let mut received = Vec::with_capacity(caller.replies);
        while received.len() < caller.replies {
            let each = caller.each.filter(|_| received.len() + 1 == caller.replies);
            match incoming.receive(each).await {
                Ok(reply) => received.push(reply),
                Err(error) => {
                    let lost = match error.kind() {
                        io::ErrorKind::InvalidData => Lost::Unreadable,
                        _ => Lost::Connection,
                    };
                    let _ = caller.to.send(Err(lost));
                    return;
                }
            }
        }
        let _ = caller.to.send(Ok(received));
    }
}
