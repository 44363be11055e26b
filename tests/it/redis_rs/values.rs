//! Strings, bits, keys and their times to live.

use redis::{
    AsyncCommands, ErrorKind, ExistenceCheck, ServerErrorKind, SetExpiry, SetOptions, Value,
    ValueType,
};

pub async fn strings(mut con: impl AsyncCommands) {
    let _: () = con.set("name", "Ada").await.unwrap();
    assert_eq!(con.get::<_, String>("name").await.unwrap(), "Ada");
    assert_eq!(con.get::<_, Option<String>>("none").await.unwrap(), None);
    assert_eq!(con.append::<_, _, i64>("name", " L.").await.unwrap(), 6);
    assert_eq!(con.strlen::<_, i64>("name").await.unwrap(), 6);
    assert_eq!(con.getrange::<_, String>("name", 0, 2).await.unwrap(), "Ada");
    assert_eq!(con.setrange::<_, _, i64>("name", 4, "B.").await.unwrap(), 6);
    assert_eq!(con.getset::<_, _, String>("name", "Bob").await.unwrap(), "Ada B.");
    assert!(!con.set_nx::<_, _, bool>("name", "Eve").await.unwrap());
    assert_eq!(con.get_del::<_, Option<String>>("name").await.unwrap().as_deref(), Some("Bob"));
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::EX(60));
    assert_eq!(
        con.set_options::<_, _, Value>("name", "Ada", options.clone()).await.unwrap(),
        Value::Okay
    );
    assert_eq!(con.set_options::<_, _, Value>("name", "Eve", options).await.unwrap(), Value::Nil);
}

pub async fn counters(mut con: impl AsyncCommands) {
    assert_eq!(con.incr::<_, _, i64>("n", i64::MAX - 1).await.unwrap(), i64::MAX - 1);
    assert_eq!(
        con.incr::<_, _, i64>("n", 1).await.unwrap(),
        i64::MAX,
        "exact over the whole range"
    );
    let error = con.incr::<_, _, i64>("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
    assert_eq!(
        (error.code(), error.detail()),
        (Some("ERR"), Some("increment or decrement would overflow"))
    );
    assert_eq!(con.decr::<_, _, i64>("m", 3).await.unwrap(), -3);
    assert!((con.incr::<_, _, f64>("f", 1.5).await.unwrap() - 1.5).abs() < f64::EPSILON);
}

pub async fn many_at_once(mut con: impl AsyncCommands) {
    let _: () = con.mset(&[("a", "1"), ("b", "2")]).await.unwrap();
    assert_eq!(
        con.mget::<_, Vec<Option<i64>>>(&["a", "none", "b"]).await.unwrap(),
        [Some(1), None, Some(2)]
    );
    assert!(!con.mset_nx::<_, _, bool>(&[("a", "3"), ("c", "3")]).await.unwrap());
    let (a, b): (String, i64) = con.mget(&["a", "b"]).await.unwrap();
    assert_eq!((a.as_str(), b), ("1", 2));
    assert_eq!(con.del::<_, i64>(&["a", "b", "none"]).await.unwrap(), 2);
}

pub async fn bytes(mut con: impl AsyncCommands) {
    let odd = b"\xff\0\r\n$1\r\n\xc3";
    let _: () = con.set("odd", &odd[..]).await.unwrap();
    assert_eq!(con.get::<_, Vec<u8>>("odd").await.unwrap(), odd);
    let _: () = con.set("empty", "").await.unwrap();
    assert_eq!(con.get::<_, Option<String>>("empty").await.unwrap().as_deref(), Some(""));
    let _: () = con.set("007", "007").await.unwrap();
    assert_eq!(con.get::<_, String>("007").await.unwrap(), "007");
}

pub async fn bits(mut con: impl AsyncCommands) {
    assert!(!con.setbit::<_, bool>("b", 7, true).await.unwrap());
    assert!(con.getbit::<_, bool>("b", 7).await.unwrap());
    assert_eq!(con.bitcount::<_, i64>("b").await.unwrap(), 1);
    let _: () = con.set("c", "\u{3}").await.unwrap();
    assert_eq!(con.bit_or::<_, _, i64>("d", &["b", "c"]).await.unwrap(), 1);
    assert_eq!(con.bit_and::<_, _, i64>("e", &["b", "c"]).await.unwrap(), 1);
    assert_eq!(con.get::<_, Vec<u8>>("d").await.unwrap(), [3]);
    assert_eq!(con.get::<_, Vec<u8>>("e").await.unwrap(), [1]);
}

pub async fn keys(mut con: impl AsyncCommands) {
    let _: () = con.set("a", 1).await.unwrap();
    let _: () = con.rpush("l", 1).await.unwrap();
    assert!(con.exists::<_, bool>("a").await.unwrap());
    assert_eq!(con.key_type::<_, ValueType>("l").await.unwrap(), ValueType::List);
    assert_eq!(con.key_type::<_, String>("none").await.unwrap(), "none");
    let _: () = con.rename("a", "b").await.unwrap();
    assert!(!con.rename_nx::<_, _, bool>("b", "l").await.unwrap());
    let mut keys: Vec<String> = con.keys("*").await.unwrap();
    keys.sort();
    assert_eq!(keys, ["b", "l"]);
    assert!(con.copy::<_, _, &str, bool>("b", "c", redis::CopyOptions::default()).await.unwrap());
    assert_eq!(con.object_encoding::<_, String>("b").await.unwrap(), "int");
    assert_eq!(con.unlink::<_, i64>("b").await.unwrap(), 1);
    let error = con.get::<_, String>("l").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Extension, Some("WRONGTYPE")));
    assert_eq!(error.detail(), Some("Operation against a key holding the wrong kind of value"));
    assert_eq!(
        con.rename::<_, _, ()>("none", "x").await.unwrap_err().detail(),
        Some("no such key")
    );
    // Not valid text: the crate's own error, the same over both.
    assert_eq!(con.get::<_, i64>("c").await.unwrap(), 1);
    let _: () = con.set("c", "x").await.unwrap();
    assert_eq!(con.get::<_, i64>("c").await.unwrap_err().kind(), ErrorKind::Parse);
}

pub async fn times_to_live(mut con: impl AsyncCommands) {
    let _: () = con.set_ex("a", 1, 60).await.unwrap();
    assert!((1..=60).contains(&con.ttl::<_, i64>("a").await.unwrap()));
    assert!(con.persist::<_, bool>("a").await.unwrap());
    assert_eq!(con.ttl::<_, i64>("a").await.unwrap(), -1);
    assert_eq!(con.ttl::<_, i64>("none").await.unwrap(), -2);
    assert!(con.expire::<_, bool>("a", 100).await.unwrap());
    assert!(con.pexpire::<_, bool>("a", 100_000).await.unwrap());
    assert!((1..=100_000).contains(&con.pttl::<_, i64>("a").await.unwrap()));
    assert!(con.expire_at::<_, bool>("a", 4_000_000_000).await.unwrap());
    assert_eq!(con.expire_time::<_, i64>("a").await.unwrap(), 4_000_000_000);
    let _: () = con.pset_ex("b", 1, 60_000).await.unwrap();
    assert_eq!(con.get_ex::<_, i64>("b", redis::Expiry::PERSIST).await.unwrap(), 1);
    assert_eq!(con.pttl::<_, i64>("b").await.unwrap(), -1);
}
