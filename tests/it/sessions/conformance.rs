use redis_rest::conformance::sessions::{self, Harness};
use redis_rest::session::{InMemorySessionStore, IndexLayout, RedisSessionStore, SessionStore};
use redis_rest::{BoxFuture, Client};
use redis_rest_server::MemoryBackend;
use redis_rest_server::RunningServer;
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::rest;
use std::sync::Arc;
use std::time::Duration;

struct InMemory(InMemorySessionStore);

impl Harness for InMemory {
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
        Arc::new(self.0.with_default_ttl(ttl))
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.0.advance(time);
        Box::pin(std::future::ready(()))
    }
}

/// Stores over a client, and the servers that must stay alive behind it.
struct OverClient {
    client: Client,
    layout: IndexLayout,
    /// Each script uses one slot, as on a cluster.
    two_steps: bool,
    /// An engine whose clock can be moved; a real Redis needs real time.
    engine: Option<MemoryBackend>,
    _redis: Option<Redis>,
    _server: Option<RunningServer>,
}

impl Harness for OverClient {
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
        let store = RedisSessionStore::new(self.client.clone(), ttl).index_layout(self.layout);
        Arc::new(if self.two_steps { store.cluster() } else { store })
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        match &self.engine {
            Some(engine) => {
                engine.advance(time);
                Box::pin(std::future::ready(()))
            }
            // A real server's clock cannot be moved: the test waits.
            None => Box::pin(tokio::time::sleep(time)),
        }
    }
}

async fn native(layout: IndexLayout) -> Option<OverClient> {
    let redis = Redis::start()?;
    let client = Client::from_backend(redis.backend().await);
    Some(OverClient {
        client,
        layout,
        two_steps: false,
        engine: None,
        _redis: Some(redis),
        _server: None,
    })
}

async fn two_steps(layout: IndexLayout) -> Option<OverClient> {
    Some(OverClient { two_steps: true, ..native(layout).await? })
}

async fn rest_over_redis(layout: IndexLayout) -> Option<OverClient> {
    let redis = Redis::start()?;
    let server = rest::serve(redis.backend().await).await;
    Some(OverClient {
        client: rest::client(&server),
        layout,
        two_steps: false,
        engine: None,
        _redis: Some(redis),
        _server: Some(server),
    })
}

async fn rest_over_memory(layout: IndexLayout) -> Option<OverClient> {
    let engine = MemoryBackend::new();
    let server = rest::serve(engine.clone()).await;
    Some(OverClient {
        client: rest::client(&server),
        layout,
        two_steps: false,
        engine: Some(engine),
        _redis: None,
        _server: Some(server),
    })
}

async fn in_memory() -> Option<InMemory> {
    Some(InMemory(InMemorySessionStore::new(Duration::from_secs(1))))
}

async fn engine(layout: IndexLayout, two_steps: bool) -> Option<OverClient> {
    let engine = MemoryBackend::new();
    Some(OverClient {
        client: Client::from_backend(engine.clone()),
        layout,
        two_steps,
        engine: Some(engine),
        _redis: None,
        _server: None,
    })
}

/// Generates tests for stores whose clock can be moved: the others would wait for hours.
macro_rules! every_store_with_a_clock {
    ($($case:ident)*) => {
        mod long {
            use super::*;
            every_store!(@store in_memory, in_memory(), $($case)*);
            every_store!(@store json, engine(IndexLayout::JsonArray, false), $($case)*);
            every_store!(@store sorted_set, engine(IndexLayout::SortedSet, false), $($case)*);
            every_store!(@store two_steps_json, engine(IndexLayout::JsonArray, true), $($case)*);
            every_store!(@store two_steps_sorted_set, engine(IndexLayout::SortedSet, true), $($case)*);
        }
    };
}

macro_rules! every_store {
    ($($case:ident)*) => {
        every_store!(@store in_memory, in_memory(), $($case)*);
        every_store!(@store engine_json, engine(IndexLayout::JsonArray, false), $($case)*);
        every_store!(@store engine_two_steps_sorted_set, engine(IndexLayout::SortedSet, true), $($case)*);
        every_store!(@store native_json, native(IndexLayout::JsonArray), $($case)*);
        every_store!(@store native_sorted_set, native(IndexLayout::SortedSet), $($case)*);
        every_store!(@store two_steps_json, two_steps(IndexLayout::JsonArray), $($case)*);
        every_store!(@store two_steps_sorted_set, two_steps(IndexLayout::SortedSet), $($case)*);
        every_store!(@store rest_over_redis_json, rest_over_redis(IndexLayout::JsonArray), $($case)*);
        every_store!(@store rest_over_redis_sorted_set, rest_over_redis(IndexLayout::SortedSet), $($case)*);
        every_store!(@store rest_over_memory_json, rest_over_memory(IndexLayout::JsonArray), $($case)*);
        every_store!(@store rest_over_memory_sorted_set, rest_over_memory(IndexLayout::SortedSet), $($case)*);
    };
    (@store $name:ident, $make:expr, $($case:ident)*) => {
        mod $name {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let harness = redis_rest_test_support::redis_test!($make.await);
                sessions::$case(&harness).await;
            })*
        }
    };
}
redis_rest::each_session_case!(every_store);
redis_rest::each_long_session_case!(every_store_with_a_clock);
