//! Many sessions in few requests: chunks by number and by size, several at a time, and halves of
//! those that are too large.

use super::layout::StagedWrite;
use super::{RedisSessionStore, SCRIPTS};
use crate::clock;
use crate::command::CallOptions;
use crate::command::ScriptCall;
use crate::command::groups::millis;
use crate::error::ErrorKind;
use crate::platform::{self, BoxFuture};
use crate::session::chunks::{AT_ONCE, split};
use crate::session::error::SessionError;
use crate::session::store::{Delete, When, Write, Written};
use crate::value::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The most times that a write is sent again whose reply was lost.
const RESENDS: u32 = 8;

/// The requests of one call.
pub(super) struct Chunks {
    at_once: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { at_once: AT_ONCE }
    }
}

impl Chunks {
    /// Sends one request after another if two items have the same name: the second of a session is
    /// executed after the first.
    fn in_order_if_twice<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let (mut seen, mut names) = (HashSet::new(), names);
        Self { at_once: if names.all(|name| seen.insert(name)) { AT_ONCE } else { 1 } }
    }

    /// The results of `items`, in their order. A request that fails because of its size is halved,
    /// until only what is too large by itself fails.
    pub(super) async fn run<'a, T, R>(
        &self,
        items: &'a [T],
        bytes: impl Fn(&T) -> usize,
        send: impl Fn(&'a [T]) -> BoxFuture<'a, Vec<Result<R, SessionError>>>,
    ) -> Vec<Result<R, SessionError>> {
        let mut results: Vec<Option<Result<R, SessionError>>> =
            items.iter().map(|_| None).collect();
        let (mut waiting, mut at_once) = (split(items, bytes), self.at_once);
        while !waiting.is_empty() {
            let later = waiting.split_off(at_once.min(waiting.len()));
            let sent = waiting.iter().map(|(_, chunk)| send(chunk)).collect::<Vec<_>>();
            let mut halves = Vec::new();
            for ((start, chunk), replies) in waiting.iter().zip(platform::join_all(sent).await) {
                if chunk.len() > 1
                    && replies.iter().all(|reply| reply.as_ref().is_err_and(is_of_the_batch))
                {
                    // Single calls at the same time would travel together, and be too large again.
                    at_once = 1;
                    let (one, two) = chunk.split_at(chunk.len() / 2);
                    halves.extend([(*start, one), (start + one.len(), two)]);
                    continue;
                }
                for (place, reply) in replies.into_iter().enumerate().take(chunk.len()) {
                    results[start + place] = Some(reply);
                }
            }
            waiting = halves;
            waiting.extend(later);
        }
        // A script returns a result for each session.
        let missing = || Err(SessionError::Corrupt { field: "reply" });
        results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }
}

/// True for a reply that was lost: the next one may not be.
fn is_lost(error: &SessionError) -> bool {
    matches!(error, SessionError::MaybeApplied(error) if error.kind() != ErrorKind::ReplyTooLarge)
}

/// True for a failure that a smaller batch may not have.
fn is_of_the_batch(error: &SessionError) -> bool {
    match error {
        SessionError::Refused(error) => match error.kind() {
            ErrorKind::InvalidCommand | ErrorKind::ReplyTooLarge => true,
            ErrorKind::Http => error.status() == Some(413),
            ErrorKind::Redis => error.redis_code() == Some("ERR"),
            _ => false,
        },
        // Requests are conditional, so what was executed is not executed again.
        SessionError::MaybeApplied(error) => error.kind() == ErrorKind::ReplyTooLarge,
        _ => false,
    }
}

