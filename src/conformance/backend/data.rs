//! Single commands on every type.

use super::{Keys, refused, unfit};
use crate::client::Client;
use crate::command::groups::Ttl;
use crate::value::{Json, Value};
use crate::{UnixTime, cmd};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

/// Values of any bytes are unchanged.
pub async fn strings(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("value");
    assert_eq!(client.get::<Option<String>>(&key).await.unwrap(), None, "a missing key is nil");
    for text in [
        "",
        "OK",
        "007",
        "null",
        "1.0",
        " ",
        "\"\\\r\n\t\0",
        "ü😀\u{2028}",
        "T0s=",
        "[1]",
        "{\"error\":\"ERR\"}",
    ] {
        client.set(&key, text).await.unwrap();
        assert_eq!(client.get::<String>(&key).await.unwrap(), text);
        assert!(
            client.get::<Value>(&key).await.unwrap() == Value::bytes(text.to_owned()),
            "a stored OK is no status: {text:?}"
        );
    }
    unfit({
        client.set(&key, "007").await.unwrap();
        client.get::<i64>(&key).await
    });
    let every_byte: Vec<u8> = (0..=255).collect();
    client.set(&key, &every_byte).await.unwrap();
    assert_eq!(client.get::<Bytes>(&key).await.unwrap(), every_byte);
    assert_eq!(client.strlen(&key).await.unwrap(), 256);
    client.set(&key, &b"\xff"[..]).ex(Duration::from_secs(100)).await.unwrap();
    assert_eq!(client.get::<Bytes>(&key).await.unwrap(), &b"\xff"[..]);
    assert!(
        matches!(client.ttl(&key).await.unwrap(), Ttl::Expires(_)),
        "options after raw bytes count"
    );

    client.set(&key, "Hello").await.unwrap();
    assert_eq!(client.append(&key, " World").await.unwrap(), 11);
    assert_eq!(client.getrange::<String>(&key, -5, -1).await.unwrap(), "World");
    assert_eq!(client.setrange(&key, 6, "Redis").await.unwrap(), 11);
    assert_eq!(client.getset::<String>(&key, "new").await.unwrap(), "Hello Redis");
    assert!(!client.set(&key, "x").nx().await.unwrap(), "NX on a key that is there");
    assert!(client.set(&key, "y").xx().await.unwrap(), "XX on a key that is there");
    assert_eq!(client.set(&key, "z").get::<String>().await.unwrap().as_deref(), Some("y"));
    assert_eq!(client.getdel::<Option<String>>(&key).await.unwrap().as_deref(), Some("z"));
    assert!(!client.set(&key, "x").xx().await.unwrap(), "XX on a missing key");

    let (a, b) = (keys.key("a"), keys.key("b"));
    client.mset([(&a, "1"), (&b, "2")]).await.unwrap();
    assert!(!client.msetnx([(&a, "3"), (&key, "3")]).await.unwrap(), "MSETNX sets all or none");
    let read: Vec<Option<String>> = client.mget([&a, &key, &b]).await.unwrap();
    assert_eq!(read, [Some("1".to_owned()), None, Some("2".to_owned())]);
    client.set(&a, Json(vec![1, 2])).await.unwrap();
    assert_eq!(client.get::<Json<Vec<i32>>>(&a).await.unwrap().0, [1, 2]);
}

/// Integers are exact over the whole range.
pub async fn integers(client: &Client) {
    let key = Keys::new().key("n");
    for n in [i64::MIN, i64::MIN + 1, -1, 0, (1 << 53) + 1, i64::MAX] {
        client.set(&key, n).await.unwrap();
        assert_eq!(client.get::<i64>(&key).await.unwrap(), n);
        assert_eq!(client.incrby(&key, 0).await.unwrap(), n, "as an integer reply");
    }
    refused(client.incr(&key).await, "ERR");
    assert_eq!(client.get::<i64>(&key).await.unwrap(), i64::MAX, "an overflow changes nothing");
    assert_eq!(client.decrby(&key, 7).await.unwrap(), i64::MAX - 7);
    for text in ["007", "1 ", "a", "9223372036854775808", ""] {
        client.set(&key, text).await.unwrap();
        refused(client.incr(&key).await, "ERR");
    }
    client.set(&key, "10.5").await.unwrap();
    assert!((client.incrbyfloat(&key, 0.1).await.unwrap() - 10.6).abs() < 1e-9);
}

