//! The Lua scripts of the session store. Each changes records and the index of one user together, or neither.
//!
//! `KEYS[1]` is the index, `ARGV[1]` its layout. Every check stands before the first write, because Redis has no rollback.
//! Record JSON is never written by a script: Lua numbers are floats and its empty table has one form only. The JSON index
//! is edited as text, which is exact because valid ids need no escapes.
//!
//! A script answers an array with one code for each session, or one negative code for the whole ([`refusal`]).

use super::error::{Conflict, SessionError};
use super::index::IndexLayout;
use crate::command::ReplaySafety;
use crate::script::Script;
use std::sync::LazyLock;

/// Reading and writing the index in both layouts.
const INDEX: &str = r#"
local index, layout = KEYS[1], ARGV[1]
local json = layout == 'json'
local left, text
-- What comes at the end of the JSON array, and whether `text` is what is stored, to the byte.
local more, stored = '', false

local function open()
  local kind = redis.call('TYPE', index).ok
  if kind ~= 'none' and kind ~= (json and 'string' or 'zset') then return -1 end
  left = redis.call('PTTL', index)
  if json then
    text = redis.call('GET', index)
    stored = text ~= false
    text = text or '[]'
    if string.sub(text, 1, 1) ~= '[' or string.sub(text, -1) ~= ']' then
      text, stored = string.match(text, '^%s*(.-)%s*$'), false
      if text == '' or text == 'null' then text = '[]' end
      if string.sub(text, 1, 1) ~= '[' or string.sub(text, -1) ~= ']' then return -2 end
    end
  end
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function add(id, ttl)
  if not json then
    redis.call('ZADD', index, string.format('%.0f', now() + ttl), id)
  else
    local quoted = '"' .. id .. '"'
    if string.find(text, quoted, 1, true) or string.find(more, quoted, 1, true) then return end
    local comma = (more ~= '' or not string.find(text, '^%[%s*%]$')) and ',' or ''
    more = more .. comma .. quoted
  end
end

local function cut(id)
  local quoted = '"' .. id .. '"'
  local from, to = string.find(text, quoted, 1, true)
  while from do
    local head, tail = string.sub(text, 1, from - 1), string.sub(text, to + 1)
    local rest, commas = string.gsub(tail, '^%s*,%s*', '')
    if commas == 0 then head = string.gsub(head, ',%s*$', '') end
    text = head .. rest
    from, to = string.find(text, quoted, 1, true)
  end
end

