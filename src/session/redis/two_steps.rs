//! Redis Cluster: index and records have slots of their own, so a change is two steps, each a script on one slot.
//!
//! What adds a session changes the index first, what ends one the record. So whatever is cut off between the two, the index names a
//! session that is not there, which readers pass over; it does not lack one that is. Scripts of the two slots tell each other by
//! marks; see [`scripts`].

use super::batch::{CHUNK, Work, by_user};
use super::{GONE_FOR, RedisSessionStore, one_code};
use crate::command::groups::millis;
use crate::error::{Error, ErrorKind, Outcome};
use crate::script::{Call, Script};
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::scripts::{self, SCRIPTS};
use crate::session::store::SessionStore as _;
use crate::value::{FromValue as _, Value};
use bytes::Bytes;
use std::collections::HashMap;
use std::time::Duration;

/// How long the two slots' marks for each other live.
const MARKED_FOR: Duration = GONE_FOR;

/// What a change does to a session's index entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// Nothing: no deadline moves.
    Stays,
    /// It is there afterwards.
    Add,
    /// It and the index live long enough, if it is there. Where it is not, and the session is, it is added afterwards.
    Raise,
}

/// A change of one session.
pub(super) struct Change<'a> {
    pub(super) id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) listing: Listing,
    /// The time to live, in milliseconds.
    pub(super) ttl: u64,
    /// What happens to the record; answers one code.
    pub(super) call: Call,
}

/// A session to be deleted.
#[derive(Clone, Copy)]
pub(super) struct Deletion<'a> {
    pub(super) id: &'a str,
    /// Whose index has it, where the record does not say.
    pub(super) user_id: Option<&'a str>,
    /// Only if the record does not name another user.
    pub(super) only_theirs: bool,
}

impl<'a> Deletion<'a> {
    pub(super) fn of(session: &'a Session) -> Self {
        Self { id: &session.id, user_id: Some(&session.user_id), only_theirs: false }
    }
}

