//! Which requests commands become, and which of them go again.

use super::paths::Name;
use super::response::lacks;
use super::{Outgoing, Rest, hedge, wire};
use crate::backend::Reply;
use crate::clock;
use crate::command::{CallOptions, Command, Idempotency, refuse, safety};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::{self, Batch};
use crate::platform;
use crate::retry::{Attempts, is_refused};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use safety::Touched;
use std::ops::Range;
use wire::{Form, NotUtf8};

/// What may stand in a path segment or query as it is.
pub(super) const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Rest {
    /// One command, in a request of its own.
    pub(super) async fn alone(&self, command: &Command, options: &CallOptions) -> Reply {
        let (outgoing, safety) = (self.single(command)?, command.idempotency());
        if outgoing.changeable {
            // Rare, and larger than a call.
            return Box::pin(async {
                let left = self.prove_paths(options).await?;
                self.send_alone(&outgoing, safety, &left).await
            })
            .await;
        }
        self.send_alone(&outgoing, safety, options).await
    }

    async fn send_alone(
        &self,
        outgoing: &Outgoing,
        safety: Idempotency,
        options: &CallOptions,
    ) -> Reply {
        let call = || self.call(outgoing, safety, options, wire::decode_one);
        match options.hedge_after {
            None => call().await,
            Some(after) if safety == Idempotency::ReadOnly => {
                platform::in_runtime()?;
                // Rare, and twice as large as a call.
                Box::pin(hedge::race(call, after, || self.retry.spend())).await
            }
            Some(_) => Err(Error::new(
                ErrorKind::InvalidCommand,
                "only a command that is read-only can be hedged",
            )),
        }
    }

    /// Commands in as few requests as the limits allow, one after another.
    pub(super) async fn pipeline(&self, commands: &[Command], options: &CallOptions) -> Vec<Reply> {
        let chunks = match self.chunks(commands, self.max_pipeline_commands) {
            Ok(chunks) => chunks,
            Err(error) => return commands.iter().map(|_| Err(error.clone())).collect(),
        };
        let deadline = self.deadline(options);
        let mut replies = Vec::with_capacity(commands.len());
        for (range, body) in chunks {
            if !self.has_no_pipelines() {
                let attempts = self.attempts(deadline, options).of_size(body.len());
                let entries = &commands[range.clone()];
                let fresh = self.pipeline_request(entries, body, attempts, options).await;
                let lacks =
                    |reply: &Reply| reply.as_ref().is_err_and(|error| lacks(error, "pipeline"));
                if !fresh.iter().all(lacks) {
                    replies.extend(fresh);
                    continue;
                }
                self.switch_batching_off();
            }
            for command in &commands[range] {
                let left = deadline.saturating_duration_since(clock::now());
                let options = CallOptions { deadline: Some(left), ..options.clone() };
                replies.push(self.alone(command, &options).await);
            }
        }
        replies
    }

    /// Commands in one request, atomically.
    pub(super) async fn transaction(
        &self,
        commands: &[Command],
        options: &CallOptions,
    ) -> Result<Vec<Reply>> {
        let mut chunks = self.chunks(commands, usize::MAX)?;
        let (Some((_, body)), true) = (chunks.pop(), chunks.is_empty()) else {
            return Err(
                too_large(self.max_request_bytes).with_detail("a transaction is never split")
            );
        };
        let outgoing = Outgoing::new(self.endpoints.transaction.clone(), body, false);
        let outgoing = Outgoing { atomic: true, ..outgoing };
        observe::commands_sent(Batch::Transaction, commands.len());
        let safety = safety::of_all(commands);
        let read = |body: &Bytes, form: Form<'_>| wire::decode_many(body, commands.len(), form);
        self.call(&outgoing, safety, options, read).await
    }

    /// The request of one command: JSON, or the path form where an argument is not UTF-8.
    fn single(&self, command: &Command) -> Result<Outgoing> {
        let mut body = Vec::new();
        let outgoing = match wire::encode(command, &mut body) {
            Ok(()) => Outgoing::new(self.endpoints.command.clone(), body, true),
            Err(NotUtf8(place)) => self.path_form(command, place)?,
        };
        if outgoing.body.len() > self.max_request_bytes {
            return Err(too_large(self.max_request_bytes));
        }
        Ok(outgoing)
    }

    /// The path form: the body is the argument at `place`, raw; the ones before it are path segments; after it only
    /// name–value pairs can follow, as the query.
    fn path_form(&self, command: &Command, place: usize) -> Result<Outgoing> {
        let refuse = |reason: &'static str| {
            Err(Error::new(ErrorKind::InvalidCommand, reason)
                .with_detail(format!("argument {place}")))
        };
        let mut parts = command.parts();
        let mut path = self.endpoints.command.path().trim_end_matches('/').to_owned();
        let mut changeable = false;
        for part in parts.by_ref().take(place) {
            let segment = std::str::from_utf8(part).unwrap_or_default();
            changeable |= Name::of(segment.as_bytes()).map_err(|error| {
                error.with_detail(format!(
                    "argument {place} is not UTF-8, so that the ones before it travel there"
                ))
            })? == Name::Changeable;
            path.push('/');
            path.extend(utf8_percent_encode(segment, KEPT));
        }
        let Some(raw) = parts.next().filter(|_| place > 0) else {
            return refuse("a command name must be text");
        };
        let rest: Vec<_> =
            parts.map(std::str::from_utf8).collect::<Result<_, _>>().unwrap_or_else(|_| vec![""]);
        if !rest.len().is_multiple_of(2) {
            return refuse(
                "REST carries bytes that are not UTF-8 only as the last argument, or before name-value pairs",
            );
        }
        // Servers read this name as the token and drop it from the command.
        if rest.chunks_exact(2).any(|pair| pair[0] == "_token") {
            return refuse(
                "REST cannot carry bytes that are not UTF-8 before an argument named _token",
            );
        }
        let query: Vec<_> = rest
            .chunks_exact(2)
            .map(|pair| {
                format!(
                    "{}={}",
                    utf8_percent_encode(pair[0], KEPT),
                    utf8_percent_encode(pair[1], KEPT)
                )
            })
            .collect();
        let mut url = self.endpoints.command.clone();
        url.set_path(&path);
        url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
        Ok(Outgoing { changeable, ..Outgoing::new(url, raw.to_vec(), true) })
    }

    /// The bodies of the requests that carry `commands`, none longer than the limits allow.
    fn chunks(&self, commands: &[Command], most: usize) -> Result<Vec<(Range<usize>, Vec<u8>)>> {
        let mut chunks = Vec::new();
        let (mut start, mut body) = (0, vec![b'[']);
        for (index, command) in commands.iter().enumerate() {
            carried(command).map_err(|error| error.with_detail(format!("entry {index}")))?;
            let before = body.len();
            if index > start {
                body.push(b',');
            }
            wire::encode(command, &mut body).map_err(|NotUtf8(place)| {
                Error::new(
                    ErrorKind::InvalidCommand,
                    "a pipeline cannot carry bytes that are not UTF-8: send that command alone",
                )
                .with_detail(format!("entry {index}, argument {place}"))
            })?;
            // One byte for the closing bracket.
            if body.len() < self.max_request_bytes && index - start < most {
                continue;
            }
            let own = body.split_off(before);
            if index > start {
                body.push(b']');
                chunks.push((start..index, std::mem::replace(&mut body, vec![b'['])));
            }
            start = index;
            body.extend_from_slice(own.strip_prefix(b",").unwrap_or(&own));
            if body.len() >= self.max_request_bytes {
                return Err(too_large(self.max_request_bytes).with_detail(format!("entry {index}")));
            }
        }
        body.push(b']');
        chunks.push((start..commands.len(), body));
        Ok(chunks)
    }

    /// One pipeline request with its attempts. After a failure in which it may have run, only entries that may run twice
    /// go again.
    async fn pipeline_request(
        &self,
        entries: &[Command],
        body: Vec<u8>,
        mut attempts: Attempts<'_>,
        options: &CallOptions,
    ) -> Vec<Reply> {
        observe::commands_sent(Batch::Pipeline, entries.len());
        let mut replies: Vec<Option<Reply>> = entries.iter().map(|_| None).collect();
        let mut pending: Vec<usize> = (0..entries.len()).collect();
        let mut outgoing = Outgoing::new(self.endpoints.pipeline.clone(), body, true);
        while !pending.is_empty() {
            // How a server frames the reply to one command is not known.
            outgoing.resp2 = pending.len() > 1;
            let in_resp2 = self.resp2(&outgoing).is_some();
            let result = match attempts.begin(options.timeout.unwrap_or(self.timeout)) {
                Some(limit) => {
                    let read =
                        |body: &Bytes, form: Form<'_>| wire::decode_many(body, pending.len(), form);
                    self.attempt(&outgoing, limit, read).await
                }
                None => Err(attempts.expired()),
            };
            if in_resp2
                && self.resp2(&outgoing).is_none()
                && pending
                    .iter()
                    .all(|&index| entries[index].idempotency() == Idempotency::ReadOnly)
            {
                continue;
            }
            let (again, error) = match result {
                Ok(fresh) => {
                    for (&index, reply) in pending.iter().zip(fresh) {
                        replies[index] = Some(reply);
                    }
                    match refused_tail(&pending, &replies) {
                        Some(tail) => tail,
                        None => break,
                    }
                }
                Err(error) => {
                    attempts.note(&error);
                    let (again, given_up): (Vec<_>, Vec<_>) =
                        split(entries, &pending, &attempts, &error);
                    for index in given_up {
                        replies[index] =
                            Some(Err(attempts.finish(error.clone(), entries[index].idempotency())));
                    }
                    (again, error)
                }
            };
            let wait = if again.is_empty() { None } else { attempts.wait(&error) };
            let Some(wait) = wait else {
                for index in again {
                    replies[index] =
                        Some(Err(attempts.finish(error.clone(), entries[index].idempotency())));
                }
                break;
            };
            tracing::debug!(kind = ?error.kind(), status = error.status(), ?wait, entries = again.len(), "trying again");
            platform::sleep(wait).await;
            if again.len() < pending.len() {
                outgoing.body = encode_again(entries, &again).into();
            }
            pending = again;
        }
        let lost = || Err(Error::new(ErrorKind::Decode, "no reply for this command"));
        replies.into_iter().map(|reply| reply.unwrap_or_else(lost)).collect()
    }
}

/// An error for a command that no REST server can carry. Nothing is sent then.
pub(super) fn carried(command: &Command) -> Result<()> {
    match refuse::over_rest(command) {
        Some(reason) => Err(Error::new(ErrorKind::Unsupported, "REST cannot carry this command")
            .with_detail(reason)),
        None => Ok(()),
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::InvalidCommand, "the request is larger than allowed")
        .with_detail(format!("the limit is {limit} bytes"))
}

/// The entries from the first refused one (`LOADING` …) to the end, if all of them were refused: those can go again without
/// overtaking one that ran.
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

/// Parts the pending entries into those that may go again after `error` and those that may not.
///
/// When they may have run, order matters too:
/// * A write that may run twice by itself must not when an entry after it may not: `SET n 1` sent again after `INCR n` would
///   undo the increment. So it stays behind when such an entry has to do with it.
/// * A read and a write after it that has to do with it both stay behind: together they are what `GETDEL` is, and a second
///   read would find what the write left.
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

/// These entries encoded before, so they do again.
fn encode_again(entries: &[Command], indices: &[usize]) -> Vec<u8> {
    let mut body = vec![b'['];
    for (place, &index) in indices.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        let _ = wire::encode(&entries[index], &mut body);
    }
    body.push(b']');
    body
}
