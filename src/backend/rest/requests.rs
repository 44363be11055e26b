//! Converts commands to requests, and decides which are retried.

use super::paths::Name;
use super::pipeline::PipelineRequest;
use super::response::lacks;
use super::{Outgoing, ReplyShape, Rest, hedge, no_reply, only, wire};
use crate::backend::Reply;
use crate::clock;
use crate::command::{CallOptions, Command, Idempotency, refuse, safety};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::{self, Batch};
use crate::platform;
use crate::retry::{Attempted, Attempts, Entries, drive};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ops::Range;
use std::time::Duration;
use wire::NotUtf8;

/// Characters that need no escape in a path segment or query.
pub(super) const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Rest {
    /// Executes one command in a separate request.
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
        let call = async || only(self.call(outgoing, safety, options, ReplyShape::One).await);
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

    /// Executes commands in as few requests as the limits allow, one after another.
    pub(super) async fn pipeline(&self, commands: &[Command], options: &CallOptions) -> Vec<Reply> {
        let chunks = match self.chunks(commands, self.max_pipeline_commands) {
            Ok(chunks) => chunks,
            Err(error) => return commands.iter().map(|_| Err(error.clone())).collect(),
        };
        let deadline = self.deadline(options);
        let mut replies = Vec::with_capacity(commands.len());
        for (range, body) in chunks {
            if !self.has_no_pipelines() {
                let mut attempts = self.attempts(deadline, options).of_size(body.len());
                let mut request = PipelineRequest::new(self, &commands[range.clone()], body);
                drive(&mut request, &mut attempts, options.timeout.unwrap_or(self.timeout)).await;
                let fresh: Vec<_> = request.into_replies().collect();
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

    /// Executes commands in one request, atomically.
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
        self.call(&outgoing, safety, options, ReplyShape::Many(commands.len())).await
    }

    /// Makes attempts until one succeeds or the policy gives up.
    async fn call(
        &self,
        outgoing: &Outgoing,
        safety: Idempotency,
        options: &CallOptions,
        shape: ReplyShape,
    ) -> Result<Vec<Reply>> {
        let attempts = self.attempts(self.deadline(options), options);
        let mut attempts = attempts.of_size(outgoing.body.len());
        let mut whole = Whole { rest: self, outgoing, safety, shape, result: None };
        drive(&mut whole, &mut attempts, options.timeout.unwrap_or(self.timeout)).await;
        whole.result.unwrap_or_else(|| Err(no_reply()))
    }

    /// Returns the request of one command: JSON, or the path form if an argument is not UTF-8.
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

    /// Returns the path form: the body is the argument at `place`, raw; the ones before it are path
    /// segments; after it only name–value pairs can follow, as the query.
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

    /// Returns the bodies of the requests that carry `commands`, none longer than the limits allow.
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
            // Plus the closing bracket.
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
}

/// Fails if no REST server can carry the command. Nothing is sent then.
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

/// A request that is resent as a whole or not at all.
pub(super) struct Whole<'a> {
    rest: &'a Rest,
    outgoing: &'a Outgoing,
    safety: Idempotency,
    shape: ReplyShape,
    result: Option<Result<Vec<Reply>>>,
}

impl Entries for Whole<'_> {
    fn len(&self) -> usize {
        usize::from(self.result.is_none())
    }

    async fn attempt(&mut self, number: u32, limit: Duration, _: bool) -> Attempted {
        let answer = self.rest.attempt(self.outgoing, (number, limit), self.shape).await;
        match answer.replies {
            _ if answer.may_lack_bytes && self.safety == Idempotency::ReadOnly => Attempted::Repeat,
            Ok(replies) => {
                self.result = Some(Ok(replies));
                Attempted::Done
            }
            Err(error) => Attempted::Failed(error),
        }
    }

    fn give_up(&mut self, error: &Error, attempts: &Attempts<'_>) {
        if !attempts.allows(error, self.safety) {
            self.end(error, attempts);
        }
    }

    fn end(&mut self, error: &Error, attempts: &Attempts<'_>) {
        self.result = Some(Err(attempts.finish(error.clone(), self.safety)));
    }
}
