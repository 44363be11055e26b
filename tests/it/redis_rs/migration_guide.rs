//! Calls of the `redis` crate and the equivalent calls of this crate: equal results, and the guide
//! shows both literally.

use super::over_tcp;
use futures_util::StreamExt;
use redis::AsyncCommands;
use redis::streams::StreamReadReply;
use redis_rest::{Client, Script, UnixTime, cmd};
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::rest;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

type Failure = Box<dyn Error>;
type Text = HashMap<String, String>;

/// Generates a test for each group, with separate servers; `same` names the comparison of results.
macro_rules! pairs {
    ($con:ident, $client:ident; $($name:ident { $($there:expr => $here:expr, $same:ident;)* })*) => {
        $(#[tokio::test]
        async fn $name() -> Result<(), Failure> {
            let (Some(one), Some(other)) = (Redis::start(), Redis::start()) else { return Ok(()) };
            #[allow(unused_mut)]
            let mut $con = over_tcp(&one).await;
            let server = rest::serve(other.backend().await).await;
            let $client = rest::client(&server);
            $($same!($there, $here);)*
            Ok(())
        })*

        #[test]
        fn the_guide_shows_these_calls() {
            let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
            let guide = without_blanks(include_str!("../../../docs/guide/from-redis-rs.md"));
            for code in [$($(stringify!($there), stringify!($here)),*),*] {
                let code = without_blanks(code);
                let cell = code.strip_prefix('{').and_then(|code| code.strip_suffix('}'));
                assert!(guide.contains(cell.unwrap_or(&code)), "the guide does not show {code}");
            }
        }
    };
}

macro_rules! equal {
    ($there:expr, $here:expr) => {
        assert_eq!($there, $here, "{}", stringify!($here));
    };
}

/// The guide names the difference.
macro_rules! differs {
    ($there:expr, $here:expr) => {{
        let (there, here) = ($there, $here);
        assert_ne!(format!("{there:?}"), format!("{here:?}"), "{}", stringify!($here));
    }};
}

macro_rules! entries {
    ($there:expr, $here:expr) => {{
        let (there, here): (Option<StreamReadReply>, _) = ($there, $here);
        let (there, here) = (there.ok_or("nothing")?, here.ok_or("nothing")?);
        let there: Vec<(String, Text)> = there.keys[0]
            .ids
            .iter()
            .map(|entry| {
                let text = |value| redis::from_redis_value_ref(value).unwrap_or_default();
                let fields = entry.map.iter().map(|(name, value)| (name.clone(), text(value)));
                (entry.id.clone(), fields.collect())
            })
            .collect();
        let here: Vec<(String, Text)> =
            here[0].1.iter().map(|entry| (entry.id.clone(), entry.fields.clone())).collect();
        assert_eq!(there, here);
    }};
}

macro_rules! listed {
    ($there:expr, $here:expr) => {{
        let there: Result<Vec<String>, _> = $there.into_iter().collect();
        let here: Vec<bytes::Bytes> = $here;
        assert_eq!(there?, here.iter().map(|key| String::from_utf8_lossy(key)).collect::<Vec<_>>());
    }};
}

