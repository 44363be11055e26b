//! The Lua scripts of the session store: those that change records and the index of one user
//! together, or neither, and those that keep to one slot of a cluster.
//!
//! Record JSON is never written by a script: Lua numbers are floats and its empty table has one
//! form only. The JSON index is edited as text, which is exact because valid ids need no escapes.
//!
//! A script returns an array with one reply for each session, which begins with a code, or one
//! negative code for the whole ([`refusal`]).

mod cluster;
mod index;
mod records;
mod single_node;

use super::error::{Conflict, SessionError};
use super::index::IndexLayout;
use crate::command::Idempotency;
use crate::command::Script;
use index::{COMMON, INDEX, OPEN};
use std::sync::LazyLock;

/// `KEYS`: record, meta key. `ARGV`: the arguments of `delete` from `user` on, and `text` if the
/// record is to be returned, or `absent` for [`APPEARED`] if there is a record. A code, whether the
/// id is to leave the index, and the record.
const DELETE_RECORD: &str = r#"
if ARGV[8] == 'absent' and redis.call('TYPE', KEYS[1]).ok == 'string' then return {{6, 0}} end
local text = ARGV[8] == 'text' and text_of(KEYS[1])
local code, gone = delete(KEYS[1], KEYS[2], unpack(ARGV, 1, 7))
return {{code, gone and 1 or 0, gone and text}}
"#;

/// `KEYS`: index, log-outs. `ARGV`: layout, log-out, life of the log-outs, most of them. The index.
const REVOKE: &str = r#"
local log_outs = text_of(KEYS[2]) or ''
if not among(log_outs, ARGV[2]) then
  if log_outs ~= '' then log_outs = log_outs .. ',' end
  log_outs = log_outs .. ARGV[2]
  local _, commas = string.gsub(log_outs, ',', '')
  for _ = tonumber(ARGV[4]), commas do log_outs = string.gsub(log_outs, '^[^,]*,', '') end
  redis.call('SET', KEYS[2], log_outs, 'PX', ARGV[3])
end
if not json then return redis.call('ZRANGE', index, 0, -1) end
return redis.call('GET', index)
"#;

/// `KEYS`: index. `ARGV`: layout. From a sorted set to a JSON array, in the order of the ends. The
/// number of ids.
const TO_JSON: &str = r#"
local index = KEYS[1]
if redis.call('TYPE', index).ok ~= 'zset' then return -7 end
local left, ids = redis.call('PTTL', index), redis.call('ZRANGE', index, 0, -1)
redis.call('SET', index, '["' .. table.concat(ids, '","') .. '"]')
if left > 0 then redis.call('PEXPIRE', index, left) end
return #ids
"#;

/// `KEYS`: a sorted set that is to become an index. `ARGV`: its life, then ids and what `PTTL` said
/// of their records.
const STAGE: &str = r#"
for i = 2, #ARGV, 2 do
  local left = tonumber(ARGV[i + 1])
  -- A session that is not there may be created before the set becomes the index.
  if left == -2 then left = LIFETIME end
  redis.call('ZADD', KEYS[1], left < 0 and '+inf' or integer(now() + left), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"#;

/// `KEYS`: index, the sorted set to become the index. `ARGV`: SHA-1 of the JSON array that the set
/// was made of.
const SWAP: &str = r#"
if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.sha1hex(redis.call('GET', KEYS[1])) ~= ARGV[1] then return -7 end
local left = redis.call('PTTL', KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('RENAME', KEYS[2], KEYS[1])
if left > 0 then redis.call('PEXPIRE', KEYS[1], left) else redis.call('PERSIST', KEYS[1]) end
return 1
"#;

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) write: Script,
    pub(super) delete: Script,
    pub(super) prune: Script,
    /// These keep to one slot.
    pub(super) delete_record: Script,
    pub(super) revoke: Script,
    pub(super) to_json: Script,
    pub(super) stage: Script,
    pub(super) swap: Script,
    pub(super) cluster: Cluster,
}

/// The scripts for Redis Cluster.
pub(super) struct Cluster {
    pub(super) write: Script,
    pub(super) list: Script,
    pub(super) unlist: Script,
    pub(super) look: Script,
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| {
    let script = |parts: &[&str]| Script::new([&[COMMON], parts].concat().concat().trim_start());
    // A second run of these ends in the same state.
    let again = |parts: &[&str]| script(parts).idempotency(Idempotency::EffectIdempotent);
    let (write, delete) = (&records::write(), &records::delete());
    Scripts {
        // A second run that finds another version cannot say whether the first was executed before
        // that.
        write: script(&[INDEX, write, single_node::WRITE]),
        delete: again(&[INDEX, delete, single_node::DELETE]),
        prune: again(&[INDEX, OPEN, single_node::PRUNE]),
        delete_record: again(&[delete, DELETE_RECORD]),
        revoke: again(&[INDEX, OPEN, REVOKE]),
        to_json: again(&[TO_JSON]),
        stage: again(&[STAGE]),
        swap: again(&[SWAP]),
        cluster: Cluster {
            write: script(&[write, cluster::WRITE]),
            list: again(&[INDEX, OPEN, cluster::LIST]),
            unlist: again(&[INDEX, OPEN, cluster::UNLIST]),
            look: again(&[cluster::LOOK]),
        },
    }
});

/// Codes of a write.
pub(super) const WRITTEN: i64 = 1;
pub(super) const GONE: i64 = 2;
pub(super) const CHANGED: i64 = 3;
pub(super) const EXISTS: i64 = 4;
pub(super) const LOGGED_OUT: i64 = 5;
/// A code of a delete: there was no record when its user was looked up, and there is one now.
pub(super) const APPEARED: i64 = 6;
/// A code of what was done, or is there.
pub(super) const DONE: i64 = 1;
/// The index changed between reading it and migrating it.
pub(super) const MOVED: i64 = -7;

/// The error of a negative code.
pub(super) fn refusal(code: i64) -> SessionError {
    match code {
        -1 => SessionError::IndexLayout,
        -2 => SessionError::Corrupt { field: "index" },
        MOVED => SessionError::Conflict(Conflict::Changed),
        _ => SessionError::Corrupt { field: "record" },
    }
}

/// A layout as the scripts know it.
pub(super) const fn name(layout: IndexLayout) -> &'static str {
    match layout {
        IndexLayout::JsonArray => "json",
        IndexLayout::SortedSet => "zset",
    }
}