impl RedisSessionStore {
    pub(super) fn store_change<'a>(
        &self,
        session: &'a Session,
        record: &str,
        create: bool,
    ) -> Change<'a> {
        let (script, mode) = if create {
            (&SCRIPTS.in_slots.create, "create")
        } else {
            (&SCRIPTS.in_slots.store, "store")
        };
        let ttl = self.ttl_millis(self.default_ttl(), session.created_at);
        let call = self.with_marks(script, &session.id).key(self.keys.pruned(&session.id));
        let call = call.arg(mode).arg(&session.user_id).arg(record).arg(ttl);
        Change { id: &session.id, user_id: &session.user_id, listing: Listing::Add, ttl, call }
    }

    pub(super) fn expire_change<'a>(
        &self,
        session: &'a Session,
        ttl: u64,
        mode: &str,
    ) -> Change<'a> {
        let call = SCRIPTS
            .in_slots
            .expire
            .key(self.keys.record(&session.id))
            .key(self.keys.pinned(&session.id));
        let call = call.arg(ttl).arg(mode).arg(self.stamp());
        Change { id: &session.id, user_id: &session.user_id, listing: Listing::Raise, ttl, call }
    }

    pub(super) async fn change_one(&self, change: Change<'_>) -> Result<i64, SessionError> {
        self.change(vec![change])
            .await
            .pop()
            .unwrap_or(Err(SessionError::Corrupt { field: "record" }))
    }

    /// Makes changes, and answers the code of each: in two requests where nothing is in the way.
    pub(super) async fn change(&self, changes: Vec<Change<'_>>) -> Vec<Result<i64, SessionError>> {
        let entries: Vec<Entry<'_>> = changes.iter().map(Entry::of).collect();
        let (calls, mut results): (Vec<Call>, Vec<_>) =
            changes.into_iter().map(|change| (change.call, Ok(scripts::DONE))).unzip();
        let wanted: Vec<_> = entries
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, entry)| entry.listing != Listing::Stays)
            .collect();
        let mut unlisted = Vec::new();
        for (place, result) in self.list(&wanted, false).await {
            match result {
                Ok(code) if code == scripts::DONE => {}
                Ok(_) => unlisted.push(place),
                Err(error) => results[place] = Err(nothing_written(error)),
            }
        }

        let (places, calls): (Vec<usize>, Vec<Call>) =
            calls.into_iter().enumerate().filter(|(place, _)| results[*place].is_ok()).unzip();
        for (&place, reply) in places.iter().zip(self.replies(calls).await) {
            results[place] = reply.map_err(SessionError::from).and_then(one_code);
        }

        let again = |(place, _): &(usize, Entry<'_>)| match results[*place] {
            Ok(scripts::RELIST) => true,
            Ok(_) => unlisted.contains(place),
            Err(_) => false,
        };
        let missing: Vec<_> = entries.iter().copied().enumerate().filter(again).collect();
        for (place, result) in self.list(&missing, true).await {
            results[place] = match result {
                // The code says what the change did, and not what became of the index.
                Ok(_) if matches!(results[place], Ok(scripts::RELIST)) => Ok(scripts::DONE),
                Ok(_) => continue,
                Err(error) => Err(not_listed(error)),
            };
        }

        let refused = |(place, entry): &(usize, Entry<'_>)| {
            let refused =
                matches!(results[*place], Err(SessionError::NotFound | SessionError::Conflict(_)));
            refused && entry.listing == Listing::Add
        };
        let refused: Vec<_> = entries.iter().copied().enumerate().filter(refused).collect();
        for (user_id, group) in by_user(&refused, |(_, entry)| entry.user_id) {
            let ids: Vec<&str> = group.iter().map(|(_, entry)| entry.id).collect();
            if let Err(error) = self.prune(user_id, &ids).await {
                tracing::debug!(%error, "the id of a session that was not stored stays listed until the next clean-up");
            }
        }
        results
    }

    /// Lists sessions, `again` after their records were written. The codes of [`scripts`]' `LIST`, by place.
    async fn list(
        &self,
        entries: &[(usize, Entry<'_>)],
        again: bool,
    ) -> HashMap<usize, Result<i64, SessionError>> {
        if entries.is_empty() {
            return HashMap::new();
        }
        let work = Work::new(by_user(entries, |(_, entry)| entry.user_id), |user_id, group| {
            let call = self.index(&SCRIPTS.in_slots.list, user_id).arg(millis(MARKED_FOR));
            let call = if again { call.key(self.keys.relisted(user_id)) } else { call };
            group.iter().fold(call, |call, (_, entry)| {
                let mode = if again || entry.listing == Listing::Add { "add" } else { "raise" };
                call.arg(entry.id).arg(entry.ttl).arg(mode)
            })
        });
        self.run_step(work).await.into_iter().collect()
    }

    /// Deletes records, and then their index entries; true for those that were there. `unchanged` is the SHA-1 that a record must
    /// have. An entry that cannot be taken out is left for a clean-up: the session is deleted all the same.
    pub(super) async fn delete(
        &self,
        script: &Script,
        deletions: &[Deletion<'_>],
        unchanged: &str,
    ) -> Vec<Result<bool, SessionError>> {
        let calls = deletions.iter().map(|deletion| {
            let owner = deletion.user_id.filter(|_| deletion.only_theirs).unwrap_or_default();
            self.with_marks(script, deletion.id).arg(millis(GONE_FOR)).arg(owner).arg(unchanged)
        });
        let replies = self.replies(calls.collect()).await;
        let (mut results, mut entries) = (Vec::with_capacity(deletions.len()), Vec::new());
        for (deletion, reply) in deletions.iter().zip(replies) {
            let reply = reply.map_err(SessionError::from).and_then(ended);
            if let Ok((_, user)) = &reply
                && let Some(user) = user.as_deref().or(deletion.user_id)
            {
                entries.push((0, (user.to_owned(), deletion.id)));
            }
            results.push(reply.map(|(there, _)| there));
        }
        let groups = by_user(&entries, |(_, (user_id, _))| user_id.as_str());
        let work = Work::new(groups, |user_id, group| {
            self.index(&SCRIPTS.in_slots.unlist, user_id)
                .args(group.iter().map(|(_, (_, id))| *id).collect::<Vec<_>>())
        });
        for error in self.run_step(work).await.into_iter().filter_map(|(_, result)| result.err()) {
            tracing::debug!(%error, "the id of a deleted session stays listed until the next clean-up");
        }
        results
    }

    pub(super) async fn delete_one(
        &self,
        script: &Script,
        deletion: Deletion<'_>,
        unchanged: &str,
    ) -> Result<bool, SessionError> {
        self.delete(script, &[deletion], unchanged)
            .await
            .pop()
            .unwrap_or(Err(SessionError::NotFound))
    }

    /// Deletes these sessions of a user; answers how many there were.
    pub(super) async fn delete_all(
        &self,
        user_id: &str,
        ids: &[String],
    ) -> Result<usize, SessionError> {
        let mut count = 0;
        for chunk in ids.chunks(10 * CHUNK) {
            let deletions: Vec<_> = chunk
                .iter()
                .map(|id| Deletion { id, user_id: Some(user_id), only_theirs: true })
                .collect();
            for there in self.delete(&SCRIPTS.in_slots.delete, &deletions, "").await {
                count += usize::from(there?);
            }
        }
        Ok(count)
    }

    /// Takes ids out of a user's index who has no such sessions; answers how many.
    pub(super) async fn prune(&self, user_id: &str, ids: &[&str]) -> Result<usize, SessionError> {
        let mut count = 0;
        for chunk in ids.chunks(10 * CHUNK) {
            let lives = self.look(user_id, chunk).await?;
            let dead: Vec<&str> = chunk
                .iter()
                .zip(lives)
                .filter(|(_, left)| *left == scripts::NOTHING)
                .map(|(id, _)| *id)
                .collect();
            if dead.is_empty() {
                continue;
            }
            let call = self
                .index(&SCRIPTS.in_slots.unlist, user_id)
                .key(self.keys.relisted(user_id))
                .args(&dead);
            let value = call.call::<Value>().on(self.client()).await?;
            count += super::codes(value, dead.len())?
                .iter()
                .filter(|code| matches!(code, Ok(scripts::DONE)))
                .count();
        }
        Ok(count)
    }

    /// How many milliseconds each of a user's sessions has (-1: no end), and [`scripts::NOTHING`] with a mark for what is none.
    pub(super) async fn look(&self, user_id: &str, ids: &[&str]) -> Result<Vec<i64>, SessionError> {
        let call = |id: &&str| {
            let call = SCRIPTS.in_slots.look.key(self.keys.record(id)).key(self.keys.pruned(id));
            call.arg(user_id).arg(millis(MARKED_FOR))
        };
        let replies = self.replies(ids.iter().map(call).collect()).await;
        replies.into_iter().map(|reply| Ok(i64::from_value(reply?).map_err(Error::from)?)).collect()
    }
}

/// What a [`Change`] wants of the index.
#[derive(Clone, Copy)]
struct Entry<'a> {
    id: &'a str,
    user_id: &'a str,
    listing: Listing,
    ttl: u64,
}

impl<'a> Entry<'a> {
    fn of(change: &Change<'a>) -> Self {
        Self { id: change.id, user_id: change.user_id, listing: change.listing, ttl: change.ttl }
    }
}

/// Whether there was a session, and the user in its record.
fn ended(reply: Value) -> Result<(bool, Option<String>), SessionError> {
    let mut parts = Vec::<Value>::from_value(reply).map_err(Error::from)?.into_iter();
    let code = match parts.next() {
        Some(Value::Int(code)) if code < 0 => return Err(scripts::refusal(code)),
        Some(Value::Int(code)) => code,
        _ => {
            return Err(Error::new(
                ErrorKind::Conversion,
                "a script answered something else than a code",
            )
            .into());
        }
    };
    let user =
        parts.next().map(Option::<Bytes>::from_value).transpose().map_err(Error::from)?.flatten();
    Ok((code == scripts::DONE, user.and_then(|user| String::from_utf8(user.to_vec()).ok())))
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
