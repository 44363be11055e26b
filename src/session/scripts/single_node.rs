//! The scripts that change records and an index together, or neither. `KEYS[1]` is the index,
//! `ARGV[1]` its layout. Every check of a session stands before its first write, because Redis has
//! no rollback.

/// `KEYS`: index, log-outs, then record and meta key of each session. `ARGV`: layout, `most`, then
/// of each session its id and the arguments of `write` from `mode` on but the last. An index that
/// cannot be used refuses what adds a session or moves an end.
pub(super) const WRITE: &str = r#"
local bad = open()
local log_outs, replies, longest, changed = false, {}, -1, false
for i = 3, #KEYS, 2 do
  local at = 3 + (i - 3) / 2 * 8
  local id, mode, text, known, hash, fields, rule, ttl = unpack(ARGV, at, at + 7)
  if bad and (mode ~= 'replace' or rule ~= 'keep') then
    replies[#replies + 1] = {bad}
  else
    log_outs = log_outs or (mode ~= 'replace' and (text_of(KEYS[2]) or ''))
    local reply, moved = write(KEYS[i], KEYS[i + 1], log_outs, mode, text, known, hash, fields, rule, ttl, ARGV[2])
    replies[#replies + 1] = reply
    if reply[1] == 1 and not bad then
      if json or moved or not has(id) then changed = add(id, reply[2], mode ~= 'replace') or changed end
      longest = math.max(longest, reply[2])
    end
  end
end
if changed then
  save()
  purge(1000)
end
if longest > -1 then extend(longest) end
return replies
"#;

/// `KEYS`: index, then record and meta key of each session. `ARGV`: layout, user, the life of a
/// tombstone of a session without an end, then of each session its own id and the arguments of
/// `delete` from `id` on. Replies as of `delete`.
pub(super) const DELETE: &str = r#"
local bad = open()
local replies, ids = {}, {}
for i = 2, #KEYS, 2 do
  local at = 4 + (i - 2) / 2 * 6
  local session, id, mark_for, when, one, two = unpack(ARGV, at, at + 5)
  local code, gone = delete(KEYS[i], KEYS[i + 1], ARGV[2], ARGV[3], id, mark_for, when, one, two)
  replies[#replies + 1] = {code, gone and 1 or 0}
  if gone then ids[#ids + 1] = session end
end
-- An id that stays in an index that cannot be used has no session.
if not bad then
  remove(ids)
  save()
end
return replies
"#;

/// `KEYS`: index, then the records. `ARGV`: layout, `once` if ids are to be listed once that stand
/// there twice, or nothing, ids. Codes: 1 for what was removed.
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
