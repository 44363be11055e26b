//! Hashes, lists, sets and sorted sets.

use redis::AsyncCommands;
use std::collections::{BTreeSet, HashMap};

pub async fn hashes(mut con: impl AsyncCommands) {
    let _: () = con.hset_multiple("h", &[("name", "Ada"), ("age", "36")]).await.unwrap();
    assert!(con.hset::<_, _, _, bool>("h", "city", "London").await.unwrap());
    assert!(!con.hset_nx::<_, _, _, bool>("h", "city", "Paris").await.unwrap());
    assert_eq!(con.hget::<_, _, String>("h", "name").await.unwrap(), "Ada");
    assert_eq!(con.hget::<_, _, Option<String>>("h", "none").await.unwrap(), None);
    assert_eq!(
        con.hmget::<_, _, (String, Option<i64>)>("h", &["name", "none"]).await.unwrap(),
        ("Ada".to_owned(), None)
    );
    assert_eq!(con.hincr::<_, _, _, i64>("h", "age", 1).await.unwrap(), 37);
    let all: HashMap<String, String> = con.hgetall("h").await.unwrap();
    assert_eq!((all.len(), all["age"].as_str(), all["city"].as_str()), (3, "37", "London"));
    assert!(con.hexists::<_, _, bool>("h", "age").await.unwrap());
    assert_eq!(con.hlen::<_, i64>("h").await.unwrap(), 3);
    assert_eq!(con.hkeys::<_, BTreeSet<String>>("h").await.unwrap().len(), 3);
    assert_eq!(con.hvals::<_, BTreeSet<String>>("h").await.unwrap().len(), 3);
    assert_eq!(con.hdel::<_, _, i64>("h", &["age", "none"]).await.unwrap(), 1);
}

pub async fn lists(mut con: impl AsyncCommands) {
    assert_eq!(con.rpush::<_, _, i64>("l", &[1, 2, 3]).await.unwrap(), 3);
    assert_eq!(con.lpush::<_, _, i64>("l", 0).await.unwrap(), 4);
    assert_eq!(con.lrange::<_, Vec<i64>>("l", 0, -1).await.unwrap(), [0, 1, 2, 3]);
    assert_eq!(con.llen::<_, i64>("l").await.unwrap(), 4);
    assert_eq!(con.lindex::<_, i64>("l", -1).await.unwrap(), 3);
    assert_eq!(
        con.lpos::<_, _, Option<i64>>("l", 2, redis::LposOptions::default()).await.unwrap(),
        Some(2)
    );
    let _: () = con.lset("l", 1, 9).await.unwrap();
    assert_eq!(con.linsert_after::<_, _, _, i64>("l", 9, 8).await.unwrap(), 5);
    assert_eq!(con.lrem::<_, _, i64>("l", 1, 9).await.unwrap(), 1);
    assert_eq!(con.lpop::<_, i64>("l", None).await.unwrap(), 0);
    assert_eq!(con.rpop::<_, Vec<i64>>("l", std::num::NonZeroUsize::new(2)).await.unwrap(), [3, 2]);
    let _: () = con.rpush("l", &["x", "y"]).await.unwrap();
    assert_eq!(con.rpoplpush::<_, _, String>("l", "m").await.unwrap(), "y");
    assert_eq!(
        con.lmove::<_, _, String>("l", "m", redis::Direction::Right, redis::Direction::Left)
            .await
            .unwrap(),
        "x"
    );
    let _: () = con.ltrim("m", 0, 0).await.unwrap();
    assert_eq!(con.lrange::<_, Vec<String>>("m", 0, -1).await.unwrap(), ["x"]);
}

