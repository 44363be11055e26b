//! How much a reply may hold: what takes few bytes on the wire can take many in memory.

use std::cell::Cell;

/// The JSON reader goes 127 levels deep, and a reply within a pipeline stands in two of them.
pub(crate) const DEEPEST: usize = 120;

/// Of the arrays in one reply, and of all that is in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Arrays within arrays.
    pub(crate) depth: usize,
    /// Elements of all arrays together.
    pub(crate) elements: usize,
}

impl Limits {
    /// The same for replies that are elements of an array by themselves. Where a server sends them one after another instead, one more
    /// level is let pass.
    pub(super) fn framed(self, replies: usize) -> Self {
        Self { depth: self.depth + 1, elements: self.elements.saturating_add(replies) }
    }
}

/// What is left of the limits while a body is read.
pub(super) struct Room {
    depth: usize,
    elements: Cell<usize>,
    exceeded: Cell<Option<&'static str>>,
    refused: Cell<Option<&'static str>>,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            depth: limits.depth,
            elements: Cell::new(limits.elements),
            exceeded: Cell::new(None),
            refused: Cell::new(None),
        }
    }

    /// An array begins within so many others.
    pub(super) fn array(&self, depth: usize) -> Result<(), &'static str> {
        if depth < self.depth {
            Ok(())
        } else {
            self.exceed("an array deeper than max_reply_depth allows")
        }
    }

    /// An element begins.
    pub(super) fn element(&self) -> Result<(), &'static str> {
        match self.elements.get().checked_sub(1) {
            Some(left) => {
                self.elements.set(left);
                Ok(())
            }
            None => self.exceed("more elements than max_reply_elements allows"),
        }
    }

    fn exceed(&self, what: &'static str) -> Result<(), &'static str> {
        self.exceeded.set(Some(what));
        Err(what)
    }

    /// Which limit ended the reading, if one did.
    pub(super) fn exceeded(&self) -> Option<&'static str> {
        self.exceeded.get()
    }

    /// Notes why a value is refused that is within the limits.
    pub(super) fn refuse(&self, what: &'static str) -> &'static str {
        self.refused.set(Some(what));
        what
    }

    /// Why a value was refused, if one was.
    pub(super) fn refused(&self) -> Option<&'static str> {
        self.refused.get()
    }
}
