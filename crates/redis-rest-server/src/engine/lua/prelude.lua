-- Builds what a script sees. Runs once for each Lua state, with the functions that Rust provides.
-- Scripts get an empty table as their globals, in front of `visible`: so nothing they assign can last.
local native = ...
local lua_pcall, lua_xpcall, lua_error = pcall, xpcall, error
local lua_setmetatable, lua_getmetatable, lua_rawset = setmetatable, getmetatable, rawset
local lua_loadstring, lua_setfenv, lua_next, lua_type = loadstring, setfenv, next, type
local string_sub, table_concat = string.sub, table.concat
local select, unpack = select, unpack

local READONLY = 'Attempt to modify a readonly table'
local real = {} -- read-only table -> the table behind it

local function refuse()
  lua_error(READONLY, 2)
end

local function readonly(behind, missing)
  local front = {}
  if missing then
    lua_setmetatable(behind, { __index = missing })
  end
  real[front] = behind
  return lua_setmetatable(front, { __index = behind, __newindex = refuse, __metatable = false })
end

local function guarded(change)
  return function(target, ...)
    if real[target] then
      lua_error(READONLY, 0)
    end
    return change(target, ...)
  end
end

local function caught(ok, ...)
  if ok then
    return true, ...
  end
  return false, native.message((...))
end

local function pick(from, names)
  local picked = {}
  for name in names:gmatch('%S+') do
    picked[name] = from[name]
  end
  return picked
end

local globals = _G
local visible = pick(globals, 'assert error gcinfo getmetatable ipairs rawequal rawget select tonumber tostring type unpack _VERSION')
local environment = readonly(visible, function(_, name)
  lua_error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end)
visible._G = environment

-- Two results, however many there are: Lua's own pcall takes one place more on the stack than it made sure of, which ends the process
-- where Lua was compiled with its checks, as it is for debug builds.
local function packed(...)
  return select('#', ...), { ... }
end

local function call_packed(run, ...)
  return packed(run(...))
end

local function caught_packed(ok, count, results)
  if ok then
    return true, unpack(results, 1, count)
  end
  return false, native.message(count)
end

function visible.pcall(run, ...)
  if lua_type(run) ~= 'function' then
    return caught(lua_pcall(run, ...))
  end
  return caught_packed(lua_pcall(call_packed, run, ...))
end

-- Not by Lua's own xpcall: it would run the handler inside the hook that enforces the time limit, where no hook runs, and
-- a handler could then loop for ever. Without `debug` a script cannot see that the stack is already unwound.
local function handled(handler, ok, count, results)
  if ok then
    return true, unpack(results, 1, count)
  end
  return false, handler(native.message(count))
end

function visible.xpcall(run, handler)
  return handled(handler, lua_pcall(call_packed, run))
end

-- Only text: precompiled chunks are not checked by Lua and could do anything to this process.
local function compile(source, name)
  if string_sub(source, 1, 1) == '\27' then
    return nil, 'truncated precompiled chunk'
  end
  local chunk, problem = lua_loadstring(source, name)
  if chunk then
    lua_setfenv(chunk, environment)
  end
  return chunk, problem
end

function visible.loadstring(source, name)
  if lua_type(source) ~= 'string' then
    lua_error('bad argument #1 to \'loadstring\' (string expected, got ' .. lua_type(source) .. ')', 2)
  end
  return compile(source, name)
end

function visible.load(reader, name)
  local pieces = {}
  while true do
    local piece = reader()
    if piece == nil or piece == '' then
      break
    end
    pieces[#pieces + 1] = piece
  end
  return compile(table_concat(pieces), name or '=(load)')
end

function visible.collectgarbage(option)
  if option == nil or option == 'collect' or option == 'count' then
    return collectgarbage(option)
  end
  return 0
end

function visible.next(target, key)
  return lua_next(real[target] or target, key)
end

function visible.pairs(target)
  local behind = real[target]
  if behind then
    return function(_, key)
      return lua_next(behind, key)
    end, target, nil
  end
  return lua_next, target, nil
end

visible.rawset = guarded(lua_rawset)
visible.setmetatable = guarded(lua_setmetatable)

-- Functions that replace are called here, so that what they raise goes through no other language.
local function drive(advance, by, found, ...)
  if not found then
    return ...
  end
  return drive(advance, by, advance(by(...)))
end

local gsub = globals.string.gsub
function globals.string.gsub(...)
  local source, pattern, by, most = ...
  if lua_type(by) == 'table' then
    local entries = by
    by = function(key)
      return entries[key]
    end
  elseif lua_type(by) ~= 'function' then
    return gsub(...)
  end
  local advance = native.replacer(source, pattern, most)
  return drive(advance, by, advance())
end

local names = 'byte char find format gfind gmatch gsub len lower match rep reverse sub upper'
visible.string = readonly(pick(globals.string, names))
lua_getmetatable('').__metatable = readonly({ __index = visible.string })
visible.math = readonly(globals.math)
local table_functions = pick(globals.table, 'concat foreach foreachi getn insert maxn remove setn sort')
for _, name in ipairs({ 'insert', 'remove', 'setn', 'sort' }) do
  table_functions[name] = guarded(table_functions[name])
end
-- Compared in Lua, where the time limit reaches: some orders take Lua's sort quadratic time.
local function less(left, right)
  return left < right
end
local sort = table_functions.sort
function table_functions.sort(target, before)
  return sort(target, before == nil and less or before)
end
visible.table = readonly(table_functions)
for _, name in ipairs({ 'redis', 'cjson', 'cmsgpack', 'bit' }) do
  visible[name] = readonly(native[name])
end

local function start(script, keys, arguments)
  visible.KEYS, visible.ARGV = keys, arguments
  -- One result: the others are not for the caller, and see above.
  return lua_xpcall(function()
    return (script())
  end, native.locate)
end

return environment, start
