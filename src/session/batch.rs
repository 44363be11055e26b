//! Batches of [`RedisSessionStore`]: many sessions in few requests, one script for each user.

use super::error::{Conflict, SessionError};
use super::id;
use super::reconcile::{Decision, PendingPut, Reconciled, decide, decide_unseen, rule};
use super::record::Session;
use super::redis::{RedisSessionStore, codes, owner, read};
use super::scripts::SCRIPTS;
use super::store::BatchOutcome;
use crate::clock;
use crate::error::Error;
use crate::platform;
use crate::script::Call;
use crate::value::{FromValue as _, Value};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};

/// Most sessions in one request.
pub(super) const CHUNK: usize = 100;

/// Most bytes of records in one request, unless a single record has more: the limit of small plans is 1 MB for the whole.
const CHUNK_BYTES: usize = 500_000;

/// Most requests of one batch at the same time.
const AT_ONCE: usize = 8;

type Outcome = Option<Result<(), SessionError>>;

impl RedisSessionStore {
    pub(super) async fn store_batch(&self, sessions: &[Session]) -> BatchOutcome {
        let mut results: Vec<Outcome> = vec![None; sessions.len()];
        let mut records = Vec::with_capacity(sessions.len());
        for (place, session) in sessions.iter().enumerate() {
            match self.check(&session.id).and_then(|()| session.to_json()) {
                Ok(record) => records.push((place, record)),
                Err(error) => results[place] = Some(Err(error)),
            }
        }
        let work = chunks(&records, |(_, record)| record.len()).into_iter().map(|chunk| {
            Work::new(by_user(chunk, |(place, _)| sessions[*place].user_id.as_str()), |_, group| {
                let group: Vec<_> = group.iter().map(|(place, record)| (&sessions[*place], record.as_str())).collect();
                self.store_call(&SCRIPTS.store, "store", &group)
            })
        });
        // Of a session that is there twice the second is the one to stay.
        let mut seen = HashSet::new();
        let at_once = if sessions.iter().all(|session| seen.insert(&session.id)) { AT_ONCE } else { 1 };
        self.run_all(work.collect(), at_once, &mut results).await;
        outcome(sessions.iter().map(|session| session.id.clone()), results)
    }

