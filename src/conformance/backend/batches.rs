//! Pipelines, transactions and scripts.

use super::{Keys, refused};
use crate::client::Client;
use crate::cmd;
use crate::command::Script;
use crate::error::{Error, ErrorKind};
use crate::value::Value;
use bytes::Bytes;

/// Returns one result for each command, in order; a failing one does not affect the others.
pub async fn pipelines(client: &Client) {
    let keys = Keys::new();
    let (text, n) = (keys.key("text"), keys.key("n"));
    let mut pipe = client.pipeline();
    let set = pipe.add(cmd::set(&text, "OK"));
    let wrong = pipe.add(cmd::lpush(&text, ["x"]));
    let unknown = pipe.add_raw::<Value>(cmd("NOSUCHCOMMAND"));
    let get = pipe.add(cmd::get::<String>(&text));
    let missing = pipe.add(cmd::get::<Option<String>>(&n));
    let first = pipe.add(cmd::incr(&n));
    let second = pipe.add(cmd::incr(&n));
    let mut replies = pipe.send().await.unwrap();
    assert_eq!(replies.len(), 7);
    replies.take(set).unwrap();
    refused(replies.take(wrong), "WRONGTYPE");
    refused(replies.take(unknown), "ERR");
    assert_eq!(replies.take(get).unwrap(), "OK");
    assert_eq!(replies.take(missing).unwrap(), None);
    assert_eq!((replies.take(first).unwrap(), replies.take(second).unwrap()), (1, 2));

    assert!(client.pipeline().send().await.unwrap().is_empty());
    let mut long = client.pipeline();
    for _ in 0..2500 {
        let _ = long.add(cmd::incr(&n));
    }
    let numbers: Vec<i64> = long.send().await.unwrap().all().unwrap();
    assert!(numbers == (3..=2502).collect::<Vec<_>>(), "2500 entries in order");
}

