//! How many bytes the server holds for all its clients together.
//!
//! Counted are bodies as far as they were read, commands, and replies that are not written yet: bytes that are there, never
//! those that could come.

use redis_rest::{Command, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request, and a reply, of at most this many bytes goes through however much is held: those who hold much must not shut
/// out everyone else.
const FREE: usize = 16 * 1024;

/// The limit, and what is held.
#[derive(Debug)]
pub(crate) struct Memory {
    most: usize,
    held: AtomicUsize,
}

/// The limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Memory {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: AtomicUsize::new(0) })
    }

    /// A share of it, which is given back when it is dropped.
    pub(crate) fn share(self: &Arc<Self>) -> Held {
        Held { memory: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes that one request, reply or stream holds.
#[derive(Debug)]
pub struct Held {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Held {
    /// # Errors
    /// There is no room for `bytes` more, and nothing was added.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let most = match self.bytes.saturating_add(bytes) {
            ..=FREE => usize::MAX,
            _ => self.memory.most,
        };
        let held = &self.memory.held;
        let grown = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).map_err(|_| Full)?;
        self.bytes += bytes;
        Ok(())
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// About what a command takes in memory.
pub(crate) fn command_bytes(command: &Command) -> usize {
    size_of::<Command>() + command.byte_len() + command.parts().len() * size_of::<u32>()
}

/// About what a value takes in memory: the bytes of its strings, and 64 for each element of its arrays.
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
    fn shares_have_one_limit_which_small_ones_pass() {
        let memory = Memory::new(100_000);
        let (mut one, mut other) = (memory.share(), memory.share());
        assert_eq!(one.grow(60_000), Ok(()));
        assert_eq!((other.grow(40_001), other.grow(40_000)), (Err(Full), Ok(())));
        assert_eq!(other.grow(1), Err(Full));
        let mut small = memory.share();
        assert_eq!((small.grow(FREE), small.grow(1)), (Ok(()), Err(Full)));
        assert_eq!(one.grow(usize::MAX), Err(Full));
        one.shrink(30_000);
        assert_eq!(small.grow(1), Ok(()));
        drop((one, other, small));
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }
}