pub async fn sets(mut con: impl AsyncCommands) {
    assert_eq!(con.sadd::<_, _, i64>("a", &["x", "y", "z"]).await.unwrap(), 3);
    let _: () = con.sadd("b", &["y", "z", "w"]).await.unwrap();
    assert!(con.sismember::<_, _, bool>("a", "x").await.unwrap());
    assert_eq!(con.smismember::<_, _, Vec<bool>>("a", &["x", "w"]).await.unwrap(), [true, false]);
    assert_eq!(con.scard::<_, i64>("a").await.unwrap(), 3);
    let set =
        |members: &[&str]| members.iter().map(|&member| member.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(con.sinter::<_, BTreeSet<String>>(&["a", "b"]).await.unwrap(), set(&["y", "z"]));
    assert_eq!(con.sdiff::<_, BTreeSet<String>>(&["a", "b"]).await.unwrap(), set(&["x"]));
    assert_eq!(
        con.sunion::<_, BTreeSet<String>>(&["a", "b"]).await.unwrap(),
        set(&["w", "x", "y", "z"])
    );
    assert_eq!(con.sunionstore::<_, _, i64>("c", &["a", "b"]).await.unwrap(), 4);
    assert!(con.smove::<_, _, _, bool>("a", "b", "x").await.unwrap());
    assert_eq!(con.srem::<_, _, i64>("a", &["y", "none"]).await.unwrap(), 1);
    assert_eq!(con.srandmember::<_, Option<String>>("a").await.unwrap().as_deref(), Some("z"));
    assert_eq!(con.spop::<_, Option<String>>("a").await.unwrap().as_deref(), Some("z"));
    assert_eq!(con.smembers::<_, BTreeSet<String>>("a").await.unwrap(), BTreeSet::new());
}

pub async fn sorted_sets(mut con: impl AsyncCommands) {
    assert_eq!(
        con.zadd_multiple::<_, _, _, i64>("z", &[(1.0, "a"), (2.5, "b"), (3.0, "c")])
            .await
            .unwrap(),
        3
    );
    assert_eq!(con.zadd::<_, _, _, i64>("z", "d", 4).await.unwrap(), 1);
    assert_eq!(con.zrange::<_, Vec<String>>("z", 0, 1).await.unwrap(), ["a", "b"]);
    let scored: Vec<(String, f64)> = con.zrange_withscores("z", 1, 2).await.unwrap();
    assert_eq!(scored, [("b".to_owned(), 2.5), ("c".to_owned(), 3.0)]);
    assert_eq!(con.zrevrange::<_, Vec<String>>("z", 0, 0).await.unwrap(), ["d"]);
    assert_eq!(con.zscore::<_, _, Option<f64>>("z", "b").await.unwrap(), Some(2.5));
    assert_eq!(con.zscore::<_, _, Option<f64>>("z", "none").await.unwrap(), None);
    assert_eq!(
        con.zscore_multiple::<_, _, Vec<Option<f64>>>("z", &["a", "none"]).await.unwrap(),
        [Some(1.0), None]
    );
    assert_eq!(con.zrank::<_, _, Option<i64>>("z", "c").await.unwrap(), Some(2));
    assert_eq!(con.zrevrank::<_, _, Option<i64>>("z", "c").await.unwrap(), Some(1));
    assert!((con.zincr::<_, _, _, f64>("z", "a", 0.5).await.unwrap() - 1.5).abs() < f64::EPSILON);
    assert_eq!(con.zcard::<_, i64>("z").await.unwrap(), 4);
    assert_eq!(
        con.zpopmin::<_, Vec<(String, f64)>>("z", 1).await.unwrap(),
        [("a".to_owned(), 1.5)]
    );
    assert_eq!(
        con.zpopmax::<_, Vec<(String, f64)>>("z", 1).await.unwrap(),
        [("d".to_owned(), 4.0)]
    );
    assert_eq!(con.zrem::<_, _, i64>("z", &["b", "none"]).await.unwrap(), 1);
}

pub async fn ranges_of_scores(mut con: impl AsyncCommands) {
    let _: () = con.zadd_multiple("z", &[(1, "a"), (2, "b"), (3, "c")]).await.unwrap();
    assert_eq!(
        con.zrangebyscore::<_, _, _, Vec<String>>("z", "(1", "+inf").await.unwrap(),
        ["b", "c"]
    );
    assert_eq!(
        con.zrangebyscore_limit::<_, _, _, Vec<String>>("z", "-inf", "+inf", 1, 1).await.unwrap(),
        ["b"]
    );
    assert_eq!(con.zrevrangebyscore::<_, _, _, Vec<String>>("z", 2, 1).await.unwrap(), ["b", "a"]);
    assert_eq!(con.zcount::<_, _, _, i64>("z", 2, 3).await.unwrap(), 2);
    assert_eq!(con.zrembyscore::<_, _, _, i64>("z", 1, 1).await.unwrap(), 1);
    assert_eq!(con.zremrangebyrank::<_, i64>("z", 0, 0).await.unwrap(), 1);
    let _: () = con.zadd_multiple("lex", &[(0, "a"), (0, "b"), (0, "c")]).await.unwrap();
    assert_eq!(
        con.zrangebylex::<_, _, _, Vec<String>>("lex", "[a", "(c").await.unwrap(),
        ["a", "b"]
    );
    assert_eq!(con.zlexcount::<_, _, _, i64>("lex", "-", "+").await.unwrap(), 3);
}

pub async fn unions(mut con: impl AsyncCommands) {
    let _: () = con.zadd_multiple("x", &[(1, "a"), (2, "b")]).await.unwrap();
    let _: () = con.zadd_multiple("y", &[(10, "b"), (20, "c")]).await.unwrap();
    assert_eq!(con.zunionstore::<_, _, i64>("u", &["x", "y"]).await.unwrap(), 3);
    assert_eq!(
        con.zinterstore_weights::<_, _, _, i64>("i", &[("x", 1), ("y", 2)]).await.unwrap(),
        1
    );
    assert_eq!(con.zscore::<_, _, f64>("i", "b").await.unwrap().to_string(), "22");
    let scored: Vec<(String, i64)> = con.zrange_withscores("u", 0, -1).await.unwrap();
    assert_eq!(scored, [("a".to_owned(), 1), ("b".to_owned(), 12), ("c".to_owned(), 20)]);
}
