//! Reading and writing an index in scripts.

/// The beginning of all scripts.
pub(super) const COMMON: &str = r#"
local LIFETIME = 60000

local function integer(number) return string.format('%.0f', number) end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The text of a key, or false; and whether the key holds something else than a text.
local function text_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then return false, true end
  return value, false
end

-- Whether an id is in a list that is separated by commas.
local function among(ids, id) return string.find(',' .. ids .. ',', ',' .. id .. ',', 1, true) ~= nil end

-- Whether a user has log-outs that are not among the known ones.
local function unknown(log_outs, known)
  for id in string.gmatch(log_outs, '[^,]+') do
    if not among(known, id) then return true end
  end
  return false
end
"#;

/// Reading and writing the index in both layouts.
///
/// Reads only the end of a long JSON array to begin with (`TAIL` bytes, the last 400 ids or so): a
/// session that did not exist is looked for there alone, and appended. So an id that expired, and
/// is still listed further ahead, can come to be listed twice; readers of this crate take it once,
/// and a clean-up leaves it once. A short array is always read whole.
pub(super) const INDEX: &str = r#"
local index, layout = KEYS[1], ARGV[1]
local json = layout == 'json'
local TAIL = 16384
-- Whether there is no index; the text of the JSON array, or its last bytes if only those were read, and the length of the whole.
local missing, text, partial, size
-- What comes at the end of the JSON array, whether `text` is what is stored to the byte, and whether ids were removed from it.
local more, stored, edited = '', false, false

local function whole()
  if partial then text, partial = redis.call('GET', index), false end
end

local function open()
  if not json then
    local kind = redis.call('TYPE', index).ok
    missing = kind == 'none'
    return not missing and kind ~= 'zset' and -1
  end
  text = redis.pcall('GETRANGE', index, -TAIL, -1)
  if type(text) == 'table' then return -1 end
  size, stored = #text, true
  missing = size == 0
  if size == TAIL then
    size, partial = redis.call('STRLEN', index), true
    if string.sub(text, -2) == '"]' and redis.call('GETRANGE', index, 0, 0) == '[' then return end
    whole()
  end
  if string.sub(text, 1, 1) ~= '[' or string.sub(text, -1) ~= ']' then
    text, stored = string.match(text, '^%s*(.-)%s*$'), false
    if text == '' or text == 'null' then text = '[]' end
    if string.sub(text, 1, 1) ~= '[' or string.sub(text, -1) ~= ']' then return -2 end
  end
end

local plain, plain_of

-- The text with what is escaped in it blotted out, so that every quote left is one. Made once for each text.
local function blotted()
  if plain_of ~= text then
    plain, plain_of = text, text
    if string.find(text, '\\', 1, true) then plain = string.gsub(text, '\\.', '\1\1') end
  end
  return plain
end

-- Where an id is in the text, from there on. No quote is the first character, which in a text that was cut there may be escaped.
-- Ids that are valid are meant: of others escapes may look different.
local function find(id, from)
  return string.find(blotted(), '"' .. id .. '"', from or 2, true)
end

-- Whether an id is listed. Of a long array the end is looked at first, and with `at_end` no more.
local function has(id, at_end)
  if not json then return redis.call('ZSCORE', index, id) end
  if find(id) or string.find(more, '"' .. id .. '"', 1, true) then return true end
  if at_end or not partial then return false end
  whole()
  return find(id) ~= nil
end

-- Lists an id whose session lives for `ends` ms (-1: without an end). False if it was listed.
local function add(id, ends, new)
  if not json then
    redis.call('ZADD', index, ends < 0 and '+inf' or integer(now() + ends), id)
    return true
  end
  if has(id, new) then return false end
  local comma = (more ~= '' or not string.find(text, '^%[%s*%]$')) and ',' or ''
  more = more .. comma .. '"' .. id .. '"'
  return true
end

local function cut(id)
  local from, to = find(id)
  while from do
    local _, comma = string.find(text, '^%s*,%s*', to + 1)
    if not comma then
      -- The last one: the comma ahead of it goes.
      while string.find(text, '^[%s,]', from - 1) do from = from - 1 end
    end
    text = string.sub(text, 1, from - 1) .. string.sub(text, (comma or to) + 1)
    from, to = find(id, from)
  end
end

-- Takes ids out; with `once`, also what stands there twice.
local function remove(ids, once)
  if #ids == 0 and not once then return end
  if not json then
    for _, id in ipairs(ids) do redis.call('ZREM', index, id) end
    return
  end
  whole()
  stored, edited = false, true
  local done, kept, valid = {}, {}, {}
  for _, id in ipairs(ids) do
    done['"' .. string.gsub(id, '["\\]', '\\%0') .. '"'] = true
    if not string.find(id, '[^%w_.-]') then valid[#valid + 1] = id end
  end
  if once or #ids > 1 or #valid == 0 then
    local plain = blotted()
    if string.find(string.gsub(plain, '"[^"]*"', ''), '^%[[%s,]*%]$') then
      for from, to in string.gmatch(plain, '()"[^"]*"()') do
        local item = string.sub(text, from, to - 1)
        if not done[item] then kept[#kept + 1] = item end
        done[item] = true
      end
      text = '[' .. table.concat(kept, ',') .. ']'
      return
    end
  end
  -- One, or an array of more than strings.
  for _, id in ipairs(valid) do cut(id) end
end

local function save()
  if not json or (more == '' and not edited) then return end
  if stored then
    -- In place: the rest is neither copied nor sent through Lua again.
    redis.call('SETRANGE', index, size - 1, more .. ']')
    return
  end
  if more ~= '' then text = string.sub(text, 1, -2) .. more .. ']' end
  if string.find(text, '^%[%s*%]$') then
    redis.call('DEL', index)
  else
    redis.call('SET', index, text, 'KEEPTTL')
  end
end

-- After `save`.
local function extend(ends)
  local left = missing and 0 or redis.call('PTTL', index)
  if left >= 0 and left < ends then redis.call('PEXPIRE', index, integer(ends)) end
end

-- Removes the ids of a sorted set whose sessions ended at least `grace` ms ago: their ends are counted by other clocks.
local function purge(grace)
  if not json then redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. integer(now() - grace)) end
end
"#;

/// Opens the index before anything is written.
pub(super) const OPEN: &str = r#"
local bad = open()
if bad then return bad end
"#;
