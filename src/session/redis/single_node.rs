//! Sessions on a single node: record, meta key, index and log-outs change in one script for each user, all or
//! nothing.

use super::batch::{by_user, mark_for};
use super::layout::{Also, Deleted, Found, StagedWrite, add_delete, delete_record, pttl};
use super::read::owner;
use super::{RedisSessionStore, codes, each};
use crate::command::cmd;
use crate::error::Error;
use crate::session::chunks;
use crate::session::error::{Conflict, SessionError};
use crate::session::scripts::{self, SCRIPTS};
use crate::session::store::Delete;
use crate::value::Value;
use bytes::Bytes;

/// The number of times that the users of sessions are looked up again because their records
/// appeared meanwhile.
const LOOK_UPS: usize = 3;

/// Sends one `MGET`, which has the records and meta keys of all as they are at one moment.
pub(super) async fn read(
    store: &RedisSessionStore,
    ids: &[&str],
) -> Vec<Result<Found, SessionError>> {
    let mut pipe = store.client.pipeline();
    let keys = ids.iter().flat_map(|id| [store.keys.record(id), store.keys.meta(id)]);
    let texts = pipe.add_raw(cmd("MGET").args(keys.collect::<Vec<_>>()));
    let lefts: Vec<_> = ids.iter().map(|id| pipe.add(pttl(store.keys.record(id)))).collect();
    let read = async {
        let mut replies = pipe.send().await?;
        let texts: Vec<Option<Bytes>> = replies.take(texts)?;
        let pairs = texts.chunks(2).zip(lefts);
        pairs
            .map(|(pair, left)| {
                let text = |place: usize| pair.get(place).cloned().flatten();
                Ok(Found { record: text(0), meta: text(1), left: replies.take(left)? })
            })
            .collect::<Result<Vec<Found>, Error>>()
    };
    match read.await {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error.into()); ids.len()],
    }
}

pub(super) async fn texts(
    store: &RedisSessionStore,
    ids: &[&str],
) -> Vec<Result<Option<Bytes>, SessionError>> {
    match records(store, ids).await {
        Ok(texts) => texts.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); ids.len()],
    }
}

