//! Streams, places, estimates, scans and scripts.

use redis::geo::{Coord, RadiusOptions, RadiusOrder, RadiusSearchResult, Unit};
use redis::streams::{
    StreamInfoStreamReply, StreamMaxlen, StreamPendingReply, StreamRangeReply, StreamReadOptions,
    StreamReadReply,
};
use redis::{AsyncCommands, ErrorKind, ScanOptions, Script, ServerErrorKind};
use std::collections::BTreeSet;

pub async fn streams(mut con: impl AsyncCommands) {
    let first: String = con.xadd("s", "1-1", &[("field", "one"), ("more", "x")]).await.unwrap();
    assert_eq!(first, "1-1");
    let _: Option<String> = con.xadd("s", "1-2", &[("field", "two")]).await.unwrap();
    assert_eq!(con.xlen::<_, i64>("s").await.unwrap(), 2);
    let range: StreamRangeReply = con.xrange_all("s").await.unwrap();
    assert_eq!(range.ids.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["1-1", "1-2"]);
    assert_eq!(range.ids[0].get::<String>("more").as_deref(), Some("x"));
    let last: StreamRangeReply = con.xrevrange_count("s", "+", "-", 1).await.unwrap();
    assert_eq!(last.ids[0].get::<String>("field").as_deref(), Some("two"));
    let read: StreamReadReply = con.xread(&["s"], &["1-1"]).await.unwrap();
    assert_eq!((read.keys[0].key.as_str(), read.keys[0].ids.len()), ("s", 1));
    let none: Option<StreamReadReply> = con.xread(&["s"], &["1-2"]).await.unwrap();
    assert!(none.is_none_or(|read| read.keys.is_empty()));
    let info: StreamInfoStreamReply = con.xinfo_stream("s").await.unwrap();
    assert_eq!((info.length, info.last_generated_id.as_str()), (2, "1-2"));
    assert_eq!(con.xtrim::<_, i64>("s", StreamMaxlen::Equals(1)).await.unwrap(), 1);
    assert_eq!(con.xdel::<_, _, i64>("s", &["1-2"]).await.unwrap(), 1);
}

pub async fn groups(mut con: impl AsyncCommands) {
    let _: () = con.xgroup_create_mkstream("s", "g", "$").await.unwrap();
    let error = con.xgroup_create::<_, _, _, ()>("s", "g", "$").await.unwrap_err();
    assert_eq!(error.code(), Some("BUSYGROUP"));
    let _: Option<String> = con.xadd("s", "2-1", &[("field", "one")]).await.unwrap();
    let options = StreamReadOptions::default().group("g", "me").count(5);
    let read: StreamReadReply = con.xread_options(&["s"], &[">"], &options).await.unwrap();
    assert_eq!(read.keys[0].ids[0].id, "2-1");
    let pending: StreamPendingReply = con.xpending("s", "g").await.unwrap();
    assert_eq!(pending.count(), 1);
    assert_eq!(con.xack::<_, _, _, i64>("s", "g", &["2-1"]).await.unwrap(), 1);
    assert!(con.xgroup_destroy::<_, _, bool>("s", "g").await.unwrap());
}

pub async fn places(mut con: impl AsyncCommands) {
    let towns = [
        (Coord::lon_lat("13.361389", "38.115556"), "Palermo"),
        (Coord::lon_lat("15.087269", "37.502669"), "Catania"),
    ];
    assert_eq!(con.geo_add::<_, _, i64>("g", &towns).await.unwrap(), 2);
    let distance: f64 = con.geo_dist("g", "Palermo", "Catania", Unit::Kilometers).await.unwrap();
    assert!((distance - 166.2742).abs() < 0.001, "{distance}");
    let positions: Vec<Option<Coord<f64>>> = con.geo_pos("g", &["Palermo", "none"]).await.unwrap();
    assert!(
        (positions[0].as_ref().unwrap().longitude - 13.361_389).abs() < 0.001
            && positions[1].is_none()
    );
    let hashes: Vec<String> = con.geo_hash("g", &["Palermo"]).await.unwrap();
    assert_eq!(hashes, ["sqc8b49rny0"]);
    let options = RadiusOptions::default().with_dist().with_coord().order(RadiusOrder::Asc);
    let near: Vec<RadiusSearchResult> =
        con.geo_radius("g", 15.0, 37.0, 200.0, Unit::Kilometers, options).await.unwrap();
    assert_eq!(
        near.iter().map(|place| place.name.as_str()).collect::<Vec<_>>(),
        ["Catania", "Palermo"]
    );
    assert!(near[0].dist.is_some() && near[0].coord.is_some());
}

