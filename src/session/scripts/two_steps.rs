//! The scripts for Redis Cluster, where an index and the records have slots of their own: each script keeps to one of them.
//!
//! What a script of one slot cannot know of the other is left in marks. A clean-up that finds no session marks that
//! (`session_pruned`) before it takes the id out of the index; a store that meets the mark lists its id again afterwards and
//! says so beside the index (`user_sessions_relisted`), where the clean-up looks before it takes out anything. So whichever comes
//! first, the session that was stored is listed in the end. Both marks live for a minute, as the gone mark does.

/// `KEYS`: index, and the ids listed again where these are. `ARGV`: layout, time to live of that key, then id, time to live, and
/// `add` or `raise` of each: `raise` only extends what is listed. Codes: 1 for what is listed now, 0 for what is not.
///
/// A score is never lowered: it may be too late, which costs nothing, but not too early.
pub(super) const LIST: &str = r#"
whole()
local codes, longest = {}, '0'
for i = 3, #ARGV, 3 do
  local id, ttl = ARGV[i], ARGV[i + 1]
  local score = not json and redis.call('ZSCORE', index, id)
  local listed = score or (json and find(id) ~= nil)
  if ARGV[i + 2] == 'add' or listed then
    if not listed or (score and tonumber(score) < now() + tonumber(ttl)) then add(id, tonumber(ttl)) end
    if tonumber(ttl) > tonumber(longest) then longest = ttl end
    listed = true
  end
  if KEYS[2] then redis.call('SADD', KEYS[2], id) end
  codes[#codes + 1] = listed and 1 or 0
end
if KEYS[2] then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
if more ~= '' then save() end
-- A minute of grace: a record gets its time to live after its id was listed, and by the clock of another node.
if longest ~= '0' then extend(string.format('%.0f', longest + 60000)) end
if not json then redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', now() - 60000)) end
return codes
"#;

/// `KEYS`: index, and the ids listed again, which stay (without it none does). `ARGV`: layout, ids. Codes: 1 for what was taken out.
pub(super) const UNLIST: &str = r#"
local codes, ids = {}, {}
for i = 2, #ARGV do
  local stays = KEYS[2] and redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1
  codes[#codes + 1] = stays and 0 or 1
  if not stays then ids[#ids + 1] = ARGV[i] end
end
if #ids > 0 then
  remove(ids)
  save()
end
return codes
"#;

/// `KEYS`: record, prune mark. `ARGV`: user id, time to live of the mark. The milliseconds that the session has (-1: no end), or
/// -2 and the mark where this user has no such session.
pub(super) const LOOK: &str = r#"
local record = redis.call('GET', KEYS[1])
if record then
  local read, value = pcall(cjson.decode, record)
  local foreign = read and type(value) == 'table' and type(value.user_id) == 'string' and value.user_id ~= ARGV[1]
  if not foreign then return redis.call('PTTL', KEYS[1]) end
end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return -2
"#;

/// `KEYS`: record, gone mark, pin, prune mark. `ARGV`: `store` or `create`, user id, record, time to live.
pub(super) const STORE: &str = r#"
local bad = refused(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if bad then return {bad} end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[3])
return {redis.call('EXISTS', KEYS[4]) == 1 and 4 or 1}
"#;

/// `KEYS`: record, gone mark, pin. `ARGV`: time to live of the gone mark; the user who must own the record, or nothing; the SHA-1
/// that it must have, or nothing. A code, and the user id in the record where it can be read.
pub(super) const DELETE: &str = r#"
local record, user = redis.call('GET', KEYS[1]), false
if ARGV[3] ~= '' then
  if not record then return {-6} end
  if redis.sha1hex(record) ~= ARGV[3] then return {-8} end
end
if record then
  local read, value = pcall(cjson.decode, record)
  if read and type(value) == 'table' and type(value.user_id) == 'string' then user = value.user_id end
  if ARGV[2] ~= '' and user and user ~= ARGV[2] then return {0} end
end
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return {record and 1 or 0, user}
"#;

/// `KEYS`: record, pin. `ARGV`: time to live, `set`, `touch` or `auto`, stamp.
pub(super) const EXPIRE: &str = r#"
local code = expire(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
return {code}
"#;

/// `KEYS`: record, gone mark, pin, prune mark. `ARGV`: record, SHA-1 of the record it replaces (nothing: it must be absent), `keep`,
/// `slide` or `set`, time to live, stamp.
pub(super) const RECONCILE: &str = r#"
local code = unchanged(KEYS[1], KEYS[2], ARGV[2])
if code ~= 1 then return {code} end
write(KEYS[1], KEYS[3], ARGV[1], ARGV[3], ARGV[4], ARGV[5])
return {redis.call('EXISTS', KEYS[4]) == 1 and 4 or 1}
"#;

/// `KEYS`: index, the ids listed again. `ARGV`: layout, SHA-1 of the JSON array that the ids are from, then each id and what
/// [`LOOK`] answered for it.
pub(super) const TO_SORTED_SET: &str = r#"
local index = KEYS[1]
if redis.call('TYPE', index).ok ~= 'string' or redis.sha1hex(redis.call('GET', index)) ~= ARGV[2] then return -7 end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '-2' and redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1 then return -7 end
end
local left, time = redis.call('PTTL', index), redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moved = {}
redis.call('DEL', index)
for i = 3, #ARGV, 2 do
  local lives = tonumber(ARGV[i + 1])
  if lives ~= -2 then
    redis.call('ZADD', index, lives == -1 and '+inf' or string.format('%.0f', now + lives), ARGV[i])
    moved[#moved + 1] = ARGV[i]
  end
end
if left > 0 then redis.call('PEXPIRE', index, left) end
return moved
"#;
