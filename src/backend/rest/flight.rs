//! Flights: tasks that take batches, send them, and hand out the replies. A caller who goes away meanwhile disturbs nobody.
//!
//! Before it leaves, a flight lets the tasks run that are ready, so that their commands come along.

use super::batch::Batcher;
use super::{Outgoing, Rest, wire};
use crate::backend::Reply;
use crate::clock::{self, Instant};
use crate::command::{CallOptions, ReplaySafety};
use crate::error::{Error, ErrorKind, Outcome};
use crate::platform;
use crate::retry::{Attempts, is_exhausted, is_refused};
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The right to have one request in flight: of a lone call, or of a flight.
pub(super) struct Slot {
    batcher: Arc<Batcher>,
    /// False once it was given back.
    holds: bool,
    /// About to look into the queues.
    gathers: bool,
    flight: bool,
}

impl Slot {
    pub(super) fn first(batcher: &Arc<Batcher>) -> Self {
        Self { batcher: Arc::clone(batcher), holds: true, gathers: false, flight: false }
    }

    pub(super) fn of_flight(batcher: &Arc<Batcher>) -> Self {
        Self { batcher: Arc::clone(batcher), holds: true, gathers: true, flight: true }
    }

    /// Takes batches and sends them, until none waits.
    pub(super) async fn fly(mut self) {
        while self.holds {
            platform::yield_now().await;
            let Some(batch) = self.take() else { return };
            self.send(batch).await;
        }
    }

    fn take(&mut self) -> Option<Batch> {
        let mut state = self.batcher.lock();
        state.gathering -= usize::from(std::mem::take(&mut self.gathers));
        let batch = state.take();
        if batch.is_none() {
            state.in_flight -= 1;
            self.holds = false;
        }
        self.batcher.fly(state);
        batch
    }

    /// From here on callers go on, and what they send next comes along with this flight.
    fn gather(&mut self) {
        if self.holds && !self.gathers {
            self.batcher.lock().gathering += 1;
            self.gathers = true;
        }
    }

    /// Gives the slot back.
    fn release(&mut self) {
        if std::mem::take(&mut self.holds) {
            let mut state = self.batcher.lock();
            state.in_flight -= 1;
            state.gathering -= usize::from(std::mem::take(&mut self.gathers));
            self.batcher.fly(state);
        }
    }

    /// One request with its attempts. Its replies go to the callers as soon as they are there.
    async fn send(&mut self, mut batch: Batch) {
        let batcher = Arc::clone(&self.batcher);
        let rest = &*batcher.rest;
        let mut attempts = rest.attempts(batch.last_deadline(), &CallOptions::default());
        if batch.may_have_run {
            attempts.assume_it_may_have_run();
        }
        loop {
            batch.expire(clock::now());
            batch.leave_out_the_gone();
            let count = batch.entries.len();
            if count == 0 {
                return self.gather();
            }
            batch.sent = true;
            let outgoing = batch.outgoing(rest);
            let in_resp2 = rest.resp2(&outgoing).is_some();
            let Some(limit) = attempts.begin(rest.timeout) else {
                return batch.fail(&attempts.expired(), &attempts, |_| true);
            };
            let attempt = async {
                match count {
                    1 => rest.attempt(&outgoing, limit, wire::decode_one).await.map(|value| vec![Ok(value)]),
                    _ => rest.attempt(&outgoing, limit, |body, encoding| wire::decode_many(body, count, encoding)).await,
                }
            };
            let result = self.in_time(&mut batch, attempt).await;
            self.gather();
            if in_resp2 && rest.resp2(&outgoing).is_none() && batch.entries.iter().all(|entry| entry.safety == ReplaySafety::ReadOnly) {
                continue;
            }
            let error = match result {
                Ok(replies) => match batch.answer(replies) {
                    Some(refused) => refused,
                    None => return,
                },
                Err(error) => {
                    attempts.note(&error);
                    if count > 1 && spoils(&error) {
                        return self.part(batch, &attempts, &error);
                    }
                    batch.fail(&error, &attempts, |entry| !attempts.allows(&error, entry.safety));
                    error
                }
            };
            let wait = if batch.is_empty() { None } else { attempts.wait(&error) };
            let Some(wait) = wait else { return batch.fail(&error, &attempts, |_| true) };
            tracing::debug!(kind = ?error.kind(), status = error.status(), ?wait, entries = batch.entries.len(), "trying again");
            // What others send must not wait until the server is back.
            self.release();
            (batch.sent, batch.may_have_run) = (false, attempts.may_have_run());
            self.in_time(&mut batch, platform::sleep(wait)).await;
        }
    }

