//! Accounts for the bytes that the server holds for all clients together.
//!
//! Received parts of bodies, commands and pending replies count: existing bytes, never expected
//! ones.

use redis_rest::{Command, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request or reply of at most this many bytes always passes: clients that hold much must not
/// shut out others.
const FREE: usize = 16 * 1024;

/// The limit and the bytes held.
#[derive(Debug)]
pub(crate) struct Memory {
    most: usize,
    held: AtomicUsize,
}

/// The limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitReached;

impl Memory {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: AtomicUsize::new(0) })
    }

    /// Returns an empty account, whose bytes are released when it is dropped.
    pub(crate) fn share(self: &Arc<Self>) -> Reservation {
        Reservation { memory: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes that one request, reply or stream holds.
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Reservation {
    /// # Errors
    /// Adds `bytes`. Fails without adding anything if there is no room.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), LimitReached> {
        let most = match self.bytes.saturating_add(bytes) {
            ..=FREE => usize::MAX,
            _ => self.memory.most,
        };
        let held = &self.memory.held;
        let grown = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).map_err(|_| LimitReached)?;
        self.bytes += bytes;
        Ok(())
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// Returns the approximate memory of a command.
pub(crate) fn command_bytes(command: &Command) -> usize {
    size_of::<Command>() + command.byte_len() + command.parts().len() * size_of::<u32>()
}

/// Returns the approximate memory of a value: the bytes of its strings, and 64 for each element of
/// its arrays.
pub(crate) fn value_bytes(value: &Value) -> usize {
    const ELEMENT_BYTES: usize = 64;
    match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::Error(error) => error.message().len(),
        Value::Array(items) => items.iter().fold(0, |sum: usize, item| {
            sum.saturating_add(ELEMENT_BYTES).saturating_add(value_bytes(item))
        }),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_share_one_limit_except_small_ones() {
        let memory = Memory::new(100_000);
        let (mut one, mut other) = (memory.share(), memory.share());
        assert_eq!(one.grow(60_000), Ok(()));
        assert_eq!((other.grow(40_001), other.grow(40_000)), (Err(LimitReached), Ok(())));
        assert_eq!(other.grow(1), Err(LimitReached));
        let mut small = memory.share();
        assert_eq!((small.grow(FREE), small.grow(1)), (Ok(()), Err(LimitReached)));
        assert_eq!(one.grow(usize::MAX), Err(LimitReached));
        one.shrink(30_000);
        assert_eq!(small.grow(1), Ok(()));
        drop((one, other, small));
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }
}
