//! The attempts of one pipeline request.

use super::{Outgoing, ReplyShape, Rest, no_reply, wire};
use crate::backend::Reply;
use crate::command::safety::{self, Touched};
use crate::command::{Command, Idempotency};
use crate::error::Error;
use crate::observe::{self, Batch};
use crate::retry::{Attempted, Attempts, Entries, is_refused};
use bytes::Bytes;
use std::time::Duration;

/// Commands in one request. After a failure in which they may have run, only retry-safe ones are
/// resent.
pub(super) struct PipelineRequest<'a> {
    rest: &'a Rest,
    commands: &'a [Command],
    replies: Vec<Option<Reply>>,
    /// Indices of the commands without a reply.
    pending: Vec<usize>,
    /// The pending commands, encoded.
    body: Bytes,
}

impl<'a> PipelineRequest<'a> {
    pub(super) fn new(rest: &'a Rest, commands: &'a [Command], body: Vec<u8>) -> Self {
        observe::commands_sent(Batch::Pipeline, commands.len());
        Self {
            rest,
            commands,
            replies: commands.iter().map(|_| None).collect(),
            pending: (0..commands.len()).collect(),
            body: body.into(),
        }
    }

    pub(super) fn into_replies(self) -> impl Iterator<Item = Reply> {
        self.replies.into_iter().map(|reply| reply.unwrap_or_else(|| Err(no_reply())))
    }

    fn only_reads(&self) -> bool {
        let reads = |&index: &usize| self.commands[index].idempotency() == Idempotency::ReadOnly;
        self.pending.iter().all(reads)
    }

    /// Continues with these commands alone.
    fn keep(&mut self, indices: Vec<usize>) {
        if indices.len() < self.pending.len() {
            self.body = self.encode_again(&indices).into();
        }
        self.pending = indices;
    }

    /// Encodes commands that were encoded before, which therefore cannot fail.
    fn encode_again(&self, indices: &[usize]) -> Vec<u8> {
        let mut body = vec![b'['];
        for (place, &index) in indices.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            let _ = wire::encode(&self.commands[index], &mut body);
        }
        body.push(b']');
        body
    }

    fn fail(&mut self, indices: &[usize], error: &Error, attempts: &Attempts<'_>) {
        for &index in indices {
            let safety = self.commands[index].idempotency();
            self.replies[index] = Some(Err(attempts.finish(error.clone(), safety)));
        }
    }
}

impl Entries for PipelineRequest<'_> {
    fn len(&self) -> usize {
        self.pending.len()
    }

    async fn attempt(&mut self, number: u32, limit: Duration, _: bool) -> Attempted {
        let count = self.pending.len();
        // A server's framing of the reply to a single command is unknown.
        let url = self.rest.endpoints.pipeline.clone();
        let outgoing = Outgoing::new(url, self.body.clone(), count > 1);
        let answer = self.rest.attempt(&outgoing, (number, limit), ReplyShape::Many(count)).await;
        if answer.may_lack_bytes && self.only_reads() {
            return Attempted::Repeat;
        }
        match answer.replies {
            Err(error) => Attempted::Failed(error),
            Ok(fresh) => {
                for (&index, reply) in self.pending.iter().zip(fresh) {
                    self.replies[index] = Some(reply);
                }
                let Some((tail, error)) = refused_tail(&self.pending, &self.replies) else {
                    return Attempted::Done;
                };
                self.keep(tail);
                Attempted::Refused(error)
            }
        }
    }

    fn give_up(&mut self, error: &Error, attempts: &Attempts<'_>) {
        let (again, given_up) = split(self.commands, &self.pending, attempts, error);
        self.fail(&given_up, error, attempts);
        self.keep(again);
    }

    fn end(&mut self, error: &Error, attempts: &Attempts<'_>) {
        let pending = std::mem::take(&mut self.pending);
        self.fail(&pending, error, attempts);
    }
}

/// Returns the entries from the first refused one (`LOADING` …) to the end, if all of them were
/// refused: those can be resent without overtaking one that ran.
fn refused_tail(pending: &[usize], replies: &[Option<Reply>]) -> Option<(Vec<usize>, Error)> {
    let refused = |index: usize| match &replies[index] {
        Some(Err(error)) if is_refused(error) => Some(error),
        _ => None,
    };
    let first = pending.iter().position(|&index| refused(index).is_some())?;
    let tail = &pending[first..];
    let error = refused(tail[0])?;
    tail.iter().all(|&index| refused(index).is_some()).then(|| (tail.to_vec(), error.clone()))
}

/// Splits the pending entries into those that may be resent after `error` and those that may not.
///
/// If they may have run, order matters too:
/// * A write that may run twice alone must not if a later entry may not: `SET n 1` resent after
///   `INCR n` would undo the increment. It is therefore not resent if such an entry concerns the
///   same keys.
/// * A read and a later write of the same keys are both not resent: together they are a `GETDEL`,
///   and a second read would find the result of the write.
fn split(
    entries: &[Command],
    pending: &[usize],
    attempts: &Attempts<'_>,
    error: &Error,
) -> (Vec<usize>, Vec<usize>) {
    let mut bound = vec![false; pending.len()];
    if attempts.may_have_run() {
        let (mut read, mut written) = (Touched::default(), Touched::default());
        for (bound, &index) in bound.iter_mut().zip(pending) {
            match safety::reads(&entries[index]) {
                true => read.add(&entries[index]),
                false => *bound = read.concerns(&entries[index]),
            }
        }
        for (bound, &index) in bound.iter_mut().zip(pending).rev() {
            *bound |= safety::reads(&entries[index]) && written.concerns(&entries[index]);
            if entries[index].idempotency() != Idempotency::ReadOnly {
                written.add(&entries[index]);
            }
        }
    }
    let (mut again, mut given_up) = (Vec::new(), Vec::new());
    let mut left = Touched::default();
    for (&bound, &index) in bound.iter().zip(pending).rev() {
        let entry = &entries[index];
        let safety = entry.idempotency();
        let undoes =
            || attempts.may_have_run() && safety != Idempotency::ReadOnly && left.concerns(entry);
        if !bound && attempts.allows(error, safety) && !undoes() {
            again.push(index);
        } else {
            if safety != Idempotency::ReadOnly {
                left.add(entry);
            }
            given_up.push(index);
        }
    }
    again.reverse();
    (again, given_up)
}
