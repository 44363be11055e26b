//! The idempotency table against a real server's command flags, and the commands that REST refuses
//! to carry.

use redis_rest::{Client, Command, ErrorKind, Idempotency, Outcome, Value, cmd};
use redis_rest_test_support::redis_test;

/// Flagged `write`, but read-only without an option that these calls do not have.
const READS_WITHOUT_AN_OPTION: &[(&str, &str)] = &[
    ("SORT", "writes with STORE only"),
    ("GEORADIUS", "writes with STORE or STOREDIST only"),
    ("GEORADIUSBYMEMBER", "writes with STORE or STOREDIST only"),
    ("BITFIELD", "writes with SET or INCRBY only"),
];

fn text(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("no text: {other:?}"),
    }
}

/// Collects every command and subcommand with its flags.
fn flatten(entries: &Value, found: &mut Vec<(String, Vec<String>)>) {
    let Value::Array(entries) = entries else { return };
    for entry in entries {
        let Value::Array(fields) = entry else { panic!("no entry: {entry:?}") };
        let Value::Array(flags) = &fields[2] else { panic!("no flags: {entry:?}") };
        found.push((
            text(&fields[0]).replace('|', " ").to_ascii_uppercase(),
            flags.iter().map(text).collect(),
        ));
        if let Some(subcommands) = fields.get(9) {
            flatten(subcommands, found);
        }
    }
}

/// Returns a call of `name` with arguments, none of which is an option.
fn call(name: &str) -> Command {
    cmd(name).arg("a").arg("b").arg("c").arg("d")
}

#[tokio::test]
async fn read_only_is_what_redis_flags_so() {
    let redis = redis_test!();
    let client = Client::from_backend(redis.backend().await);
    let reply: Value = client.run(cmd("COMMAND")).await.unwrap();
    let mut commands = Vec::new();
    flatten(&reply, &mut commands);
    assert!(commands.len() > 200, "{}", commands.len());
    let listed = |list: &[(&str, &str)], name: &str| list.iter().any(|(known, _)| *known == name);
    let mut wrong = Vec::new();
    for (name, flags) in &commands {
        let safety = call(name).idempotency();
        let has = |flag: &str| flags.iter().any(|known| known == flag);
        let right = match (has("readonly"), has("write")) {
            (true, _) => safety == Idempotency::ReadOnly,
            (_, true) => safety != Idempotency::ReadOnly || listed(READS_WITHOUT_AN_OPTION, name),
            // Neither: touches no key, or administers.
            _ => true,
        };
        if !right {
            wrong.push((name, safety, flags));
        }
        // A command that may change a server is not sent twice; its reports may be.
        let harmless = matches!(safety, Idempotency::NonIdempotent | Idempotency::ReadOnly);
        assert!(!has("admin") || harmless, "{name}: {safety:?}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn blocking_and_connection_state_commands_are_refused() {
    let redis = redis_test!();
    let native = Client::from_backend(redis.backend().await);
    let reply: Value = native.run(cmd("COMMAND")).await.unwrap();
    let mut commands = Vec::new();
    flatten(&reply, &mut commands);
    // No server listens there: every request fails to connect.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::builder()
        .url(format!("http://127.0.0.1:{port}"))
        .token("t")
        .no_retry()
        .build()
        .unwrap();
    let blocking = commands
        .iter()
        .filter(|(_, flags)| flags.iter().any(|flag| flag == "blocking"))
        .map(|(name, _)| match &**name {
            "XREAD" => cmd("XREAD BLOCK 0 STREAMS s $"),
            "XREADGROUP" => cmd("XREADGROUP GROUP g c BLOCK 0 STREAMS s >"),
            name => call(name),
        });
    let connection = "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MULTI EXEC DISCARD WATCH UNWATCH AUTH HELLO \
                      QUIT RESET CLIENT MONITOR WAIT WAITAOF READONLY READWRITE ASKING SYNC PSYNC REPLCONF";
    let connection = connection.split_ascii_whitespace().map(call).chain([
        cmd("select 1"),
        cmd("client id"),
        cmd("multi"),
    ]);
    let mut seen = 0;
    for command in blocking.chain(connection) {
        let error = client.run::<Value>(command.clone()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome(), error.attempts()),
            (ErrorKind::Unsupported, Outcome::NotApplied, 0),
            "{command:?}"
        );
        assert!(error.to_string().contains("connection that all requests share"), "{error}");
        // A single such command holds back the whole batch.
        let (mut pipe, mut tx) = (client.pipeline(), client.transaction());
        for command in [cmd("SET").arg("k").arg("v"), command] {
            let _ = (pipe.add_raw::<Value>(command.clone()), tx.add_raw::<Value>(command));
        }
        assert_eq!(pipe.send().await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(tx.send().await.unwrap_err().kind(), ErrorKind::Unsupported);
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
    for command in [
        cmd("SELECT 0"),
        cmd("XREAD COUNT 1 STREAMS block 0"),
        cmd("PUBLISH c m"),
        cmd("PUBSUB CHANNELS"),
    ] {
        assert!(
            client.run::<Value>(command.clone()).await.unwrap_err().is_connect(),
            "{command:?} is sent"
        );
    }
}
