use crate::support::redis::Redis;
use crate::support::rest;
use redis_rest::backend::memory::MemoryBackend;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::server::{DEFAULT_TOKEN, RunningServer};
use redis_rest::session::{ManagerOptions, Pending, Recovery, RedisSessionStore, Session, SessionError, SessionManager, SessionStore};
use redis_rest::{BoxFuture, BreakerPolicy, BreakerState, Client, Error, ErrorKind, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// What the way to the server does.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Way {
    Open,
    /// Nothing gets through.
    Cut,
    /// Everything gets through, no reply comes back.
    Deaf,
}

#[derive(Clone)]
struct Gate {
    inner: HttpTransport,
    way: Arc<AtomicU8>,
    tried: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self { inner: HttpTransport::new(Duration::from_secs(3)).unwrap(), way: Arc::default(), tried: Arc::default() }
    }

    fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::Relaxed);
    }

    fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }
}

impl Transport for Gate {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            self.tried.fetch_add(1, Ordering::Relaxed);
            let way = self.way.load(Ordering::Relaxed);
            if way == Way::Cut as u8 {
                return Err(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "no way there"));
            }
            let response = self.inner.send(request).await?;
            match way == Way::Deaf as u8 {
                true => Err(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "no way back")),
                false => Ok(response),
            }
        })
    }
}

/// A manager behind a gate, and another way to the same Redis that stays open.
struct Node {
    manager: SessionManager,
    gate: Gate,
    engine: MemoryBackend,
    elsewhere: RedisSessionStore,
    _server: RunningServer,
}

/// Recovers at the first call after the way is open again.
fn at_once() -> Recovery {
    let policy = BreakerPolicy::default().min_calls(1).failure_ratio(0.0).open_for(Duration::ZERO, Duration::ZERO);
    Recovery::Automatic(policy)
}

async fn node(recovery: Recovery) -> Node {
    let engine = MemoryBackend::new();
    let server = rest::serve(engine.clone()).await;
    let gate = Gate::new();
    let client = Client::builder().url(server.url()).token(DEFAULT_TOKEN).no_retry().transport(gate.clone()).build().unwrap();
    let options = ManagerOptions::default().max_staleness(Duration::ZERO).touch_interval(HOUR).recovery(recovery);
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::new(RedisSessionStore::new(client, HOUR)), true).await.unwrap();
    let elsewhere = RedisSessionStore::new(Client::from_backend(engine.clone()), HOUR);
    Node { manager, gate, engine, elsewhere, _server: server }
}

async fn create(node: &Node) -> Session {
    node.manager.create_session("user", "org").await.unwrap().into_inner()
}

