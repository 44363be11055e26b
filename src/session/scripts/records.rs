//! What scripts do with a record and the keys beside it, all of which have one slot.

/// Why a session may not be stored; otherwise nothing, and whether it is there already.
pub(super) const REFUSED: &str = r#"
local function refused(record, gone, mode, user)
  local old = redis.call('GET', record)
  if redis.call('EXISTS', gone) == 1 then return -3 end
  if old and mode == 'create' then return -4 end
  if old then
    local read, was = pcall(cjson.decode, old)
    if read and type(was) == 'table' and was.user_id ~= user then return -5 end
  end
  return nil, old ~= false
end
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

/// Moves a deadline by `set`, `touch` or `auto`; answers a code, and whether it moved.
const EXPIRE: &str = r#"
local function expire(record, pin, ttl, mode, stamp)
  local lives = redis.call('PTTL', record)
  if lives == -2 then return -6 end
  if mode == 'set' and overtaken(pin, stamp) then return 1 end
  if mode == 'auto' and redis.call('EXISTS', pin) == 1 then return 2 end
  if mode ~= 'set' and (lives == -1 or lives >= tonumber(ttl)) then return 3 end
  redis.call('PEXPIRE', record, ttl)
  if mode == 'set' then
    redis.call('SET', pin, stamp, 'PX', ttl)
  else
    redis.call('PEXPIRE', pin, ttl)
  end
  return 1, true
end
"#;

/// Whether a record is the one that a write is based on (`wanted` is its SHA-1; nothing: it must be absent), and that write, whose
/// rule is `keep`, `slide` or `set`; it answers whether the deadline moved.
const RECONCILE: &str = r#"
local function unchanged(record, gone, wanted)
  local old = redis.call('GET', record)
  if redis.call('EXISTS', gone) == 1 then return -3 end
  if wanted == '' then return old and -8 or 1 end
  if not old then return -6 end
  return redis.sha1hex(old) == wanted and 1 or -8
end

local function write(record, pin, text, rule, ttl, stamp)
  local lives = redis.call('PTTL', record)
  local pinned = redis.call('EXISTS', pin) == 1
  local stays = rule == 'keep' or (rule == 'slide' and (lives == -1 or pinned or lives >= tonumber(ttl)))
    or (rule == 'set' and overtaken(pin, stamp))
  if lives ~= -2 and stays then
    redis.call('SET', record, text, 'KEEPTTL')
    return false
  end
  redis.call('SET', record, text, 'PX', ttl)
  if rule == 'set' then redis.call('SET', pin, stamp, 'PX', ttl) end
  return true
end
"#;

/// [`EXPIRE`] with what it needs.
pub(super) fn expire() -> String {
    format!("{OVERTAKEN}{EXPIRE}")
}

/// [`RECONCILE`] with what it needs.
pub(super) fn reconcile() -> String {
    format!("{OVERTAKEN}{RECONCILE}")
}
