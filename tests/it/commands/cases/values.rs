//! Strings, bits, keys, estimates and places.

use super::Reply::Is;
use super::{ANY, Case, DUMPED, FUTURE, MINUTE, case};
use redis_rest::cmd::*;
use std::time::Duration;

pub(super) fn all() -> impl Iterator<Item = Case> {
    [strings(), bitmap(), generic(), hyperloglog(), geo()].into_iter().flatten()
}

fn strings() -> Vec<Case> {
    vec![
        case(get::<String>("s"), "GET s", Is(r#""hello""#)),
        case(set("new", "v"), "SET new v", Is("()")),
        case(set("new", "v").ex(MINUTE).nx(), "SET new v EX 60 NX", Is("true")),
        case(set("s", "v").keep_ttl().xx(), "SET s v KEEPTTL XX", Is("true")),
        case(
            set("s", "v").ex_at(FUTURE).nx().get::<String>(),
            "SET s v PXAT 4102444800000 NX GET",
            Is(r#"Some("hello")"#),
        ),
        case(set("s", "v").get::<String>(), "SET s v GET", Is(r#"Some("hello")"#)),
        case(set("s", "v").if_eq("hello"), "SET s v IFEQ hello", ANY).since("8.4.0"),
        case(set("s", "v").if_ne("hello").get::<String>(), "SET s v IFNE hello GET", ANY)
            .since("8.4.0"),
        case(set("s", "v").if_digest_eq("abc"), "SET s v IFDEQ abc", ANY).since("8.4.0"),
        case(set("s", "v").if_digest_ne("abc"), "SET s v IFDNE abc", ANY).since("8.4.0"),
        case(setex("new", MINUTE, "v"), "PSETEX new 60000 v", Is("()")),
        case(getdel::<String>("s"), "GETDEL s", Is(r#""hello""#)),
        case(
            getex::<String>("s").ex(Duration::from_millis(1500)),
            "GETEX s PX 1500",
            Is(r#""hello""#),
        ),
        case(getex::<String>("s").ex_at(FUTURE), "GETEX s PXAT 4102444800000", Is(r#""hello""#)),
        case(getex::<String>("s").persist(), "GETEX s PERSIST", Is(r#""hello""#)),
        case(getset::<String>("s", "v"), "GETSET s v", Is(r#""hello""#)),
        case(getrange::<String>("s", 1, -2), "GETRANGE s 1 -2", Is(r#""ell""#)),
        case(setrange("s", 1, "E"), "SETRANGE s 1 E", Is("5")),
        case(setnx("s", "v"), "SETNX s v", Is("false")),
        case(mget::<String>(["s", "none"]), "MGET s none", Is(r#"[Some("hello"), None]"#)),
        case(mset([("a", "1"), ("b", "2")]), "MSET a 1 b 2", Is("()")),
        case(msetnx([("a", "1"), ("s", "2")]), "MSETNX a 1 s 2", Is("false")),
        case(msetex([("a", "1"), ("b", "2")]).ex(MINUTE).nx(), "MSETEX 2 a 1 b 2 EX 60 NX", ANY),
        case(append("s", "!"), "APPEND s !", Is("6")),
        case(strlen("s"), "STRLEN s", Is("5")),
        case(incr("n"), "INCR n", Is("11")),
        case(incrby("n", -3), "INCRBY n -3", Is("7")),
        case(incrbyfloat("n", 0.5), "INCRBYFLOAT n 0.5", Is("10.5")),
        case(decr("n"), "DECR n", Is("9")),
        case(decrby("n", 3), "DECRBY n 3", Is("7")),
        case(delex("s").if_eq("hello"), "DELEX s IFEQ hello", ANY),
        case(delex("s").if_ne("hello"), "DELEX s IFNE hello", ANY),
        case(delex("s").if_digest_eq("abc"), "DELEX s IFDEQ abc", ANY),
        case(delex("s").if_digest_ne("abc"), "DELEX s IFDNE abc", ANY),
        case(digest("s"), "DIGEST s", ANY),
        case(lcs::<String>("s", "bits"), "LCS s bits", Is(r#""o""#)),
        case(lcs::<String>("s", "s").length(), "LCS s s LEN", Is("5")),
        case(
            lcs::<String>("s", "s").matches().min_length(2),
            "LCS s s IDX WITHMATCHLEN MINMATCHLEN 2",
            Is("LcsMatches { runs: [((0, 4), (0, 4))], length: 5 }"),
        ),
    ]
}

fn bitmap() -> Vec<Case> {
    vec![
        case(bitcount("bits"), "BITCOUNT bits", Is("26")),
        case(bitcount("bits").within(0, 0), "BITCOUNT bits 0 0", Is("4")),
        case(bitcount("bits").within_bits(5, 30), "BITCOUNT bits 5 30 BIT", Is("17")),
        case(
            bitfield("bits")
                .get(Bits::Unsigned(8), 0)
                .overflow(Overflow::Fail)
                .set(Bits::Signed(4), BitOffset::Item(1), 3)
                .incrby(Bits::Unsigned(2), 40, 4),
            "BITFIELD bits GET u8 0 OVERFLOW FAIL SET i4 #1 3 INCRBY u2 40 4",
            Is("[Some(102), Some(6), None]"),
        ),
        case(
            bitfield_ro("bits").get(Bits::Unsigned(8), 8),
            "BITFIELD_RO bits GET u8 8",
            Is("[111]"),
        ),
        case(bitop(BitOp::Xor, "new", ["bits", "s"]), "BITOP XOR new bits s", Is("6")),
        case(bitop(BitOp::AndOr, "new", ["bits", "s"]), "BITOP ANDOR new bits s", ANY)
            .since("8.2.0"),
        case(bitpos("bits", true), "BITPOS bits 1", Is("1")),
        case(bitpos("bits", true).within(1, -1), "BITPOS bits 1 1 -1", Is("9")),
        case(bitpos("bits", false).within_bits(1, 6), "BITPOS bits 0 1 6 BIT", Is("3")),
        case(getbit("bits", 1), "GETBIT bits 1", Is("true")),
        case(setbit("bits", 7, true), "SETBIT bits 7 1", Is("false")),
    ]
}

fn generic() -> Vec<Case> {
    vec![
        case(del(["s", "none"]), "DEL s none", Is("1")),
        case(unlink(["s", "n"]), "UNLINK s n", Is("2")),
        case(exists(["s", "s", "none"]), "EXISTS s s none", Is("2")),
        case(touch(["s", "none"]), "TOUCH s none", Is("1")),
        case(expire("s", MINUTE).nx(), "PEXPIRE s 60000 NX", Is("true")),
        case(expire("lock", MINUTE).gt(), "PEXPIRE lock 60000 GT", Is("false")),
        case(expire("lock", MINUTE).lt(), "PEXPIRE lock 60000 LT", Is("true")),
        case(expire_at("s", FUTURE).xx(), "PEXPIREAT s 4102444800000 XX", Is("false")),
        case(expire_time("s"), "PEXPIRETIME s", Is("Persistent")),
        case(ttl("none"), "PTTL none", Is("Missing")),
        case(persist("lock"), "PERSIST lock", Is("true")),
        case(keys::<Vec<String>>("loc*"), "KEYS loc*", Is(r#"["lock"]"#)),
        case(
            scan().match_pattern("loc*").count(1000).of_type("string"),
            "SCAN 0 MATCH loc* COUNT 1000 TYPE string",
            Is(r#"(0, [b"lock"])"#),
        ),
        case(randomkey::<String>(), "RANDOMKEY", ANY),
        case(key_type("z"), "TYPE z", Is(r#""zset""#)),
        case(rename("s", "new"), "RENAME s new", Is("()")),
        case(renamenx("s", "n"), "RENAMENX s n", Is("false")),
        case(copy("s", "n"), "COPY s n", Is("false")),
        case(copy("s", "n").replace(), "COPY s n REPLACE", Is("true")),
        case(dump("s"), "DUMP s", ANY),
        case(
            restore("new", None, "not a dump").replace().idle(5),
            "RESTORE new 0 not a dump REPLACE IDLETIME 5",
            Is("! ERR"),
        ),
        case(
            restore("new", Some(MINUTE), DUMPED),
            "RESTORE new 60000 \\x00\\x05hello\\n\\x00cr\\xdfve4 \\n",
            Is("()"),
        )
        .binary(),
        case(
            sort::<String>("l").alphabetic().descending().limit(0, 2),
            "SORT l ALPHA DESC LIMIT 0 2",
            Is(r#"[Some("c"), Some("b")]"#),
        ),
        case(
            sort::<String>("s1").by("nosort").get("#").alphabetic().store("new"),
            "SORT s1 BY nosort GET # ALPHA STORE new",
            Is("3"),
        ),
        case(
            sort_ro::<String>("l").alphabetic(),
            "SORT_RO l ALPHA",
            Is(r#"[Some("a"), Some("b"), Some("b"), Some("c")]"#),
        ),
        case(object_encoding("s"), "OBJECT ENCODING s", Is(r#"Some("embstr")"#)),
        case(object_idletime("none"), "OBJECT IDLETIME none", Is("None")),
        case(object_refcount("n"), "OBJECT REFCOUNT n", Is("Some(2147483647)")),
        case(object_freq("s"), "OBJECT FREQ s", Is("! ERR")),
        case(memory_usage("s").samples(0), "MEMORY USAGE s SAMPLES 0", ANY),
    ]
}

fn hyperloglog() -> Vec<Case> {
    vec![
        case(pfadd("hll", ["a", "new"]), "PFADD hll a new", Is("true")),
        case(pfcount(["hll", "none"]), "PFCOUNT hll none", Is("3")),
        case(pfmerge("new", ["hll"]), "PFMERGE new hll", Is("()")),
    ]
}

fn geo() -> Vec<Case> {
    vec![
        case(
            geoadd("geo", 2.349014, 48.864716, "Paris").and(13.4, 52.5, "Berlin").nx().changed(),
            "GEOADD geo CH NX 2.349014 48.864716 Paris 13.4 52.5 Berlin",
            Is("2"),
        ),
        case(
            geoadd("geo", 2.349014, 48.864716, "Paris").xx(),
            "GEOADD geo XX 2.349014 48.864716 Paris",
            Is("0"),
        ),
        case(
            geodist("geo", "Palermo", "Catania", GeoUnit::Kilometers),
            "GEODIST geo Palermo Catania km",
            Is("Some(166.2742)"),
        ),
        case(
            geohash("geo", ["Palermo", "none"]),
            "GEOHASH geo Palermo none",
            Is(r#"[Some("sqc8b49rny0"), None]"#),
        ),
        case(
            geopos("geo", ["none", "Catania"]),
            "GEOPOS geo none Catania",
            Is(
                "[None, Some(GeoPoint { longitude: 15.087267458438873, latitude: 37.50266842333162 })]",
            ),
        ),
        case(
            geosearch::<String>(
                "geo",
                GeoFrom::Member("Palermo".into()),
                GeoBy::Radius(200.0, GeoUnit::Kilometers),
            )
            .asc()
            .count(3)
            .any(),
            "GEOSEARCH geo FROMMEMBER Palermo BYRADIUS 200 km ASC COUNT 3 ANY",
            Is(
                r#"[GeoHit { member: "Palermo", distance: None, hash: None, point: None }, GeoHit { member: "Catania", distance: None, hash: None, point: None }]"#,
            ),
        ),
        case(
            geosearch::<String>(
                "geo",
                GeoFrom::Point(GeoPoint { longitude: 15.0, latitude: 37.0 }),
                GeoBy::Box(400.0, 400.0, GeoUnit::Miles),
            )
            .desc()
            .with_coord()
            .with_dist()
            .with_hash(),
            "GEOSEARCH geo FROMLONLAT 15 37 BYBOX 400 400 mi DESC WITHCOORD WITHDIST WITHHASH",
            Is(
                r#"[GeoHit { member: "Palermo", distance: Some(118.3357), hash: Some(3479099956230698), point: Some(GeoPoint { longitude: 13.361389338970184, latitude: 38.1155563954963 }) }, GeoHit { member: "Catania", distance: Some(35.0711), hash: Some(3479447370796909), point: Some(GeoPoint { longitude: 15.087267458438873, latitude: 37.50266842333162 }) }]"#,
            ),
        ),
        case(
            geosearchstore(
                "new",
                "geo",
                GeoFrom::Member("Palermo".into()),
                GeoBy::Radius(100.0, GeoUnit::Feet),
            )
            .store_dist(),
            "GEOSEARCHSTORE new geo FROMMEMBER Palermo BYRADIUS 100 ft STOREDIST",
            Is("1"),
        ),
        case(
            geosearchstore(
                "new",
                "geo",
                GeoFrom::Member("Palermo".into()),
                GeoBy::Radius(500000.0, GeoUnit::Meters),
            )
            .asc()
            .count(1),
            "GEOSEARCHSTORE new geo FROMMEMBER Palermo BYRADIUS 500000 m ASC COUNT 1",
            Is("1"),
        ),
    ]
}
