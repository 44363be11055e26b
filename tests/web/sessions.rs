use crate::support;
use redis_rest::BoxFuture;
use redis_rest::conformance::sessions::{self, Harness};
use redis_rest::session::{InMemorySessionStore, IndexLayout, RedisSessionStore, SessionStore};
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen_test::wasm_bindgen_test;

struct Rest(IndexLayout);

impl Harness for Rest {
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
        Arc::new(RedisSessionStore::new(support::client(), ttl).index_layout(self.0))
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(support::pass(time))
    }
}

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

fn in_memory() -> InMemory {
    InMemory(InMemorySessionStore::new(Duration::from_secs(1)))
}

macro_rules! every_store {
    ($($case:ident)*) => {
        every_store!(@store memory, in_memory(), $($case)*);
        every_store!(@store json, Rest(IndexLayout::JsonArray), $($case)*);
        every_store!(@store sorted_set, Rest(IndexLayout::SortedSet), $($case)*);
    };
    (@store $name:ident, $harness:expr, $($case:ident)*) => {
        mod $name {
            use super::*;
            $(#[wasm_bindgen_test]
            async fn $case() {
                sessions::$case(&$harness).await;
            })*
        }
    };
}
redis_rest::each_session_case!(every_store);
