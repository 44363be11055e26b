//! Memory for the values of one reply.

use bytes::{Bytes, BytesMut};
use std::cell::RefCell;

/// Bytes in a block.
const BLOCK: usize = 4096;
/// Longest value stored in a block. Longer ones have separate memory.
pub(super) const SHORT: usize = 1024;

/// Stores short values side by side, so that those of a batch do not cost an allocation each –
/// allocated by one thread and freed by another – and yet a value that is kept retains at most one
/// block of the others.
#[derive(Default)]
pub(crate) struct Blocks(RefCell<BytesMut>);

impl Blocks {
    /// Returns a [short](SHORT) value of `length` bytes, written by `fill`; `None` if `fill` fails.
    pub(super) fn value(
        &self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<Bytes> {
        let mut block = self.0.borrow_mut();
        if block.capacity() < length {
            *block = BytesMut::with_capacity(BLOCK);
        }
        block.resize(length, 0);
        let filled = fill(&mut block);
        let value = block.split().freeze();
        filled.map(|()| value)
    }

    /// Copies `value` if it is short and would retain its whole buffer.
    pub(super) fn copy(&self, value: Bytes) -> Bytes {
        if value.len() > SHORT {
            return value;
        }
        self.value(value.len(), |room| {
            room.copy_from_slice(&value);
            Some(())
        })
        .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_side_by_side_and_keep_what_they_are() {
        let blocks = Blocks::default();
        let values: Vec<Bytes> =
            (0..100_u8).map(|n| blocks.copy(Bytes::from(vec![n; usize::from(n) * 15]))).collect();
        for (n, value) in (0..100_u8).zip(&values) {
            assert!(value.len() == usize::from(n) * 15 && value.iter().all(|&byte| byte == n));
        }
        let short: Vec<&Bytes> =
            values.iter().filter(|value| (1..=40).contains(&value.len())).collect();
        assert_eq!(short[0].as_ptr().wrapping_add(short[0].len()), short[1].as_ptr());
        assert_eq!(blocks.value(10, |_| None), None);
    }
}
