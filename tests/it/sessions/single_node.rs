use super::two_steps::{Event, Stepped};
use redis_rest::Client;
use redis_rest::session::{IndexLayout, RedisSessionStore, Session, SessionStoreExt as _};
use redis_rest_server::MemoryBackend;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// The user is looked up in a separate request, and a create may be executed after it.
#[tokio::test]
async fn delete_leaves_no_index_entry_of_a_session_created_during_its_lookup() {
    for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
        let engine = MemoryBackend::new();
        let client = Client::from_backend(engine.clone());
        let other = RedisSessionStore::new(client.clone(), HOUR).index_layout(layout);
        let way = Stepped::new(engine, false);
        let store = RedisSessionStore::new(Client::from_backend(way.clone()), HOUR);
        let store = store.index_layout(layout);
        let session = Session::new("user").org_id("org");
        // The scripts are loaded: a script is one command.
        store.delete_session("unknown").await.unwrap();

        let create = {
            let (other, session) = (other.clone(), session.clone());
            async move { other.create_session(&session).await.unwrap() }
        };
        way.before(2, "session:", Event::Run(Box::pin(create)));
        assert!(store.delete_session(&session.id).await.unwrap(), "found at the second look");
        assert!(!other.exists(&session.id).await.unwrap());
        assert_eq!(client.exists(["user_sessions:user"]).await.unwrap(), 0, "{layout:?}");
    }
}
