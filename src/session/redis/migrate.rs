//! Moving an index to the other layout.

use super::RedisSessionStore;
use crate::command::cmd;
use crate::command::groups::{get, millis};
use crate::error::Error;
use crate::session::chunks;
use crate::session::error::SessionError;
use crate::session::index::{self, IndexLayout};
use crate::session::scripts::{self, SCRIPTS};
use crate::session::store::SessionStore as _;
use crate::session::version::Hash;
use crate::value::Value;
use bytes::Bytes;
use std::collections::HashSet;
use std::time::Duration;

/// Most ids in one request.
const STEP: usize = 10 * chunks::MOST;

/// The life of a sorted set that does not become the index, because a migration was interrupted.
const STAGED_FOR: Duration = Duration::from_secs(600);

impl RedisSessionStore {
    /// Moves a user's index to the layout of this store; true if it was in the other. Ids of
    /// sessions that are gone are left behind.
    ///
    /// To a sorted set in steps of 1000 ids, beside the index, which stays in use until the last
    /// step. May be interrupted and repeated.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] if the index kept changing.
    pub async fn migrate_index(&self, user_id: &str) -> Result<bool, SessionError> {
        self.check_open()?;
        let moved = match self.index {
            IndexLayout::JsonArray => {
                let call = self.index_call(&SCRIPTS.to_json, user_id);
                call.call::<i64>().on(&self.client).await? != scripts::MOVED
            }
            IndexLayout::SortedSet => self.to_sorted_set(user_id).await?,
        };
        if moved {
            self.prune(user_id).await?;
        }
        Ok(moved)
    }

    async fn to_sorted_set(&self, user_id: &str) -> Result<bool, SessionError> {
        const ROUNDS: usize = 10;
        let (key, staged) = (self.keys.index(user_id), self.keys.staged(user_id));
        // A set of an interrupted migration has ends that may be old.
        self.client.del([staged.clone()]).await?;
        let mut done = HashSet::new();
        for _ in 0..ROUNDS {
            let text: Result<Option<Bytes>, Error> = get(&key).on(&self.client).await;
            let text = match text {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(false),
                Err(error) if error.redis_code() == Some("WRONGTYPE") => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let hash = Hash::of(&text).to_string();
            let ids = index::ids(Ok(Value::Bytes(text)))?;
            // In later rounds only what came meanwhile.
            let new: Vec<&String> = ids.iter().filter(|id| !done.contains(*id)).collect();
            for step in new.chunks(STEP) {
                self.stage(&staged, step).await?;
            }
            done.extend(ids);
            let call = SCRIPTS.swap.key(&key).key(&staged).arg(hash);
            if call.call::<i64>().on(&self.client).await? != scripts::MOVED {
                return Ok(true);
            }
        }
        Err(scripts::refusal(scripts::MOVED))
    }

    async fn stage(&self, staged: &[u8], ids: &[&String]) -> Result<(), SessionError> {
        let mut pipe = self.client.pipeline();
        for id in ids {
            let _ = pipe.add_raw::<Value>(cmd("PTTL").arg(self.keys.record(id)));
        }
        let left: Vec<i64> = pipe.send().await?.all()?;
        let call = SCRIPTS.stage.key(staged).arg(millis(STAGED_FOR));
        let call = ids.iter().zip(left).fold(call, |call, (id, left)| call.arg(*id).arg(left));
        call.call::<i64>().on(&self.client).await?;
        Ok(())
    }
}