    /// Waits for `future`, and meanwhile ends the calls whose time is over: of the batch, and of what waits.
    async fn in_time<T>(&self, batch: &mut Batch, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            let waiting = self.batcher.lock().first_deadline();
            let Some(first) = batch.first_deadline().into_iter().chain(waiting).min() else { return future.await };
            let left = first.saturating_duration_since(clock::now());
            if let Some(result) = platform::timeout(left, future.as_mut()).await {
                return result;
            }
            let now = clock::now();
            batch.expire(now);
            self.batcher.lock().expire(now);
        }
    }

    /// After an error that one command may have brought upon all: the halves of the batch go by themselves, in the end the one. Where
    /// they may have run and must not run twice, everyone gets the error.
    fn part(&self, mut batch: Batch, attempts: &Attempts<'_>, error: &Error) {
        if matches!(error.status(), Some(404 | 405)) {
            self.batcher.switch_off();
        }
        (batch.sent, batch.may_have_run) = (false, attempts.may_have_run());
        let not_run = error.outcome() == Outcome::NotApplied;
        batch.fail(error, attempts, |entry| !not_run && !self.batcher.rest.retry.allows_replay(entry.safety));
        if batch.is_empty() {
            return;
        }
        let second = batch.split_off(batch.entries.len() / 2);
        let mut state = self.batcher.lock();
        for half in [second, batch] {
            if !half.is_empty() {
                state.put_back(half);
            }
        }
        self.batcher.fly(state);
    }
}

/// Ends early when the call is given up, or when its runtime ends.
impl Drop for Slot {
    fn drop(&mut self) {
        if !self.flight {
            return self.release();
        }
        if std::mem::take(&mut self.holds) {
            let mut state = self.batcher.lock();
            state.in_flight -= 1;
            state.gathering -= usize::from(self.gathers);
            // A task cannot be started here: it would be dropped in the same way.
            if state.in_flight == 0 {
                state.disband();
            }
        }
    }
}

/// Whether an error of a whole batch may be the fault of one command in it.
fn spoils(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Decode | ErrorKind::ReplyTooLarge => true,
        ErrorKind::Http => error.outcome() == Outcome::NotApplied,
        ErrorKind::Redis => !is_refused(error) && !is_exhausted(error),
        _ => false,
    }
}

/// Commands for one request.
pub(super) struct Batch {
    /// Which queue it is of: 1 when its commands may be sent again.
    pub(super) queue: usize,
    /// The number of the last command.
    pub(super) number: u64,
    /// `[`, and the commands with commas between them.
    body: Vec<u8>,
    /// In the order of their deadlines.
    entries: Vec<Entry>,
    /// On its way.
    sent: bool,
    /// An earlier request with these commands may have run.
    may_have_run: bool,
}

/// One command, and who waits for its reply.
pub(super) struct Entry {
    /// Where the command ends in the body.
    end: usize,
    safety: ReplaySafety,
    deadline: Instant,
    /// None: its time was over while it was on its way.
    caller: Option<oneshot::Sender<Reply>>,
}

impl Entry {
    pub(super) fn new(safety: ReplaySafety, deadline: Instant, caller: oneshot::Sender<Reply>) -> Self {
        Self { end: 0, safety, deadline, caller: Some(caller) }
    }

    fn answer(&mut self, reply: Reply) {
        if let Some(caller) = self.caller.take() {
            // An error: the caller has gone.
            let _ = caller.send(reply);
        }
    }

