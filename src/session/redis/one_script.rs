//! One Redis: a change of records and index is one script, both or neither.

use super::batch::CHUNK;
use super::{GONE_FOR, RedisSessionStore, codes};
use crate::command::groups::millis;
use crate::script::{Call, Script};
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::scripts::{self, SCRIPTS};
use crate::session::store::SessionStore as _;
use crate::value::Value;
use bytes::Bytes;

impl RedisSessionStore {
    /// The call that stores sessions of one user, given with their records.
    pub(super) fn store_call(
        &self,
        script: &Script,
        mode: &str,
        sessions: &[(&Session, &str)],
    ) -> Call {
        let user_id = sessions.first().map_or("", |(session, _)| &session.user_id);
        sessions.iter().fold(self.index(script, user_id).arg(mode), |call, (session, record)| {
            self.add_keys(call, &session.id)
                .arg(&session.id)
                .arg(user_id)
                .arg(*record)
                .arg(self.ttl_millis(self.default_ttl(), session.created_at))
        })
    }

    pub(super) fn delete_call<'a>(
        &self,
        user_id: &str,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Call {
        let call = self.index(&SCRIPTS.delete, user_id).arg(millis(GONE_FOR));
        ids.into_iter().fold(call, |call, id| self.add_keys(call, id).arg(id))
    }

    /// The call that marks a session as gone, or answers its record.
    pub(super) fn mark_call(&self, id: &str) -> Call {
        self.with_marks(&SCRIPTS.mark_gone, id).arg(millis(GONE_FOR))
    }

    pub(super) fn expire_call(&self, session: &Session, ttl: u64, mode: &str) -> Call {
        let call = self
            .index(&SCRIPTS.expire, &session.user_id)
            .key(self.keys.record(&session.id))
            .key(self.keys.pinned(&session.id));
        call.arg(&session.id).arg(ttl).arg(mode).arg(self.stamp())
    }

    pub(super) fn compare_and_delete_call(&self, session: &Session, read: &str) -> Call {
        let call = self
            .index(&SCRIPTS.compare_and_delete, &session.user_id)
            .arg(millis(GONE_FOR))
            .arg(&session.id)
            .arg(read);
        self.add_keys(call, &session.id)
    }

    /// The call that takes those out of the index that are gone; with `once`, also what stands there twice.
    pub(super) fn prune_call(&self, user_id: &str, once: bool, ids: &[String]) -> Call {
        let call = self.index(&SCRIPTS.prune, user_id).arg(if once { "once" } else { "" });
        ids.iter().fold(call, |call, id| call.key(self.keys.record(id)).arg(id))
    }

    /// Looks up the user and deletes the session, or marks it as gone.
    pub(super) async fn look_up_and_delete(&self, id: &str) -> Result<bool, SessionError> {
        let mut record: Option<Bytes> = self.client.get(self.keys.record(id)).await?;
        loop {
            if let Some(found) = &record {
                return Ok(
                    self.run_one(self.delete_call(&owner(found), [id])).await? == scripts::DONE
                );
            }
            // Not there: leave the mark, unless it came meanwhile.
            record = self.mark_call(id).call().on(&self.client).await?;
            if record.is_none() {
                return Ok(false);
            }
        }
    }

    /// Runs `call` over chunks of `ids` and counts the sessions that took the change.
    pub(super) async fn count_over(
        &self,
        ids: &[String],
        call: impl Fn(&[String]) -> Call,
    ) -> Result<usize, SessionError> {
        let mut count = 0;
        for chunk in ids.chunks(10 * CHUNK) {
            let value = call(chunk).call::<Value>().on(&self.client).await?;
            count += codes(value, chunk.len())?
                .iter()
                .filter(|code| matches!(code, Ok(scripts::DONE)))
                .count();
        }
        Ok(count)
    }
}

/// The user of a record, for its index. A record that cannot be read has none: deleting it leaves its id to a clean-up.
pub(super) fn owner(record: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Owner {
        user_id: String,
    }
    serde_json::from_slice(record).map_or_else(|_| String::new(), |owner: Owner| owner.user_id)
}
