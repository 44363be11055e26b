use super::two_steps::{Event, Stepped};
use redis_rest::Client;
use redis_rest::session::{
    ChangeId, Delete, IndexLayout, Marks, Mode, RedisSessionStore, Session, SessionStore as _,
    SessionStoreExt as _, TtlRule, When, Write, Written,
};
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

/// A change of a time to live names the last write, and no record.
#[tokio::test]
async fn times_to_live_are_set_over_records_of_another_service() {
    for cluster in [false, true] {
        let client = Client::from_backend(MemoryBackend::new());
        let store = RedisSessionStore::new(client.clone(), HOUR);
        let store = if cluster { store.cluster() } else { store };
        let (session, create) = (Session::new("user"), ChangeId::new());
        let mode = Mode::Create { marks: &Marks::default(), reuse: false };
        let ttl = TtlRule::Keep;
        let write = Write { id: create, session: &session, mode, content: true, ttl };
        assert!(matches!(store.write(&[write]).await.remove(0), Ok(Written::Written { .. })));
        store.set_ttl(&session.id, HOUR / 2).await.unwrap();
        let read = store.retrieve_stored(&session.id).await.unwrap();
        assert!(read.version.has_content(create) && read.version.has_explicit_ttl());

        let mut theirs = read.session.clone();
        theirs.system_prompt = "theirs".into();
        let key = format!("session:{}", session.id);
        client.set(&key, theirs.to_json().unwrap()).keep_ttl().await.unwrap();
        let foreign = store.retrieve_stored(&session.id).await.unwrap();
        let (mode, ttl) = (Mode::Replace(&read.version), TtlRule::Set(2 * HOUR));
        let set = Write { id: ChangeId::new(), session: &read.session, mode, content: false, ttl };
        assert!(matches!(store.write(&[set]).await.remove(0), Ok(Written::Written { .. })));
        let moved = store.retrieve_stored(&session.id).await.unwrap();
        assert_eq!(moved.session.system_prompt, "theirs");
        assert!(moved.version.same_content(&foreign.version) && moved.version.has_ttl(set.id));
        assert!(moved.ttl > Some(HOUR));
        // A late copy finds the version that it made.
        let again = store.write(&[set]).await.remove(0).unwrap();
        assert!(matches!(again, Written::Changed(now) if now.version.has(&set)));
        assert!(store.compare_and_update(&read.session, &read.version).await.is_err());

        let made = |create| Delete {
            id: ChangeId::new(),
            session: &session.id,
            user_id: Some("user"),
            mark_for: Duration::ZERO,
            when: When::Made(create),
        };
        assert!(!store.delete(&[made(create)]).await.remove(0).unwrap(), "the content is theirs");
        client.set(&key, read.session.to_json().unwrap()).keep_ttl().await.unwrap();
        assert!(store.delete(&[made(create)]).await.remove(0).unwrap());
    }
}
