//! [`Replies`]: what comes back for a pipeline or a transaction, and the handles by which replies are found.

use crate::backend::Reply;
use crate::command::Command;
use crate::command::call::Read;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::value::{ConvertError, FromValue, Value};
use std::fmt;

/// A claim on one command's reply. [`Replies::take`] exchanges it for the reply.
#[must_use = "the handle is the only way to the reply: use `push` for a command whose reply is of no interest"]
pub struct ReplyHandle<R> {
    batch: u64,
    index: usize,
    read: Read<R>,
}

impl<R> ReplyHandle<R> {
    pub(super) fn new(batch: u64, index: usize, read: Read<R>) -> Self {
        Self { batch, index, read }
    }
}

impl<R> fmt::Debug for ReplyHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyHandle({})", self.index)
    }
}

/// The replies to a pipeline or transaction, in the order of its commands.
#[must_use = "a command that failed says so only in its own reply: take the replies, or read them by `all`"]
pub struct Replies {
    batch: u64,
    /// Named by errors.
    commands: Vec<Command>,
    verbose: bool,
    items: Vec<Option<Reply>>,
}

/// Shows the number of replies.
impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replies({})", self.items.len())
    }
}

impl Replies {
    pub(super) fn new(
        batch: u64,
        commands: Vec<Command>,
        verbose: bool,
        items: Vec<Option<Reply>>,
    ) -> Self {
        Self { batch, commands, verbose, items }
    }

    /// Returns the replies of the handles: of one handle, a tuple, an array or a `Vec` of them.
    ///
    /// # Errors
    /// Fails with the first command's own error, or with [`ErrorKind::InvalidCommand`] for a handle
    /// of another pipeline.
    pub fn take<H: ReplyHandles>(&mut self, handles: H) -> Result<H::Replies> {
        handles.take_from(self)
    }

    /// Fails with the error of the first failed command whose reply was not taken.
    ///
    /// # Errors
    /// Fails with the command's own error and its position.
    pub fn check(&self) -> Result<&Self> {
        let failed = self.items.iter().enumerate().find_map(|(index, item)| match item {
            Some(Err(error)) => Some(error.clone().with_detail(format!("entry {index}"))),
            _ => None,
        });
        failed.map_or(Ok(self), Err)
    }

    fn take_one<R>(&mut self, handle: ReplyHandle<R>) -> Result<R> {
        let foreign = || {
            Error::new(ErrorKind::InvalidCommand, "the handle belongs to another pipeline")
                .with_outcome(Outcome::Applied)
        };
        if handle.batch != self.batch {
            return Err(foreign());
        }
        let value =
            self.items.get_mut(handle.index).and_then(Option::take).ok_or_else(foreign)??;
        (handle.read)(value).map_err(|error| self.named(error, handle.index))
    }

    fn named(&self, error: ConvertError, index: usize) -> Error {
        let error = Error::from(error).shown(self.verbose);
        match self.commands.get(index) {
            Some(command) => command.name_error(error),
            None => error,
        }
    }

    /// Returns the number of replies, taken or not.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns true for the replies to no commands.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns all replies that were not taken, in order.
    pub fn into_values(self) -> impl Iterator<Item = Result<Value>> {
        self.items.into_iter().flatten()
    }

    /// Returns all replies as one type; stops at the first error.
    ///
    /// # Errors
    /// Fails with the first error of a command, or if a reply has another type.
    pub fn all<R: FromValue>(mut self) -> Result<Vec<R>> {
        let items = std::mem::take(&mut self.items).into_iter().enumerate();
        let read = |(index, reply): (usize, Reply)| {
            R::from_value(reply?).map_err(|error| self.named(error, index))
        };
        items.filter_map(|(index, reply)| Some((index, reply?))).map(read).collect()
    }
}

/// A [`ReplyHandle`], or a tuple, an array or a `Vec` of them. See [`Replies::take`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handle of a reply",
    note = "`Replies::take` takes what `add` returned: one handle, a tuple, an array or a `Vec` of them"
)]
pub trait ReplyHandles: sealed::Sealed {
    /// The types of the replies.
    type Replies;

    #[doc(hidden)]
    fn take_from(self, replies: &mut Replies) -> Result<Self::Replies>;
}

mod sealed {
    pub trait Sealed {}
}

impl<R> sealed::Sealed for ReplyHandle<R> {}
impl<R> ReplyHandles for ReplyHandle<R> {
    type Replies = R;

    fn take_from(self, replies: &mut Replies) -> Result<R> {
        replies.take_one(self)
    }
}

impl<H: ReplyHandles> sealed::Sealed for Vec<H> {}
impl<H: ReplyHandles> ReplyHandles for Vec<H> {
    type Replies = Vec<H::Replies>;

    fn take_from(self, replies: &mut Replies) -> Result<Self::Replies> {
        self.into_iter().map(|handle| handle.take_from(replies)).collect()
    }
}

impl<H: ReplyHandles, const N: usize> sealed::Sealed for [H; N] {}
impl<H: ReplyHandles, const N: usize> ReplyHandles for [H; N] {
    type Replies = [H::Replies; N];

    fn take_from(self, replies: &mut Replies) -> Result<Self::Replies> {
        let taken: Vec<_> = Vec::from(self).take_from(replies)?;
        taken.try_into().map_err(|_| Error::new(ErrorKind::InvalidCommand, "a handle is missing"))
    }
}

macro_rules! tuples {
    ($($($t:ident)*;)*) => {$(
        impl<$($t: ReplyHandles),*> sealed::Sealed for ($($t,)*) {}
        impl<$($t: ReplyHandles),*> ReplyHandles for ($($t,)*) {
            type Replies = ($($t::Replies,)*);

            fn take_from(self, replies: &mut Replies) -> Result<Self::Replies> {
                #[allow(non_snake_case)]
                let ($($t,)*) = self;
                Ok(($($t.take_from(replies)?,)*))
            }
        }
    )*};
}
tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; A B C D E F G H; }
