//! What sending a command twice would do. Decides whether a request whose reply was lost may be sent again.

use super::Command;

/// What happens when a command that ran is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplaySafety {
    /// Writes nothing.
    ReadOnly,
    /// Same effect and same reply: `SET k v`.
    Idempotent,
    /// Same effect, but the second reply may differ: `DEL`, `SADD`, `SET k v NX`.
    EffectIdempotent,
    /// Another effect, or a reply that holds what the effect destroyed: `INCR`, `LPOP`. Also everything unknown.
    Unsafe,
}

impl ReplaySafety {
    /// Every variant, for tables and exhaustive tests.
    pub const ALL: [Self; 4] = [Self::ReadOnly, Self::Idempotent, Self::EffectIdempotent, Self::Unsafe];
}

/// Commands that write nothing, by the `readonly` flag of a Redis 7 `COMMAND`, reviewed.
const READ_ONLY: &[&str] = &[
    "BITCOUNT",
    "BITFIELD_RO",
    "BITPOS",
    "COMMAND",
    "DBSIZE",
    "DUMP",
    "ECHO",
    "EVALSHA_RO",
    "EVAL_RO",
    "EXISTS",
    "EXPIRETIME",
    "FCALL_RO",
    "GEODIST",
    "GEOHASH",
    "GEOPOS",
    "GEORADIUSBYMEMBER_RO",
    "GEORADIUS_RO",
    "GEOSEARCH",
    "GET",
    "GETBIT",
    "GETRANGE",
    "HEXISTS",
    "HEXPIRETIME",
    "HGET",
    "HGETALL",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HPEXPIRETIME",
    "HPTTL",
    "HRANDFIELD",
    "HSCAN",
    "HSTRLEN",
    "HTTL",
    "HVALS",
    "INFO",
    "JSON.ARRINDEX",
    "JSON.ARRLEN",
    "JSON.GET",
    "JSON.MGET",
    "JSON.OBJKEYS",
    "JSON.OBJLEN",
    "JSON.RESP",
    "JSON.STRLEN",
    "JSON.TYPE",
    "KEYS",
    "LCS",
    "LINDEX",
    "LLEN",
    "LOLWUT",
    "LPOS",
    "LRANGE",
    "MGET",
    "PEXPIRETIME",
    "PING",
    "PTTL",
    "RANDOMKEY",
    "SCAN",
    "SCARD",
    "SDIFF",
    "SINTER",
    "SINTERCARD",
    "SISMEMBER",
    "SMEMBERS",
    "SMISMEMBER",
    "SORT_RO",
    "SRANDMEMBER",
    "SSCAN",
    "STRLEN",
    "SUBSTR",
    "SUNION",
    "TIME",
    "TTL",
    "TYPE",
    "XINFO",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREAD",
    "XREVRANGE",
    "ZCARD",
    "ZCOUNT",
    "ZDIFF",
    "ZINTER",
    "ZINTERCARD",
    "ZLEXCOUNT",
    "ZMSCORE",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANK",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCAN",
    "ZSCORE",
    "ZUNION",
];

/// Writes with the same effect and the same reply each time.
const IDEMPOTENT: &[&str] = &[
    "BITOP",
    "FLUSHALL",
    "FLUSHDB",
    "GEOSEARCHSTORE",
    "HMSET",
    "JSON.MSET",
    "LSET",
    "MSET",
    "PEXPIREAT",
    "PFMERGE",
    "PSETEX",
    "SDIFFSTORE",
    "SETEX",
    "SETRANGE",
    "SINTERSTORE",
    "SUNIONSTORE",
    "ZDIFFSTORE",
    "ZINTERSTORE",
    "ZRANGESTORE",
    "ZUNIONSTORE",
    "EXPIREAT",
];

/// Writes with the same effect each time, whose second reply may differ.
const EFFECT_IDEMPOTENT: &[&str] = &[
    "COPY",
    "DEL",
    "EXPIRE",
    "GEOADD",
    "GETEX",
    "HDEL",
    "HEXPIRE",
    "HEXPIREAT",
    "HPERSIST",
    "HPEXPIRE",
    "HPEXPIREAT",
    "HSET",
    "HSETNX",
    "JSON.DEL",
    "JSON.SET",
    "MSETNX",
    "PERSIST",
    "PEXPIRE",
    "PFADD",
    "SADD",
    "SETBIT",
    "SETNX",
    "SREM",
    "TOUCH",
    "UNLINK",
    "XACK",
    "XDEL",
    "XTRIM",
    "ZREM",
    "ZREMRANGEBYLEX",
    "ZREMRANGEBYSCORE",
];

/// The replay safety of a command nobody declared, by its name and, where they matter, its arguments.
pub(super) fn classify(command: &Command) -> ReplaySafety {
    let mut upper = [0_u8; 24];
    let name = command.name();
    let Some(slot) = upper.get_mut(..name.len()) else { return ReplaySafety::Unsafe };
    slot.copy_from_slice(name);
    slot.make_ascii_uppercase();
    let Ok(name) = std::str::from_utf8(slot) else { return ReplaySafety::Unsafe };
    let has = |option: &str, from: usize| command.arguments().skip(from).any(|arg| arg.eq_ignore_ascii_case(option.as_bytes()));
    match name {
        "SET" if has("GET", 2) => ReplaySafety::Unsafe,
        "SET" if has("NX", 2) || has("XX", 2) || has("IFEQ", 2) || has("IFNE", 2) => ReplaySafety::EffectIdempotent,
        "SET" => ReplaySafety::Idempotent,
        "ZADD" if has("INCR", 1) => ReplaySafety::Unsafe,
        "ZADD" => ReplaySafety::EffectIdempotent,
        "SCRIPT" => match command.get(0).map(<[u8]>::to_ascii_uppercase).as_deref() {
            Some(b"EXISTS") => ReplaySafety::ReadOnly,
            Some(b"LOAD" | b"FLUSH") => ReplaySafety::Idempotent,
            _ => ReplaySafety::Unsafe,
        },
        "OBJECT" | "MEMORY" => ReplaySafety::ReadOnly,
        // With a condition the second reply may differ, as does that of a relative time.
        "EXPIREAT" | "PEXPIREAT" if command.get(2).is_some() => ReplaySafety::EffectIdempotent,
        _ if READ_ONLY.contains(&name) => ReplaySafety::ReadOnly,
        _ if IDEMPOTENT.contains(&name) => ReplaySafety::Idempotent,
        _ if EFFECT_IDEMPOTENT.contains(&name) => ReplaySafety::EffectIdempotent,
        _ => ReplaySafety::Unsafe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cmd;

    #[test]
    fn options_decide_where_they_must() {
        let safety = |command: Command| command.replay_safety();
        assert_eq!(safety(cmd("set").arg("k").arg("GET")), ReplaySafety::Idempotent);
        assert_eq!(safety(cmd("SET").arg("k").arg("v").arg("get")), ReplaySafety::Unsafe);
        assert_eq!(safety(cmd("SET").arg("k").arg("v").arg("NX")), ReplaySafety::EffectIdempotent);
        assert_eq!(safety(cmd("ZADD").arg("k").arg("INCR").arg(1).arg("m")), ReplaySafety::Unsafe);
        assert_eq!(safety(cmd("INCR").arg("k")), ReplaySafety::Unsafe);
        assert_eq!(safety(cmd("INCR").arg("k").replay_safe()), ReplaySafety::Idempotent);
        assert_eq!(safety(cmd("NEVER.HEARD.OF.THIS.COMMAND.AT.ALL")), ReplaySafety::Unsafe);
    }
}
