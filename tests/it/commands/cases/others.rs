//! Streams, documents, channels, scripts and the server.

use super::Reply::Is;
use super::{ANY, Case, F, LIBRARIES, LIBRARY, MINUTE, case};
use redis_rest::cmd::*;
use redis_rest::{Fields, Json, Value};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn all() -> impl Iterator<Item = Case> {
    [streams(), json(), pubsub(), scripting(), server(), acl()].into_iter().flatten()
}

fn streams() -> Vec<Case> {
    vec![
        case(
            xadd("x", "5-1", [("f", "v")]).no_mkstream(),
            "XADD x NOMKSTREAM 5-1 f v",
            Is(r#"Some("5-1")"#),
        ),
        case(
            xadd("x", "5-1", [("f", "v")]).trim(Trim::max_len(2)),
            "XADD x MAXLEN = 2 5-1 f v",
            Is(r#"Some("5-1")"#),
        ),
        case(
            xadd("x", "5-1", [("f", "v")])
                .trim(Trim::min_id("1").roughly().limit(10))
                .references(References::Acknowledged),
            "XADD x ACKED MINID ~ 1 LIMIT 10 5-1 f v",
            ANY,
        )
        .since("8.2.0"),
        case(
            xadd("none", "*", [("f", "v")]).no_mkstream(),
            "XADD none NOMKSTREAM * f v",
            Is("None"),
        ),
        case(xtrim("x", Trim::min_id("2-0")), "XTRIM x MINID = 2-0", Is("1")),
        case(
            xtrim("x", Trim::max_len(1)).references(References::Delete),
            "XTRIM x MAXLEN = 1 DELREF",
            ANY,
        )
        .since("8.2.0"),
        case(xdel("x", ["1-1", "9-9"]), "XDEL x 1-1 9-9", Is("1")),
        case(xdelex("x", ["1-1"]).references(References::Keep), "XDELEX x KEEPREF IDS 1 1-1", ANY),
        case(xlen("x"), "XLEN x", Is("2")),
        case(
            xrange::<BTreeMap<String, String>>("x", "-", "+").count(1),
            "XRANGE x - + COUNT 1",
            Is(r#"[StreamEntry { id: "1-1", fields: {"f": "v"} }]"#),
        ),
        case(
            xrevrange::<Fields<F>>("x", "+", "-"),
            "XREVRANGE x + -",
            Is(
                r#"[StreamEntry { id: "2-1", fields: Fields(F { f: "w" }) }, StreamEntry { id: "1-1", fields: Fields(F { f: "v" }) }]"#,
            ),
        ),
        case(
            xread::<Vec<(String, String)>>(&[("x", "1-1"), ("none", "0")]).count(5),
            "XREAD COUNT 5 STREAMS x none 1-1 0",
            Is(r#"Some([("x", [StreamEntry { id: "2-1", fields: [("f", "w")] }])])"#),
        ),
        case(xread::<Vec<(String, String)>>(&[("x", "9-0")]), "XREAD STREAMS x 9-0", Is("None")),
        case(
            xreadgroup::<Vec<(String, String)>>("g", "c", &[("x", ">")]).count(1).no_ack(),
            "XREADGROUP GROUP g c NOACK COUNT 1 STREAMS x >",
            Is(r#"Some([("x", [StreamEntry { id: "2-1", fields: [("f", "w")] }])])"#),
        ),
        case(
            xreadgroup::<Vec<(String, String)>>("g", "c", &[("x", "0")]),
            "XREADGROUP GROUP g c STREAMS x 0",
            Is(r#"Some([("x", [StreamEntry { id: "1-1", fields: [("f", "v")] }])])"#),
        ),
        case(xack("x", "g", ["1-1"]), "XACK x g 1-1", Is("1")),
        case(
            xackdel("x", "g", ["1-1"]).references(References::Acknowledged),
            "XACKDEL x g ACKED IDS 1 1-1",
            ANY,
        ),
        case(
            xpending("x", "g"),
            "XPENDING x g",
            Is(
                r#"PendingSummary { count: 1, first: Some("1-1"), last: Some("1-1"), consumers: [("c", 1)] }"#,
            ),
        ),
        case(
            xpending_range("x", "g", "-", "+", 10).of_consumer("c").idle(Duration::ZERO),
            "XPENDING x g IDLE 0 - + 10 c",
            ANY,
        ),
        case(
            xclaim::<Vec<(String, String)>>("x", "g", "d", Duration::ZERO, ["1-1"])
                .idle(MINUTE)
                .retry_count(3)
                .force(),
            "XCLAIM x g d 0 1-1 IDLE 60000 RETRYCOUNT 3 FORCE",
            Is(
                r#"Claimed { entries: [StreamEntry { id: "1-1", fields: [("f", "v")] }], missing: 0 }"#,
            ),
        ),
        case(
            xclaim::<Vec<(String, String)>>("x", "g", "d", Duration::ZERO, ["1-1"]).just_ids(),
            "XCLAIM x g d 0 1-1 JUSTID",
            Is(r#"["1-1"]"#),
        ),
        case(
            xautoclaim::<Vec<(String, String)>>("x", "g", "d", Duration::ZERO, "0").count(5),
            "XAUTOCLAIM x g d 0 0 COUNT 5",
            Is(
                r#"AutoClaimed { next: "0-0", entries: [StreamEntry { id: "1-1", fields: [("f", "v")] }], deleted: [], missing: 0 }"#,
            ),
        ),
        case(
            xautoclaim::<Vec<(String, String)>>("x", "g", "d", Duration::ZERO, "0").just_ids(),
            "XAUTOCLAIM x g d 0 0 JUSTID",
            Is(r#"ClaimedIds { next: "0-0", ids: ["1-1"], deleted: [] }"#),
        ),
        case(
            xgroup_create("new", "g2", "$").mkstream().entries_read(0),
            "XGROUP CREATE new g2 $ MKSTREAM ENTRIESREAD 0",
            Is("()"),
        ),
        case(xgroup_createconsumer("x", "g", "d"), "XGROUP CREATECONSUMER x g d", Is("true")),
        case(xgroup_delconsumer("x", "g", "c"), "XGROUP DELCONSUMER x g c", Is("1")),
        case(xgroup_destroy("x", "g"), "XGROUP DESTROY x g", Is("true")),
        case(
            xgroup_setid("x", "g", "0").entries_read(1),
            "XGROUP SETID x g 0 ENTRIESREAD 1",
            Is("()"),
        ),
        case(xsetid("x", "9-9"), "XSETID x 9-9", Is("()")),
        case(
            xinfo_stream("x"),
            "XINFO STREAM x",
            Is(
                r#"StreamInfo { length: 2, last_generated_id: "2-1", max_deleted_entry_id: "0-0", entries_added: 2, groups: 1, radix_tree_keys: 1, radix_tree_nodes: 2 }"#,
            ),
        ),
        case(xinfo_stream("x").full(), "XINFO STREAM x FULL", ANY),
        case(
            xinfo_groups("x"),
            "XINFO GROUPS x",
            Is(
                r#"[GroupInfo { name: "g", consumers: 1, pending: 1, last_delivered_id: "1-1", entries_read: Some(1), lag: Some(1) }]"#,
            ),
        ),
        case(xinfo_consumers("x", "g"), "XINFO CONSUMERS x g", ANY),
    ]
}

fn json() -> Vec<Case> {
    vec![
        case(
            json_arrappend::<Vec<Option<i64>>>("j", "$.a", &[1, 2]),
            "JSON.ARRAPPEND j $.a 1 2",
            ANY,
        ),
        case(
            json_arrindex::<Vec<i64>>("j", "$.a", "x").between(0, 0),
            "JSON.ARRINDEX j $.a \"x\" 0 0",
            ANY,
        ),
        case(
            json_arrinsert::<Vec<i64>>("j", "$.a", 0, &["x"]),
            "JSON.ARRINSERT j $.a 0 \"x\"",
            ANY,
        ),
        case(json_arrlen::<Vec<i64>>("j", "$.a"), "JSON.ARRLEN j $.a", ANY),
        case(json_arrpop::<Vec<Json<i64>>>("j", "$.a", -1), "JSON.ARRPOP j $.a -1", ANY),
        case(json_arrtrim::<Vec<i64>>("j", "$.a", 0, 1), "JSON.ARRTRIM j $.a 0 1", ANY),
        case(json_clear("j", "$"), "JSON.CLEAR j $", ANY),
        case(json_debug_memory::<Vec<u64>>("j", "$"), "JSON.DEBUG MEMORY j $", ANY),
        case(json_del("j", "$.a"), "JSON.DEL j $.a", ANY),
        case(json_forget("j", "$.a"), "JSON.FORGET j $.a", ANY),
        case(
            json_get::<Json<Vec<i64>>>("j")
                .indent(" ")
                .newline("\n")
                .space(" ")
                .path("$.a")
                .path("$.b"),
            "JSON.GET j INDENT   NEWLINE \\n SPACE   $.a $.b",
            ANY,
        ),
        case(json_merge("j", "$", BTreeMap::from([("a", 1)])), "JSON.MERGE j $ {\"a\":1}", ANY),
        case(json_mget::<String>(["j", "k"], "$.a"), "JSON.MGET j k $.a", ANY),
        case(json_mset(&[("j", "$", 1), ("k", "$", 2)]), "JSON.MSET j $ 1 k $ 2", ANY),
        case(json_numincrby::<Json<Vec<f64>>>("j", "$.n", 1.5), "JSON.NUMINCRBY j $.n 1.5", ANY),
        case(json_nummultby::<Json<Vec<f64>>>("j", "$.n", 2.0), "JSON.NUMMULTBY j $.n 2", ANY),
        case(json_objkeys::<Vec<Vec<String>>>("j", "$"), "JSON.OBJKEYS j $", ANY),
        case(json_objlen::<Vec<u64>>("j", "$"), "JSON.OBJLEN j $", ANY),
        case(json_resp::<Value>("j", "$"), "JSON.RESP j $", ANY),
        case(json_set("j", "$", "text").nx(), "JSON.SET j $ \"text\" NX", ANY),
        case(json_set("j", "$.a", 1).xx(), "JSON.SET j $.a 1 XX", ANY),
        case(json_strappend::<Vec<u64>>("j", "$.s", "more"), "JSON.STRAPPEND j $.s \"more\"", ANY),
        case(json_strlen::<Vec<u64>>("j", "$.s"), "JSON.STRLEN j $.s", ANY),
        case(json_toggle::<Vec<bool>>("j", "$.b"), "JSON.TOGGLE j $.b", ANY),
        case(json_type::<Vec<String>>("j", "$"), "JSON.TYPE j $", ANY),
    ]
}

fn pubsub() -> Vec<Case> {
    vec![
        case(publish("channel", "message"), "PUBLISH channel message", Is("0")),
        case(spublish("channel", "message"), "SPUBLISH channel message", Is("0")),
        case(pubsub_channels().pattern("c*"), "PUBSUB CHANNELS c*", Is("[]")),
        case(pubsub_numsub(["channel"]), "PUBSUB NUMSUB channel", Is(r#"[("channel", 0)]"#)),
        case(pubsub_numpat(), "PUBSUB NUMPAT", Is("0")),
        case(pubsub_shardchannels(), "PUBSUB SHARDCHANNELS", Is("[]")),
        case(
            pubsub_shardnumsub(["channel"]),
            "PUBSUB SHARDNUMSUB channel",
            Is(r#"[("channel", 0)]"#),
        ),
    ]
}

fn scripting() -> Vec<Case> {
    vec![
        case(
            eval::<i64>("return #ARGV + #KEYS", ["k"], ["a", "b"]),
            "EVAL return #ARGV + #KEYS 1 k a b",
            Is("3"),
        ),
        case(
            eval_ro::<String>("return redis.call('GET', KEYS[1])", ["s"], ()),
            "EVAL_RO return redis.call('GET', KEYS[1]) 1 s",
            Is(r#""hello""#),
        ),
        case(
            evalsha::<i64>("0000000000000000000000000000000000000000", (), ()),
            "EVALSHA 0000000000000000000000000000000000000000 0",
            Is("! NOSCRIPT"),
        ),
        case(
            evalsha_ro::<i64>("0000000000000000000000000000000000000000", (), ()),
            "EVALSHA_RO 0000000000000000000000000000000000000000 0",
            Is("! NOSCRIPT"),
        ),
        case(
            script_load("return 1"),
            "SCRIPT LOAD return 1",
            Is(r#""e0e1f9fabfc9d4800c877a703b823ac0578ff8db""#),
        ),
        case(
            script_exists(["e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"]),
            "SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
            Is("[true, false]"),
        ),
        case(script_flush(), "SCRIPT FLUSH", Is("()")),
        case(script_kill(), "SCRIPT KILL", Is("! NOTBUSY")).admin(),
        case(fcall::<String>("hi", ["k"], ["v"]), "FCALL hi 1 k v", Is(r#""v""#)),
        case(fcall_ro::<String>("ro", (), ["v"]), "FCALL_RO ro 0 v", Is(r#""v""#)),
        case(
            function_load(LIBRARY).replace(),
            "FUNCTION LOAD REPLACE #!lua name=lib\\nredis.register_function('hi', function(keys, args) return args[1] end)\\nredis.register_function{function_name='ro', callback=function(keys, args) return args[1] end, flags={'no-writes'}}",
            Is(r#""lib""#),
        ),
        case(function_delete("lib"), "FUNCTION DELETE lib", Is("()")),
        case(function_flush(), "FUNCTION FLUSH", Is("()")),
        case(
            function_list().library("li*").with_code(),
            "FUNCTION LIST LIBRARYNAME li* WITHCODE",
            ANY,
        ),
        case(function_stats(), "FUNCTION STATS", ANY),
        case(function_dump(), "FUNCTION DUMP", ANY),
        case(
            function_restore("not a dump").flush(),
            "FUNCTION RESTORE not a dump FLUSH",
            Is("! ERR"),
        ),
        case(
            function_restore(LIBRARIES),
            "FUNCTION RESTORE \\n\\x00]\\x9b\\\\@\\x0f\\x7f\\xa2\\xda",
            Is("()"),
        )
        .binary(),
        case(function_kill(), "FUNCTION KILL", Is("! NOTBUSY")).admin(),
    ]
}

fn server() -> Vec<Case> {
    vec![
        case(ping(), "PING", Is(r#""PONG""#)),
        case(echo::<String>("message"), "ECHO message", Is(r#""message""#)),
        case(dbsize(), "DBSIZE", Is("14")),
        case(time(), "TIME", ANY),
        case(info().section("server"), "INFO server", ANY),
        case(flushdb(), "FLUSHDB", Is("()")),
        case(flushall().in_background(), "FLUSHALL ASYNC", Is("()")),
        case(
            config_get(["maxmemory-polic*"]),
            "CONFIG GET maxmemory-polic*",
            Is(r#"{"maxmemory-policy": "noeviction"}"#),
        )
        .admin(),
        case(
            config_set([("maxmemory-policy", "noeviction")]),
            "CONFIG SET maxmemory-policy noeviction",
            Is("()"),
        )
        .admin(),
        case(config_resetstat(), "CONFIG RESETSTAT", Is("()")).admin(),
        case(config_rewrite(), "CONFIG REWRITE", Is("! ERR")).admin(),
        case(command_count(), "COMMAND COUNT", ANY),
        case(
            command_list().pattern("hgeta*"),
            "COMMAND LIST FILTERBY PATTERN hgeta*",
            Is(r#"["hgetall"]"#),
        ),
        case(command_info(["get"]), "COMMAND INFO get", ANY),
        case(command_docs(["get"]), "COMMAND DOCS get", ANY),
        case(
            command_getkeys::<String>(["MSET", "a", "1", "b", "2"]),
            "COMMAND GETKEYS MSET a 1 b 2",
            Is(r#"["a", "b"]"#),
        ),
        case(memory_doctor(), "MEMORY DOCTOR", ANY),
        case(memory_stats(), "MEMORY STATS", ANY),
        case(memory_purge(), "MEMORY PURGE", Is("()")),
        case(lastsave(), "LASTSAVE", ANY).admin(),
        case(role(), "ROLE", ANY).admin(),
        case(slowlog_get(0), "SLOWLOG GET 0", Is("[]")).admin(),
        case(slowlog_len(), "SLOWLOG LEN", ANY).admin(),
        case(slowlog_reset(), "SLOWLOG RESET", Is("()")).admin(),
        case(latency_latest(), "LATENCY LATEST", Is("[]")).admin(),
        case(latency_history("command"), "LATENCY HISTORY command", Is("[]")).admin(),
        case(latency_doctor(), "LATENCY DOCTOR", ANY).admin(),
        case(latency_reset(["command"]), "LATENCY RESET command", Is("0")).admin(),
        case(lolwut(), "LOLWUT", ANY),
    ]
}

fn acl() -> Vec<Case> {
    vec![
        case(acl_cat(), "ACL CAT", ANY).admin(),
        case(acl_cat().category("scripting"), "ACL CAT scripting", ANY).admin(),
        case(acl_deluser(["nobody"]), "ACL DELUSER nobody", Is("0")).admin(),
        case(acl_dryrun("default", ["GET", "k"]), "ACL DRYRUN default GET k", Is(r#""OK""#))
            .admin(),
        case(acl_genpass().bits(64), "ACL GENPASS 64", ANY).admin(),
        case(acl_gentoken("ada").password("pw"), "ACL GENTOKEN ada pw", ANY),
        case(acl_getuser("nobody"), "ACL GETUSER nobody", Is("None")).admin(),
        case(acl_list(), "ACL LIST", ANY).admin(),
        case(acl_load(), "ACL LOAD", Is("! ERR")).admin(),
        case(acl_log().count(5), "ACL LOG 5", Is("[]")).admin(),
        case(acl_log_reset(), "ACL LOG RESET", Is("()")).admin(),
        case(acl_resttoken("ada", "pw"), "ACL RESTTOKEN ada pw", ANY),
        case(acl_save(), "ACL SAVE", Is("! ERR")).admin(),
        case(acl_setuser("ada", ["on", "~cache:*"]), "ACL SETUSER ada on ~cache:*", Is("()"))
            .admin(),
        case(acl_users(), "ACL USERS", Is(r#"["ada", "default"]"#)).admin(),
        case(acl_whoami(), "ACL WHOAMI", Is(r#""default""#)).admin(),
    ]
}
