//! The commands without a typed form. [`cmd`](crate::cmd()) sends them.

use crate::command::Idempotency::{EffectIdempotent, Idempotent, ReadOnly};
use crate::command::table::{Flags, Keys, Row};

const ADMIN: Flags = Flags::ADMIN;
const BLOCKS: Flags = Flags::BLOCKS;
const CONNECTION: Flags = Flags::CONNECTION;
const ENDS_CONNECTION: Flags = Flags::ENDS_CONNECTION;
const EVERY_NODE: Flags = Flags::EVERY_NODE;
const NO_SCRIPT: Flags = Flags::NO_SCRIPT;
const SECRET: Flags = Flags::SECRET;
const STORE_OPTION: Flags = Flags::STORE_OPTION;
const SUBCOMMANDS: Flags = Flags::SUBCOMMANDS;
const WHOLE_KEYSPACE: Flags = Flags::WHOLE_KEYSPACE;

#[rustfmt::skip]
pub(crate) static ROWS: &[Row] = &[
    Row::untyped("ACL", -2, "6.0.0").keys(Keys::None).flags(ADMIN.and(NO_SCRIPT).and(SUBCOMMANDS)),
    Row::untyped("ASKING", 1, "3.0.0").flags(CONNECTION),
    Row::untyped("AUTH", -2, "1.0.0").flags(CONNECTION.and(NO_SCRIPT).and(SECRET)),
    Row::untyped("BGREWRITEAOF", 1, "1.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("BGSAVE", -1, "1.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("BLMOVE", 6, "6.2.0").flags(BLOCKS),
    Row::untyped("BLMPOP", -5, "7.0.0").flags(BLOCKS),
    Row::untyped("BLPOP", -3, "2.0.0").flags(BLOCKS),
    Row::untyped("BRPOP", -3, "2.0.0").flags(BLOCKS),
    Row::untyped("BRPOPLPUSH", 4, "2.2.0").flags(BLOCKS),
    Row::untyped("BZMPOP", -5, "7.0.0").flags(BLOCKS),
    Row::untyped("BZPOPMAX", -3, "5.0.0").flags(BLOCKS),
    Row::untyped("BZPOPMIN", -3, "5.0.0").flags(BLOCKS),
    Row::untyped("CLIENT", -2, "2.4.0").flags(CONNECTION.and(NO_SCRIPT).and(SUBCOMMANDS)),
    Row::untyped("CLUSTER", -2, "3.0.0").flags(ADMIN.and(NO_SCRIPT).and(SUBCOMMANDS)),
    Row::untyped("COMMAND", -1, "2.8.13").safety(ReadOnly).keys(Keys::None).flags(SUBCOMMANDS),
    Row::untyped("CONFIG", -2, "2.0.0").keys(Keys::None).flags(ADMIN.and(NO_SCRIPT).and(SUBCOMMANDS)),
    Row::untyped("DEBUG", -2, "1.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("DISCARD", 1, "2.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("EXEC", 1, "1.2.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("EXPIRE", -3, "1.0.0").safety(EffectIdempotent).keys(Keys::FIRST),
    Row::untyped("EXPIREAT", -3, "1.2.0").by_arguments().keys(Keys::FIRST),
    Row::untyped("EXPIRETIME", 2, "7.0.0").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("FAILOVER", -1, "6.2.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("FUNCTION", -2, "7.0.0").keys(Keys::None).flags(NO_SCRIPT.and(SUBCOMMANDS).and(EVERY_NODE)),
    Row::untyped("GEORADIUS", -6, "3.2.0").by_arguments().keys(Keys::FIRST).flags(STORE_OPTION),
    Row::untyped("GEORADIUS_RO", -6, "3.2.10").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("GEORADIUSBYMEMBER", -5, "3.2.0").by_arguments().keys(Keys::FIRST).flags(STORE_OPTION),
    Row::untyped("GEORADIUSBYMEMBER_RO", -5, "3.2.10").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("HELLO", -1, "6.0.0").flags(CONNECTION.and(NO_SCRIPT).and(SECRET)),
    Row::untyped("HEXPIRE", -6, "7.4.0").safety(EffectIdempotent).keys(Keys::FIRST),
    Row::untyped("HEXPIREAT", -6, "7.4.0").safety(EffectIdempotent).keys(Keys::FIRST),
    Row::untyped("HEXPIRETIME", -5, "7.4.0").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("HMSET", -4, "2.0.0").safety(Idempotent).keys(Keys::FIRST),
    Row::untyped("HTTL", -5, "7.4.0").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("LATENCY", -2, "2.8.13").keys(Keys::None).flags(NO_SCRIPT.and(SUBCOMMANDS)),
    Row::untyped("MEMORY", -2, "4.0.0").keys(Keys::None).flags(SUBCOMMANDS),
    Row::untyped("MIGRATE", -6, "2.6.0").flags(ADMIN.and(SECRET)),
    Row::untyped("MODULE", -2, "4.0.0").flags(ADMIN.and(NO_SCRIPT).and(SUBCOMMANDS)),
    Row::untyped("MONITOR", 1, "1.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("MOVE", 3, "1.0.0").keys(Keys::FIRST),
    Row::untyped("MULTI", 1, "1.2.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("OBJECT", -2, "2.2.3").keys(Keys::SECOND).flags(SUBCOMMANDS),
    Row::untyped("PFDEBUG", 3, "2.8.9").flags(ADMIN),
    Row::untyped("PFSELFTEST", 1, "2.8.9").flags(ADMIN),
    Row::untyped("PSUBSCRIBE", -2, "2.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("PSYNC", -3, "2.8.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("PUBSUB", -2, "2.8.0").keys(Keys::None).flags(SUBCOMMANDS),
    Row::untyped("PUNSUBSCRIBE", -1, "2.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("QUIT", -1, "1.0.0").flags(ENDS_CONNECTION.and(NO_SCRIPT)),
    Row::untyped("READONLY", 1, "3.0.0").flags(CONNECTION),
    Row::untyped("READWRITE", 1, "3.0.0").flags(CONNECTION),
    Row::untyped("REPLCONF", -1, "3.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("REPLICAOF", 3, "5.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("RESET", 1, "6.2.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("RESTORE-ASKING", -4, "3.0.0").flags(ADMIN),
    Row::untyped("RPOPLPUSH", 3, "1.2.0").keys(Keys::TWO),
    Row::untyped("SAVE", 1, "1.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("SCRIPT", -2, "2.6.0").keys(Keys::None).flags(NO_SCRIPT.and(SUBCOMMANDS).and(EVERY_NODE)),
    Row::untyped("SCRIPT DEBUG", 3, "3.2.0").keys(Keys::None).flags(CONNECTION),
    Row::untyped("SELECT", 2, "1.0.0").flags(CONNECTION),
    Row::untyped("SETEX", 4, "2.0.0").safety(Idempotent).keys(Keys::FIRST),
    Row::untyped("SHUTDOWN", -1, "1.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("SLAVEOF", 3, "1.0.0").flags(ADMIN.and(NO_SCRIPT)),
    Row::untyped("SLOWLOG", -2, "2.2.12").keys(Keys::None).flags(NO_SCRIPT.and(SUBCOMMANDS)),
    Row::untyped("SSUBSCRIBE", -2, "7.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("SUBSCRIBE", -2, "2.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("SUBSTR", 4, "1.0.0").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("SUNSUBSCRIBE", -1, "7.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("SWAPDB", 3, "4.0.0").flags(NO_SCRIPT.and(WHOLE_KEYSPACE)),
    Row::untyped("SYNC", 1, "1.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("TTL", 2, "1.0.0").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("UNSUBSCRIBE", -1, "2.0.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("UNWATCH", 1, "2.2.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("WAIT", 3, "3.0.0").flags(BLOCKS.and(NO_SCRIPT)),
    Row::untyped("WAITAOF", 4, "7.2.0").flags(BLOCKS),
    Row::untyped("WATCH", -2, "2.2.0").flags(CONNECTION.and(NO_SCRIPT)),
    Row::untyped("XGROUP", -2, "5.0.0").keys(Keys::SECOND).flags(SUBCOMMANDS),
    Row::untyped("XINFO", -2, "5.0.0").keys(Keys::SECOND).flags(SUBCOMMANDS),
    Row::untyped("ZRANGEBYLEX", -4, "2.8.9").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("ZRANGEBYSCORE", -4, "1.0.5").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("ZREVRANGE", -4, "1.2.0").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("ZREVRANGEBYLEX", -4, "2.8.9").safety(ReadOnly).keys(Keys::FIRST),
    Row::untyped("ZREVRANGEBYSCORE", -4, "2.2.0").safety(ReadOnly).keys(Keys::FIRST),
    // Redis Sentinel.
    Row::untyped("SENTINEL", -2, "2.8.4").flags(SECRET),
    // RedisJSON.
    Row::untyped("JSON.DEBUG", -2, "JSON").keys(Keys::SECOND).flags(SUBCOMMANDS),
    Row::untyped("JSON.NUMPOWBY", 4, "JSON").keys(Keys::FIRST),
];