pairs! { con, client;
    strings {
        con.set::<_, _, ()>("name", "Ada").await? => client.set("name", "Ada").await?, equal;
        con.set_ex::<_, _, ()>("name", "Ada", 60).await? => client.set("name", "Ada").ex(Duration::from_secs(60)).await?, equal;
        con.get::<_, Option<String>>("name").await? => client.get::<Option<String>>("name").await?, equal;
    }
    counters {
        con.incr::<_, _, i64>("visits", 2).await? => client.incrby("visits", 2).await?, equal;
    }
    deletes {
        con.set::<_, _, ()>("name", "Ada").await? => client.set("name", "Ada").await?, equal;
        con.del::<_, u64>("name").await? => client.del("name").await?, equal;
        con.del::<_, u64>(&["name", "visits"]).await? => client.del(["name", "visits"]).await?, equal;
    }
    instants {
        con.incr::<_, _, i64>("visits", 2).await? => client.incrby("visits", 2).await?, equal;
        con.expire_at::<_, bool>("visits", 4_102_444_800).await? => client.expire_at("visits", UnixTime::from_secs(4_102_444_800)).await?, equal;
    }
    several_keys {
        con.mset::<_, _, ()>(&[("a", 1), ("b", 2)]).await? => client.mset([("a", 1), ("b", 2)]).await?, equal;
        con.mget::<_, Vec<Option<i64>>>(&["a", "none"]).await? => client.mget::<i64>(["a", "none"]).await?, equal;
    }
    hashes {
        con.hset_multiple::<_, _, _, ()>("user", &[("name", "Ada"), ("city", "London")]).await? => client.hset("user", (("name", "Ada"), ("city", "London"))).await?, differs;
        con.hgetall::<_, HashMap<String, String>>("user").await? => client.hgetall::<HashMap<String, String>>("user").await?, equal;
    }
    lists_of_bytes {
        con.lpush::<_, _, u64>("jobs", b"\xff\x00").await? => client.lpush("jobs", b"\xff\x00").await?, equal;
        con.lrange::<_, Vec<Vec<u8>>>("jobs", 0, -1).await? => client.lrange::<Vec<u8>>("jobs", 0, -1).await?, equal;
    }
    sets_of_bytes {
        con.sadd::<_, _, u64>("tokens", b"tok-1").await? => client.sadd("tokens", b"tok-1").await?, equal;
        con.sismember::<_, _, bool>("tokens", b"tok-1").await? => client.sismember("tokens", b"tok-1").await?, equal;
    }
    sorted_sets {
        con.zadd::<_, _, _, u64>("board", "ada", 120).await? => client.zadd("board", 120.0, "ada").await?, equal;
        con.zrange_withscores::<_, Vec<(String, f64)>>("board", 0, -1).await? => client.zrange::<String>("board").with_scores().await?, equal;
    }
    streams {
        con.xadd::<_, _, _, _, Option<String>>("log", "1-1", &[("n", "1")]).await? => client.xadd("log", "1-1", [("n", "1")]).await?, equal;
        con.xread::<_, _, Option<StreamReadReply>>(&["log"], &["0"]).await? => client.xread::<HashMap<String, String>>(&[("log", "0")]).await?, entries;
    }
    scans {
        con.set::<_, _, ()>("user:1", "Ada").await? => client.set("user:1", "Ada").await?, equal;
        con.scan_match::<_, String>("user:*").await?.collect::<Vec<_>>().await => client.scan().match_pattern("user:*").stream().collect::<Vec<_>>().await?, listed;
    }
    transactions {
        redis::pipe().atomic().set("n", 1).ignore().incr("n", 1).query_async::<(i64,)>(&mut con).await? => {
            let mut tx = client.transaction();
            tx.push(cmd::set("n", 1));
            let n = tx.add(cmd::incr("n"));
            tx.send().await?.take((n,))?
        }, equal;
    }
    scripts {
        redis::Script::new("return ARGV[1]").arg("x").invoke_async::<String>(&mut con).await? => Script::new("return ARGV[1]").args(["x"]).call::<String>().on(&client).await?, equal;
    }
    messages {
        con.publish::<_, _, u64>("news", "hello").await? => client.publish("news", "hello").await?, equal;
    }
}

/// A program with one line migrated runs beside the calls that replace it.
#[tokio::test]
async fn a_program_moves_call_by_call() {
    let client = Client::from_backend(redis_rest_server::MemoryBackend::new());
    let mut old = client.redis_rs();
    let _: () = old.set("visits", 1).await.unwrap();
    assert_eq!(client.incr("visits").await.unwrap(), 2);
    assert_eq!(old.get::<_, i64>("visits").await.unwrap(), 2);
}
