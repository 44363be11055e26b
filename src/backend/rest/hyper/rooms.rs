//! Memory for replies that come in parts.

use crate::platform::Mutex;
use bytes::{Bytes, BytesMut};

/// As many as a client has batches in flight.
const KEPT: usize = 2;
/// That of larger replies is given back at once.
const LARGEST: usize = 512 << 10;

/// Memory that replies were in, to be used again once nobody holds a part of them. New memory of that size costs a fault for each of its
/// pages: with 1024 callers a twentieth of the time.
#[derive(Default)]
pub(in super::super) struct Rooms(Mutex<Vec<BytesMut>>);

impl Rooms {
    /// Empty, and with as much memory as it has.
    pub(super) fn take(&self) -> BytesMut {
        self.0.lock().pop().unwrap_or_default()
    }

    /// What was put into `room`.
    pub(super) fn freeze(&self, mut room: BytesMut) -> Bytes {
        let reply = room.split().freeze();
        let mut rooms = self.0.lock();
        if rooms.len() < KEPT && reply.len() <= LARGEST {
            rooms.push(room);
        }
        reply
    }
}
