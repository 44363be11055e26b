//! Batches: the commands of one request, and the callers that wait for their replies.

use super::super::{Outgoing, Rest};
use super::Carried;
use crate::backend::Reply;
use crate::clock::{self, Instant};
use crate::command::Idempotency;
use crate::error::{Error, ErrorKind, Outcome};
use crate::retry::{Attempts, is_refused};
use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::Span;

/// Commands for one request.
pub(super) struct Batch {
    /// Index of its queue: 1 if its commands are retry-safe.
    pub(super) queue: usize,
    /// Number of its first command, which gives its age.
    pub(super) number: u64,
    /// `[`, and the commands separated by commas. Empty while it is lent.
    body: Vec<u8>,
    /// The body of the request in flight, with a closing bracket.
    lent: Bytes,
    entries: Vec<Entry>,
    /// Accepts more commands. False once the batch was sent: a retried batch has its own retry
    /// state.
    open: bool,
    /// In flight.
    sent: bool,
    /// An earlier request with these commands may have run.
    may_have_run: bool,
}

/// A command, and the caller that waits for its reply.
pub(super) struct Entry {
    /// End of the command in the body.
    end: usize,
    safety: Idempotency,
    deadline: Instant,
    /// `None`: the call's deadline passed while it was in flight.
    caller: Option<oneshot::Sender<Carried>>,
    /// The call's span, if spans are recorded.
    span: Option<Box<Span>>,
}

impl Entry {
    /// Creates an entry for the call in whose context this runs.
    pub(super) fn new(
        safety: Idempotency,
        deadline: Instant,
        caller: oneshot::Sender<Carried>,
    ) -> Self {
        let span = Some(Span::current()).filter(|span| !span.is_disabled()).map(Box::new);
        Self { end: 0, safety, deadline, caller: Some(caller), span }
    }

    fn answer(&mut self, reply: Reply) {
        self.tell(Carried::Answered(reply));
    }

    fn tell(&mut self, carried: Carried) {
        if let Some(caller) = self.caller.take() {
            // An error means that the caller is gone.
            let _ = caller.send(carried);
        }
    }