/// All or nothing for what Redis refuses to queue; run-time errors do not undo the others.
pub async fn transactions(client: &Client) {
    let keys = Keys::new();
    let (text, n) = (keys.key("text"), keys.key("n"));
    let mut tx = client.transaction();
    let set = tx.add(cmd::set(&text, "v"));
    let wrong = tx.add(cmd::incr(&text));
    let incr = tx.add(cmd::incr(&n));
    let get = tx.add(cmd::get::<Option<String>>(keys.key("none")));
    let mut replies = tx.send().await.unwrap();
    replies.take(set).unwrap();
    refused(replies.take(wrong), "ERR");
    assert_eq!(replies.take(incr).unwrap(), 1);
    assert_eq!(replies.take(get).unwrap(), None);

    for bad in [cmd("NOSUCHCOMMAND"), cmd("GET")] {
        let mut tx = client.transaction();
        let _ = tx.add(cmd::incr(&n));
        let _ = tx.add_raw::<Value>(bad);
        let error = tx.send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Discarded, "{error}");
        assert!(!error.maybe_applied());
    }
    assert_eq!(client.get::<i64>(&n).await.unwrap(), 1, "a discarded transaction did nothing");
    assert!(client.transaction().send().await.unwrap().is_empty());

    // Concurrent readers see both writes or none.
    let (left, right) = (keys.key("left"), keys.key("right"));
    client.mset([(&left, 0), (&right, 0)]).await.unwrap();
    let write = async {
        for _ in 0..50 {
            let mut tx = client.transaction();
            let _ = tx.add(cmd::incr(&left));
            let _ = tx.add(cmd::incr(&right));
            tx.send().await.unwrap().all::<i64>().unwrap();
        }
    };
    let read = async {
        for _ in 0..50 {
            let pair: Vec<Option<i64>> = client.mget([&left, &right]).await.unwrap();
            assert_eq!(pair[0], pair[1], "a reader came between the two writes");
        }
    };
    // Polls both in turn on one task, so that their requests overlap.
    let (mut write, mut read) = (Box::pin(write), Box::pin(read));
    let (mut wrote, mut has_read) = (false, false);
    std::future::poll_fn(|cx| {
        wrote = wrote || write.as_mut().poll(cx).is_ready();
        has_read = has_read || read.as_mut().poll(cx).is_ready();
        if wrote && has_read { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Scripts: sent by hash, then as text; replies of every type.
pub async fn scripts(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("n");
    // A unique text, which no server can have yet.
    let script =
        Script::new(format!("-- {}\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])", keys.key("")));
    for wanted in [3, 6] {
        assert_eq!(script.key(&key).arg(3).call::<i64>().on(client).await.unwrap(), wanted);
    }
    refused(client.evalsha::<Value>("0".repeat(40), (), ()).await, "NOSCRIPT");
    let sha1 = client.script_load("return 1").await.unwrap();
    assert_eq!(
        client.script_exists([sha1.as_str(), &"0".repeat(40)]).await.unwrap(),
        [true, false]
    );

    let nested = "return {1, 'OK', {ARGV[1], false, {}}, redis.status_reply('OK'), redis.status_reply('FINE'), true, 3.9, nil, 5}";
    let reply: Value = client.eval(nested, (), [&b"\xff"[..]]).await.unwrap();
    let wanted = vec![
        Value::Int(1),
        Value::bytes("OK"),
        Value::Array(vec![Value::bytes(&b"\xff"[..]), Value::Nil, Value::Array(Vec::new())]),
        Value::Okay,
        Value::bytes("FINE"),
        Value::Int(1),
        Value::Int(3),
    ];
    assert!(reply == Value::Array(wanted), "nested replies, ended by nil, as Redis converts them");
    type Mixed = (i64, Result<i64, Error>);
    let (number, error) =
        client.eval::<Mixed>("return {7, redis.pcall('GET')}", (), ()).await.unwrap();
    assert_eq!(number, 7);
    assert_eq!(
        error.unwrap_err().redis_code(),
        Some("ERR"),
        "an error among the elements keeps the others"
    );
    let error = client
        .eval::<Value>("return redis.error_reply('MYCODE of mine')", (), ())
        .await
        .unwrap_err();
    assert_eq!(error.redis_code(), Some("MYCODE"));
    assert!(error.maybe_applied(), "a script can write before it answers with an error");
    let error = client.eval::<Value>("not Lua", (), ()).await.unwrap_err();
    assert!(!error.maybe_applied(), "a script that does not compile did not run");
    // Bytes in an error that are not UTF-8 must not hurt the connection.
    assert!(client.eval::<Value>("return redis.error_reply('ERR \\255')", (), ()).await.is_err());
    let error = client
        .eval::<Value>(
            "redis.call('SET', KEYS[1], '1') return redis.call('LPUSH', KEYS[1], 'x')",
            [&key],
            (),
        )
        .await;
    assert!(error.unwrap_err().maybe_applied(), "a script that failed had already written");
    assert_eq!(client.get::<Bytes>(&key).await.unwrap(), "1");
}

/// Scripts that the server does not have, in a pipeline and in a transaction.
pub async fn scripts_in_batches(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("n");
    let fresh = |name: &str| {
        Script::new(format!("-- {}\nreturn redis.call('INCR', KEYS[1])", keys.key(name)))
    };
    let mut pipe = client.pipeline();
    let script = pipe.add(fresh("pipeline").key(&key).call::<i64>());
    let other = pipe.add(cmd::set(keys.key("other"), "v"));
    let mut replies = pipe.send().await.unwrap();
    assert_eq!(replies.take(script).unwrap(), 1);
    replies.take(other).unwrap();
    let mut tx = client.transaction();
    let script = tx.add(fresh("transaction").key(&key).call::<i64>());
    let after = tx.add(cmd::get::<i64>(&key));
    let mut replies = tx.send().await.unwrap();
    assert_eq!((replies.take(script).unwrap(), replies.take(after).unwrap()), (2, 2));
}
