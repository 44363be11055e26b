//! A misbehaving caller of a native backend does not affect others on its connection.

use super::sentinel::Group;
use redis_rest::backend::native::{NativeCluster, NativeConfig};
use redis_rest::{Client, Error, ErrorKind, Outcome, Value, cmd};
use redis_rest_test_support::cluster::Cluster;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::shared_connection::{
    CONNECTION_ENDING, assert_unaffected, request_deep_reply, request_large_reply,
};
use std::time::Duration;

const LIMIT: usize = 100_000;

fn limited(config: NativeConfig) -> NativeConfig {
    config.timeout(Duration::from_secs(20)).max_reply_bytes(LIMIT)
}

/// Each key is on a separate connection.
async fn assert_bad_replies_affect_no_other(client: &Client, keys: &[String]) {
    let dropped = |error: &Error, why: &str| {
        let what = (error.kind(), error.outcome());
        assert_eq!(what, (ErrorKind::ReplyTooLarge, Outcome::Applied), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    assert_unaffected(client, async || {
        for key in keys {
            dropped(&request_deep_reply(client, key).await, "reply too deep: 64 arrays");
            dropped(&request_large_reply(client, key, LIMIT).await, "max_reply_bytes");
        }
    })
    .await;
}

async fn assert_bad_commands_affect_no_other(client: &Client) {
    assert_unaffected(client, async || {
        for parts in CONNECTION_ENDING {
            let command = parts[1..].iter().fold(cmd(parts[0]), |command, part| command.arg(*part));
            let error = client.run::<Value>(command).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{parts:?}: {error}");
        }
        let large = "x".repeat(2 * LIMIT);
        let error = client.set("k", &large).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand, "{error}");
        // Redis would close the connection at the second command: together they are too large.
        let mut transaction = client.transaction();
        for _ in 0..2 {
            let _ = transaction.add(cmd::set("k", &large[..LIMIT - 10]));
        }
        let error = transaction.send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand, "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_replies_affect_no_other_caller() {
    let redis = redis_test!();
    let backend = limited(NativeConfig::new(redis.url())).connect().await.unwrap();
    assert_bad_replies_affect_no_other(&Client::from_backend(backend), &["k".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_ending_commands_affect_no_other_caller() {
    let redis = redis_test!();
    let config = limited(NativeConfig::new(redis.url())).max_request_bytes(LIMIT);
    assert_bad_commands_affect_no_other(&Client::from_backend(config.connect().await.unwrap()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_caller_of_a_cluster_affects_no_other() {
    let cluster = redis_test!(Cluster::start(0));
    let config = limited(NativeConfig::new(cluster.nodes[0].url())).max_request_bytes(LIMIT);
    let client = Client::from_backend(NativeCluster::connect([config]).await.unwrap());
    let keys: Vec<String> = (0..3).map(|node| cluster.key_on(node, 0)).collect();
    assert_bad_replies_affect_no_other(&client, &keys).await;
    for n in 0..16 {
        client.del([format!("counter:{n}")]).await.unwrap();
    }
    assert_bad_commands_affect_no_other(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_caller_behind_sentinels_affects_no_other() {
    let group = redis_test!(Group::start());
    let config = NativeConfig::sentinel([group.sentinel.url()], "the-master").login("", "s3cret");
    let client = Client::from_backend(limited(config).connect().await.unwrap());
    assert_bad_replies_affect_no_other(&client, &["k".to_owned()]).await;
}