    fn is_gone(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Batch {
    pub(super) fn new(queue: usize, number: u64) -> Self {
        Self {
            queue,
            number,
            body: vec![b'['],
            lent: Bytes::new(),
            entries: Vec::new(),
            open: true,
            sent: false,
            may_have_run: false,
        }
    }

    /// Takes the body back, as a copy if the transport still holds it.
    fn take_back(&mut self) {
        if !self.lent.is_empty() {
            self.body = std::mem::take(&mut self.lent).into();
            self.body.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn has_room(&self, entries: usize, bytes: usize) -> bool {
        self.open && self.entries.len() < entries && self.body.len() < bytes
    }

    /// Adds a command. Returns false, without any change, if `encode` cannot encode it.
    pub(super) fn push(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> bool,
        mut entry: Entry,
    ) -> bool {
        let before = self.body.len();
        if !self.entries.is_empty() {
            self.body.push(b',');
        }
        if !encode(&mut self.body) {
            self.body.truncate(before);
            return false;
        }
        entry.end = self.body.len();
        self.entries.push(entry);
        true
    }

    /// Returns true if the later commands of `other` may share a request with these.
    pub(super) fn can_join(&self, other: &Self, entries: usize, bytes: usize) -> bool {
        self.open
            && other.open
            && self.entries.len() + other.entries.len() <= entries
            && self.body.len() + other.body.len() <= bytes
    }

    /// Moves all entries of `other` into this batch.
    pub(super) fn join(&mut self, other: &mut Self) {
        if !self.entries.is_empty() {
            self.body.push(b',');
        }
        let start = self.body.len();
        self.body.extend_from_slice(&other.body[1..]);
        self.entries.extend(
            other.entries.drain(..).map(|entry| Entry { end: entry.end - 1 + start, ..entry }),
        );
    }

    /// Returns the first deadline of the calls that still wait.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.entries.iter().filter(|entry| entry.caller.is_some()).map(|entry| entry.deadline).min()
    }

    pub(super) fn last_deadline(&self) -> Instant {
        self.entries.iter().map(|entry| entry.deadline).max().unwrap_or_else(clock::now)
    }

    /// Ends the calls whose deadline has passed, and removes cancelled ones. A body in flight is
    /// unchanged.
    pub(super) fn expire(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.deadline <= now) {
            let may_have_run =
                (self.sent || self.may_have_run) && entry.safety != Idempotency::ReadOnly;
            let outcome = if may_have_run { Outcome::MaybeApplied } else { Outcome::NotApplied };
            entry.answer(Err(
                Error::new(ErrorKind::Timeout, "the deadline passed").with_outcome(outcome)
            ));
        }
        if !self.sent && self.entries.iter().any(Entry::is_gone) {
            self.retain(|entry| Some(entry).filter(|entry| !entry.is_gone()));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn only_reads(&self) -> bool {
        self.entries.iter().all(|entry| entry.safety == Idempotency::ReadOnly)
    }

    pub(super) fn may_have_run(&self) -> bool {
        self.may_have_run
    }

    /// Records that its request has ended and another will follow.
    pub(super) fn goes_again(&mut self, may_have_run: bool) {
        (self.open, self.sent, self.may_have_run) = (false, false, may_have_run);
    }

    /// Returns the request with these commands.
    pub(super) fn leaves(&mut self, rest: &Rest) -> Outgoing {
        self.sent = true;
        self.take_back();
        self.body.push(b']');
        self.lent = std::mem::take(&mut self.body).into();
        let (url, body) = match self.entries.len() {
            1 => (&rest.endpoints.command, self.lent.slice(1..self.lent.len() - 1)),
            _ => (&rest.endpoints.pipeline, self.lent.clone()),
        };
        let calls =
            self.entries.iter().filter_map(|entry| entry.span.as_deref().cloned()).collect();
        Outgoing { calls, ..Outgoing::new(url.clone(), body, true) }
    }

    /// Passes every entry to `keep`, and retains those that it returns.
    fn retain(&mut self, mut keep: impl FnMut(Entry) -> Option<Entry>) {
        self.take_back();
        let old = std::mem::replace(&mut self.body, vec![b'[']);
        let mut start = 1;
        for entry in std::mem::take(&mut self.entries) {
            let command = &old[start..entry.end];
            // Plus the comma.
            start = entry.end + 1;
            if let Some(mut entry) = keep(entry) {
                if !self.entries.is_empty() {
                    self.body.push(b',');
                }
                self.body.extend_from_slice(command);
                entry.end = self.body.len();
                self.entries.push(entry);
            }
        }
    }

    /// Moves the entries from `at` on into a new batch.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        self.take_back();
        let start = if at == 0 { 1 } else { self.entries[at - 1].end + 1 };
        let mut second = Self::new(self.queue, self.number);
        (second.open, second.may_have_run) = (self.open, self.may_have_run);
        second.body.extend_from_slice(&self.body[start..]);
        second.entries.extend(
            self.entries.drain(at..).map(|entry| Entry { end: entry.end - (start - 1), ..entry }),
        );
        self.body.truncate((start - 1).max(1));
        second
    }

    /// Gives each caller its reply. Retains temporarily refused entries, and returns the first such
    /// error.
    pub(super) fn answer(&mut self, replies: Vec<Reply>) -> Option<Error> {
        let refused =
            |reply: &Reply| reply.as_ref().err().filter(|error| is_refused(error)).cloned();
        let Some(first) = replies.iter().find_map(refused) else {
            for (mut entry, reply) in self.entries.drain(..).zip(replies) {
                entry.answer(reply);
            }
            return None;
        };
        let mut replies = replies.into_iter();
        self.retain(|mut entry| match replies.next() {
            Some(reply) if refused(&reply).is_none() => {
                entry.answer(reply);
                None
            }
            _ => Some(entry),
        });
        Some(first)
    }

    /// Gives the error to callers whose command is not attempted again.
    pub(super) fn fail(
        &mut self,
        error: &Error,
        attempts: &Attempts<'_>,
        given_up: impl Fn(Idempotency) -> bool,
    ) {
        self.retain(|mut entry| {
            if !given_up(entry.safety) {
                return Some(entry);
            }
            entry.answer(Err(attempts.finish(error.clone(), entry.safety)));
            None
        });
    }
}

/// Has entries only if its runtime ended: callers whose command is retry-safe resend it themselves.
impl Drop for Batch {
    fn drop(&mut self) {
        if !self.sent && !self.may_have_run {
            return;
        }
        for entry in &mut self.entries {
            if self.queue == 0 {
                let error =
                    Error::new(ErrorKind::Io, "the runtime that carried the request has ended")
                        .with_outcome(Outcome::MaybeApplied);
                entry.answer(Err(error));
            } else {
                entry.tell(Carried::Lost);
            }
        }
    }
}
