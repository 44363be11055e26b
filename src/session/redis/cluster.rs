//! Redis Cluster: index and records have slots of their own, so a change is two steps, each a script
//! on one slot.
//!
//! A change that adds a session starts with the index, one that ends it with the record. If the
//! second step is cut off, the index names a session that is not there, which readers pass over; it
//! never lacks one that is. Scripts of the two slots tell each other by marks; see [`scripts`].

use super::batch::{by_user, mark_for};
use super::layout::{Also, Deleted, Found, StagedWrite, coded, delete_record, pttl};
use super::read::owner;
use super::{RedisSessionStore, codes, each};
use crate::command::groups::{get, millis};
use crate::error::{Error, ErrorKind, Outcome};
use crate::session::chunks;
use crate::session::error::SessionError;
use crate::session::keys::Keys;
use crate::session::scripts::{self, SCRIPTS};
use crate::session::store::{Delete, REQUEST_LIFETIME, When};
use crate::value::{FromValue as _, Value};
use bytes::Bytes;

/// Fails if a client's prefix cannot work.
pub(super) fn check(keys: &Keys) -> Result<(), SessionError> {
    if keys.can_share_slots() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        "on a cluster, braces in a client's prefix must be a hash tag: `{name}`",
    )
    .into())
}

/// Each command has one key, so that reads go on while a slot moves. A meta key that is the
/// same before and after the record is that of the record.
pub(super) async fn read(
    store: &RedisSessionStore,
    ids: &[&str],
) -> Vec<Result<Found, SessionError>> {
    const ROUNDS: usize = 5;
    let mut results: Vec<_> = ids.iter().map(|_| Err(SessionError::NotFound)).collect();
    let mut open: Vec<usize> = (0..ids.len()).collect();
    for _ in 0..ROUNDS {
        if open.is_empty() {
            break;
        }
        let mut pipe = store.client.pipeline();
        let slots: Vec<_> = open
            .iter()
            .map(|&place| {
                let (record, meta) = (store.keys.record(ids[place]), store.keys.meta(ids[place]));
                let before = pipe.add(get(&meta));
                let text = pipe.add(get(&record));
                (before, text, pipe.add(pttl(record)), pipe.add(get(&meta)))
            })
            .collect();
        let mut replies = match pipe.send().await {
            Ok(replies) => replies,
            Err(error) => {
                open.iter().for_each(|&place| results[place] = Err(error.clone().into()));
                break;
            }
        };
        let mut torn = Vec::new();
        for (place, (before, record, left, meta)) in open.into_iter().zip(slots) {
            let before = text_of(replies.take(before));
            let found = || {
                let (record, left) = (text_of(replies.take(record))?, replies.take(left)?);
                Ok::<_, Error>(Found { record, meta: text_of(replies.take(meta))?, left })
            };
            let found = found();
            if matches!((&before, &found), (Ok(before), Ok(found)) if *before != found.meta) {
                torn.push(place);
            }
            results[place] = found.map_err(SessionError::from);
        }
        open = torn;
    }
    results
}

pub(super) async fn texts(
    store: &RedisSessionStore,
    ids: &[&str],
) -> Vec<Result<Option<Bytes>, SessionError>> {
    let mut pipe = store.client.pipeline();
    let slots: Vec<_> = ids.iter().map(|id| pipe.add(get(store.keys.record(id)))).collect();
    match pipe.send().await {
        Ok(mut replies) => {
            let text = |slot| text_of(replies.take(slot)).map_err(SessionError::from);
            slots.into_iter().map(text).collect()
        }
        Err(error) => vec![Err(error.into()); ids.len()],
    }
}

