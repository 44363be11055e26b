//! Limits on the content of a reply: a few bytes on the wire can take much memory.

use std::cell::Cell;

/// The JSON reader goes 127 levels deep, and a reply within a pipeline is inside two of them.
pub(crate) const DEEPEST: usize = 120;

/// Limits on the arrays in one reply, and on all elements in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Nested arrays.
    pub(crate) depth: usize,
    /// Elements of all arrays together.
    pub(crate) elements: usize,
}

impl Limits {
    /// Returns the limits for replies that are themselves elements of an array. If a server sends
    /// them one after another instead, one more level passes.
    pub(super) fn framed(self, replies: usize) -> Self {
        Self { depth: self.depth + 1, elements: self.elements.saturating_add(replies) }
    }
}

/// The remaining limits while a body is read.
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

    /// Begins an array inside `depth` others.
    pub(super) fn array(&self, depth: usize) -> Result<(), &'static str> {
        if depth < self.depth {
            Ok(())
        } else {
            self.exceed("an array deeper than max_reply_depth allows")
        }
    }

    /// Begins an element.
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

    /// Returns the limit that ended the reading, if one did.
    pub(super) fn exceeded(&self) -> Option<&'static str> {
        self.exceeded.get()
    }

    /// Records why a value within the limits is refused.
    pub(super) fn refuse(&self, what: &'static str) -> &'static str {
        self.refused.set(Some(what));
        what
    }

    /// Returns why a value was refused, if one was.
    pub(super) fn refused(&self) -> Option<&'static str> {
        self.refused.get()
    }
}
