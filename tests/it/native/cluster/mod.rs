//! A real cluster: routing, pipelines, transactions; moving slots and failovers during writes;
//! sessions.

mod changes;
mod cut;
mod sessions;

use redis_rest::conformance::backend;
use redis_rest::{Client, ErrorKind, cmd};
use redis_rest_test_support::cluster::Cluster;
use redis_rest_test_support::redis_test;

/// Runs the conformance cases on one cluster, each with its keys in a separate slot. One scans, and
/// three test the reply to an unknown command: a cluster refuses both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance() {
    let cluster = redis_test!(Cluster::start(0));
    macro_rules! cases {
        ($($case:ident)*) => {
            $(backend::$case(&cluster.client().await.with_prefix(concat!("{", stringify!($case), "}:"))).await;)*
        };
    }
    cases! {
        hashes integers keys lists large_values scripts scripts_in_batches sets sorted_sets strings ttls
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_go_to_the_node_of_their_slot() {
    let cluster = redis_test!(Cluster::start(0));
    let client = cluster.client().await;
    for n in 0..100 {
        client.set(format!("key:{n}"), n).await.unwrap();
    }
    let sizes: Vec<usize> = cluster.nodes.iter().map(|node| node.query("DBSIZE")).collect();
    assert!(sizes.iter().all(|&size| size > 10) && sizes.iter().sum::<usize>() == 100, "{sizes:?}");
    for n in 0..100 {
        assert_eq!(client.get::<i64>(format!("key:{n}")).await.unwrap(), n);
    }
    // Together if a tag says so; otherwise refused before sending.
    client.mset([("{tag}a", 1), ("{tag}b", 2)]).await.unwrap();
    let error =
        client.run::<redis_rest::Value>(cmd("MGET").arg("key:1").arg("key:2")).await.unwrap_err();
    assert_eq!((error.redis_code(), error.maybe_applied()), (Some("CROSSSLOT"), false));
    for one_sided in ["DBSIZE", "RANDOMKEY", "NOSUCHCOMMAND"] {
        assert_eq!(
            client.run::<redis_rest::Value>(cmd(one_sided)).await.unwrap_err().kind(),
            ErrorKind::Unsupported,
            "{one_sided}"
        );
    }
    assert_eq!(client.run::<String>(cmd("PING")).await.unwrap(), "PONG");
    scripts_and_messages(&client).await;
}

async fn scripts_and_messages(client: &Client) {
    let script = redis_rest::Script::new("return redis.call('INCR', KEYS[1])");
    for n in 0..20 {
        assert_eq!(
            script.key(format!("counter:{n}")).call::<i64>().on(client).await.unwrap(),
            1,
            "each node learns it"
        );
    }
    let sha: String = client.run(cmd("SCRIPT LOAD").arg("return 7")).await.unwrap();
    for n in 0..20 {
        assert_eq!(
            client.run::<i64>(cmd("EVALSHA").arg(&sha).arg(1).arg(n)).await.unwrap(),
            7,
            "every node has it"
        );
    }
    let mut news = client.subscribe(["news"]);
    while !matches!(news.next().await.unwrap().unwrap(), redis_rest::Event::Subscribed(_)) {}
    client.publish("news", "hello").await.unwrap();
    assert!(
        matches!(news.next().await.unwrap().unwrap(), redis_rest::Event::Message(message) if message.text() == "hello")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_are_split_and_put_together_in_order() {
    let cluster = redis_test!(Cluster::start(0));
    let client = cluster.client().await;
    let mut pipe = client.pipeline();
    let slots: Vec<_> =
        (0..600).map(|n| pipe.add(cmd::incrby(format!("key:{}", n % 50), n))).collect();
    let wrong = pipe.add_raw::<i64>(cmd("LPUSH").arg("key:1").arg("x"));
    let crossing = pipe.add_raw::<i64>(cmd("DEL").arg("key:1").arg("key:2"));
    let anywhere = pipe.add_raw::<String>(cmd("ECHO").arg("hello"));
    let last = pipe.add(cmd::get::<i64>("key:49"));
    let mut replies = pipe.send().await.unwrap();
    let mut sums = [0; 50];
    for (n, slot) in slots.into_iter().enumerate() {
        sums[n % 50] += n;
        assert_eq!(replies.take(slot).unwrap(), i64::try_from(sums[n % 50]).unwrap(), "entry {n}");
    }
    assert_eq!(replies.take(wrong).unwrap_err().redis_code(), Some("WRONGTYPE"));
    assert_eq!(replies.take(crossing).unwrap_err().redis_code(), Some("CROSSSLOT"));
    assert_eq!(replies.take(anywhere).unwrap(), "hello");
    assert_eq!(replies.take(last).unwrap(), i64::try_from(sums[49]).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_keep_to_one_slot() {
    let cluster = redis_test!(Cluster::start(0));
    let client = cluster.client().await;
    let mut tx = client.transaction();
    let (a, b) = (tx.add(cmd::incr("{user}a")), tx.add(cmd::incr("{user}b")));
    let echo = tx.add_raw::<String>(cmd("ECHO").arg("hello"));
    let mut replies = tx.send().await.unwrap();
    assert_eq!(replies.take(a).unwrap(), 1);
    assert_eq!(replies.take(b).unwrap(), 1);
    assert_eq!(replies.take(echo).unwrap(), "hello".to_owned());

    let mut tx = client.transaction();
    let _ = (tx.add(cmd::incr("{user}a")), tx.add(cmd::incr("{other}a")));
    let error = tx.send().await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Unsupported, false));
    assert!(error.to_string().contains("one slot"), "{error}");
    assert_eq!(client.get::<i64>("{user}a").await.unwrap(), 1, "nothing of it ran");
}

#[tokio::test]
async fn a_server_that_is_no_cluster_is_refused() {
    let redis = redis_test!();
    let error =
        redis_rest::backend::native::NativeBackend::cluster([redis.url()]).await.unwrap_err();
    assert!(!error.maybe_applied(), "{error}");
    let none = redis_rest::backend::native::NativeBackend::cluster(Vec::<String>::new())
        .await
        .unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Config);
}