/// Keys as such.
pub async fn keys(client: &Client) {
    let keys = Keys::new();
    let (a, b) = (keys.key("ü😀 /?&%#\"\\\n"), keys.key(""));
    client.set(&a, "1").await.unwrap();
    assert_eq!(
        client.exists([&a, &a, &b]).await.unwrap(),
        2,
        "EXISTS counts a key as often as it is named"
    );
    assert_eq!(client.key_type(&a).await.unwrap(), "string");
    assert_eq!(client.key_type(&b).await.unwrap(), "none");
    client.rename(&a, &b).await.unwrap();
    refused(client.rename(&a, &b).await, "ERR");
    assert_eq!(client.get::<String>(&b).await.unwrap(), "1");
    client.set(&a, "2").await.unwrap();
    assert!(!client.renamenx(&a, &b).await.unwrap(), "RENAMENX does not overwrite");
    assert_eq!(client.del([&a, &b, &b]).await.unwrap(), 2);
    assert_eq!(client.unlink([&a]).await.unwrap(), 0);
    client.set(&a, "").await.unwrap();
    assert_eq!(client.exists([&a]).await.unwrap(), 1, "an empty value is a value");
    assert!(client.ping().await.unwrap() > Duration::ZERO);
    assert_eq!(client.run::<String>(cmd::ping().into_command()).await.unwrap(), "PONG");
    assert_eq!(client.echo::<String>("OK").await.unwrap(), "OK");
}

/// Times to live.
pub async fn ttls(client: &Client) {
    let key = Keys::new().key("ttl");
    let hour = Duration::from_secs(3600);
    let within = |ttl, most| matches!(ttl, Ttl::Expires(left) if left <= most && left > most - Duration::from_secs(60));
    assert_eq!(client.ttl(&key).await.unwrap(), Ttl::Missing);
    assert!(!client.expire(&key, hour).await.unwrap(), "EXPIRE on a missing key");
    client.set(&key, "v").await.unwrap();
    assert_eq!(client.ttl(&key).await.unwrap(), Ttl::Persistent);
    assert!(client.expire(&key, hour).await.unwrap());
    assert!(within(client.ttl(&key).await.unwrap(), hour));
    client.set(&key, "w").keep_ttl().await.unwrap();
    assert!(within(client.ttl(&key).await.unwrap(), hour), "KEEPTTL keeps");
    assert!(client.persist(&key).await.unwrap());
    assert!(!client.persist(&key).await.unwrap(), "PERSIST where there is no TTL");
    client.set(&key, "v").ex(hour).await.unwrap();
    client.set(&key, "v").await.unwrap();
    assert_eq!(client.ttl(&key).await.unwrap(), Ttl::Persistent, "SET drops the TTL");
    assert!(client.expire_at(&key, UnixTime::from_millis(1)).await.unwrap());
    assert_eq!(
        client.get::<Option<String>>(&key).await.unwrap(),
        None,
        "a time in the past deletes"
    );
    refused(client.run::<Value>(cmd("SET").arg(&key).arg("v").arg("EX").arg(0)).await, "ERR");
    refused(client.run::<Value>(cmd("SET").arg(&key).arg("v").arg("EX")).await, "ERR");
}

/// The conditions of `EXPIRE`, since Redis 7.0.
pub async fn expire_conditions(client: &Client) {
    let key = Keys::new().key("ttl");
    let hour = Duration::from_secs(3600);
    client.set(&key, "v").ex(hour).await.unwrap();
    assert!(!client.expire(&key, hour).nx().await.unwrap(), "NX where there is a TTL");
    assert!(!client.expire(&key, hour / 2).gt().await.unwrap(), "GT with a shorter one");
}

/// Hashes.
pub async fn hashes(client: &Client) {
    let key = Keys::new().key("hash");
    assert_eq!(client.hgetall::<HashMap<String, String>>(&key).await.unwrap(), HashMap::new());
    assert_eq!(client.hset(&key, [("a", "1"), ("", "empty"), ("ü", "")]).await.unwrap(), 3);
    assert_eq!(
        client.hset(&key, [("a", "2"), ("b", "3")]).await.unwrap(),
        1,
        "only new fields count"
    );
    let all: HashMap<String, String> = client.hgetall(&key).await.unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!((all["a"].as_str(), all[""].as_str(), all["ü"].as_str()), ("2", "empty", ""));
    assert_eq!(client.hget::<Option<String>>(&key, "none").await.unwrap(), None);
    assert_eq!(
        client.hmget::<String>(&key, ["b", "none"]).await.unwrap(),
        [Some("3".to_owned()), None]
    );
    assert!(!client.hsetnx(&key, "a", "x").await.unwrap());
    assert_eq!(client.hincrby(&key, "n", -5).await.unwrap(), -5);
    refused(client.hincrby(&key, "ü", 1).await, "ERR");
    client.hset(&key, [("raw", &b"\xff\0"[..])]).await.unwrap();
    assert_eq!(client.hget::<Bytes>(&key, "raw").await.unwrap(), &b"\xff\0"[..]);
    assert_eq!(client.hlen(&key).await.unwrap(), 6);
    assert_eq!(client.hdel(&key, ["a", "b", "none"]).await.unwrap(), 2);
    assert!(!client.hexists(&key, "a").await.unwrap());
    client.hdel(&key, ["", "ü", "n", "raw"]).await.unwrap();
    assert_eq!(client.exists([&key]).await.unwrap(), 0, "an empty hash is no key");
}