    /// One request finds the users, then each chunk is one. A session that is not there is marked as gone on the condition that it
    /// still is not, and is deleted like the others where it came meanwhile.
    pub(super) async fn delete_batch(&self, ids: &[String]) -> BatchOutcome {
        let mut results: Vec<Outcome> = ids.iter().map(|id| self.check(id).err().map(Err)).collect();
        let names: Vec<String> = ids.iter().zip(&results).filter(|(_, result)| result.is_none()).map(|(id, _)| id.clone()).collect();
        let places = (0..ids.len()).filter(|&place| results[place].is_none());
        let mut found: Vec<(usize, Option<Bytes>)> = match self.records(&names).await {
            Ok(records) => places.zip(records).collect(),
            Err(error) => {
                let open: Vec<usize> = places.collect();
                open.into_iter().for_each(|place| results[place] = Some(Err(error.clone())));
                return outcome(ids.iter().cloned(), results);
            }
        };
        while !found.is_empty() {
            let (there, missing): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, record)| record.is_some());
            let there: Vec<(usize, String)> =
                there.into_iter().map(|(place, record)| (place, record.as_deref().map(owner).unwrap_or_default())).collect();
            let work = there.chunks(CHUNK).map(|chunk| {
                Work::new(by_user(chunk, |(_, user)| user.as_str()), |user, group| {
                    self.delete_call(user, group.iter().map(|(place, _)| ids[*place].as_str()))
                })
            });
            self.run_all(work.collect(), AT_ONCE, &mut results).await;
            found = self.mark_gone(ids, missing.into_iter().map(|(place, _)| place).collect(), &mut results).await;
        }
        outcome(ids.iter().cloned(), results)
    }

    /// Marks sessions as gone that are not there; answers those that are.
    async fn mark_gone(&self, ids: &[String], places: Vec<usize>, results: &mut [Outcome]) -> Vec<(usize, Option<Bytes>)> {
        let mut appeared = Vec::new();
        for chunk in places.chunks(CHUNK) {
            let mut pipe = self.client().pipeline();
            for &place in chunk {
                let _ = pipe.add(self.mark_call(&ids[place]).call::<Option<Bytes>>());
            }
            let replies: Vec<Result<Value, Error>> = match pipe.send().await {
                Ok(replies) => replies.into_values().collect(),
                Err(error) => chunk.iter().map(|_| Err(error.clone())).collect(),
            };
            for (&place, reply) in chunk.iter().zip(replies) {
                match reply.and_then(|value| Ok(Option::<Bytes>::from_value(value)?)) {
                    Ok(None) => results[place] = Some(Ok(())),
                    Ok(record) => appeared.push((place, record)),
                    Err(error) => results[place] = Some(Err(error.into())),
                }
            }
        }
        appeared
    }

    /// Writes each put on the condition that the store still has what it is based on: one request where that is so. What was
    /// overtaken is read, decided and written on the condition that it is still as it was read, at most 5 times.
    pub(super) async fn reconcile_batch(&self, puts: &[PendingPut]) -> Vec<Result<Reconciled, SessionError>> {
        const TRIES: usize = 5;
        let mut settled: Vec<Option<Result<Reconciled, SessionError>>> =
            puts.iter().map(|put| self.check(&put.session.id).err().map(Err)).collect();
        for attempt in 0..=TRIES {
            let open: Vec<usize> = (0..puts.len()).filter(|&place| settled[place].is_none()).collect();
            for chunk in open.chunks(CHUNK) {
                let stored = match attempt {
                    0 => None,
                    _ => Some(self.stored(puts, chunk).await),
                };
                self.reconcile_chunk(puts, chunk, stored, &mut settled).await;
            }
        }
        settled.into_iter().map(|result| result.unwrap_or(Err(SessionError::Conflict(Conflict::Changed)))).collect()
    }

    /// What the store has of a chunk now.
    async fn stored(&self, puts: &[PendingPut], chunk: &[usize]) -> Result<Vec<Option<Bytes>>, SessionError> {
        let ids: Vec<String> = chunk.iter().map(|&place| puts[place].session.id.clone()).collect();
        self.records(&ids).await
    }

    /// Decides by what is stored, or as if that were what the puts are based on, and writes on that condition.
    async fn reconcile_chunk(
        &self,
        puts: &[PendingPut],
        chunk: &[usize],
        stored: Option<Result<Vec<Option<Bytes>>, SessionError>>,
        settled: &mut [Option<Result<Reconciled, SessionError>>],
    ) {
        let mut records = match stored.transpose() {
            Ok(records) => records.map(Vec::into_iter),
            Err(error) => return chunk.iter().for_each(|&place| settled[place] = Some(Err(error.clone()))),
        };
        let now = clock::utc_now();
        let mut writes = Vec::new();
        for &place in chunk {
            let put = &puts[place];
            let decision = match records.as_mut().map(Iterator::next) {
                None => decide_unseen(put, now),
                Some(record) => match record.flatten().map(|record| read(&put.session.id, &record)).transpose() {
                    Ok(stored) => decide(put, stored.as_ref(), now),
                    Err(error) => Err(error),
                },
            };
            match decision.and_then(|decision| Ok((decision.text()?, decision))) {
                Ok((_, Decision::Settled(result))) => settled[place] = Some(Ok(result)),
                Ok((text, decision)) => writes.push((place, (text, decision))),
                Err(error) => settled[place] = Some(Err(error)),
            }
        }
        let work = Work::new(by_user(&writes, |(place, _)| puts[*place].session.user_id.as_str()), |user, group| {
            group.iter().fold(self.index(&SCRIPTS.reconcile, user), |call, (place, (record, decision))| {
                let session = &puts[*place].session;
                let (rule, left) = rule(puts[*place].ttl, now);
                call.key(id::record_key(&session.id))
                    .key(id::gone_key(&session.id))
                    .key(id::pinned_key(&session.id))
                    .arg(&session.id)
                    .arg(record)
                    .arg(decision.replaces().map(|text| sha1_smol::Sha1::from(text).digest().to_string()).unwrap_or_default())
                    .arg(rule)
                    .arg(self.ttl_millis(left, session.created_at))
                    .arg(self.stamp())
            })
        });
        let mut results: HashMap<usize, _> = self.run(work).await.into_iter().collect();
        for (place, (text, decision)) in writes {
            settled[place] = match results.remove(&place) {
                Some(Ok(())) => Some(Ok(decision.written(&text))),
                Some(Err(SessionError::Conflict(Conflict::Deleted) | SessionError::NotFound)) => Some(Ok(Reconciled::Gone)),
                // Somebody was faster: look again.
                None | Some(Err(SessionError::Conflict(_))) => None,
                Some(Err(error)) => Some(Err(error)),
            };
        }
    }

    /// Runs requests, so many at once, and gives each session its result.
    async fn run_all(&self, mut work: Vec<Work>, at_once: usize, results: &mut [Outcome]) {
        while !work.is_empty() {
            let rest = work.split_off(at_once.min(work.len()));
            for settled in platform::join_all(work.into_iter().map(|work| self.run(work))).await {
                settled.into_iter().for_each(|(place, result)| results[place] = Some(result));
            }
            work = rest;
        }
    }

    /// Runs the calls of one request.
    async fn run(&self, work: Work) -> Vec<(usize, Result<(), SessionError>)> {
        let mut pipe = self.client().pipeline();
        for call in work.calls {
            let _ = pipe.add(call.call::<Value>());
        }
        let replies: Vec<Result<Value, Error>> = match pipe.send().await {
            Ok(replies) => replies.into_values().collect(),
            Err(error) => work.places.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut results = Vec::new();
        for (reply, places) in replies.into_iter().zip(work.places) {
            match reply.map_err(SessionError::from).and_then(|value| codes(value, places.len())) {
                Ok(codes) => results.extend(places.into_iter().zip(codes).map(|(place, code)| (place, code.map(drop)))),
                Err(error) => results.extend(places.into_iter().map(|place| (place, Err(error.clone())))),
            }
        }
        results
    }
}

