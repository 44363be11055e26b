//! The scripts for Redis Cluster, where an index and the records have slots of their own: each
//! script keeps to one of them.
//!
//! Each slot has marks for what the other did. A clean-up that finds no session marks that
//! (`session_pruned`) before it removes the id from the index; a write that meets the mark lists
//! its id again afterwards and says so beside the index (`user_sessions_relisted`), which the
//! clean-up reads before it removes anything. So whichever comes first, the session that was
//! written is listed in the end. Both marks live for a minute.

/// `KEYS`: index, log-outs, and the ids listed again if these are. `ARGV`: layout, the life of that
/// key, then of each session its id, time to live, `add` or `raise`, and the log-outs that its
/// creator knew: `raise` only extends what is listed. Codes: 1 for what is listed now, 0 for what
/// is not, and {5, log-outs} for a creator who does not know them.
///
/// A score is never lowered: it may be too late, which costs nothing, but not too early.
pub(super) const LIST: &str = r#"
local log_outs, codes, longest = text_of(KEYS[2]) or '', {}, -1
for i = 3, #ARGV, 4 do
  local id, ttl, mode, known = unpack(ARGV, i, i + 3)
  ttl = tonumber(ttl)
  if mode == 'add' and not KEYS[3] and unknown(log_outs, known) then
    codes[#codes + 1] = {5, log_outs}
  else
    local listed = has(id)
    if mode == 'add' or listed then
      if not listed or (not json and tonumber(listed) < now() + ttl) then add(id, ttl) end
      longest, listed = math.max(longest, ttl), true
    end
    if KEYS[3] then redis.call('SADD', KEYS[3], id) end
    codes[#codes + 1] = listed and 1 or 0
  end
end
if KEYS[3] then redis.call('PEXPIRE', KEYS[3], ARGV[2]) end
save()
-- A minute of grace: a record gets its time to live after its id was listed, and by the clock of another node.
if longest > -1 then extend(longest + LIFETIME) end
purge(LIFETIME)
return codes
"#;

/// `KEYS`: index, and the ids listed again, which stay (without it none does). `ARGV`: layout, ids.
/// Codes: 1 for what was removed.
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

/// `KEYS`: record, prune mark. `ARGV`: user id, life of the mark. 1 for a session of this user; 0
/// and the mark if there is none.
pub(super) const LOOK: &str = r#"
if redis.call('EXISTS', KEYS[1]) == 1 then
  local read, value = pcall(cjson.decode, text_of(KEYS[1]) or '')
  local foreign = read and type(value) == 'table' and type(value.user_id) == 'string' and value.user_id ~= ARGV[1]
  if not foreign then return 1 end
end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return 0
"#;

/// `KEYS`: record, meta key, prune mark. `ARGV`: the arguments of `write` from `mode` on. A third
/// part of the reply to what was written says whether the prune mark is there.
pub(super) const WRITE: &str = r#"
local reply = write(KEYS[1], KEYS[2], '', unpack(ARGV))
if reply[1] == 1 then reply[3] = redis.call('EXISTS', KEYS[3]) end
return {reply}
"#;
