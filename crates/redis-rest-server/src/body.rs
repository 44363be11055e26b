//! The body of a response, in the client's encoding.

use super::encode::Encoder;
use super::memory::Reservation;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Largest response that is written at once, with a length.
const PIECE: usize = 64 * 1024;

/// The rest of a body that is not sent yet.
pub struct ReplyBody {
    next: Bytes,
    rest: Option<Encoder>,
    /// Released on drop: the body was handed to the connection, or its client is gone.
    _held: Option<Reservation>,
}

impl ReplyBody {
    /// Returns a short body.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self { next: bytes.into(), rest: None, _held: None }
    }

    /// Returns a body of replies that count as held until they are sent.
    pub fn replies(mut encoder: Encoder, held: Reservation) -> Self {
        let mut next = Vec::with_capacity(64);
        let rest = encoder.fill(&mut next, PIECE).then_some(encoder);
        Self { next: next.into(), rest, _held: Some(held) }
    }

    /// Returns the whole body at once.
    pub fn into_bytes(self) -> Bytes {
        let Some(rest) = self.rest else { return self.next };
        let mut all = self.next.to_vec();
        rest.finish(&mut all);
        all.into()
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.next.is_empty()
            && let Some(rest) = &mut self.rest
        {
            let mut piece = Vec::new();
            if !rest.fill(&mut piece, PIECE) {
                self.rest = None;
            }
            self.next = piece.into();
        }
        let next = std::mem::take(&mut self.next);
        Poll::Ready((!next.is_empty()).then(|| Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            None => SizeHint::with_exact(self.next.len() as u64),
            Some(_) => SizeHint::default(),
        }
    }
}