/// In two requests if nothing is in the way.
pub(super) async fn write(
    store: &RedisSessionStore,
    writes: &[&StagedWrite<'_>],
) -> Vec<Result<Value, SessionError>> {
    let all = writes.iter().enumerate().map(|(place, write)| Entry::new(place, write));
    let mut results = vec![Ok(Value::Nil); writes.len()];
    let (mut open, mut unlisted) = (Vec::new(), Vec::new());
    for (entry, listed) in list(store, all.collect(), false).await {
        match listed {
            Ok(Value::Int(listed)) => {
                open.push(entry);
                unlisted.extend((listed != scripts::DONE).then_some(entry.place));
            }
            // The user was logged out.
            Ok(refused) => results[entry.place] = Ok(refused),
            Err(error) => results[entry.place] = Err(nothing_written(error)),
        }
    }

    let calls = open.iter().map(|entry| {
        let id = entry.write.id();
        let call = SCRIPTS.cluster.write.key(store.keys.record(id));
        let call = call.key(store.keys.meta(id));
        entry.write.add_args(call.key(store.keys.pruned(id))).arg(store.longest_create())
    });
    let replies = store.replies(calls.collect()).await;
    let (mut missing, mut refused) = (Vec::new(), Vec::new());
    for (entry, reply) in open.iter().zip(replies) {
        let reply = reply.and_then(one);
        match reply.as_ref().map(written) {
            Ok(Some((ends, pruned))) if pruned || unlisted.contains(&entry.place) => {
                let ttl = u64::try_from(ends).unwrap_or_else(|_| store.longest_create());
                missing.push(Entry { ttl, ..*entry });
            }
            Ok(None) if entry.write.creates() => refused.push(*entry),
            Ok(_) | Err(_) => {}
        }
        results[entry.place] = reply;
    }

    for (entry, listed) in list(store, missing, true).await {
        if let Err(error) = listed {
            results[entry.place] = Err(not_listed(error));
        }
    }
    for (user_id, group) in by_user(refused, |entry| entry.write.user_id()) {
        let ids: Vec<&str> = group.iter().map(|entry| entry.write.id()).collect();
        if let Err(error) = prune(store, user_id, &ids).await {
            tracing::debug!(%error, "the id of a session that was not created stays listed until the next clean-up");
        }
    }
    results
}

/// Deletes records, and then their index entries. An entry that cannot be removed is left for a
/// clean-up: the session is deleted all the same.
pub(super) async fn delete(
    store: &RedisSessionStore,
    deletes: &[&Delete<'_>],
) -> Vec<Result<bool, SessionError>> {
    let calls = deletes.iter().map(|delete| {
        let mark_for = match delete.when {
            // The record of a create may come after its index entry was read.
            When::UnlessKnown(_) => mark_for(delete).max(store.longest_create()),
            _ => mark_for(delete),
        };
        let also = if delete.user_id.is_none() { Also::Text } else { Also::Nothing };
        delete_record(store, delete, mark_for, also)
    });
    let replies = store.replies(calls.collect()).await;
    let (mut results, mut gone) = (Vec::with_capacity(deletes.len()), Vec::new());
    for (delete, reply) in deletes.iter().zip(replies) {
        let reply = reply.and_then(one).and_then(Deleted::read);
        if let Ok(Deleted { unlist: true, record, .. }) = &reply {
            let user_id = delete.user_id.map(str::to_owned);
            let user_id = user_id.or_else(|| record.as_deref().and_then(owner));
            gone.extend(user_id.map(|user_id| (user_id, delete.session)));
        }
        results.push(reply.map(|deleted| deleted.existed));
    }
    let groups = by_user(&gone, |(user_id, _)| user_id.as_str());
    let calls = groups.into_iter().map(|(user_id, group)| {
        let ids: Vec<&str> = group.into_iter().map(|(_, id)| *id).collect();
        store.unlist_call(user_id, &ids, false)
    });
    for error in store.replies(calls.collect()).await.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "the id of a deleted session stays listed until the next clean-up");
    }
    results
}

/// The text of a key; nothing for a key of another type.
fn text_of(reply: Result<Option<Bytes>, Error>) -> Result<Option<Bytes>, Error> {
    match reply {
        Err(error) if error.redis_code() == Some("WRONGTYPE") => Ok(None),
        reply => reply,
    }
}

/// The index entry of a write.
#[derive(Clone, Copy)]
struct Entry<'a> {
    place: usize,
    write: &'a StagedWrite<'a>,
    /// In milliseconds; 0 if no end moves.
    ttl: u64,
}