impl RedisSessionStore {
    /// Writes sessions. One whose reply was lost is sent again under its id, which shows whether it
    /// was executed: its result is [`SessionError::MaybeApplied`] only if it does not.
    pub(super) async fn write_all(
        &self,
        writes: &[Write<'_>],
    ) -> Vec<Result<Written, SessionError>> {
        let mut results: Vec<Option<Result<Written, SessionError>>> = Vec::new();
        let mut staged = Vec::with_capacity(writes.len());
        for write in writes {
            match StagedWrite::new(self, write) {
                Ok(write) => {
                    results.push(None);
                    staged.push(write);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        let began = clock::now();
        let mut written = self.send(&staged.iter().collect::<Vec<_>>()).await;
        for round in 0..RESENDS {
            let lost: Vec<usize> = (0..written.len())
                .filter(|&place| matches!(&written[place], Err(error) if is_lost(error)))
                .collect();
            let deadline = self.client.backend().deadline(&CallOptions::default());
            if lost.is_empty() || deadline.is_some_and(|deadline| began.elapsed() >= deadline) {
                break;
            }
            let pause = Duration::from_millis(4 << round).mul_f64(platform::random());
            platform::sleep(pause).await;
            let again: Vec<&StagedWrite<'_>> = lost.iter().map(|&place| &staged[place]).collect();
            for (place, result) in lost.into_iter().zip(self.send(&again).await) {
                if staged[place].shows_first_run(&result) {
                    written[place] = result;
                }
            }
        }
        for (staged, result) in staged.iter().zip(&written) {
            self.shared.recent.note(staged.write, result);
        }
        fill(results, &mut written.into_iter())
    }

    async fn send(&self, staged: &[&StagedWrite<'_>]) -> Vec<Result<Written, SessionError>> {
        let chunks = Chunks::in_order_if_twice(staged.iter().map(|write| write.id()));
        let send = |chunk| Box::pin(self.write_batch(chunk)) as BoxFuture<'_, _>;
        let replies = chunks.run(staged, |write| write.size, send).await;
        let written = |(write, reply): (&&StagedWrite<'_>, Result<Value, SessionError>)| {
            reply.and_then(|reply| write.written(reply))
        };
        staged.iter().zip(replies).map(written).collect()
    }

    pub(super) async fn delete_all(
        &self,
        deletes: &[Delete<'_>],
    ) -> Vec<Result<bool, SessionError>> {
        let check = |delete: &Delete<'_>| match delete.when {
            // An id from an index, which other services write too.
            When::UnlessKnown(_) => self.check_open(),
            _ => self.check(delete.session),
        };
        let results: Vec<Option<Result<bool, SessionError>>> =
            deletes.iter().map(|delete| check(delete).err().map(Err)).collect();
        let valid = deletes.iter().zip(&results).filter(|(_, result)| result.is_none());
        let valid: Vec<&Delete<'_>> = valid.map(|(delete, _)| delete).collect();
        valid.iter().for_each(|delete| self.shared.recent.forget(delete.session));
        let chunks = Chunks::in_order_if_twice(valid.iter().map(|delete| delete.session));
        let send = |chunk| Box::pin(self.delete_batch(chunk)) as BoxFuture<'_, _>;
        let mut deleted = chunks.run(&valid, |_| 0, send).await.into_iter();
        fill(results, &mut deleted)
    }

    /// The replies to calls of one request. A single call goes by itself, so that calls of others
    /// may travel with it.
    pub(super) async fn replies(
        &self,
        mut calls: Vec<ScriptCall>,
    ) -> Vec<Result<Value, SessionError>> {
        if calls.len() == 1
            && let Some(call) = calls.pop()
        {
            let reply = call.call::<Value>().on(&self.client).await;
            return vec![reply.map_err(SessionError::from)];
        }
        let count = calls.len();
        let mut pipe = self.client.pipeline();
        calls.into_iter().for_each(|call| drop(pipe.add(call.call::<Value>())));
        match pipe.send().await {
            Ok(replies) => replies.into_values().map(|reply| reply.map_err(Into::into)).collect(),
            Err(error) => vec![Err(error.into()); count],
        }
    }

    /// Removes ids from the index of a user that have no session; without `relisted`, whatever was
    /// listed again.
    pub(super) fn unlist_call(&self, user_id: &str, ids: &[&str], relisted: bool) -> ScriptCall {
        let call = self.index_call(&SCRIPTS.cluster.unlist, user_id).args(ids);
        if relisted { call.key(self.keys.relisted(user_id)) } else { call }
    }
}

/// The results that were missing.
fn fill<R>(results: Vec<Option<R>>, missing: &mut impl Iterator<Item = R>) -> Vec<R> {
    results.into_iter().filter_map(|result| result.or_else(|| missing.next())).collect()
}

/// The least time for which a delete is remembered, in milliseconds.
pub(super) fn mark_for(delete: &Delete<'_>) -> u64 {
    if delete.mark_for.is_zero() { 0 } else { millis(delete.mark_for) }
}

/// Items by their user, users in the order of their first item.
pub(super) fn by_user<'a, T>(
    items: impl IntoIterator<Item = T>,
    user: impl Fn(&T) -> &'a str,
) -> Vec<(&'a str, Vec<T>)> {
    let mut groups: Vec<(&str, Vec<T>)> = Vec::new();
    let mut places = HashMap::new();
    for item in items {
        let name = user(&item);
        let place = *places.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(item);
    }
    groups
}
