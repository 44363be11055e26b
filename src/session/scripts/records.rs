//! Writing and deleting a record and the meta key beside it, which have one slot. No script decodes
//! a record to decide whether it may be written.

/// Reading a meta key, `v c p s m d`. One that cannot be read counts as none, except for a create:
/// the id has existed.
const META: &str = r#"
local function fields_of(meta)
  local v, c, s, m, d = string.match(meta or '', '^(%S*) (%S*) %S* (%x*)%S* (%S*) (%S*)$')
  if not v or not string.match(v, '^[%w_-]+%.%d+$') then return '', '', '', '', '' end
  return v, c, s, m, d
end
"#;

/// Writes a record. `mode` is `create`, `reuse` or `replace`; `known` and `hash` are the version to
/// replace, with any record if `hash` is `any`; or `known` is the log-outs that the creator knew, of those that the user has. An empty
/// text is that of the record. `fields` are those of the new meta key but the last. `rule` is
/// `keep`, `slide` or `set`. `most` is the longest time until a create is executed. The reply
/// begins with a code: see [`super::WRITTEN`] and the others.
const WRITE: &str = r#"
local function write(record, meta, log_outs, mode, text, known, hash, fields, rule, ttl, most)
  local lives = redis.call('PTTL', record)
  local there, old, odd = lives ~= -2
  if there and mode == 'replace' and hash == 'any' then
    odd = redis.call('TYPE', record).ok ~= 'string'
  elseif there then
    old, odd = text_of(record)
  end
  local was, junk = text_of(meta)
  local v, _, _, _, d = fields_of(was)
  if mode == 'replace' then
    if not there then return {2} end
    if odd then return {-9} end
    if v ~= known or (old and redis.sha1hex(old) ~= hash) then return {3, old or text_of(record), was, lives} end
  else
    if odd then return {-9} end
    if there then return {4, old, was, lives} end
    local at = tonumber(string.match(d, '@(%d+)'))
    local reusable = mode == 'reuse' and not (at and now() - at < LIFETIME)
    if (was or junk) and not reusable then return {2} end
    if unknown(log_outs, known) then return {5, log_outs} end
  end

  local ends = lives
  ttl = tonumber(ttl)
  if not there or rule == 'set' or (rule == 'slide' and lives >= 0 and lives < ttl) then ends = ttl end
  if text == '' then
    if ends ~= lives then redis.call('PEXPIRE', record, integer(ends)) end
  elseif ends ~= lives then
    redis.call('SET', record, text, 'PX', integer(ends))
  else
    redis.call('SET', record, text, 'KEEPTTL')
  end

  local left = redis.call('PTTL', meta)
  if ends == -1 then
    redis.call('SET', meta, fields .. ' ' .. d)
  else
    -- Without an end so far: the record had none.
    if left == -1 then left = tonumber(most) end
    redis.call('SET', meta, fields .. ' ' .. d, 'PX', integer(math.max(left, ends + LIFETIME)))
  end
  return {1, ends}, ends ~= lives
end
"#;

/// Deletes a record. `when` is `always`, `unchanged` (`one` and `two` are the version), `unless`
/// (`one` is a log-out), `theirs` (the same, for a session of `user`) or `made` (`one` is a
/// create). Returns 1 if the session was there, and whether its id is to leave the index.
///
/// A record that provably belongs to somebody else is no session of `user`; one that cannot be
/// decoded is.
const DELETE: &str = r#"
local function belongs_to_another(record, user)
  local read, value = pcall(cjson.decode, redis.call('GET', record))
  return read and type(value) == 'table' and type(value.user_id) == 'string' and value.user_id ~= user
end

local function delete(record, meta, user, most, id, mark_for, when, one, two)
  local kind = redis.call('TYPE', record).ok
  if kind ~= 'none' and kind ~= 'string' then return -9, false end
  local there = kind == 'string'
  local was, junk = text_of(meta)
  local v, c, s, m, d = fields_of(was)
  local last, existed = string.match(d, '^(.-)@%d+([+-])$')
  if last == id then return existed == '+' and 1 or 0, not there end

  local hash = there and (when == 'unchanged' or when == 'made') and redis.sha1hex(redis.call('GET', record))
  if when == 'unchanged' and (v ~= one or hash ~= two) then return 0, not there end
  if when == 'made' then
    if there and not (s == hash and c == one) then return 0, false end
    if not there and (was or junk) then return 0, true end
  end
  if (when == 'unless' or when == 'theirs') and among(m, one) then return 0, not there end
  if when == 'theirs' and there and belongs_to_another(record, user) then return 0, true end

  local lives, left = redis.call('PTTL', record), redis.call('PTTL', meta)
  local life = math.max(LIFETIME, tonumber(mark_for), lives, left)
  -- Without an end, no create of it is executed after the default time to live.
  if lives == -1 or left == -1 then life = math.max(life, tonumber(most)) end
  redis.call('DEL', record)
  local mark = id .. '     ' .. id .. '@' .. integer(now()) .. (there and '+' or '-')
  redis.call('SET', meta, mark, 'PX', integer(life))
  return there and 1 or 0, true
end
"#;

/// [`WRITE`] with what it needs.
pub(super) fn write() -> String {
    format!("{META}{WRITE}")
}

/// [`DELETE`] with what it needs.
pub(super) fn delete() -> String {
    format!("{META}{DELETE}")
}