/// One request of a batch: a call for each user, and whose results its codes are.
struct Work {
    calls: Vec<Call>,
    places: Vec<Vec<usize>>,
}

impl Work {
    /// Items are a session's place in the batch and something that `call` needs.
    fn new<T>(groups: Vec<(&str, Vec<&(usize, T)>)>, call: impl Fn(&str, &[&(usize, T)]) -> Call) -> Self {
        let calls = groups.iter().map(|(user, group)| call(user, group)).collect();
        let places = groups.iter().map(|(_, group)| group.iter().map(|(place, _)| *place).collect()).collect();
        Self { calls, places }
    }
}

/// Parts `items` so that no part has too many or too many bytes.
fn chunks<T>(items: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let (mut parts, mut start, mut size) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        let more = bytes(item);
        if index > start && (index - start == CHUNK || size + more > CHUNK_BYTES) {
            parts.push(&items[start..index]);
            (start, size) = (index, 0);
        }
        size += more;
    }
    if start < items.len() {
        parts.push(&items[start..]);
    }
    parts
}

/// Items by their user, users in the order of their first item.
fn by_user<'a, T>(items: &'a [T], user: impl Fn(&'a T) -> &'a str) -> Vec<(&'a str, Vec<&'a T>)> {
    let mut groups: Vec<(&str, Vec<&T>)> = Vec::new();
    let mut places = HashMap::new();
    for item in items {
        let name = user(item);
        let place = *places.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(item);
    }
    groups
}

fn outcome(ids: impl Iterator<Item = String>, results: Vec<Outcome>) -> BatchOutcome {
    BatchOutcome::new(ids.zip(results.into_iter().map(|result| result.unwrap_or(Err(SessionError::NotFound)))).collect())
}
