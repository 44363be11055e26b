//! A REST server in front of a cluster does not report the cluster: the tool detects it.

use redis_rest::backend::native::NativeBackend;
use redis_rest::session::{RedisSessionStore, Session, SessionStoreExt as _};
use redis_rest_server::DEFAULT_TOKEN;
use redis_rest_test_support::cluster::Cluster;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_listed_and_deleted() {
    let cluster = redis_test!(Cluster::start(0));
    let server = rest::serve(NativeBackend::cluster([cluster.nodes[0].url()]).await.unwrap()).await;
    let hour = Duration::from_secs(3600);
    let store = RedisSessionStore::new(rest::client(&server), hour).cluster();
    for id in ["first", "second"] {
        store.store_session(&Session::new("user").id(id).org_id("org")).await.unwrap();
    }

    let tool = |action: &[&str]| {
        let mut tool = super::tool();
        tool.env("REDIS_REST_URL", server.url())
            .env("REDIS_REST_TOKEN", DEFAULT_TOKEN)
            .arg("sessions")
            .args(action);
        let output = tool.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(tool(&["list", "user"]).lines().count(), 2);
    assert_eq!(tool(&["delete", "first"]), "deleted\n");
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 1);
}