/// Lists.
pub async fn lists(client: &Client) {
    let key = Keys::new().key("list");
    assert_eq!(client.rpush(&key, ["b", "c"]).await.unwrap(), 2);
    assert_eq!(client.lpush(&key, ["a", ""]).await.unwrap(), 4);
    assert_eq!(client.lrange::<String>(&key, 0, -1).await.unwrap(), ["", "a", "b", "c"]);
    assert_eq!(client.lrange::<String>(&key, 5, 9).await.unwrap(), [""; 0]);
    assert_eq!(client.lindex::<Option<String>>(&key, -1).await.unwrap().as_deref(), Some("c"));
    assert_eq!(client.lindex::<Option<String>>(&key, 9).await.unwrap(), None);
    client.lset(&key, 0, "z").await.unwrap();
    refused(client.lset(&key, 9, "z").await, "ERR");
    assert_eq!(client.lrem(&key, 0, "a").await.unwrap(), 1);
    client.ltrim(&key, 0, 1).await.unwrap();
    assert_eq!(client.llen(&key).await.unwrap(), 2);
    assert_eq!(client.lpop::<Option<String>>(&key).await.unwrap().as_deref(), Some("z"));
    assert_eq!(client.rpop::<Option<String>>(&key).await.unwrap().as_deref(), Some("b"));
    assert_eq!(client.rpop::<Option<String>>(&key).await.unwrap(), None);
}

/// Sets.
pub async fn sets(client: &Client) {
    let keys = Keys::new();
    let (a, b) = (keys.key("a"), keys.key("b"));
    let set = |members: &[&str]| {
        members.iter().map(|member| (*member).to_owned()).collect::<BTreeSet<String>>()
    };
    assert_eq!(client.sadd(&a, ["x", "y", "y", ""]).await.unwrap(), 3);
    assert_eq!(client.sadd(&a, ["x"]).await.unwrap(), 0);
    client.sadd(&b, ["y", "z"]).await.unwrap();
    assert_eq!(client.smembers::<BTreeSet<String>>(&a).await.unwrap(), set(&["", "x", "y"]));
    assert_eq!(client.sinter::<BTreeSet<String>>([&a, &b]).await.unwrap(), set(&["y"]));
    assert_eq!(
        client.sunion::<BTreeSet<String>>([&a, &b]).await.unwrap(),
        set(&["", "x", "y", "z"])
    );
    assert_eq!(client.sdiff::<BTreeSet<String>>([&a, &b]).await.unwrap(), set(&["", "x"]));
    assert!(client.sismember(&a, "x").await.unwrap());
    assert_eq!(client.smismember(&a, ["x", "z"]).await.unwrap(), [true, false]);
    assert_eq!(client.srem(&a, ["x", "z"]).await.unwrap(), 1);
    assert_eq!(client.scard(&a).await.unwrap(), 2);
    assert!(client.spop::<Option<String>>(&b).await.unwrap().is_some());
    assert_eq!(client.scard(&b).await.unwrap(), 1);
    assert_eq!(client.smembers::<BTreeSet<String>>(keys.key("none")).await.unwrap(), set(&[]));
}