async fn ids(node: &Node) -> Vec<String> {
    node.elsewhere.list_sessions("user").await.unwrap().into_iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn while_the_store_is_down_no_call_goes_there_and_none_fails() {
    let node = node(Recovery::default()).await;
    let mut known = create(&node).await;
    node.gate.set(Way::Cut);
    let new = create(&node).await;
    assert_eq!(node.manager.store_state().unwrap().0, BreakerState::Open);
    let tried = node.gate.tried();
    known.system_prompt = "changed in the outage".into();
    node.manager.update_session(&known).await.unwrap();
    assert_eq!(node.manager.get_session(&known.id).await.unwrap().system_prompt, known.system_prompt);
    assert_eq!(node.manager.get_session(&new.id).await.unwrap().id, new.id);
    let list = node.manager.list_sessions("user").await.unwrap();
    assert!(list.len() == 2 && list.partial);
    assert!(matches!(node.manager.get_session("unknown").await, Err(SessionError::Unavailable(_))), "never NotFound");
    let third = create(&node).await;
    assert!(*node.manager.cleanup_session(&third.id).await.unwrap());
    assert_eq!(node.gate.tried(), tried);
    let pending = node.manager.pending();
    assert_eq!((pending.new, pending.changed, pending.touched, pending.deleted), (1, 1, 0, 1));
}

#[tokio::test]
async fn the_first_call_after_an_outage_makes_up_for_it() {
    let node = node(at_once()).await;
    let (mut changed, deleted) = (create(&node).await, create(&node).await);
    node.gate.set(Way::Cut);
    let new = create(&node).await;
    changed.system_prompt = "changed in the outage".into();
    node.manager.update_session(&changed).await.unwrap();
    assert!(*node.manager.cleanup_session(&deleted.id).await.unwrap());
    assert!(!node.manager.is_using_redis());
    node.gate.set(Way::Open);
    node.manager.get_session(&new.id).await.unwrap();
    assert!(node.manager.is_using_redis());
    assert_eq!(node.manager.pending(), Pending::default());
    assert_eq!(ids(&node).await, [changed.id.clone(), new.id.clone()]);
    assert_eq!(node.elsewhere.retrieve_session(&changed.id).await.unwrap().system_prompt, changed.system_prompt);
    assert!(matches!(node.manager.get_session(&deleted.id).await, Err(SessionError::NotFound)));
}

#[tokio::test]
async fn a_second_outage_shows_nothing_of_the_first() {
    let node = node(at_once()).await;
    let (kept, deleted) = (create(&node).await, create(&node).await);
    node.gate.set(Way::Cut);
    node.manager.cleanup_session(&deleted.id).await.unwrap();
    let mut old = kept.clone();
    old.system_prompt = "from the first outage".into();
    node.manager.update_session(&old).await.unwrap();
    node.gate.set(Way::Open);
    node.manager.flush().await.unwrap();
    let mut new = node.elsewhere.retrieve_session(&kept.id).await.unwrap();
    new.system_prompt = "changed elsewhere after it".into();
    node.elsewhere.update_session(&new).await.unwrap();
    assert_eq!(node.manager.get_session(&kept.id).await.unwrap().system_prompt, new.system_prompt);
    node.gate.set(Way::Cut);
    assert_eq!(node.manager.get_session(&kept.id).await.unwrap().system_prompt, new.system_prompt);
    assert!(node.manager.get_session(&deleted.id).await.is_err());
    assert_eq!((node.manager.pending().deleted, node.manager.pending().changed), (0, 0));
}

#[tokio::test]
async fn what_was_changed_or_deleted_elsewhere_meanwhile_stands() {
    let node = node(at_once()).await;
    let (mut ours, mut gone) = (create(&node).await, create(&node).await);
    node.gate.set(Way::Cut);
    (ours.system_prompt, gone.system_prompt) = ("ours".into(), "ours".into());
    node.manager.update_session(&ours).await.unwrap();
    node.manager.update_session(&gone).await.unwrap();
    let mut theirs = node.elsewhere.retrieve_session(&ours.id).await.unwrap();
    (theirs.system_prompt, theirs.last_active_at) = ("theirs".into(), theirs.last_active_at + HOUR);
    node.elsewhere.update_session(&theirs).await.unwrap();
    node.elsewhere.delete_session(&gone.id).await.unwrap();
    node.gate.set(Way::Open);
    assert_eq!(node.manager.flush().await.unwrap().dropped, 2);
    assert_eq!(node.manager.get_session(&ours.id).await.unwrap().system_prompt, "theirs");
    assert!(matches!(node.manager.get_session(&gone.id).await, Err(SessionError::NotFound)));
    assert_eq!(ids(&node).await, [ours.id]);
}

#[tokio::test]
async fn logged_out_everywhere_in_an_outage_is_logged_out_after_it() {
    let node = node(at_once()).await;
    let held = create(&node).await;
    let unknown = Session::new("user", "org");
    node.elsewhere.store_session(&unknown).await.unwrap();
    node.gate.set(Way::Cut);
    assert_eq!(*node.manager.delete_user_sessions("user").await.unwrap(), 1, "the one it knows of");
    let new = create(&node).await;
    assert!(matches!(node.manager.get_session(&held.id).await, Err(SessionError::NotFound)));
    node.gate.set(Way::Open);
    assert!(matches!(node.manager.get_session(&unknown.id).await, Err(SessionError::NotFound)));
    assert_eq!(ids(&node).await, std::slice::from_ref(&new.id));
    assert_eq!(node.manager.pending(), Pending::default());
    assert_eq!(*node.manager.delete_user_sessions("user").await.unwrap(), 1);
    assert!(ids(&node).await.is_empty());
}

#[tokio::test]
async fn deadlines_stay_where_they_were() {
    let node = node(at_once()).await;
    node.gate.set(Way::Cut);
    let new = create(&node).await;
    // The server's clock goes on during the outage; what is written after it must not live longer for that.
    node.gate.set(Way::Open);
    node.manager.flush().await.unwrap();
    node.engine.advance(HOUR - Duration::from_secs(60));
    assert!(node.elsewhere.exists(&new.id).await.unwrap());
    node.engine.advance(Duration::from_secs(120));
    assert!(!node.elsewhere.exists(&new.id).await.unwrap());
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_is_not_taken_for_somebody_elses() {
    let node = node(at_once()).await;
    let mut session = create(&node).await;
    node.gate.set(Way::Deaf);
    session.system_prompt = "stored, but nobody told us".into();
    node.manager.update_session(&session).await.unwrap();
    session.system_prompt = "changed once more".into();
    node.manager.update_session(&session).await.unwrap();
    let new = create(&node).await;
    node.gate.set(Way::Open);
    node.manager.flush().await.unwrap();
    assert_eq!(node.elsewhere.retrieve_session(&session.id).await.unwrap().system_prompt, "changed once more");
    assert_eq!(ids(&node).await, [session.id, new.id]);
}

#[tokio::test]
async fn manual_recovery_waits_to_be_told() {
    let node = node(Recovery::Manual).await;
    node.gate.set(Way::Cut);
    let new = create(&node).await;
    node.gate.set(Way::Open);
    node.manager.get_session(&new.id).await.unwrap();
    assert!(!node.manager.is_using_redis() && ids(&node).await.is_empty());
    node.manager.flush().await.unwrap();
    assert!(node.manager.is_using_redis());
    assert_eq!(ids(&node).await, [new.id]);
}

#[tokio::test]
async fn a_server_that_cannot_be_written_counts_as_down_though_it_answers_ping() {
    let Some(redis) = Redis::start() else { return };
    let client = Client::from_backend(redis.backend().await);
    let options = ManagerOptions::default().recovery(at_once());
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::new(RedisSessionStore::new(client.clone(), HOUR)), true).await.unwrap();
    let replicas = |count: u8| client.run::<()>(redis_rest::cmd("CONFIG SET").arg("min-replicas-to-write").arg(count));
    replicas(1).await.unwrap();
    let new = manager.create_session("user", "org").await.unwrap();
    assert!(client.ping().await.is_ok());
    manager.get_session(&new.id).await.unwrap();
    assert!(!manager.is_using_redis());
    replicas(0).await.unwrap();
    manager.get_session(&new.id).await.unwrap();
    assert!(manager.is_using_redis() && client.exists([format!("session:{}", new.id)]).await.unwrap() == 1);
}