local function remove(ids)
  if #ids == 0 then return end
  stored = false
  if not json then
    for _, id in ipairs(ids) do redis.call('ZREM', index, id) end
  elseif #ids == 1 or string.find(text, '\\', 1, true) then
    for _, id in ipairs(ids) do cut(id) end
  else
    local dead, kept = {}, {}
    for _, id in ipairs(ids) do dead[id] = true end
    for id in string.gmatch(text, '"([^"]*)"') do
      if not dead[id] then kept[#kept + 1] = '"' .. id .. '"' end
    end
    text = '[' .. table.concat(kept, ',') .. ']'
  end
end

local function save()
  if not json then return end
  if stored then
    -- In place: the rest is neither copied nor sent through Lua again.
    if more ~= '' then redis.call('SETRANGE', index, #text - 1, more .. ']') end
    return
  end
  if more ~= '' then text = string.sub(text, 1, -2) .. more .. ']' end
  if string.find(text, '^%[%s*%]$') then
    redis.call('DEL', index)
  else
    redis.call('SET', index, text, 'KEEPTTL')
  end
end

local function extend(ttl)
  if left == -2 or (left >= 0 and left < tonumber(ttl)) then redis.call('PEXPIRE', index, ttl) end
end
"#;

/// Opens the index before anything is written.
const OPEN: &str = r#"
local bad = open()
if bad then return bad end
"#;

/// A pin holds who set the time to live and their count, so that a request of theirs that was held up on its way does not undo
/// what they asked for later. No clock is compared.
const OVERTAKEN: &str = r#"
local function overtaken(pin, stamp)
  local who, count = string.match(redis.call('GET', pin) or '', '^(.*):(%d+)$')
  local by, own = string.match(stamp, '^(.*):(%d+)$')
  return who and who == by and tonumber(count) > tonumber(own)
end
"#;

/// `KEYS`: index, then record, gone mark and pin of each session. `ARGV`: layout, `store` or `create`, then id, user id,
/// record and time to live of each.
const STORE: &str = r#"
local codes, longest = {}, '0'
for i = 2, #KEYS, 3 do
  local at = 3 + (i - 2) / 3 * 4
  local code = 1
  local old = redis.call('GET', KEYS[i])
  if redis.call('EXISTS', KEYS[i + 1]) == 1 then
    code = -3
  elseif old and ARGV[2] == 'create' then
    code = -4
  elseif old then
    local read, record = pcall(cjson.decode, old)
    if read and type(record) == 'table' and record.user_id ~= ARGV[at + 1] then code = -5 end
  end
  codes[#codes + 1] = code
end
for n, code in ipairs(codes) do
  if code == 1 then
    local key, at = 2 + (n - 1) * 3, 3 + (n - 1) * 4
    local ttl = ARGV[at + 3]
    redis.call('SET', KEYS[key], ARGV[at + 2], 'PX', ttl)
    redis.call('DEL', KEYS[key + 2])
    add(ARGV[at], tonumber(ttl))
    if tonumber(ttl) > tonumber(longest) then longest = ttl end
  end
end
if longest ~= '0' then
  save()
  extend(longest)
  -- One second of grace: a time to live is counted from the clock of its own command.
  if not json then redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', now() - 1000)) end
end
return codes
"#;

/// `KEYS`: index, then record, gone mark and pin of each session. `ARGV`: layout, time to live of the gone mark, ids.
const DELETE: &str = r#"
local codes, ids = {}, {}
for i = 2, #KEYS, 3 do
  codes[#codes + 1] = redis.call('DEL', KEYS[i])
  redis.call('DEL', KEYS[i + 2])
  redis.call('SET', KEYS[i + 1], '1', 'PX', ARGV[2])
  ids[#ids + 1] = ARGV[2 + #codes]
end
remove(ids)
save()
return codes
"#;

/// Before [`DELETE`] of one session, whose arguments are followed by the SHA-1 of the record that may be deleted.
const IF_UNCHANGED: &str = r#"
local stored = redis.call('GET', KEYS[2])
if not stored then return {-6} end
if redis.sha1hex(stored) ~= ARGV[4] then return {-8} end
"#;

/// `KEYS`: index, then the records. `ARGV`: layout, ids.
const PRUNE: &str = r#"
local codes, ids = {}, {}
for i = 2, #KEYS do
  local dead = redis.call('EXISTS', KEYS[i]) == 0
  codes[#codes + 1] = dead and 1 or 0
  if dead then ids[#ids + 1] = ARGV[i] end
end
if #ids > 0 then
  remove(ids)
  save()
end
return codes
"#;

/// `KEYS`: index, record, pin. `ARGV`: layout, id, time to live, `set`, `touch` or `auto`, stamp.
const EXPIRE: &str = r#"
local ttl, mode = ARGV[3], ARGV[4]
local lives = redis.call('PTTL', KEYS[2])
if lives == -2 then return {-6} end
if mode == 'set' and overtaken(KEYS[3], ARGV[5]) then return {1} end
if mode == 'auto' and redis.call('EXISTS', KEYS[3]) == 1 then return {2} end
if mode ~= 'set' and (lives == -1 or lives >= tonumber(ttl)) then return {3} end
redis.call('PEXPIRE', KEYS[2], ttl)
if mode == 'set' then
  redis.call('SET', KEYS[3], ARGV[5], 'PX', ttl)
else
  redis.call('PEXPIRE', KEYS[3], ttl)
end
if left == -2 or not json then
  add(ARGV[2], tonumber(ttl))
  save()
end
extend(ttl)
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

/// `KEYS`: index, then the records. `ARGV`: layout, SHA-1 of the JSON array that the ids are from, ids.
const TO_SORTED_SET: &str = r#"
local index = KEYS[1]
if redis.call('TYPE', index).ok ~= 'string' or redis.sha1hex(redis.call('GET', index)) ~= ARGV[2] then return -7 end
local left, time = redis.call('PTTL', index), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moved = {}
redis.call('DEL', index)
for i = 2, #KEYS do
  local lives = redis.call('PTTL', KEYS[i])
  if lives ~= -2 then
    local deadline = lives == -1 and '+inf' or string.format('%.0f', now + lives)
    redis.call('ZADD', index, deadline, ARGV[i + 1])
    moved[#moved + 1] = ARGV[i + 1]
  end
end
if left > 0 then redis.call('PEXPIRE', index, left) end
return moved
"#;

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

/// `KEYS`: index, then record, gone mark and pin of each session. `ARGV`: layout, then id, record, SHA-1 of the record it
/// replaces (nothing: it must be absent), `keep`, `slide` or `set`, time to live and stamp of each. The index is looked at only
/// where a deadline moves.
const RECONCILE: &str = r#"
local codes, longest, moves = {}, '0', false
for i = 2, #KEYS, 3 do
  local at = 2 + (i - 2) / 3 * 6
  local old, wanted, code = redis.call('GET', KEYS[i]), ARGV[at + 2], 1
  if redis.call('EXISTS', KEYS[i + 1]) == 1 then
    code = -3
  elseif wanted == '' then
    if old then code = -8 end
  elseif not old then
    code = -6
  elseif redis.sha1hex(old) ~= wanted then
    code = -8
  end
  codes[#codes + 1] = code
  if code == 1 and ARGV[at + 3] ~= 'keep' then moves = true end
end
if moves then
  local bad = open()
  if bad then return bad end
end
for n, code in ipairs(codes) do
  if code == 1 then
    local i, at = 2 + (n - 1) * 3, 2 + (n - 1) * 6
    local rule, ttl = ARGV[at + 3], ARGV[at + 4]
    local lives = redis.call('PTTL', KEYS[i])
    local pinned = redis.call('EXISTS', KEYS[i + 2]) == 1
    local stays = rule == 'keep' or (rule == 'slide' and (lives == -1 or pinned or lives >= tonumber(ttl)))
      or (rule == 'set' and overtaken(KEYS[i + 2], ARGV[at + 5]))
    if lives ~= -2 and stays then
      redis.call('SET', KEYS[i], ARGV[at + 1], 'KEEPTTL')
    else
      redis.call('SET', KEYS[i], ARGV[at + 1], 'PX', ttl)
      if rule == 'set' then redis.call('SET', KEYS[i + 2], ARGV[at + 5], 'PX', ttl) end
      add(ARGV[at], tonumber(ttl))
      if tonumber(ttl) > tonumber(longest) then longest = ttl end
    end
  end
end
if longest ~= '0' then
  save()
  extend(longest)
end
return codes
"#;

/// `KEYS`: record, gone mark, pin. `ARGV`: time to live of the mark. For a session that was not there a moment ago: answers
/// the record instead if it is there now.
const MARK_GONE: &str = r#"
local record = redis.call('GET', KEYS[1])
if record then return record end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
redis.call('DEL', KEYS[3])
return false
"#;

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) store: Script,
    pub(super) create: Script,
    pub(super) delete: Script,
    pub(super) compare_and_delete: Script,
    pub(super) prune: Script,
    pub(super) expire: Script,
    pub(super) update: Script,
    pub(super) compare_and_update: Script,
    pub(super) mark_gone: Script,
    pub(super) reconcile: Script,
    pub(super) to_json: Script,
    pub(super) to_sorted_set: Script,
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| {
    let with_index = |body: &str| Script::new(format!("{}{OPEN}{body}", INDEX.trim_start()));
    let with_pins = |open: &str, body: &str| Script::new(format!("{}{OVERTAKEN}{open}{body}", INDEX.trim_start()));
    let alone = |body: &str| Script::new(body.trim_start());
    // A second run of these ends in the same state; at most its codes differ (a deleted session is then not there).
    let again = |script: Script| script.replay_safety(ReplaySafety::EffectIdempotent);
    Scripts {
        store: again(with_index(STORE)),
        // A second run finds the session that the first one made, and would call it somebody else's.
        create: with_index(STORE),
        delete: again(with_index(DELETE)),
        // A second run finds nothing, and would call it deleted by somebody else.
        compare_and_delete: with_index(&format!("{IF_UNCHANGED}{DELETE}")),
        prune: again(with_index(PRUNE)),
        expire: again(with_pins(OPEN, EXPIRE)),
        update: again(alone(UPDATE)),
        // A second run finds the record that the first one wrote, and would call it somebody else's.
        compare_and_update: alone(UPDATE),
        mark_gone: again(alone(MARK_GONE)),
        // A second run finds what the first one wrote, and writes nothing; the caller then looks again.
        reconcile: again(with_pins("", RECONCILE)),
        to_json: again(alone(TO_JSON)),
        to_sorted_set: again(alone(TO_SORTED_SET)),
    }
});

/// A code of a session that took the change.
pub(super) const DONE: i64 = 1;
/// [`EXPIRE`]: the time to live is an explicit one.
pub(super) const PINNED: i64 = 2;
/// [`EXPIRE`]: the session already lives as long.
pub(super) const LONGER: i64 = 3;
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