    fn is_gone(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Batch {
    pub(super) fn new(queue: usize) -> Self {
        Self { queue, number: 0, body: vec![b'['], entries: Vec::new(), sent: false, may_have_run: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn has_room(&self, entries: usize, bytes: usize) -> bool {
        self.entries.len() < entries && self.body.len() < bytes
    }

    /// Adds a command; false when `encode` cannot, and nothing is changed.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> bool, mut entry: Entry) -> bool {
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

    /// When the first of the calls is over that somebody still waits for.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.entries.iter().find(|entry| entry.caller.is_some()).map(|entry| entry.deadline)
    }

    fn last_deadline(&self) -> Instant {
        self.entries.last().map_or_else(clock::now, |entry| entry.deadline)
    }

    /// Ends the calls whose time is over. Their commands stay in a body that is on its way.
    pub(super) fn expire(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().take_while(|entry| entry.deadline <= now) {
            let may_have_run = (self.sent || self.may_have_run) && entry.safety != ReplaySafety::ReadOnly;
            let outcome = if may_have_run { Outcome::MaybeApplied } else { Outcome::NotApplied };
            entry.answer(Err(Error::new(ErrorKind::Timeout, "the deadline passed").with_outcome(outcome)));
        }
        if !self.sent {
            self.leave_out_the_gone();
        }
    }

    fn outgoing(&self, rest: &Rest) -> Outgoing {
        let endpoints = &rest.endpoints;
        let (url, body) = if self.entries.len() == 1 {
            (&endpoints.command, Bytes::copy_from_slice(&self.body[1..]))
        } else {
            (&endpoints.pipeline, [&self.body[..], b"]"].concat().into())
        };
        Outgoing { url: url.clone(), body, resp2: true }
    }

    /// Passes every entry to `keep`, and goes on with those that it gives back.
    fn retain(&mut self, mut keep: impl FnMut(Entry) -> Option<Entry>) {
        let old = std::mem::replace(&mut self.body, vec![b'[']);
        let mut start = 1;
        for entry in std::mem::take(&mut self.entries) {
            let command = &old[start..entry.end];
            // One for the comma.
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

    /// Leaves out calls that were given up.
    fn leave_out_the_gone(&mut self) {
        if self.entries.iter().any(Entry::is_gone) {
            self.retain(|entry| Some(entry).filter(|entry| !entry.is_gone()));
        }
    }

    /// The entries from `at` on, as a batch of their own.
    fn split_off(&mut self, at: usize) -> Self {
        let start = if at == 0 { 1 } else { self.entries[at - 1].end + 1 };
        let mut entries = self.entries.split_off(at);
        entries.iter_mut().for_each(|entry| entry.end -= start - 1);
        let body = [b"[", &self.body[start..]].concat();
        self.body.truncate((start - 1).max(1));
        Self { queue: self.queue, number: self.number, body, entries, sent: false, may_have_run: self.may_have_run }
    }

    /// Gives each caller its reply. What was refused for now stays, and the first such error is the answer.
    fn answer(&mut self, replies: Vec<Reply>) -> Option<Error> {
        let refused = |reply: &Reply| reply.as_ref().err().filter(|error| is_refused(error)).cloned();
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

    /// Gives the error to callers for whose command there is no further attempt.
    fn fail(&mut self, error: &Error, attempts: &Attempts<'_>, given_up: impl Fn(&Entry) -> bool) {
        self.retain(|mut entry| {
            if !given_up(&entry) {
                return Some(entry);
            }
            entry.answer(Err(attempts.finish(error.clone(), entry.safety)));
            None
        });
    }
}

/// With entries only when its runtime ended: callers whose command may be sent again do so themselves.
impl Drop for Batch {
    fn drop(&mut self) {
        if (self.sent || self.may_have_run) && self.queue == 0 {
            for entry in &mut self.entries {
                let error = Error::new(ErrorKind::Io, "the runtime that carried the request has ended").with_outcome(Outcome::MaybeApplied);
                entry.answer(Err(error));
            }
        }
    }
}
