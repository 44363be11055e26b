//! Memory for the values of one reply.

use crate::platform::Mutex;
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::collections::VecDeque;

/// What one block holds.
const BLOCK: usize = 4096;
/// The longest value that comes into one. Longer ones have memory of their own.
pub(super) const SHORT: usize = 1024;

/// Puts short values side by side, so that those of a batch do not cost an allocation each – made by one thread and given back by
/// another – and yet a value that is kept holds no more than one block of the others.
#[derive(Default)]
pub(crate) struct Blocks<'a> {
    block: RefCell<Option<BytesMut>>,
    /// Where blocks come from, and go when they are full; none: from the allocator.
    shelf: Option<&'a Shelf>,
}

/// Blocks that were filled. They are used again once nobody holds a value in them, the oldest first. They are of a size that the
/// allocator's threads share: with 1024 callers, asking it was a twentieth of the time.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<VecDeque<BytesMut>>);

impl Shelf {
    /// Half a mebibyte of blocks.
    const KEPT: usize = 128;

    /// An empty block.
    fn take(&self) -> BytesMut {
        let mut blocks = self.0.lock();
        let is_free = blocks.front_mut().is_some_and(|oldest| oldest.try_reclaim(BLOCK));
        let oldest = if is_free || blocks.len() == Self::KEPT { blocks.pop_front() } else { None };
        oldest.filter(|_| is_free).unwrap_or_else(|| BytesMut::with_capacity(BLOCK))
    }

    fn keep(&self, block: BytesMut) {
        let mut blocks = self.0.lock();
        if blocks.len() < Self::KEPT {
            blocks.push_back(block);
        }
    }
}

impl<'a> Blocks<'a> {
    pub(super) fn from(shelf: &'a Shelf) -> Self {
        Self { block: RefCell::default(), shelf: Some(shelf) }
    }

    /// A [short](SHORT) value of `length` bytes, as `fill` writes it; `None` when it cannot.
    pub(super) fn value(
        &self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<Bytes> {
        let mut place = self.block.borrow_mut();
        let mut block = match place.take() {
            Some(block) if block.capacity() >= length => block,
            filled => {
                self.give_back(filled);
                self.shelf.map_or_else(|| BytesMut::with_capacity(BLOCK), Shelf::take)
            }
        };
        block.resize(length, 0);
        let filled = fill(&mut block);
        let value = block.split().freeze();
        *place = Some(block);
        filled.map(|()| value)
    }

    fn give_back(&self, block: Option<BytesMut>) {
        if let (Some(shelf), Some(block)) = (self.shelf, block) {
            shelf.keep(block);
        }
    }

    /// A copy, where `value` is short and would hold what it is a part of.
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

impl Drop for Blocks<'_> {
    fn drop(&mut self) {
        let block = self.block.take();
        self.give_back(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_side_by_side_and_keep_what_they_are() {
        let shelf = Shelf::default();
        let blocks = Blocks::from(&shelf);
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

    #[test]
    fn a_block_is_used_again_when_nobody_holds_a_value_in_it() {
        let (shelf, value) = (Shelf::default(), Bytes::from(vec![7; 1000]));
        let reply = |values: usize| -> Vec<Bytes> {
            let blocks = Blocks::from(&shelf);
            (0..values).map(|_| blocks.copy(value.clone())).collect()
        };
        let held = reply(2);
        let other = reply(1);
        assert_ne!(held[0].as_ptr(), other[0].as_ptr());
        let place = held[0].as_ptr();
        drop(held);
        let again = reply(1);
        assert_eq!(again[0].as_ptr(), place);
        assert!(again[0] == value && other[0] == value);
    }
}
