//! Tracks whether a server is expected to speak HTTP/2.
//!
//! Until that is known, each caller without a connection opens one: if a server renews its HTTP/2
//! connection while 300 callers wait, that is 300 handshakes, of which one is useful. Therefore
//! once the server has left a request unprocessed, as at a renewal, callers wait for one
//! connection.

use http::Version;
use std::sync::atomic::{AtomicU8, Ordering};

/// Changed before the pool is renewed, and read at the renewal: hence the same memory order as the
/// mark for that.
#[derive(Default)]
pub(super) struct Http2(AtomicU8);

const UNKNOWN: u8 = 0;
const SPOKEN: u8 = 1;
const EXPECTED: u8 = 2;

impl Http2 {
    /// Records the version of a response.
    pub(super) fn answered_by(&self, version: Version) {
        if version == Version::HTTP_2 && self.0.load(Ordering::Relaxed) == UNKNOWN {
            self.change(UNKNOWN, SPOKEN);
        }
    }

    /// Expects HTTP/2 from now on. Returns true if that is new, and the server spoke it before.
    pub(super) fn expect(&self) -> bool {
        self.change(SPOKEN, EXPECTED)
    }

    /// Expects no version any more. Returns true if that is new.
    pub(super) fn expect_nothing(&self) -> bool {
        self.change(EXPECTED, UNKNOWN)
    }

    pub(super) fn is_expected(&self) -> bool {
        self.0.load(Ordering::SeqCst) == EXPECTED
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}
