//! How much of a pipeline goes to the backend at once.
//!
//! Redis keeps all replies to what it was sent in one piece, however large they are, before it sends the first.

use crate::backend::Reply;
use crate::error::ErrorKind;

/// A pipeline begins with so many commands.
const FIRST: usize = 16;
/// A pipeline whose replies were small so far may go on with large ones.
const MOST: usize = 128;

/// The sizes of a pipeline's slices.
pub(super) struct Slices {
    next: usize,
    most_bytes: usize,
}

impl Slices {
    /// For an answer of at most `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { next: FIRST, most_bytes }
    }

    /// How many commands go next.
    pub(super) fn size(&self) -> usize {
        self.next
    }

    /// Learns from the replies to one slice: the next is twice as large, unless replies like the largest of this one would
    /// not fit into an answer together.
    pub(super) fn learn(&mut self, replies: &[Reply]) {
        let size = |reply: &Reply| match reply {
            Ok(value) => value.memory_bytes(),
            Err(error) if error.kind() == ErrorKind::ReplyTooLarge => self.most_bytes,
            Err(error) => error.server_message().map_or(0, str::len),
        };
        let largest = replies.iter().map(size).max().unwrap_or(0).max(1);
        self.next = (self.next * 2).min(MOST).min(self.most_bytes / largest).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::value::Value;

    #[test]
    fn slices_grow_while_replies_are_small() {
        let mut slices = Slices::new(1000);
        let mut sizes = Vec::new();
        for bytes in [0, 1, 1, 1, 1, 250, 2000, 0, 0, 0] {
            sizes.push(slices.size());
            slices.learn(&[Ok(Value::Okay), Ok(Value::bytes(vec![0; bytes]))]);
        }
        assert_eq!(sizes, [16, 32, 64, 128, 128, 128, 4, 1, 2, 4]);
        slices.learn(&[Err(Error::new(ErrorKind::ReplyTooLarge, "dropped"))]);
        assert_eq!(slices.size(), 1);
    }
}
