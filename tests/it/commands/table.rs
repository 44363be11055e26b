//! The table in the documentation, and the commands that it lacks.

use redis_rest::{Client, cmd};
use redis_rest_server::MemoryBackend;
#[cfg(feature = "native")]
use redis_rest_test_support::redis_test;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Commands without a typed form, and the reasons. `cmd("NAME")` sends them nevertheless, unless
/// REST cannot carry them.
const WITHOUT: &[(&str, &str)] = &[
    (
        "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF",
        "block, which REST cannot carry",
    ),
    (
        "ASKING AUTH CLIENT HELLO QUIT READONLY READWRITE REPLCONF RESET SELECT PSYNC SYNC",
        "belong to a connection, which requests do not have to themselves",
    ),
    (
        "MULTI EXEC DISCARD WATCH UNWATCH",
        "`Client::transaction` does it in one request; nothing can be watched",
    ),
    (
        "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR",
        "take over a connection: `Client::subscribe`, `psubscribe` and `monitor` are the way",
    ),
    (
        "BGREWRITEAOF BGSAVE CLUSTER DEBUG FAILOVER LATENCY MEMORY MIGRATE MODULE PFDEBUG PFSELFTEST REPLICAOF RESTORE-ASKING SAVE \
         SCRIPT SHUTDOWN SLAVEOF SWAPDB MOVE",
        "administer a server or its databases (parts of `LATENCY`, `MEMORY` and `SCRIPT` are typed)",
    ),
    (
        "EXPIRE EXPIREAT EXPIRETIME TTL HEXPIRE HEXPIREAT HEXPIRETIME HTTL SETEX",
        "in whole seconds: the exact forms are typed",
    ),
    (
        "BRPOPLPUSH GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO HMSET RPOPLPUSH SUBSTR ZRANGEBYLEX ZRANGEBYSCORE \
         ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE",
        "deprecated: newer ones do the same",
    ),
    (
        "COMMAND OBJECT PUBSUB XGROUP XINFO ACL CONFIG FUNCTION SLOWLOG",
        "their subcommands are typed",
    ),
    (
        "SEARCH.AGGREGATE SEARCH.ALIASADD SEARCH.ALIASDEL SEARCH.COUNT SEARCH.CREATE SEARCH.DESCRIBE SEARCH.DROP SEARCH.LISTALIASES \
         SEARCH.LISTINDEXES SEARCH.QUERY SEARCH.REINDEX SEARCH.WAITINDEXING",
        "one vendor's own query language, as JSON texts",
    ),
];

/// Subcommands without a typed form.
#[cfg(feature = "native")]
const SUBCOMMANDS_WITHOUT: &[&str] = &[
    "LATENCY GRAPH",
    "LATENCY HISTOGRAM",
    "MEMORY MALLOC-STATS",
    "COMMAND GETKEYSANDFLAGS",
    "SCRIPT DEBUG",
];

fn without(name: &str) -> bool {
    WITHOUT.iter().flat_map(|(names, _)| names.split_ascii_whitespace()).any(|known| known == name)
}

fn typed(name: &str) -> bool {
    cmd::table().any(|row| row.command == name)
}

/// Returns the commands of the embedded engine. Without arguments only flushes run, and the engine
/// is empty.
async fn embedded() -> BTreeSet<&'static str> {
    let client = Client::from_backend(MemoryBackend::new());
    let mut known = BTreeSet::new();
    for row in cmd::table() {
        let unknown = match client.run::<redis_rest::Value>(cmd(row.command)).await {
            Ok(_) => false,
            Err(error) => error.server_message().is_none_or(|text| {
                text.contains("unknown command") || text.contains("unknown subcommand")
            }),
        };
        if !unknown {
            known.insert(row.command);
        }
    }
    known
}

fn table(embedded: &BTreeSet<&str>) -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Each method of `Client` is a function of `redis_rest::cmd` too, for pipelines and transactions. *Sent again* says what happens \
         to it when its reply was lost: `yes` where it reads or has the same effect and reply, `effect` where the second reply may \
         differ, `no` where it is not sent again, `by arguments` where those decide. *Embedded* are the commands that the embedded \
         engine of `redis-rest-server` has, and `redis-rest serve` without `--redis`. This file is made from the declarations:\n\
         `UPDATE_DOCS=1 cargo test --test it commands::table`.\n",
    );
    let mut group = "";
    for row in cmd::table() {
        if row.group != group {
            group = row.group;
            write!(text, "\n## {group}\n\n| command | method | since | sent again | embedded |\n|---|---|---|---|---|\n").unwrap();
        }
        use redis_rest::Idempotency::{EffectIdempotent, Idempotent, NonIdempotent, ReadOnly};
        let safety = match row.safety {
            Some(ReadOnly | Idempotent) => "yes",
            Some(EffectIdempotent) => "effect",
            Some(NonIdempotent) => "no",
            None => "by arguments",
        };
        let has = if embedded.contains(row.command) { "yes" } else { "" };
        writeln!(
            text,
            "| [`{}`]({}) | `{}` | {} | {safety} | {has} |",
            row.command,
            row.url(),
            row.method,
            row.since
        )
        .unwrap();
    }
    text.push_str("\n## Without a typed form\n\n`client.run(cmd(\"NAME\").arg(…))` sends any command.\n\n| commands | why |\n|---|---|\n");
    for (names, reason) in WITHOUT {
        let names: Vec<_> =
            names.split_ascii_whitespace().map(|name| format!("`{name}`")).collect();
        writeln!(text, "| {} | {reason} |", names.join(" ")).unwrap();
    }
    text
}

#[tokio::test]
async fn the_documentation_has_the_declared_commands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let wanted = table(&embedded().await);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == wanted,
        "docs/commands.md is not what the declarations say: UPDATE_DOCS=1 writes it"
    );
}

#[test]
fn vendor_commands_over_rest_are_typed_or_listed() {
    let table = include_str!("../../fixtures/vendor-commands.tsv");
    let mut seen = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split('\t').collect();
        let name = fields[1].split(' ').next().unwrap();
        let subcommands = cmd::table()
            .any(|row| row.command.split_once(' ').is_some_and(|(container, _)| container == name));
        assert!(
            typed(fields[1]) || without(fields[1]) || without(name) || subcommands,
            "{}",
            fields[1]
        );
        seen += 1;
    }
    assert!(seen > 250, "{seen}");
}

#[cfg(feature = "native")]
#[tokio::test]
async fn server_commands_are_typed_or_listed() {
    let redis = redis_test!();
    let client = redis_rest::Client::from_backend(redis.backend().await);
    let listed: Vec<String> = client.command_list().await.unwrap();
    let names: BTreeSet<String> =
        listed.iter().map(|name| name.to_ascii_uppercase().replace('|', " ")).collect();
    let mut missing = Vec::new();
    for name in &names {
        let known = match name.split_once(' ') {
            None => typed(name) || without(name),
            Some((_, "HELP")) => true,
            Some((container, _)) => {
                let some_are_typed =
                    cmd::table().any(|row| row.command.starts_with(&format!("{container} ")));
                typed(name) || SUBCOMMANDS_WITHOUT.contains(&name.as_str()) || !some_are_typed
            }
        };
        if !known {
            missing.push(name);
        }
    }
    assert!(names.len() > 300 && missing.is_empty(), "{missing:?} of {}", names.len());
    let twice: Vec<_> = cmd::table()
        .filter(|row| without(row.command) && row.command != "COMMAND")
        .map(|row| row.command)
        .collect();
    assert!(twice.is_empty(), "typed, and said not to be: {twice:?}");
}
