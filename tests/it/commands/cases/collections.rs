//! Hashes, lists, sets and sorted sets.

use super::Reply::Is;
use super::{ANY, Case, FUTURE, H, MINUTE, case};
use redis_rest::Fields;
use redis_rest::cmd::*;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn all() -> impl Iterator<Item = Case> {
    [hash(), list(), set(), sorted_sets()].into_iter().flatten()
}

fn hash() -> Vec<Case> {
    vec![
        case(hset("h", [("a", "1"), ("c", "3")]), "HSET h a 1 c 3", Is("1")),
        case(hsetnx("h", "a", "x"), "HSETNX h a x", Is("false")),
        case(
            hsetex("h", [("a", "1"), ("b", "2")]).ex(MINUTE).fnx(),
            "HSETEX h FNX EX 60 FIELDS 2 a 1 b 2",
            ANY,
        ),
        case(hsetex("h", [("a", "1")]).keep_ttl().fxx(), "HSETEX h FXX KEEPTTL FIELDS 1 a 1", ANY),
        case(
            hsetex("h", [("a", "1")]).ex_at(FUTURE),
            "HSETEX h PXAT 4102444800000 FIELDS 1 a 1",
            ANY,
        ),
        case(hget::<i64>("h", "a"), "HGET h a", Is("1")),
        case(
            hgetall::<BTreeMap<String, String>>("h"),
            "HGETALL h",
            Is(r#"{"a": "1", "b": "two"}"#),
        ),
        case(hgetall::<Fields<H>>("h"), "HGETALL h", Is(r#"Fields(H { a: 1, b: "two" })"#)),
        case(hgetdel::<String>("h", ["a", "none"]), "HGETDEL h FIELDS 2 a none", ANY),
        case(hgetex::<String>("h", ["a"]).ex(MINUTE), "HGETEX h EX 60 FIELDS 1 a", ANY),
        case(
            hgetex::<String>("h", ["a"]).ex_at(FUTURE),
            "HGETEX h PXAT 4102444800000 FIELDS 1 a",
            ANY,
        ),
        case(hgetex::<String>("h", ["a"]).persist(), "HGETEX h PERSIST FIELDS 1 a", ANY),
        case(hmget::<String>("h", ["a", "none"]), "HMGET h a none", Is(r#"[Some("1"), None]"#)),
        case(hdel("h", ["a", "none"]), "HDEL h a none", Is("1")),
        case(hexists("h", "a"), "HEXISTS h a", Is("true")),
        case(hincrby("h", "a", 5), "HINCRBY h a 5", Is("6")),
        case(hincrbyfloat("h", "a", 0.5), "HINCRBYFLOAT h a 0.5", Is("1.5")),
        case(hkeys::<String>("h"), "HKEYS h", Is(r#"["a", "b"]"#)),
        case(hvals::<String>("h"), "HVALS h", Is(r#"["1", "two"]"#)),
        case(hlen("h"), "HLEN h", Is("2")),
        case(hstrlen("h", "b"), "HSTRLEN h b", Is("3")),
        case(hrandfield::<String>("h"), "HRANDFIELD h", ANY),
        case(hrandfield::<String>("h").count(5), "HRANDFIELD h 5", Is(r#"["a", "b"]"#)),
        case(
            hrandfield::<String>("h").count(2).with_values::<String>(),
            "HRANDFIELD h 2 WITHVALUES",
            ANY,
        ),
        case(
            hscan("h").match_pattern("*").count(5),
            "HSCAN h 0 MATCH * COUNT 5",
            Is(r#"(0, [(b"a", b"1"), (b"b", b"two")])"#),
        ),
        case(hscan("h").no_values(), "HSCAN h 0 NOVALUES", ANY).since("7.4.0"),
        case(hexpire("h", MINUTE, ["a", "b"]).nx(), "HPEXPIRE h 60000 NX FIELDS 2 a b", ANY),
        case(hexpire("h", MINUTE, ["a", "b"]).gt(), "HPEXPIRE h 60000 GT FIELDS 2 a b", ANY),
        case(hexpire_at("h", FUTURE, ["a"]).xx(), "HPEXPIREAT h 4102444800000 XX FIELDS 1 a", ANY),
        case(hexpire_at("h", FUTURE, ["a"]).lt(), "HPEXPIREAT h 4102444800000 LT FIELDS 1 a", ANY),
        case(hexpire_time("h", ["a"]), "HPEXPIRETIME h FIELDS 1 a", ANY),
        case(httl("h", ["a", "b"]), "HPTTL h FIELDS 2 a b", ANY),
        case(hpersist("h", ["a"]), "HPERSIST h FIELDS 1 a", ANY),
    ]
}

fn list() -> Vec<Case> {
    vec![
        case(lpush("l", ["x", "y"]), "LPUSH l x y", Is("6")),
        case(rpush("l", ["x"]), "RPUSH l x", Is("5")),
        case(lpushx("none", ["x"]), "LPUSHX none x", Is("0")),
        case(rpushx("l", ["x"]), "RPUSHX l x", Is("5")),
        case(lpop::<String>("l"), "LPOP l", Is(r#""a""#)),
        case(rpop::<String>("l").count(2), "RPOP l 2", Is(r#"Some(["b", "c"])"#)),
        case(
            lmpop::<String>(["none", "l"], Side::Right).count(2),
            "LMPOP 2 none l RIGHT COUNT 2",
            Is(r#"Some(("l", ["b", "c"]))"#),
        ),
        case(
            lmove::<String>("l", "new", Side::Left, Side::Right),
            "LMOVE l new LEFT RIGHT",
            Is(r#""a""#),
        ),
        case(lrange::<String>("l", 0, -1), "LRANGE l 0 -1", Is(r#"["a", "b", "c", "b"]"#)),
        case(llen("l"), "LLEN l", Is("4")),
        case(lindex::<String>("l", -1), "LINDEX l -1", Is(r#""b""#)),
        case(lpos("l", "b").rank(2), "LPOS l b RANK 2", Is("Some(3)")),
        case(lpos("l", "b").count(0).max_len(10), "LPOS l b COUNT 0 MAXLEN 10", Is("[1, 3]")),
        case(linsert("l", Beside::After, "b", "x"), "LINSERT l AFTER b x", Is("5")),
        case(lset("l", 0, "x"), "LSET l 0 x", Is("()")),
        case(lrem("l", 0, "b"), "LREM l 0 b", Is("2")),
        case(ltrim("l", 1, 2), "LTRIM l 1 2", Is("()")),
    ]
}

fn set() -> Vec<Case> {
    vec![
        case(sadd("s1", ["c", "x"]), "SADD s1 c x", Is("1")),
        case(srem("s1", ["a", "x"]), "SREM s1 a x", Is("1")),
        case(smove("s1", "s2", "a"), "SMOVE s1 s2 a", Is("true")),
        case(smembers::<BTreeSet<String>>("s1"), "SMEMBERS s1", Is(r#"{"a", "b", "c"}"#)),
        case(sismember("s1", "a"), "SISMEMBER s1 a", Is("true")),
        case(smismember("s1", ["a", "x"]), "SMISMEMBER s1 a x", Is("[true, false]")),
        case(scard("s1"), "SCARD s1", Is("3")),
        case(spop::<String>("s1"), "SPOP s1", ANY),
        case(spop::<String>("s1").count(0), "SPOP s1 0", Is("[]")),
        case(srandmember::<String>("s1"), "SRANDMEMBER s1", ANY),
        case(srandmember::<String>("none").count(-2), "SRANDMEMBER none -2", Is("[]")),
        case(sinter::<BTreeSet<String>>(["s1", "s2"]), "SINTER s1 s2", Is(r#"{"b", "c"}"#)),
        case(sintercard(["s1", "s2"]).limit(1), "SINTERCARD 2 s1 s2 LIMIT 1", Is("1")),
        case(sinterstore("new", ["s1", "s2"]), "SINTERSTORE new s1 s2", Is("2")),
        case(
            sunion::<BTreeSet<String>>(["s1", "s2"]),
            "SUNION s1 s2",
            Is(r#"{"a", "b", "c", "d"}"#),
        ),
        case(sunionstore("new", ["s1", "s2"]), "SUNIONSTORE new s1 s2", Is("4")),
        case(sdiff::<BTreeSet<String>>(["s1", "s2"]), "SDIFF s1 s2", Is(r#"{"a"}"#)),
        case(sdiffstore("new", ["s1", "s2"]), "SDIFFSTORE new s1 s2", Is("1")),
        case(
            sscan("s1").match_pattern("a*").count(5),
            "SSCAN s1 0 MATCH a* COUNT 5",
            Is(r#"(0, [b"a"])"#),
        ),
    ]
}

fn sorted_sets() -> Vec<Case> {
    vec![
        case(zadd("z", 5.0, "a").and(6.0, "new").gt().changed(), "ZADD z CH GT 5 a 6 new", Is("2")),
        case(zadd("z", 5.0, "a").nx(), "ZADD z NX 5 a", Is("0")),
        case(zadd("z", 0.5, "a").xx().lt(), "ZADD z LT XX 0.5 a", Is("0")),
        case(zadd("z", 5.0, "a").incr(), "ZADD z INCR 5 a", Is("Some(6.0)")),
        case(zincrby("z", 1.5, "a"), "ZINCRBY z 1.5 a", Is("2.5")),
        case(zrem("z", ["a", "none"]), "ZREM z a none", Is("1")),
        case(zscore("z", "a"), "ZSCORE z a", Is("Some(1.0)")),
        case(zmscore("z", ["a", "none"]), "ZMSCORE z a none", Is("[Some(1.0), None]")),
        case(zcard("z"), "ZCARD z", Is("3")),
        case(zcount("z", 1.0..3.0), "ZCOUNT z 1 (3", Is("2")),
        case(zlexcount("lex", "a".."c"), "ZLEXCOUNT lex [a (c", Is("2")),
        case(zrank("z", "b"), "ZRANK z b", Is("Some(1)")),
        case(zrank("z", "b").with_score(), "ZRANK z b WITHSCORE", ANY).since("7.2.0"),
        case(zrevrank("z", "b"), "ZREVRANK z b", Is("Some(1)")),
        case(zrange::<String>("z"), "ZRANGE z 0 -1", Is(r#"["a", "b", "c"]"#)),
        case(zrange::<String>("z").by_rank(-2..), "ZRANGE z -2 -1", Is(r#"["b", "c"]"#)),
        case(
            zrange::<String>("z").by_score(1.5..).rev().limit(0, 10).with_scores(),
            "ZRANGE z +inf 1.5 BYSCORE REV LIMIT 0 10 WITHSCORES",
            Is(r#"[("c", 3.0), ("b", 2.0)]"#),
        ),
        case(
            zrange::<String>("z").rev().by_score(..=2.0),
            "ZRANGE z 2 -inf REV BYSCORE",
            Is(r#"["b", "a"]"#),
        ),
        case(
            zrange::<String>("lex").by_lex("a".."c"),
            "ZRANGE lex [a (c BYLEX",
            Is(r#"["a", "b"]"#),
        ),
        case(zrangestore("new", "z").by_score(2.0..=3.0), "ZRANGESTORE new z 2 3 BYSCORE", Is("2")),
        case(zrangestore("new", "z").by_rank(..2).rev(), "ZRANGESTORE new z 0 1 REV", Is("2")),
        case(zremrangebyscore("z", ..2.0), "ZREMRANGEBYSCORE z -inf (2", Is("1")),
        case(zremrangebylex("lex", "b"..), "ZREMRANGEBYLEX lex [b +", Is("2")),
        case(zremrangebyrank("z", 0..2), "ZREMRANGEBYRANK z 0 1", Is("2")),
        case(zpopmin::<String>("z"), "ZPOPMIN z", Is(r#"[("a", 1.0)]"#)),
        case(zpopmax::<String>("z").count(2), "ZPOPMAX z 2", Is(r#"[("c", 3.0), ("b", 2.0)]"#)),
        case(
            zmpop::<String>(["none", "z"], Extreme::Max).count(2),
            "ZMPOP 2 none z MAX COUNT 2",
            Is(r#"Some(("z", [("c", 3.0), ("b", 2.0)]))"#),
        ),
        case(zrandmember::<String>("z"), "ZRANDMEMBER z", ANY),
        case(zrandmember::<String>("z").count(5).with_scores(), "ZRANDMEMBER z 5 WITHSCORES", ANY),
        case(
            zdiff::<String>(["z", "z2"]).with_scores(),
            "ZDIFF 2 z z2 WITHSCORES",
            Is(r#"[("a", 1.0), ("c", 3.0)]"#),
        ),
        case(zdiffstore("new", ["z", "z2"]), "ZDIFFSTORE new 2 z z2", Is("2")),
        case(
            zinter::<String>(["z", "z2"]).weights([1, 2]).aggregate(Aggregate::Max).with_scores(),
            "ZINTER 2 z z2 WEIGHTS 1 2 AGGREGATE MAX WITHSCORES",
            Is(r#"[("b", 20.0)]"#),
        ),
        case(zintercard(["z", "z2"]).limit(5), "ZINTERCARD 2 z z2 LIMIT 5", Is("1")),
        case(
            zinterstore("new", ["z", "z2"]).aggregate(Aggregate::Min),
            "ZINTERSTORE new 2 z z2 AGGREGATE MIN",
            Is("1"),
        ),
        case(zunion::<String>(["z", "z2"]), "ZUNION 2 z z2", Is(r#"["a", "c", "b", "d"]"#)),
        case(
            zunionstore("new", ["z", "z2"]).weights([1.5, 1.0]),
            "ZUNIONSTORE new 2 z z2 WEIGHTS 1.5 1",
            Is("4"),
        ),
        case(
            zscan("z").match_pattern("a").count(5),
            "ZSCAN z 0 MATCH a COUNT 5",
            Is(r#"(0, [(b"a", 1.0)])"#),
        ),
    ]
}
