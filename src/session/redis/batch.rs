//! Batches of [`RedisSessionStore`]: many sessions in few requests, one script for each user; on a cluster one for each session.

use super::one_script::owner;
use super::two_steps::{Change, Deletion, Listing};
use super::{RedisSessionStore, codes, read, sha1};
use crate::clock;
use crate::error::Error;
use crate::platform::{self, BoxFuture};
use crate::script::Call;
use crate::session::error::{Conflict, SessionError};
use crate::session::reconcile::{
    Decision, PendingPut, Reconciled, TtlRule, decide, decide_unseen, rule,
};
use crate::session::record::Session;
use crate::session::scripts::SCRIPTS;
use crate::session::store::BatchOutcome;
use crate::value::{FromValue as _, Value};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};

/// Most sessions in one request.
pub(super) const CHUNK: usize = 100;

/// Most bytes of records in one request, unless a single record has more: the limit of small plans is 1 MB for the whole.
const CHUNK_BYTES: usize = 500_000;

/// Most requests of one batch at the same time.
const AT_ONCE: usize = 8;

type Outcome = Option<Result<(), SessionError>>;

/// Codes of sessions, by their place in a batch.
type Settled = Vec<(usize, Result<i64, SessionError>)>;

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
        let work = chunks(&records, |(_, record)| record.len()).into_iter().map(
            |chunk| -> BoxFuture<'_, Settled> {
                if self.cluster {
                    let change = |(place, record): &(usize, String)| {
                        (*place, self.store_change(&sessions[*place], record, false))
                    };
                    return Box::pin(self.change_at(chunk.iter().map(change).collect()));
                }
                Box::pin(self.run(Work::new(
                    by_user(chunk, |(place, _)| sessions[*place].user_id.as_str()),
                    |_, group| {
                        let group: Vec<_> = group
                            .iter()
                            .map(|(place, record)| (&sessions[*place], record.as_str()))
                            .collect();
                        self.store_call(&SCRIPTS.store, "store", &group)
                    },
                )))
            },
        );
        // Of a session that is there twice the second is the one to stay.
        let mut seen = HashSet::new();
        let at_once =
            if sessions.iter().all(|session| seen.insert(&session.id)) { AT_ONCE } else { 1 };
        self.run_all(work.collect(), at_once, &mut results).await;
        outcome(sessions.iter().map(|session| session.id.clone()), results)
    }

    /// One request finds the users, then each chunk is one. A session that is not there is marked as gone on the condition that it
    /// still is not, and is deleted like the others where it came meanwhile.
    pub(super) async fn delete_batch(&self, ids: &[String]) -> BatchOutcome {
        let mut results: Vec<Outcome> =
            ids.iter().map(|id| self.check(id).err().map(Err)).collect();
        if self.cluster {
            let open: Vec<usize> =
                (0..ids.len()).filter(|&place| results[place].is_none()).collect();
            let work = open
                .chunks(CHUNK)
                .map(|chunk| -> BoxFuture<'_, Settled> { Box::pin(self.delete_at(ids, chunk)) });
            self.run_all(work.collect(), AT_ONCE, &mut results).await;
            return outcome(ids.iter().cloned(), results);
        }
        let names: Vec<String> = ids
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_none())
            .map(|(id, _)| id.clone())
            .collect();
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
            let (there, missing): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|(_, record)| record.is_some());
            let there: Vec<(usize, String)> = there
                .into_iter()
                .map(|(place, record)| (place, record.as_deref().map(owner).unwrap_or_default()))
                .collect();
            let work = there.chunks(CHUNK).map(|chunk| -> BoxFuture<'_, Settled> {
                Box::pin(self.run(Work::new(
                    by_user(chunk, |(_, user)| user.as_str()),
                    |user, group| {
                        self.delete_call(user, group.iter().map(|(place, _)| ids[*place].as_str()))
                    },
                )))
            });
            self.run_all(work.collect(), AT_ONCE, &mut results).await;
            found = self
                .mark_gone(ids, missing.into_iter().map(|(place, _)| place).collect(), &mut results)
                .await;
        }
        outcome(ids.iter().cloned(), results)
    }

    async fn change_at(&self, changes: Vec<(usize, Change<'_>)>) -> Settled {
        let (places, changes): (Vec<usize>, Vec<_>) = changes.into_iter().unzip();
        places.into_iter().zip(self.change(changes).await).collect()
    }

    async fn delete_at(&self, ids: &[String], places: &[usize]) -> Settled {
        let deletions: Vec<_> = places
            .iter()
            .map(|&place| Deletion { id: &ids[place], user_id: None, only_theirs: false })
            .collect();
        let results = self.delete(&SCRIPTS.in_slots.delete, &deletions, "").await;
        places
            .iter()
            .copied()
            .zip(results.into_iter().map(|result| result.map(i64::from)))
            .collect()
    }

    /// Marks sessions as gone that are not there; answers those that are.
    async fn mark_gone(
        &self,
        ids: &[String],
        places: Vec<usize>,
        results: &mut [Outcome],
    ) -> Vec<(usize, Option<Bytes>)> {
        let mut appeared = Vec::new();
        for chunk in places.chunks(CHUNK) {
            let replies =
                self.pipe(chunk.iter().map(|&place| self.mark_call(&ids[place])).collect()).await;
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
    pub(super) async fn reconcile_batch(
        &self,
        puts: &[PendingPut],
    ) -> Vec<Result<Reconciled, SessionError>> {
        const TRIES: usize = 5;
        let mut settled: Vec<Option<Result<Reconciled, SessionError>>> =
            puts.iter().map(|put| self.check(&put.session.id).err().map(Err)).collect();
        for attempt in 0..=TRIES {
            let open: Vec<usize> =
                (0..puts.len()).filter(|&place| settled[place].is_none()).collect();
            for chunk in open.chunks(CHUNK) {
                let stored = match attempt {
                    0 => None,
                    _ => Some(self.stored(puts, chunk).await),
                };
                self.reconcile_chunk(puts, chunk, stored, &mut settled).await;
            }
        }
        settled
            .into_iter()
            .map(|result| result.unwrap_or(Err(SessionError::Conflict(Conflict::Changed))))
            .collect()
    }

    /// What the store has of a chunk now.
    async fn stored(
        &self,
        puts: &[PendingPut],
        chunk: &[usize],
    ) -> Result<Vec<Option<Bytes>>, SessionError> {
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
            Err(error) => {
                return chunk.iter().for_each(|&place| settled[place] = Some(Err(error.clone())));
            }
        };
        let now = clock::utc_now();
        let mut writes = Vec::new();
        for &place in chunk {
            let put = &puts[place];
            let decision = match records.as_mut().map(Iterator::next) {
                None => decide_unseen(put, now),
                Some(record) => {
                    match record.flatten().map(|record| read(&put.session.id, &record)).transpose()
                    {
                        Ok(stored) => decide(put, stored.as_ref(), now),
                        Err(error) => Err(error),
                    }
                }
            };
            match decision.and_then(|decision| Ok((decision.text()?, decision))) {
                Ok((_, Decision::Settled(result))) => settled[place] = Some(Ok(result)),
                Ok((text, decision)) => writes.push((place, (text, decision))),
                Err(error) => settled[place] = Some(Err(error)),
            }
        }
        let mut results: HashMap<usize, _> = match self.cluster {
            true => {
                let change = |(place, (record, decision)): &(usize, (String, Decision))| {
                    (*place, self.reconcile_change(&puts[*place], record, decision, now))
                };
                self.change_at(writes.iter().map(change).collect()).await.into_iter().collect()
            }
            false => {
                let work = Work::new(
                    by_user(&writes, |(place, _)| puts[*place].session.user_id.as_str()),
                    |user, group| {
                        group.iter().fold(
                            self.index(&SCRIPTS.reconcile, user),
                            |call, (place, (record, decision))| {
                                self.reconcile_entry(call, &puts[*place], record, decision, now)
                            },
                        )
                    },
                );
                self.run(work).await.into_iter().collect()
            }
        };
        for (place, (text, decision)) in writes {
            settled[place] = match results.remove(&place) {
                Some(Ok(_)) => Some(Ok(decision.written(&text))),
                Some(Err(SessionError::Conflict(Conflict::Deleted) | SessionError::NotFound)) => {
                    Some(Ok(Reconciled::Gone))
                }
                // Somebody was faster: look again.
                None | Some(Err(SessionError::Conflict(_))) => None,
                Some(Err(error)) => Some(Err(error)),
            };
        }
    }

    /// A put as the script of one user takes it.
    fn reconcile_entry(
        &self,
        call: Call,
        put: &PendingPut,
        record: &str,
        decision: &Decision,
        now: DateTime<Utc>,
    ) -> Call {
        let (rule, left) = rule(put.ttl, now);
        self.add_keys(call, &put.session.id)
            .arg(&put.session.id)
            .arg(record)
            .arg(decision.replaces().map(sha1).unwrap_or_default())
            .arg(rule)
            .arg(self.ttl_millis(left, put.session.created_at))
            .arg(self.stamp())
    }

    /// The same in two steps. A put that keeps its time to live has its index entry already.
    fn reconcile_change<'a>(
        &self,
        put: &'a PendingPut,
        record: &str,
        decision: &Decision,
        now: DateTime<Utc>,
    ) -> Change<'a> {
        let session = &put.session;
        let (rule, left) = rule(put.ttl, now);
        let ttl = self.ttl_millis(left, session.created_at);
        let listing = match decision.replaces() {
            None => Listing::Add,
            Some(_) if put.ttl == TtlRule::Keep => Listing::Stays,
            Some(_) => Listing::Raise,
        };
        let call = self
            .with_marks(&SCRIPTS.in_slots.reconcile, &session.id)
            .key(self.keys.pruned(&session.id))
            .arg(record);
        let call = call
            .arg(decision.replaces().map(sha1).unwrap_or_default())
            .arg(rule)
            .arg(ttl)
            .arg(self.stamp());
        Change { id: &session.id, user_id: &session.user_id, listing, ttl, call }
    }

    /// Runs so many requests at once, and gives each session its result.
    async fn run_all(
        &self,
        mut work: Vec<BoxFuture<'_, Settled>>,
        at_once: usize,
        results: &mut [Outcome],
    ) {
        while !work.is_empty() {
            let rest = work.split_off(at_once.min(work.len()));
            for settled in platform::join_all(work).await {
                settled
                    .into_iter()
                    .for_each(|(place, result)| results[place] = Some(result.map(drop)));
            }
            work = rest;
        }
    }

    /// Runs the calls of one request.
    async fn run(&self, work: Work) -> Settled {
        settled(self.pipe(work.calls).await, work.places)
    }

    /// The same for a step of few sessions: a single call goes by itself, so that calls of others may travel with it.
    pub(super) async fn run_step(&self, work: Work) -> Settled {
        settled(self.replies(work.calls).await, work.places)
    }

    pub(super) async fn replies(&self, mut calls: Vec<Call>) -> Vec<Result<Value, Error>> {
        if calls.len() == 1
            && let Some(call) = calls.pop()
        {
            return vec![call.call::<Value>().on(self.client()).await];
        }
        self.pipe(calls).await
    }

    async fn pipe(&self, calls: Vec<Call>) -> Vec<Result<Value, Error>> {
        let count = calls.len();
        let mut pipe = self.client().pipeline();
        for call in calls {
            let _ = pipe.add(call.call::<Value>());
        }
        match pipe.send().await {
            Ok(replies) => replies.into_values().collect(),
            Err(error) => vec![Err(error); count],
        }
    }
}