impl<'a> Entry<'a> {
    fn new(place: usize, write: &'a StagedWrite<'a>) -> Self {
        Self { place, write, ttl: if write.keeps_end() { 0 } else { write.ttl } }
    }
}

/// Lists sessions, `again` after their records were written. The replies of [`scripts`]' `LIST`.
async fn list<'a>(
    store: &RedisSessionStore,
    entries: Vec<Entry<'a>>,
    again: bool,
) -> Vec<(Entry<'a>, Result<Value, SessionError>)> {
    let groups = by_user(entries, |entry| entry.write.user_id());
    let calls = groups.iter().map(|(user_id, group)| {
        let call =
            store.index_call(&SCRIPTS.cluster.list, user_id).key(store.keys.log_outs(user_id));
        let call = if again { call.key(store.keys.relisted(user_id)) } else { call };
        group.iter().fold(call.arg(millis(REQUEST_LIFETIME)), |call, entry| {
            let mode = if again || entry.write.creates() { "add" } else { "raise" };
            call.arg(entry.write.id()).arg(entry.ttl).arg(mode).arg(entry.write.marks())
        })
    });
    let replies = if groups.is_empty() { Vec::new() } else { store.replies(calls.collect()).await };
    let mut results = Vec::new();
    for ((_, group), reply) in groups.into_iter().zip(replies) {
        match reply.and_then(|reply| each(reply, group.len())) {
            Ok(parts) => results.extend(group.into_iter().zip(parts.into_iter().map(Ok))),
            Err(error) => {
                results.extend(group.into_iter().map(|entry| (entry, Err(error.clone()))))
            }
        }
    }
    results
}

/// Removes ids from a user's index that have no such session; returns how many.
pub(super) async fn prune(
    store: &RedisSessionStore,
    user_id: &str,
    ids: &[&str],
) -> Result<usize, SessionError> {
    let mut count = 0;
    for chunk in ids.chunks(10 * chunks::MOST) {
        let look = |id: &&str| {
            let call = SCRIPTS.cluster.look.key(store.keys.record(id)).key(store.keys.pruned(id));
            call.arg(user_id).arg(millis(REQUEST_LIFETIME))
        };
        let replies = store.replies(chunk.iter().map(look).collect()).await;
        let mut dead = Vec::new();
        for (id, reply) in chunk.iter().zip(replies) {
            if i64::from_value(reply?).map_err(Error::from)? != scripts::DONE {
                dead.push(*id);
            }
        }
        if !dead.is_empty() {
            let call = store.unlist_call(user_id, &dead, true);
            let removed = codes(call.call::<Value>().on(store.client()).await?, dead.len())?;
            count += removed.iter().filter(|code| **code == scripts::DONE).count();
        }
    }
    Ok(count)
}

/// The reply of a script about one session.
fn one(reply: Value) -> Result<Value, SessionError> {
    Ok(each(reply, 1)?.pop().unwrap_or(Value::Nil))
}

/// The time to live of a session that was written, and whether a clean-up came between; `None` for
/// one that was not written.
fn written(reply: &Value) -> Option<(i64, bool)> {
    let (code, parts) = coded(reply.clone()).ok()?;
    let numbers: Vec<i64> = parts.filter_map(|part| i64::from_value(part).ok()).collect();
    match numbers.as_slice() {
        [ends, pruned] if code == scripts::WRITTEN => Some((*ends, *pruned == scripts::DONE)),
        _ => None,
    }
}

/// The first step failed: at most an id is listed that has no session.
fn nothing_written(error: SessionError) -> SessionError {
    match error {
        SessionError::MaybeApplied(error) => error.with_outcome(Outcome::NotApplied).into(),
        error => error,
    }
}

/// The last step failed: the session is written, and may not be listed.
fn not_listed(error: SessionError) -> SessionError {
    SessionError::MaybeApplied(match error {
        SessionError::Unavailable(error)
        | SessionError::MaybeApplied(error)
        | SessionError::Config(error)
        | SessionError::Refused(error) => error.with_outcome(Outcome::MaybeApplied),
        _ => Error::custom(
            ErrorKind::Redis,
            Outcome::MaybeApplied,
            "the session was written, but its user's index is another by now",
        ),
    })
}
