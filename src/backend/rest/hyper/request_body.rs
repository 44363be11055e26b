//! The body of a request, which tracks whether it was sent.

use super::super::transport::Progress;
use ::hyper::body::{Body, Frame, SizeHint};
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A longer body is sent in parts. The connection takes the next part when it has room, so that
/// taking the last one proves that the others were written.
const PART: usize = 64 << 10;

/// The body of a request. Connections take it when they write the request: a request whose last
/// part was not taken cannot have been executed.
pub(in super::super) struct RequestBody {
    rest: Bytes,
    progress: Progress,
}

impl RequestBody {
    /// A request without a body cannot be tracked.
    pub(super) fn new(body: Bytes, progress: Progress) -> Self {
        if !body.is_empty() {
            progress.waits();
        }
        Self { rest: body, progress }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PART);
        let part = self.rest.split_to(length);
        match !self.rest.is_empty() || self.progress.leaves() {
            true => Poll::Ready(Some(Ok(Frame::data(part)))),
            false => Poll::Ready(Some(Err(GivenUp))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// No caller waits for the reply any more.
#[derive(Debug)]
pub(in super::super) struct GivenUp;

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was given up before it was written")
    }
}

impl std::error::Error for GivenUp {}
