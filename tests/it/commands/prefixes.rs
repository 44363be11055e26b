//! Clients with a prefix, and scans as streams, on a real server.

use super::cases;
use redis_rest::backend::{Backend, Reply};
use redis_rest::{BoxFuture, CallOptions, Client, Command, ErrorKind, Script, Value, cmd};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// A backend that records commands and replies nil.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Command>>>);

impl Backend for Recorder {
    fn execute<'a>(&'a self, command: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        self.0.lock().unwrap().push(command.clone());
        Box::pin(async { Ok(Value::Nil) })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async { commands.iter().map(|_| Ok(Value::Nil)).collect() })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, redis_rest::Result<Vec<Reply>>> {
        Box::pin(async { Ok(commands.iter().map(|_| Ok(Value::Nil)).collect()) })
    }
}

#[tokio::test]
async fn prefix_applies_to_the_keys_that_redis_reports() {
    let redis = redis_test!();
    let native = Client::from_backend(redis.backend().await);
    let recorder = Recorder::default();
    let scoped = Client::from_backend(recorder.clone()).with_prefix("app:");
    let mut compared = 0;
    for case in cases::all() {
        let known = native
            .run::<Vec<Vec<u8>>>(case.command.parts().fold(cmd("COMMAND GETKEYS"), Command::arg))
            .await;
        let wanted: Vec<Vec<u8>> = match known {
            Ok(keys) => keys,
            Err(error)
                if error.server_message().is_some_and(|text| text.contains("no key arguments")) =>
            {
                Vec::new()
            }
            // The server does not know the command.
            Err(_) => continue,
        };
        // Patterns, and commands that reach beyond the prefix.
        if ["SCAN", "KEYS", "SORT", "SORT_RO", "DBSIZE", "FLUSHALL", "FLUSHDB", "RANDOMKEY"]
            .iter()
            .any(|name| case.command.is(name))
        {
            continue;
        }
        let _ = scoped.run::<Value>(case.command.clone()).await.unwrap();
        let sent = recorder.0.lock().unwrap().pop().unwrap();
        let changed: Vec<_> = case
            .command
            .parts()
            .zip(sent.parts())
            .filter(|(before, after)| before != after)
            .collect();
        assert!(
            changed.iter().all(|(before, after)| [b"app:", *before].concat() == *after),
            "{}",
            case.wire
        );
        let got: BTreeSet<Vec<u8>> =
            changed.into_iter().map(|(before, _)| before.to_vec()).collect();
        assert_eq!(got, wanted.into_iter().collect(), "{}", case.wire);
        compared += 1;
    }
    assert!(compared > 180, "{compared}");
}

#[tokio::test]
async fn a_client_with_a_prefix_sees_its_own_keys_only() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let all = rest::client(&server);
    let app = all.with_prefix("a[p]").with_prefix(":");
    all.mset([("other", "1"), ("ap:k3", "2")]).await.unwrap();
    app.mset([("k1", "1"), ("k2", "2")]).await.unwrap();
    assert_eq!(all.get::<String>("a[p]:k1").await.unwrap(), "1");
    assert_eq!(
        app.keys::<BTreeSet<String>>("k*").await.unwrap(),
        ["k1".into(), "k2".into()].into()
    );
    let scanned: BTreeSet<bytes::Bytes> =
        app.scan().stream().collect::<Vec<_>>().await.unwrap().into_iter().collect();
    assert_eq!(scanned, [bytes::Bytes::from("k1"), "k2".into()].into());
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    assert_eq!(script.key("n").call::<i64>().on(&app).await.unwrap(), 1);
    assert_eq!(app.incr("n").exactly_once().await.unwrap(), 2);
    let mut tx = app.transaction();
    let (incr, list) = (tx.add(cmd::incr("n")), tx.add(cmd::rpush("l", ["x", "y"])));
    let pop = tx.add(cmd::lmpop::<String>(["l"], cmd::Side::Left));
    let keys = tx.add(cmd::keys::<BTreeSet<String>>("*"));
    let mut replies = tx.send().await.unwrap();
    assert_eq!((replies.take(incr).unwrap(), replies.take(list).unwrap()), (3, 2));
    assert_eq!(replies.take(pop).unwrap(), Some(("l".into(), vec!["x".into()])));
    assert!(replies.take(keys).unwrap().contains("l"));
    app.xadd("s", "1-1", [("f", "v")]).await.unwrap();
    let mut pipe = app.pipeline();
    let read = pipe.add(cmd::xread::<BTreeMap<String, String>>(&[("s", "0")]));
    assert_eq!(pipe.send().await.unwrap().take(read).unwrap().unwrap()[0].0, "s");
    app.rpush("numbers", ["2", "1"]).await.unwrap();
    app.mset([("weight_1", "9"), ("weight_2", "3")]).await.unwrap();
    let sorted = app.sort::<String>("numbers").by("weight_*").get("weight_*").await.unwrap();
    assert_eq!(sorted, [Some("3".into()), Some("9".into())]);
    for beyond in [cmd("FLUSHDB"), cmd("DBSIZE"), cmd("RANDOMKEY"), cmd("NEVER.HEARD.OF").arg("k")]
    {
        assert_eq!(app.run::<Value>(beyond).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(all.get::<String>("other").await.unwrap(), "1");
}

#[tokio::test]
async fn scans_send_one_request_per_page() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    let (client, sent) = rest::counted(&server);
    let fields: Vec<(String, u32)> = (0..1000).map(|n| (format!("f{n:04}"), n)).collect();
    client.hset("h", fields.as_slice()).await.unwrap();
    client.sadd("s", fields.iter().map(|(name, _)| name).collect::<Vec<_>>()).await.unwrap();
    let mut add = client.zadd("z", 0.0, "f0000");
    for (name, score) in &fields[1..] {
        add = add.and(f64::from(*score), name);
    }
    add.await.unwrap();
    client.mset(fields.as_slice()).await.unwrap();

    let hash: BTreeMap<_, _> = client
        .hscan("h")
        .count(50)
        .stream()
        .collect::<Vec<_>>()
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!((hash.len(), &hash[&b"f0007"[..]][..]), (1000, &b"7"[..]));
    let members: BTreeSet<_> = client
        .sscan("s")
        .match_pattern("f00*")
        .stream()
        .collect::<Vec<_>>()
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(members.len(), 100);
    let scores: Vec<_> = client.zscan("z").stream().collect::<Vec<_>>().await.unwrap();
    assert_eq!(scores.iter().map(|(_, score)| *score as u64).collect::<BTreeSet<_>>().len(), 1000);
    let before = sent.sent();
    let mut keys = client.scan().of_type("string").count(100).stream();
    keys.next().await.unwrap().unwrap();
    assert_eq!(sent.sent(), before + 1, "a page at a time");
    drop(keys);
    let keys: Vec<_> = client.scan().of_type("string").count(100).stream().collect().await.unwrap();
    assert!(keys.len() >= 1000);
    assert!((10..20).contains(&(sent.sent() - before - 1)), "{}", sent.sent() - before - 1);
    let mut wrong = client.sscan("h").stream();
    assert_eq!(wrong.next().await.unwrap().unwrap_err().redis_code(), Some("WRONGTYPE"));
    assert!(wrong.next().await.is_none(), "it ends after an error");
}