pub async fn estimates(mut con: impl AsyncCommands) {
    assert!(con.pfadd::<_, _, bool>("p", &["a", "b", "c"]).await.unwrap());
    let _: () = con.pfadd("q", &["c", "d"]).await.unwrap();
    assert_eq!(con.pfcount::<_, i64>("p").await.unwrap(), 3);
    let _: () = con.pfmerge("r", &["p", "q"]).await.unwrap();
    assert_eq!(con.pfcount::<_, i64>("r").await.unwrap(), 4);
}

pub async fn scans(mut con: impl AsyncCommands) {
    let (keys, members): (Vec<_>, Vec<_>) = (0..300).map(|n| (format!("key:{n:03}"), n)).unzip();
    let _: () = con.mset(&keys.iter().map(|key| (key, 1)).collect::<Vec<_>>()).await.unwrap();
    let _: () = con.sadd("set", &members).await.unwrap();
    let _: () = con
        .hset_multiple("hash", &keys.iter().map(|key| (key, 1)).collect::<Vec<_>>())
        .await
        .unwrap();
    let _: () = con
        .zadd_multiple("sorted", &members.iter().map(|n| (n, n)).collect::<Vec<_>>())
        .await
        .unwrap();

    let mut found = BTreeSet::new();
    let options = ScanOptions::default().with_pattern("key:*").with_count(20);
    let mut scan = con.scan_options::<String>(options).await.unwrap();
    while let Some(key) = scan.next_item().await {
        found.insert(key.unwrap());
    }
    drop(scan);
    assert!(found.iter().eq(&keys), "{} keys", found.len());

    let mut count = BTreeSet::new();
    let mut scan = con.sscan::<_, i64>("set").await.unwrap();
    while let Some(member) = scan.next_item().await {
        count.insert(member.unwrap());
    }
    drop(scan);
    assert!(count.iter().eq(&members));

    let mut fields = BTreeSet::new();
    let mut scan = con.hscan_match::<_, _, (String, i64)>("hash", "key:1*").await.unwrap();
    while let Some(pair) = scan.next_item().await {
        fields.insert(pair.unwrap().0);
    }
    drop(scan);
    assert_eq!(fields.len(), 100);

    let mut scores = 0.0;
    let mut scan = con.zscan::<_, (i64, f64)>("sorted").await.unwrap();
    while let Some(pair) = scan.next_item().await {
        scores += pair.unwrap().1;
    }
    drop(scan);
    assert_eq!(scores.to_string(), (299 * 150).to_string());
}

pub async fn scripts(mut con: impl AsyncCommands) {
    // Unknown to the server: NOSCRIPT makes the crate load it.
    let script =
        Script::new("return {KEYS[1], tonumber(ARGV[1]) + 1, redis.call('INCR', KEYS[1])}");
    let (key, sum, count): (String, i64, i64) =
        script.key("n").arg(41).invoke_async(&mut con).await.unwrap();
    assert_eq!((key.as_str(), sum, count), ("n", 42, 1));
    let (_, _, count): (String, i64, i64) =
        script.key("n").arg(41).invoke_async(&mut con).await.unwrap();
    assert_eq!(count, 2, "it ran once for each call");
    let error = redis::cmd("EVALSHA")
        .arg("0".repeat(40))
        .arg(0)
        .query_async::<()>(&mut con)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Server(ServerErrorKind::NoScript), Some("NOSCRIPT"))
    );
    let loaded = Script::new("return 'loaded'");
    assert_eq!(loaded.load_async(&mut con).await.unwrap(), loaded.get_hash());
}

pub async fn script_errors(mut con: impl AsyncCommands) {
    let own = Script::new("return redis.error_reply('MINE it is')");
    let error = own.prepare_invoke().invoke_async::<()>(&mut con).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Extension, Some("MINE")));
    assert!(error.detail().unwrap().starts_with("it is"), "{error}");
    // An error within a list is an error for this crate, at any position.
    let within = Script::new("return {1, redis.error_reply('MINE it is')}");
    let error = within.prepare_invoke().invoke_async::<redis::Value>(&mut con).await.unwrap_err();
    assert_eq!(error.code(), Some("MINE"));
}