pub(super) async fn write(
    store: &RedisSessionStore,
    writes: &[&StagedWrite<'_>],
) -> Vec<Result<Value, SessionError>> {
    let groups = by_user(writes.iter().enumerate(), |(_, write)| write.user_id());
    let calls = groups.iter().map(|(user_id, group)| {
        let call = store.index_call(&SCRIPTS.write, user_id);
        let call = call.key(store.keys.log_outs(user_id)).arg(store.longest_create());
        group.iter().fold(call, |call, (_, write)| {
            let id = write.id();
            let call = call.key(store.keys.record(id)).key(store.keys.meta(id)).arg(id);
            write.add_args(call)
        })
    });
    let order = groups.iter().map(|(_, group)| group.iter().map(|(place, _)| *place).collect());
    in_order(writes.len(), order.collect(), store.replies(calls.collect()).await)
}

/// Finds the users that are not known in a request of its own.
pub(super) async fn delete(
    store: &RedisSessionStore,
    deletes: &[&Delete<'_>],
) -> Vec<Result<bool, SessionError>> {
    let mut results = delete_once(store, deletes).await;
    for _ in 0..LOOK_UPS {
        let appeared = |result: &Result<Deleted, _>| result.as_ref().is_ok_and(|d| d.appeared);
        let places: Vec<usize> =
            (0..deletes.len()).filter(|&place| appeared(&results[place])).collect();
        if places.is_empty() {
            break;
        }
        let again: Vec<_> = places.iter().map(|&place| deletes[place]).collect();
        let replies = delete_once(store, &again).await;
        places.into_iter().zip(replies).for_each(|(place, reply)| results[place] = reply);
    }
    let existed = |deleted: Deleted| match deleted {
        // Others create and delete it all the time.
        Deleted { appeared: true, .. } => Err(SessionError::Conflict(Conflict::Changed)),
        Deleted { existed, .. } => Ok(existed),
    };
    results.into_iter().map(|deleted| deleted.and_then(existed)).collect()
}

pub(super) async fn prune(
    store: &RedisSessionStore,
    user_id: &str,
    ids: &[&str],
    twice: bool,
) -> Result<usize, SessionError> {
    let mut count = 0;
    for chunk in ids.chunks(10 * chunks::MOST) {
        let call = store.index_call(&SCRIPTS.prune, user_id);
        let call = call.arg(if twice { "once" } else { "" });
        let call = chunk.iter().fold(call, |call, id| call.key(store.keys.record(id)).arg(*id));
        let value = call.call::<Value>().on(store.client()).await?;
        let removed = codes(value, chunk.len())?;
        count += removed.iter().filter(|code| **code == scripts::DONE).count();
    }
    Ok(count)
}

/// Deletes each session with its index entry, or its record alone if it has no user.
async fn delete_once(
    store: &RedisSessionStore,
    deletes: &[&Delete<'_>],
) -> Vec<Result<Deleted, SessionError>> {
    let nameless = deletes.iter().filter(|delete| delete.user_id.is_none());
    let nameless: Vec<&str> = nameless.map(|delete| delete.session).collect();
    let owners = match owners(store, &nameless).await {
        Ok(owners) => owners,
        Err(error) => return deletes.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut owners = owners.into_iter();
    let (mut known, mut calls, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for (place, delete) in deletes.iter().enumerate() {
        let owner = match delete.user_id {
            Some(user_id) => Owner::User(user_id.to_owned()),
            None => owners.next().unwrap_or(Owner::Missing),
        };
        let also = match owner {
            Owner::User(user_id) => {
                known.push((place, *delete, user_id));
                continue;
            }
            Owner::Missing => Also::Absent,
            Owner::Unreadable => Also::Nothing,
        };
        calls.push(delete_record(store, delete, mark_for(delete), also));
        order.push(vec![place]);
    }
    let groups = by_user(&known, |(_, _, user_id)| user_id.as_str());
    for (user_id, group) in &groups {
        let call = store.index_call(&SCRIPTS.delete, user_id).arg(*user_id);
        let call = call.arg(store.longest_create());
        calls.push(group.iter().fold(call, |call, (_, delete, _)| {
            let id = delete.session;
            let call = call.key(store.keys.record(id)).key(store.keys.meta(id)).arg(id);
            add_delete(call, delete, mark_for(delete))
        }));
        order.push(group.iter().map(|(place, ..)| *place).collect());
    }
    let replies = in_order(deletes.len(), order, store.replies(calls).await);
    replies.into_iter().map(|reply| Deleted::read(reply?)).collect()
}

/// The user of a session that is to be deleted.
enum Owner {
    User(String),
    /// There is no record, and so no index that has it.
    Missing,
    /// The record cannot be read. Deleting it leaves its id to a clean-up.
    Unreadable,
}

/// The users of sessions, by their records.
async fn owners(store: &RedisSessionStore, ids: &[&str]) -> Result<Vec<Owner>, SessionError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let owner = |record: Option<Bytes>| match record {
        Some(record) => owner(&record).map_or(Owner::Unreadable, Owner::User),
        None => Owner::Missing,
    };
    Ok(records(store, ids).await?.into_iter().map(owner).collect())
}

async fn records(
    store: &RedisSessionStore,
    ids: &[&str],
) -> Result<Vec<Option<Bytes>>, SessionError> {
    let keys: Vec<_> = ids.iter().map(|id| store.keys.record(id)).collect();
    Ok(store.client.run(cmd("MGET").args(keys)).await?)
}

/// The replies of `count` sessions in their order, from the replies to calls, each for the sessions
/// at some places.
fn in_order(
    count: usize,
    order: Vec<Vec<usize>>,
    replies: Vec<Result<Value, SessionError>>,
) -> Vec<Result<Value, SessionError>> {
    let mut results: Vec<Result<Value, SessionError>> =
        (0..count).map(|_| Ok(Value::Nil)).collect();
    for (places, reply) in order.into_iter().zip(replies) {
        match reply.and_then(|reply| each(reply, places.len())) {
            Ok(parts) => {
                places.into_iter().zip(parts).for_each(|(place, part)| results[place] = Ok(part))
            }
            Err(error) => places.into_iter().for_each(|place| results[place] = Err(error.clone())),
        }
    }
    results
}
