use redis_rest::session::{
    RedisSessionStore, Session, SessionError, SessionStore as _, SessionStoreExt as _,
};
use redis_rest::{Client, ErrorKind};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer};
use redis_rest_test_support::rest;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns sessions of one user with prompts of this many bytes.
fn sessions(count: usize, bytes: usize) -> Vec<Session> {
    let new = || {
        let mut session = Session::new("user").org_id("org");
        session.system_prompt = "x".repeat(bytes);
        session
    };
    (0..count).map(|_| new()).collect()
}

fn ids(sessions: &[Session]) -> Vec<String> {
    sessions.iter().map(|session| session.id.clone()).collect()
}

fn store(server: &RunningServer, max_reply_bytes: usize) -> RedisSessionStore {
    let config = Client::builder().url(server.url()).token(DEFAULT_TOKEN);
    let client = config.max_reply_bytes(max_reply_bytes).build().unwrap();
    RedisSessionStore::new(client, HOUR)
}

#[tokio::test]
async fn oversized_batch_is_split_until_only_oversized_records_fail() {
    for cluster in [false, true] {
        let limited = |config: redis_rest_server::ServerConfig| config.max_request_bytes(100_000);
        let server = rest::serve_with(MemoryBackend::new(), limited).await;
        let store = store(&server, 64 << 20);
        let store = if cluster { store.cluster() } else { store };
        let mut all = sessions(60, 8000);
        all.insert(20, sessions(1, 300_000).remove(0));
        let outcome = store.batch_store_sessions(&all).await;
        let failed: Vec<_> = outcome.failed().collect();
        let [(id, SessionError::Refused(error))] = failed.as_slice() else { panic!("{failed:?}") };
        assert_eq!((*id, error.status()), (all[20].id.as_str(), Some(413)));
        assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 60);
    }
}

#[tokio::test]
async fn user_with_more_sessions_than_a_reply_holds_is_listed_and_logged_out() {
    for cluster in [false, true] {
        let server = rest::serve(MemoryBackend::new()).await;
        let (writer, reader) = (store(&server, 64 << 20), store(&server, 100_000));
        let pick = |store: RedisSessionStore| if cluster { store.cluster() } else { store };
        let (writer, reader) = (pick(writer), pick(reader));
        let small = sessions(60, 8000);
        assert!(writer.batch_store_sessions(&small).await.is_ok());
        let list = reader.list_sessions("user").await.unwrap();
        assert_eq!(list.sessions.len(), 60);
        assert!(!list.partial);
        assert_eq!(list.corrupt, 0);
        let large = sessions(1, 300_000).remove(0);
        writer.store_session(&large).await.unwrap();
        let listed = reader.list("user").await.unwrap();
        assert_eq!(listed.ids.len(), 61);
        assert_eq!(listed.sessions.len(), 60);
        assert_eq!(listed.corrupt, 0);
        let Some(SessionError::Refused(error) | SessionError::MaybeApplied(error)) = listed.partial
        else {
            panic!("{:?}", listed.partial)
        };
        assert_eq!(error.kind(), ErrorKind::ReplyTooLarge);
        assert!(reader.batch_delete_sessions(&ids(&small[..30])).await.is_ok());
        assert_eq!(reader.delete_user_sessions("user").await.unwrap(), 31, "no bodies are read");
        assert!(writer.list("user").await.unwrap().ids.is_empty());
    }
}

#[tokio::test]
async fn large_existing_sessions_are_stored_again() {
    let server = rest::serve(MemoryBackend::new()).await;
    let store = store(&server, 1_000_000);
    let large = sessions(12, 150_000);
    for round in 0..2 {
        let outcome = store.batch_store_sessions(&large).await;
        assert!(outcome.is_ok(), "round {round}: {:?}", outcome.failed().next());
    }
    // Uses carry no text; their results do if another client was faster.
    let small: Vec<_> = sessions(12, 0)
        .into_iter()
        .zip(&large)
        .map(|(small, large)| Session::new(&small.user_id).id(&large.id).org_id(&small.org_id))
        .collect();
    let outcome = store.batch_store_sessions(&small).await;
    assert!(outcome.is_ok(), "replies of up to 1.8 MB: {:?}", outcome.failed().next());
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 12);
}