/// The codes in the replies to calls, each to the sessions of that call.
fn settled(replies: Vec<Result<Value, Error>>, places: Vec<Vec<usize>>) -> Settled {
    let mut results = Vec::new();
    for (reply, places) in replies.into_iter().zip(places) {
        match reply.map_err(SessionError::from).and_then(|value| codes(value, places.len())) {
            Ok(codes) => results.extend(places.into_iter().zip(codes)),
            Err(error) => {
                results.extend(places.into_iter().map(|place| (place, Err(error.clone()))))
            }
        }
    }
    results
}

/// One request of a batch: a call for each user, and whose results its codes are.
pub(super) struct Work {
    calls: Vec<Call>,
    places: Vec<Vec<usize>>,
}

impl Work {
    /// Items are a session's place in the batch and something that `call` needs.
    pub(super) fn new<T>(
        groups: Vec<(&str, Vec<&(usize, T)>)>,
        call: impl Fn(&str, &[&(usize, T)]) -> Call,
    ) -> Self {
        let calls = groups.iter().map(|(user, group)| call(user, group)).collect();
        let places = groups
            .iter()
            .map(|(_, group)| group.iter().map(|(place, _)| *place).collect())
            .collect();
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
pub(super) fn by_user<'a, T>(
    items: &'a [T],
    user: impl Fn(&'a T) -> &'a str,
) -> Vec<(&'a str, Vec<&'a T>)> {
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
    BatchOutcome::new(
        ids.zip(results.into_iter().map(|result| result.unwrap_or(Err(SessionError::NotFound))))
            .collect(),
    )
}
