//! Scripts of the embedded engine: their input and output.

use super::block_on;
use super::input::Input;
use redis_rest::backend::{Backend, Reply};
use redis_rest::{CallOptions, Command, Value, cmd};
use redis_rest_server::MemoryBackend;
use std::sync::LazyLock;
use std::time::Duration;

static ENGINE: LazyLock<MemoryBackend> = LazyLock::new(|| {
    MemoryBackend::builder().script_time(Duration::from_secs(1)).script_memory(8 << 20).build()
});

/// Equal tables in any order; numbers to the digits that JSON keeps. A table used as a key, which
/// MessagePack allows, is equal to no other.
const SAME: &str = "
local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) == 'number' then return string.format('%.13g', a) == string.format('%.13g', b) or a ~= a end
  if type(a) ~= 'table' then return a == b end
  for k, v in pairs(a) do if type(k) ~= 'table' and not same(v, b[k]) then return false end end
  for k in pairs(b) do if type(k) ~= 'table' and a[k] == nil then return false end end
  return true
end
";

fn eval(script: &str, keys: &[&[u8]], args: &[&[u8]]) -> Reply {
    let mut command = cmd("EVAL").arg(script).arg(keys.len());
    keys.iter().chain(args).for_each(|part| command.push(*part));
    run(&command)
}

fn run(command: &Command) -> Reply {
    block_on(ENGINE.execute(command, &CallOptions::default()))
}

/// Checks that a value read by `read`, written by `write` and read again is unchanged, if it can be
/// written. Only the first value counts: Lua 5.1's own `pcall` appends its result to many values
/// without reserving stack, and a debug build of Lua aborts there.
fn survives(read: &str, write: &str, text: &[u8]) {
    let script = format!(
        "{SAME}
        local function read(text) return ({read}(text)) end
        local ok, first = pcall(read, ARGV[1])
        if not ok then return 'unreadable' end
        local ok, written = pcall({write}, first)
        if not ok then return 'unwritable' end
        local second = read(written)
        local third = read({write}(second))
        return same(second, third) and 'same' or 'another'"
    );
    let reply = eval(&script, &[], &[text]).expect("a script that catches its errors");
    let said = [&b"unreadable"[..], b"unwritable", b"same"];
    assert!(matches!(reply, Value::Bytes(word) if said.contains(&&word[..])));
}

/// Checks keys, arguments, commands and replies of scripts.
pub fn lua_bridge(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(6) {
        0 => {
            let parts: Vec<&[u8]> =
                std::iter::from_fn(|| (!input.is_empty()).then(|| input.bytes()))
                    .take(20)
                    .collect();
            let (keys, args) = parts.split_at(parts.len() / 2);
            let list = |parts: &[&[u8]]| {
                Value::Array(parts.iter().map(|part| Value::bytes(part.to_vec())).collect())
            };
            let reply = eval("return {KEYS, ARGV}", keys, args).unwrap();
            assert!(reply == Value::Array(vec![list(keys), list(args)]), "what goes in comes out");
        }
        1 => survives("cjson.decode", "cjson.encode", input.rest()),
        2 => survives("cmsgpack.unpack", "cmsgpack.pack", input.rest()),
        3 => {
            let (key, value) = (input.bytes(), input.rest());
            let reply = eval(
                "redis.call('SET', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[1]), #ARGV[1]}",
                &[key],
                &[value],
            )
            .unwrap();
            let length = i64::try_from(value.len()).unwrap();
            assert!(reply == Value::Array(vec![Value::bytes(value.to_vec()), Value::Int(length)]));
            assert!(run(&cmd("GET").arg(key)).unwrap() == Value::bytes(value.to_vec()));
        }
        4 => called(&mut input),
        _ => {
            // Any JSON as a reply: numbers, holes, fields named `ok` and `err`.
            let _ = eval("return cjson.decode(ARGV[1])", &[], &[input.rest()]);
        }
    }
    assert!(
        eval("return ARGV[1]", &[], &[b"alive"]).unwrap() == Value::bytes("alive"),
        "the engine goes on"
    );
    let _ = run(&cmd("FLUSHALL"));
}

/// Checks that a command returns the same from a script and without one, as far as Lua has the
/// type: it has no status except as a table, and numbers only to 53 bits.
fn called(input: &mut Input<'_>) {
    const NAMES: [&str; 11] = [
        "GET",
        "SET",
        "HSET",
        "HGETALL",
        "RPUSH",
        "LRANGE",
        "ZADD",
        "ZRANGE",
        "INCRBYFLOAT",
        "EXPIRE",
        "TYPE",
    ];
    let name = NAMES[input.below(11)];
    let mut args: Vec<&[u8]> = vec![name.as_bytes(), b"k"];
    args.extend(std::iter::from_fn(|| (!input.is_empty()).then(|| input.bytes())).take(8));
    let direct = run(&Command::from_parts(args.iter().copied()));
    let _ = run(&cmd("FLUSHALL"));
    let inside = eval("return redis.call(unpack(ARGV))", &[], &args);
    match (direct, inside) {
        (Ok(direct), Ok(inside)) => assert!(
            direct == inside || matches!(direct, Value::Int(number) if number.abs() >= 1 << 53)
        ),
        // Some errors have a different text in scripts, in Redis too.
        (Err(direct), Err(inside)) => assert_eq!(direct.redis_code(), inside.redis_code()),
        _ => panic!("an error only there, or only here"),
    }
}
