//! The Lua scripts of the session store: those that change records and the index of one user together, or neither, and those that
//! keep to one slot of a cluster.
//!
//! Record JSON is never written by a script: Lua numbers are floats and its empty table has one form only. The JSON index
//! is edited as text, which is exact because valid ids need no escapes.
//!
//! A script answers an array with one code for each session, or one negative code for the whole ([`refusal`]).

mod index;
mod one_script;
mod records;
mod two_steps;

use super::error::{Conflict, SessionError};
use super::index::IndexLayout;
use crate::command::ReplaySafety;
use crate::script::Script;
use index::{INDEX, OPEN};
use records::REFUSED;
use std::sync::LazyLock;

/// `KEYS`: record. `ARGV`: user id, new record, SHA-1 of the record it replaces or nothing. Keeps the time to live.
const UPDATE: &str = r#"
local old = redis.call('GET', KEYS[1])
if not old then return {-6} end
if ARGV[3] ~= '' and redis.sha1hex(old) ~= ARGV[3] then return {-8} end
local read, record = pcall(cjson.decode, old)
if not read or type(record) ~= 'table' then return {-9} end
if record.user_id ~= ARGV[1] then return {-5} end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return {1}
"#;

/// `KEYS`: index. `ARGV`: layout. From a sorted set to a JSON array, in the order of the deadlines.
const TO_JSON: &str = r#"
local index = KEYS[1]
if redis.call('TYPE', index).ok ~= 'zset' then return -7 end
local left, ids = redis.call('PTTL', index), redis.call('ZRANGE', index, 0, -1)
redis.call('SET', index, '["' .. table.concat(ids, '","') .. '"]')
if left > 0 then redis.call('PEXPIRE', index, left) end
return ids
"#;

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) store: Script,
    pub(super) create: Script,
    pub(super) delete: Script,
    pub(super) compare_and_delete: Script,
    pub(super) prune: Script,
    pub(super) expire: Script,
    pub(super) mark_gone: Script,
    pub(super) reconcile: Script,
    pub(super) to_sorted_set: Script,
    /// These need no other slot.
    pub(super) update: Script,
    pub(super) compare_and_update: Script,
    pub(super) to_json: Script,
    pub(super) in_slots: InSlots,
}

/// The scripts that keep to one slot.
pub(super) struct InSlots {
    pub(super) list: Script,
    pub(super) unlist: Script,
    pub(super) look: Script,
    pub(super) store: Script,
    pub(super) create: Script,
    pub(super) delete: Script,
    pub(super) compare_and_delete: Script,
    pub(super) expire: Script,
    pub(super) reconcile: Script,
    pub(super) to_sorted_set: Script,
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| {
    let script = |parts: &[&str]| Script::new(parts.concat().trim_start());
    // A second run of these ends in the same state; at most its codes differ (a deleted session is then not there).
    let again = |parts: &[&str]| script(parts).replay_safety(ReplaySafety::EffectIdempotent);
    let (expire, reconcile) = (records::expire(), records::reconcile());
    Scripts {
        store: again(&[INDEX, OPEN, REFUSED, one_script::STORE]),
        // A second run finds the session that the first one made, and would call it somebody else's.
        create: script(&[INDEX, OPEN, REFUSED, one_script::STORE]),
        delete: again(&[INDEX, OPEN, one_script::DELETE]),
        // A second run finds nothing, and would call it deleted by somebody else.
        compare_and_delete: script(&[INDEX, OPEN, one_script::IF_UNCHANGED, one_script::DELETE]),
        prune: again(&[INDEX, OPEN, one_script::PRUNE]),
        expire: again(&[INDEX, &expire, OPEN, one_script::EXPIRE]),
        mark_gone: again(&[one_script::MARK_GONE]),
        // A second run finds what the first one wrote, and writes nothing; the caller then looks again.
        reconcile: again(&[INDEX, &reconcile, one_script::RECONCILE]),
        to_sorted_set: again(&[one_script::TO_SORTED_SET]),
        update: again(&[UPDATE]),
        // A second run finds the record that the first one wrote, and would call it somebody else's.
        compare_and_update: script(&[UPDATE]),
        to_json: again(&[TO_JSON]),
        in_slots: InSlots {
            list: again(&[INDEX, OPEN, two_steps::LIST]),
            unlist: again(&[INDEX, OPEN, two_steps::UNLIST]),
            look: again(&[two_steps::LOOK]),
            store: again(&[REFUSED, two_steps::STORE]),
            create: script(&[REFUSED, two_steps::STORE]),
            delete: again(&[two_steps::DELETE]),
            compare_and_delete: script(&[two_steps::DELETE]),
            expire: again(&[&expire, two_steps::EXPIRE]),
            reconcile: again(&[&reconcile, two_steps::RECONCILE]),
            to_sorted_set: again(&[two_steps::TO_SORTED_SET]),
        },
    }
});

/// A code of a session that took the change.
pub(super) const DONE: i64 = 1;
/// Of a touch: the time to live is an explicit one.
pub(super) const PINNED: i64 = 2;
/// Of a touch: the session already lives as long.
pub(super) const LONGER: i64 = 3;
/// Done, but a clean-up may have taken the id out of the index meanwhile.
pub(super) const RELIST: i64 = 4;
/// Where a session has no time to live, because the user has no such session.
pub(super) const NOTHING: i64 = -2;
/// The index changed between reading it and migrating it.
pub(super) const MOVED: i64 = -7;

/// What a negative code means.
pub(super) fn refusal(code: i64) -> SessionError {
    match code {
        -1 => SessionError::IndexLayout,
        -2 => SessionError::Corrupt { field: "index" },
        -3 => SessionError::Conflict(Conflict::Deleted),
        -4 => SessionError::Conflict(Conflict::Exists),
        -5 => SessionError::Conflict(Conflict::UserChanged),
        -6 => SessionError::NotFound,
        MOVED | -8 => SessionError::Conflict(Conflict::Changed),
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
