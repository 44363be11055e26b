//! Moving an index to the other layout.

use super::{RedisSessionStore, sha1};
use crate::error::Error;
use crate::script::Call;
use crate::session::error::SessionError;
use crate::session::index::{self, IndexLayout};
use crate::session::scripts::{self, SCRIPTS};
use crate::value::Value;
use bytes::Bytes;

impl RedisSessionStore {
    /// Moves a user's index to the layout of this store; true when it was in the other. Ids of sessions that are gone are left
    /// behind.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] when the index kept changing.
    pub async fn migrate_index(&self, user_id: &str) -> Result<bool, SessionError> {
        const TRIES: usize = 5;
        self.check_open()?;
        let key = self.keys.index(user_id);
        for _ in 0..TRIES {
            let call = match self.layout {
                IndexLayout::JsonArray => SCRIPTS.to_json.key(&key).arg(scripts::name(self.layout)),
                IndexLayout::SortedSet => {
                    let reply: Result<Option<Bytes>, Error> = self.client.get(&key).await;
                    let text = match reply {
                        Ok(Some(text)) => text,
                        Ok(None) => return Ok(false),
                        Err(error) if error.redis_code() == Some("WRONGTYPE") => return Ok(false),
                        Err(error) => return Err(error.into()),
                    };
                    let sha1 = sha1(&text);
                    let ids = index::ids(Ok(Value::Bytes(text)))?;
                    self.to_sorted_set(user_id, &sha1, &ids).await?
                }
            };
            match call.call::<Value>().on(&self.client).await? {
                Value::Int(scripts::MOVED) if self.layout == IndexLayout::JsonArray => {
                    return Ok(false);
                }
                Value::Int(scripts::MOVED) => {}
                _ => return Ok(true),
            }
        }
        Err(scripts::refusal(scripts::MOVED))
    }

    /// The call that makes a sorted set of these ids, if the JSON array that they are from still has this SHA-1.
    async fn to_sorted_set(
        &self,
        user_id: &str,
        sha1: &str,
        ids: &[String],
    ) -> Result<Call, SessionError> {
        let layout = scripts::name(self.layout);
        let key = self.keys.index(user_id);
        if !self.cluster {
            let call = SCRIPTS.to_sorted_set.key(key).arg(layout).arg(sha1).args(ids);
            return Ok(ids.iter().fold(call, |call, id| call.key(self.keys.record(id))));
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let lives = self.look(user_id, &ids).await?;
        let call = SCRIPTS
            .in_slots
            .to_sorted_set
            .key(key)
            .key(self.keys.relisted(user_id))
            .arg(layout)
            .arg(sha1);
        Ok(ids.iter().zip(lives).fold(call, |call, (id, left)| call.arg(*id).arg(left)))
    }
}
