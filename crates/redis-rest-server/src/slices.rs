//! Splits pipelines into slices.
//!
//! Redis keeps all replies to a batch, however large, before it sends the first.

use super::memory::value_bytes;
use super::reply::ReplyBudget;
use super::service::lost;
use redis_rest::backend::{Backend, Reply};
use redis_rest::{CallOptions, Command, Error, ErrorKind, Outcome};

/// Commands in the first slice of a pipeline.
const FIRST: usize = 16;
/// Most commands in a slice: a pipeline with small replies so far may continue with large ones.
const MOST: usize = 128;
/// Replies of at most this size together continue in large slices, even if no response has room for
/// them.
const SMALL_BYTES: usize = 1024 * 1024;

/// Runs the commands of a pipeline, and returns replies while there is `room`. Stops once the
/// backend is unavailable: later commands did not run.
pub(super) async fn run(
    backend: &dyn Backend,
    commands: &[Command],
    room: &mut ReplyBudget,
) -> Vec<Reply> {
    let mut slices = Slices::new();
    let mut answers: Vec<Reply> = Vec::with_capacity(commands.len());
    while answers.len() < commands.len() {
        let rest = &commands[answers.len()..];
        let slice = &rest[..slices.size(room.left()).min(rest.len())];
        let mut replies = backend.pipeline(slice, &CallOptions::default()).await;
        let missing = || {
            Err(Error::custom(
                ErrorKind::Decode,
                Outcome::MaybeApplied,
                "no reply for this command",
            ))
        };
        replies.resize_with(slice.len(), missing);
        slices.learn(&replies);
        let cause = if replies.iter().all(|reply| lost(reply).is_some()) {
            replies.last().and_then(|reply| reply.as_ref().err()).cloned()
        } else {
            None
        };
        answers.extend(replies.into_iter().map(|reply| room.fit(reply)));
        if let Some(cause) = cause {
            let cause = cause.with_outcome(Outcome::NotApplied);
            answers.resize_with(commands.len(), || Err(cause.clone()));
        }
    }
    answers
}

/// Sizes of a pipeline's slices.
struct Slices {
    next: usize,
    largest: usize,
}

impl Slices {
    fn new() -> Self {
        Self { next: FIRST, largest: 0 }
    }

    /// Returns the number of commands in the next slice, if the response has room for `left` more
    /// bytes: twice as many as before, unless replies like the largest of the last slice would not
    /// fit together.
    fn size(&self, left: usize) -> usize {
        let fitting = left.max(SMALL_BYTES) / self.largest.max(1);
        self.next.min(fitting).max(1)
    }

    /// Adapts to the replies of a slice.
    fn learn(&mut self, replies: &[Reply]) {
        let size = |reply: &Reply| match reply {
            Ok(value) => value_bytes(value),
            Err(error) if error.kind() == ErrorKind::ReplyTooLarge => usize::MAX,
            Err(error) => error.server_message().map_or(0, str::len),
        };
        self.largest = replies.iter().map(size).max().unwrap_or(0);
        self.next = (replies.len() * 2).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_rest::{Error, Value};

    #[test]
    fn slices_grow_while_replies_are_small() {
        const LEFT: usize = 100 * SMALL_BYTES;
        let mut slices = Slices::new();
        let mut learn = |bytes: usize, left: usize| {
            let size = slices.size(left);
            let reply = || Ok(Value::bytes(vec![0; bytes]));
            slices.learn(&(0..size).map(|_| reply()).collect::<Vec<Reply>>());
            size
        };
        let sizes = [0, 1, 1, 1, 1, SMALL_BYTES, SMALL_BYTES].map(|bytes| learn(bytes, LEFT));
        assert_eq!(sizes, [16, 32, 64, 128, 128, 128, 100]);
        // A response without room receives large replies one by one, and small ones as before.
        assert_eq!([SMALL_BYTES, 9, 9, 9].map(|bytes| learn(bytes, 0)), [1, 1, 2, 4]);
        slices.learn(&[
            Ok(Value::Nil),
            Err(Error::custom(ErrorKind::ReplyTooLarge, Outcome::MaybeApplied, "dropped")),
        ]);
        assert_eq!(slices.size(LEFT), 1);
    }
}
