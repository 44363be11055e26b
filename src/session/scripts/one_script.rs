//! The scripts that change records and an index together, or neither. `KEYS[1]` is the index, `ARGV[1]` its layout. Every check
//! stands before the first write, because Redis has no rollback.

/// `KEYS`: index, then record, gone mark and pin of each session. `ARGV`: layout, `store` or `create`, then id, user id,
/// record and time to live of each.
pub(super) const STORE: &str = r#"
local codes, there, longest = {}, {}, '0'
for i = 2, #KEYS, 3 do
  local at = 3 + (i - 2) / 3 * 4
  local bad, old = refused(KEYS[i], KEYS[i + 1], ARGV[2], ARGV[at + 1])
  codes[#codes + 1], there[#codes + 1] = bad or 1, old
end
for n, code in ipairs(codes) do
  if code == 1 then
    local key, at = 2 + (n - 1) * 3, 3 + (n - 1) * 4
    local ttl = ARGV[at + 3]
    redis.call('SET', KEYS[key], ARGV[at + 2], 'PX', ttl)
    redis.call('DEL', KEYS[key + 2])
    add(ARGV[at], tonumber(ttl), not there[n])
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
pub(super) const DELETE: &str = r#"
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
pub(super) const IF_UNCHANGED: &str = r#"
local stored = redis.call('GET', KEYS[2])
if not stored then return {-6} end
if redis.sha1hex(stored) ~= ARGV[4] then return {-8} end
"#;

/// `KEYS`: index, then the records. `ARGV`: layout, `once` where ids are to be listed once that stand there twice, or nothing, ids.
pub(super) const PRUNE: &str = r#"
local codes, ids = {}, {}
for i = 2, #KEYS do
  local dead = redis.call('EXISTS', KEYS[i]) == 0
  codes[#codes + 1] = dead and 1 or 0
  if dead then ids[#ids + 1] = ARGV[i + 1] end
end
if #ids > 0 or ARGV[2] == 'once' then
  remove(ids, ARGV[2] == 'once')
  save()
end
return codes
"#;

/// `KEYS`: index, record, pin. `ARGV`: layout, id, time to live, `set`, `touch` or `auto`, stamp.
pub(super) const EXPIRE: &str = r#"
local ttl = ARGV[3]
local code, moved = expire(KEYS[2], KEYS[3], ttl, ARGV[4], ARGV[5])
if moved then
  if left == -2 or not json then
    add(ARGV[2], tonumber(ttl))
    save()
  end
  extend(ttl)
end
return {code}
"#;

/// `KEYS`: index, then the records. `ARGV`: layout, SHA-1 of the JSON array that the ids are from, ids.
pub(super) const TO_SORTED_SET: &str = r#"
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

/// `KEYS`: index, then record, gone mark and pin of each session. `ARGV`: layout, then id, record, SHA-1 of the record it
/// replaces (nothing: it must be absent), `keep`, `slide` or `set`, time to live and stamp of each. The index is looked at only
/// where a deadline moves.
pub(super) const RECONCILE: &str = r#"
local codes, longest, moves = {}, '0', false
for i = 2, #KEYS, 3 do
  local at = 2 + (i - 2) / 3 * 6
  local code = unchanged(KEYS[i], KEYS[i + 1], ARGV[at + 2])
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
    local ttl = ARGV[at + 4]
    if write(KEYS[i], KEYS[i + 2], ARGV[at + 1], ARGV[at + 3], ttl, ARGV[at + 5]) then
      add(ARGV[at], tonumber(ttl), ARGV[at + 2] == '')
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
pub(super) const MARK_GONE: &str = r#"
local record = redis.call('GET', KEYS[1])
if record then return record end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
redis.call('DEL', KEYS[3])
return false
"#;
