//! Which arguments of a command are keys.

use super::Command;

/// The first argument.
const FIRST: &[&str] = &[
    "APPEND",
    "BITCOUNT",
    "BITFIELD",
    "BITFIELD_RO",
    "BITPOS",
    "DECR",
    "DECRBY",
    "DELEX",
    "DIGEST",
    "DUMP",
    "EXPIRE",
    "EXPIREAT",
    "EXPIRETIME",
    "GEOADD",
    "GEODIST",
    "GEOHASH",
    "GEOPOS",
    "GEORADIUSBYMEMBER_RO",
    "GEORADIUS_RO",
    "GEOSEARCH",
    "GET",
    "GETBIT",
    "GETDEL",
    "GETEX",
    "GETRANGE",
    "GETSET",
    "HDEL",
    "HEXISTS",
    "HEXPIRE",
    "HEXPIREAT",
    "HEXPIRETIME",
    "HGET",
    "HGETALL",
    "HGETDEL",
    "HGETEX",
    "HINCRBY",
    "HINCRBYFLOAT",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HMSET",
    "HPERSIST",
    "HPEXPIRE",
    "HPEXPIREAT",
    "HPEXPIRETIME",
    "HPTTL",
    "HRANDFIELD",
    "HSCAN",
    "HSET",
    "HSETEX",
    "HSETNX",
    "HSTRLEN",
    "HTTL",
    "HVALS",
    "INCR",
    "INCRBY",
    "INCRBYFLOAT",
    "LINDEX",
    "LINSERT",
    "LLEN",
    "LPOP",
    "LPOS",
    "LPUSH",
    "LPUSHX",
    "LRANGE",
    "LREM",
    "LSET",
    "LTRIM",
    "MOVE",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PEXPIRETIME",
    "PFADD",
    "PSETEX",
    "PTTL",
    "RESTORE",
    "RPOP",
    "RPUSH",
    "RPUSHX",
    "SADD",
    "SCARD",
    "SET",
    "SETBIT",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "SISMEMBER",
    "SMEMBERS",
    "SMISMEMBER",
    "SPOP",
    "SRANDMEMBER",
    "SREM",
    "SSCAN",
    "STRLEN",
    "SUBSTR",
    "TTL",
    "TYPE",
    "XACK",
    "XACKDEL",
    "XADD",
    "XAUTOCLAIM",
    "XCLAIM",
    "XDEL",
    "XDELEX",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREVRANGE",
    "XSETID",
    "XTRIM",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZINCRBY",
    "ZLEXCOUNT",
    "ZMSCORE",
    "ZPOPMAX",
    "ZPOPMIN",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANK",
    "ZREM",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCAN",
    "ZSCORE",
];

/// The first two.
const TWO: &[&str] = &[
    "COPY",
    "GEOSEARCHSTORE",
    "LCS",
    "LMOVE",
    "RENAME",
    "RENAMENX",
    "RPOPLPUSH",
    "SMOVE",
    "ZRANGESTORE",
];

/// All.
const ALL: &[&str] = &[
    "DEL",
    "EXISTS",
    "MGET",
    "PFCOUNT",
    "PFMERGE",
    "SDIFF",
    "SDIFFSTORE",
    "SINTER",
    "SINTERSTORE",
    "SUNION",
    "SUNIONSTORE",
    "TOUCH",
    "UNLINK",
];

/// After their number, which is the first argument.
const COUNTED: &[&str] =
    &["LMPOP", "SINTERCARD", "ZDIFF", "ZINTER", "ZINTERCARD", "ZMPOP", "ZUNION"];

/// After their number, which is the second.
const COUNTED_SECOND: &[&str] = &["EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO"];

/// The first, and others after their number, which is the second.
const STORED: &[&str] = &["ZDIFFSTORE", "ZINTERSTORE", "ZUNIONSTORE"];

/// The second, after a subcommand.
const SECOND: &[&str] = &["OBJECT", "XGROUP", "XINFO"];

/// None, whatever the arguments.
const NONE: &[&str] = &[
    "ACL", "COMMAND", "CONFIG", "ECHO", "FUNCTION", "INFO", "LASTSAVE", "LATENCY", "LOLWUT",
    "PING", "PUBLISH", "PUBSUB", "ROLE", "SCRIPT", "SLOWLOG", "SPUBLISH", "TIME",
];

/// The indexes of the keys, counted after the name; `None` for a command that is not known here.
pub(crate) fn positions(command: &Command) -> Option<Vec<usize>> {
    let name = String::from_utf8_lossy(command.name()).to_ascii_uppercase();
    let name = name.as_str();
    let count = command.arguments().len();
    let counted = |at: usize| {
        let number: usize = std::str::from_utf8(command.get(at)?).ok()?.parse().ok()?;
        let end = number.checked_add(at + 1)?;
        (end <= count).then(|| at + 1..end)
    };
    Some(match name {
        _ if FIRST.contains(&name) => vec![0],
        _ if TWO.contains(&name) => vec![0, 1],
        _ if ALL.contains(&name) => (0..count).collect(),
        _ if COUNTED.contains(&name) => counted(0)?.collect(),
        _ if COUNTED_SECOND.contains(&name) => counted(1)?.collect(),
        _ if STORED.contains(&name) => std::iter::once(0).chain(counted(1)?).collect(),
        _ if SECOND.contains(&name) => vec![1],
        _ if NONE.contains(&name) => Vec::new(),
        "MSET" | "MSETNX" => (0..count).step_by(2).collect(),
        "MSETEX" => {
            let pairs: usize = std::str::from_utf8(command.get(0)?).ok()?.parse().ok()?;
            (1..pairs.checked_mul(2)?.checked_add(1)?.min(count)).step_by(2).collect()
        }
        "BITOP" => (1..count).collect(),
        "MEMORY" => match command.has("USAGE", 0) {
            true => vec![1],
            false => Vec::new(),
        },
        "XREAD" | "XREADGROUP" => {
            let streams = command
                .arguments()
                .position(|argument| argument.eq_ignore_ascii_case(b"STREAMS"))?
                + 1;
            (streams..streams + (count - streams) / 2).collect()
        }
        "SORT" | "SORT_RO" => std::iter::once(0).chain(after(command, &["STORE"])).collect(),
        "GEORADIUS" | "GEORADIUSBYMEMBER" => {
            std::iter::once(0).chain(after(command, &["STORE", "STOREDIST"])).collect()
        }
        "JSON.MSET" => (0..count).step_by(3).collect(),
        "JSON.MGET" => (0..count.saturating_sub(1)).collect(),
        "JSON.DEBUG" => vec![1],
        _ if name.starts_with("JSON.") => vec![0],
        _ => return None,
    })
}

/// The arguments after these options.
fn after<'a>(command: &'a Command, options: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let is_option = |argument: &[u8]| {
        options.iter().any(|option| argument.eq_ignore_ascii_case(option.as_bytes()))
    };
    let places =
        command.arguments().enumerate().skip(1).filter(move |(_, argument)| is_option(argument));
    places.map(|(index, _)| index + 1).filter(move |index| command.get(*index).is_some())
}

/// The indexes of the patterns of `SORT`, which name keys: with a `*` in them, which stands for the element.
pub(crate) fn patterns(command: &Command) -> impl Iterator<Item = usize> + '_ {
    let sorts = command.is("SORT") || command.is("SORT_RO");
    let pattern =
        |index: &usize| command.get(*index).is_some_and(|pattern| pattern.contains(&b'*'));
    after(command, &["BY", "GET"]).filter(move |index| sorts && pattern(index))
}