/// Sorted sets, with scores of any size.
pub async fn sorted_sets(client: &Client) {
    let key = Keys::new().key("zset");
    assert_eq!(
        client.zadd(&key, 1.5, "a").and(f64::INFINITY, "top").and(-0.1, "low").await.unwrap(),
        3
    );
    assert_eq!(client.zadd(&key, 9.0, "a").nx().await.unwrap(), 0);
    assert_eq!(client.zscore(&key, "a").await.unwrap(), Some(1.5));
    assert_eq!(client.zscore(&key, "none").await.unwrap(), None);
    assert_eq!(client.zrange::<String>(&key).await.unwrap(), ["low", "a", "top"]);
    assert_eq!(client.zrange::<String>(&key).by_rank(0..1).rev().await.unwrap(), ["top"]);
    assert_eq!(
        client
            .zrange::<String>(&key)
            .by_score((Bound::Excluded(-1.0), Bound::Included(2.0)))
            .limit(1, 5)
            .await
            .unwrap(),
        ["a"]
    );
    let scored = client.zrange::<String>(&key).with_scores().await.unwrap();
    assert_eq!(
        scored,
        [("low".to_owned(), -0.1), ("a".to_owned(), 1.5), ("top".to_owned(), f64::INFINITY)]
    );
    assert_eq!(client.zrank(&key, "top").await.unwrap(), Some(2));
    assert_eq!(client.zcount(&key, ..1.5).await.unwrap(), 1);
    assert_eq!(client.zincrby(&key, 0.5, "a").await.unwrap(), 2.0);
    refused(client.run::<Value>(cmd("ZADD").arg(&key).arg("nan").arg("m")).await, "ERR");
    assert_eq!(client.zremrangebyscore(&key, ..=0.0).await.unwrap(), 1);
    assert_eq!(client.zpopmin::<String>(&key).await.unwrap(), [("a".to_owned(), 2.0)]);
    assert_eq!(client.zrem(&key, ["top", "none"]).await.unwrap(), 1);
    assert_eq!(client.zcard(&key).await.unwrap(), 0);
}

/// `SCAN` returns every key that exists all the time.
pub async fn scanning(client: &Client) {
    let keys = Keys::new();
    let wanted: BTreeSet<String> = (0..50).map(|n| keys.key(&format!("scan:{n}"))).collect();
    let mut pipe = client.pipeline();
    for key in &wanted {
        let _ = pipe.add(cmd::set(key, "v"));
    }
    pipe.send().await.unwrap().all::<()>().unwrap();
    let (mut cursor, mut found) = (0, BTreeSet::new());
    loop {
        let (next, page) = client
            .scan()
            .cursor(cursor)
            .match_pattern(keys.key("scan:*"))
            .count(7)
            .of_type("string")
            .await
            .unwrap();
        found.extend(page.into_iter().map(|key| String::from_utf8(key.to_vec()).unwrap()));
        if next == 0 {
            break;
        }
        cursor = next;
    }
    assert_eq!(found, wanted);
}

/// A value of a megabyte is unchanged.
pub async fn large_values(client: &Client) {
    let key = Keys::new().key("large");
    let text: String = ('a'..='z').cycle().take(1 << 20).collect();
    client.set(&key, &text).await.unwrap();
    assert!(client.get::<String>(&key).await.unwrap() == text, "text of 1 MiB");
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    client.set(&key, &bytes).await.unwrap();
    assert!(client.get::<Bytes>(&key).await.unwrap() == bytes, "bytes of 1 MiB");
    client.del([&key]).await.unwrap();
}

/// Errors carry Redis's code and text.
pub async fn errors(client: &Client) {
    let key = Keys::new().key("text");
    client.set(&key, "v").await.unwrap();
    let error = refused(client.lpush(&key, ["x"]).await, "WRONGTYPE");
    assert_eq!(
        error.server_message(),
        Some("WRONGTYPE Operation against a key holding the wrong kind of value")
    );
    let error = refused(client.run::<Value>(cmd("NOSUCHCOMMAND").arg("s3cret")).await, "ERR");
    assert!(
        error
            .server_message()
            // Redis 6.2 quotes it by backticks.
            .is_some_and(|text| text
                .replace('`', "'")
                .starts_with("ERR unknown command 'NOSUCHCOMMAND'"))
    );
    assert!(!format!("{error} {error:?}").contains("s3cret"), "arguments stay out of error texts");
    // Redis quotes 128 bytes of it, cut within a character; the connection must survive that.
    refused(
        client.run::<Value>(cmd("NOSUCHCOMMAND").arg(format!("x{}", "é".repeat(200)))).await,
        "ERR",
    );
    let error = refused(client.run::<Value>(cmd("GET")).await, "ERR");
    assert_eq!(error.server_message(), Some("ERR wrong number of arguments for 'get' command"));
    assert!(
        client.run::<Value>(cmd("SUBSCRIBE").arg("c")).await.is_err(),
        "one reply for one command"
    );
    assert!(client.run::<Value>(cmd("MULTI")).await.is_err());
    assert_eq!(client.get::<String>(&key).await.unwrap(), "v");
}
