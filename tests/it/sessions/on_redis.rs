//! A real Redis behind a REST server, with records of another service.

use redis_rest::Client;
use redis_rest::session::{RedisSessionStore, Session};
use redis_rest_server::RunningServer;
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::rest;
use std::time::Duration;

const RECORDS: &str = include_str!("../../fixtures/go-sessions.jsonl");
pub const HOUR: Duration = Duration::from_secs(3600);
pub const INDEX: &str = "user_sessions:user-123";

/// A real Redis behind a REST server, kept alive for a test.
pub struct Setup {
    pub client: Client,
    pub store: RedisSessionStore,
    _redis: Redis,
    _server: RunningServer,
}

pub async fn setup() -> Option<Setup> {
    let redis = Redis::start()?;
    let server = rest::serve(redis.backend().await).await;
    let client = rest::client(&server);
    let store = RedisSessionStore::new(client.clone(), HOUR);
    Some(Setup { client, store, _redis: redis, _server: server })
}

pub fn records() -> Vec<(String, &'static str)> {
    RECORDS.lines().map(|line| (Session::from_json(line).unwrap().id, line)).collect()
}

impl Setup {
    /// Writes records and index as the other service does.
    pub async fn put_records(&self) {
        let ids: Vec<_> = records().into_iter().map(|(id, _)| id).collect();
        for (id, line) in records() {
            self.client.set(format!("session:{id}"), line).ex(HOUR).await.unwrap();
        }
        self.client.set(INDEX, serde_json::to_string(&ids).unwrap()).await.unwrap();
    }

    pub async fn text(&self, key: &str) -> Option<String> {
        self.client.get(key).await.unwrap()
    }

    pub fn session(&self) -> Session {
        Session::new("user-123").org_id("org-456")
    }
}
