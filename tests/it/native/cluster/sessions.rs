//! The session store on a real cluster: every case, and sessions under load while slots move and a
//! master dies.

use redis_rest::backend::native::NativeBackend;
use redis_rest::conformance::sessions::{self, Harness};
use redis_rest::session::{
    IndexLayout, RedisSessionStore, Session, SessionError, SessionStore, SessionStoreExt as _,
};
use redis_rest::{BoxFuture, Client};
use redis_rest_test_support::cluster::Cluster;
use redis_rest_test_support::process::until;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone)]
struct OnCluster {
    client: Client,
    layout: IndexLayout,
}

impl Harness for OnCluster {
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
        Arc::new(RedisSessionStore::new(self.client.clone(), ttl).index_layout(self.layout))
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        // A real server's clock cannot be moved: the test waits.
        Box::pin(tokio::time::sleep(time))
    }
}

/// Runs all cases concurrently on one cluster: each uses separate users.
async fn conformance(layout: IndexLayout) {
    let cluster = redis_test!(Cluster::start(0));
    let harness = OnCluster { client: cluster.client().await, layout };
    let mut running = JoinSet::new();
    macro_rules! run_each {
        ($($case:ident)*) => {
            $({
                let harness = harness.clone();
                running.spawn(async move { sessions::$case(&harness).await });
            })*
        };
    }
    redis_rest::each_session_case!(run_each);
    running.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_with_a_json_index() {
    conformance(IndexLayout::JsonArray).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_with_a_sorted_set() {
    conformance(IndexLayout::SortedSet).await;
}

/// Prefixes and user ids determine slots too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_one_session_share_a_slot() {
    let cluster = redis_test!(Cluster::start(0));
    let client = cluster.client().await;
    for prefix in ["", "app:", "{app}:", "a}b:"] {
        for user in ["user", "{user}", "a{b", "a}b", "a{}b"] {
            let store = RedisSessionStore::new(client.with_prefix(prefix), HOUR);
            let [kept, lost] = [Session::new(user).org_id("org"), Session::new(user).org_id("org")];
            assert!(store.batch_store_sessions(&[kept.clone(), lost.clone()]).await.is_ok());
            store.set_ttl(&kept.id, HOUR / 2).await.unwrap();
            assert_eq!(store.client().del([format!("session:{}", lost.id)]).await.unwrap(), 1);
            assert_eq!(store.cleanup_expired_sessions(user).await.unwrap(), 1, "{prefix} {user}");
            assert_eq!(store.list_sessions(user).await.unwrap().sessions.len(), 1);
            assert!(store.delete_session(&kept.id).await.unwrap());
        }
    }
    let half = RedisSessionStore::new(client.with_prefix("a{b"), HOUR);
    assert!(matches!(
        half.store_session(&Session::new("user").org_id("org")).await,
        Err(SessionError::Config(_))
    ));
}

/// A REST server in front does not report the cluster: the error names the setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_rest_in_front_of_a_cluster() {
    let cluster = redis_test!(Cluster::start(0));
    let server = rest::serve(NativeBackend::cluster([cluster.nodes[0].url()]).await.unwrap()).await;
    let (store, session) = (
        RedisSessionStore::new(rest::client(&server), HOUR),
        Session::new("user").id("first").org_id("org"),
    );
    let error = store.store_session(&session).await.unwrap_err();
    assert!(
        matches!(error, SessionError::CrossSlot) && error.to_string().contains(".cluster()"),
        "{error}"
    );
    let store = store.cluster();
    store.store_session(&session).await.unwrap();
    store.store_session(&Session::new("user").id("second").org_id("org")).await.unwrap();
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 2);
}

/// Knowledge of a caller about a session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Live,
    Gone,
    /// A reply was lost: the session may exist or not.
    Doubt,
}

type Fates = Vec<(Session, Fate)>;

/// Callers that store, use, delete and clean up, and the results they received.
struct Load {
    store: RedisSessionStore,
    users: Vec<String>,
    /// Read and changed continuously.
    counter: Session,
    stored: AtomicU64,
    reads: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    async fn start(
        client: &Client,
        layout: IndexLayout,
    ) -> (Arc<Self>, JoinSet<(Fates, Vec<SessionError>)>) {
        let load = Arc::new(Self {
            store: RedisSessionStore::new(client.clone(), HOUR).index_layout(layout),
            users: (0..4).map(|n| format!("user-{n}")).collect(),
            counter: Session::new("user-0").id("counter").org_id("org"),
            stored: AtomicU64::default(),
            reads: AtomicU64::default(),
            stop: AtomicBool::default(),
        });
        load.store.store_session(&load.counter).await.unwrap();
        let mut callers = JoinSet::new();
        for caller in 0..3 {
            callers.spawn(Arc::clone(&load).sessions(caller));
        }
        callers.spawn(Arc::clone(&load).count());
        callers.spawn(Arc::clone(&load).read());
        (load, callers)
    }

    /// Stores sessions, and deletes two of three again. One caller does it in batches.
    async fn sessions(self: Arc<Self>, caller: usize) -> (Fates, Vec<SessionError>) {
        let (mut fates, mut errors): (Fates, Vec<SessionError>) = (Vec::new(), Vec::new());
        for round in 0.. {
            if self.stop.load(Relaxed) {
                break;
            }
            let user = &self.users[round % self.users.len()];
            let count = if caller == 0 { 6 } else { 1 };
            let sessions: Vec<_> = (0..count)
                .map(|n| Session::new(user).id(format!("s-{caller}-{round}-{n}")).org_id("org"))
                .collect();
            let results: Vec<Result<(), SessionError>> = match caller {
                0 => self
                    .store
                    .batch_store_sessions(&sessions)
                    .await
                    .iter()
                    .map(|(_, result)| result.clone())
                    .collect(),
                _ => vec![self.store.store_session(&sessions[0]).await],
            };
            let mut known: BTreeMap<String, Fate> = BTreeMap::new();
            let mut told =
                |id: &str, result: Result<(), SessionError>, done: Fate, otherwise: Fate| {
                    let fate = match result {
                        Ok(()) => done,
                        Err(error) => {
                            let fate = if error.maybe_applied() { Fate::Doubt } else { otherwise };
                            errors.push(error);
                            fate
                        }
                    };
                    known.insert(id.to_owned(), fate);
                    fate == Fate::Live
                };
            let live: Vec<&Session> = sessions
                .iter()
                .zip(results)
                .filter_map(|(one, result)| {
                    told(&one.id, result, Fate::Live, Fate::Gone).then_some(one)
                })
                .collect();
            self.stored.fetch_add(live.len() as u64, Relaxed);
            let gone: Vec<String> = live
                .iter()
                .enumerate()
                .filter(|(n, _)| (n + round) % 3 > 0)
                .map(|(_, one)| one.id.clone())
                .collect();
            match (caller, gone.as_slice()) {
                (_, []) => {}
                (0, gone) => {
                    for (id, result) in self.store.batch_delete_sessions(gone).await.iter() {
                        told(id, result.clone(), Fate::Gone, Fate::Live);
                    }
                }
                (_, gone) => {
                    let result = self.store.delete_session(&gone[0]).await;
                    told(
                        &gone[0],
                        result.map(|was_there| assert!(was_there)),
                        Fate::Gone,
                        Fate::Live,
                    );
                }
            }
            if round % 5 == 0 {
                errors.extend(self.store.cleanup_expired_sessions(user).await.err());
            }
            fates.extend(sessions.into_iter().map(|session| {
                let fate = known[&session.id];
                (session, fate)
            }));
        }
        (fates, errors)
    }

    async fn count(self: Arc<Self>) -> (Fates, Vec<SessionError>) {
        let (mut counted, mut errors) = (0_u64, Vec::new());
        while !self.stop.load(Relaxed) {
            let add = |session: &mut Session| {
                let count: u64 = session.metadata.get("count").unwrap().unwrap_or_default();
                session.metadata.insert("count", count + 1).unwrap();
            };
            match self.store.modify(&self.counter.id, add).await {
                Ok(_) => counted += 1,
                Err(error) => errors.push(error),
            }
            errors.extend(self.store.touch(&self.counter.id).await.err());
        }
        let stored = self
            .store
            .retrieve_session(&self.counter.id)
            .await
            .unwrap()
            .metadata
            .get::<u64>("count")
            .unwrap()
            .unwrap_or_default();
        let doubt = errors.iter().filter(|error| error.maybe_applied()).count() as u64;
        assert!(
            (counted..=counted + doubt).contains(&stored),
            "{stored} stored, {counted} confirmed, {doubt} in doubt"
        );
        (vec![(self.counter.clone(), Fate::Live)], errors)
    }

    async fn read(self: Arc<Self>) -> (Fates, Vec<SessionError>) {
        let mut errors = Vec::new();
        while !self.stop.load(Relaxed) {
            errors.extend(self.store.retrieve_session(&self.counter.id).await.err());
            match self.store.list_sessions("user-0").await {
                Ok(list) => assert!(
                    list.sessions.iter().any(|session| session.id == self.counter.id),
                    "it is listed all the time"
                ),
                Err(error) => errors.push(error),
            }
            self.reads.fetch_add(1, Relaxed);
        }
        (Vec::new(), errors)
    }

    /// Continues for some more sessions, and then stops.
    async fn end(
        &self,
        callers: JoinSet<(Fates, Vec<SessionError>)>,
    ) -> (Fates, Vec<SessionError>) {
        self.go_on(60);
        self.stop.store(true, Relaxed);
        let (fates, errors): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().unzip();
        (fates.concat(), errors.concat())
    }

    fn go_on(&self, more: u64) {
        let already = self.stored.load(Relaxed);
        until("callers that store", || self.stored.load(Relaxed) >= already + more);
    }

    /// Asserts that each session matches its caller's results, that every existing one is listed,
    /// and that a clean-up leaves nothing else.
    async fn check(&self, fates: Fates) {
        let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (session, fate) in fates {
            let exists = self.store.exists(&session.id).await.unwrap();
            if fate != Fate::Doubt {
                assert_eq!(exists, fate == Fate::Live, "{fate:?} {}", session.id);
            } else if exists {
                // No caller was told that it is stored, so it need not be listed; using it lists
                // it.
                self.store.update_session(&session).await.unwrap();
            }
            if exists {
                there.entry(session.user_id).or_default().insert(session.id);
            }
        }
        for user in &self.users {
            let listed: BTreeSet<String> = self
                .store
                .list_sessions(user)
                .await
                .unwrap()
                .into_iter()
                .map(|session| session.id)
                .collect();
            assert_eq!(Some(&listed), there.get(user), "{user}");
            self.store.cleanup_expired_sessions(user).await.unwrap();
            assert_eq!(self.in_index(user).await, listed, "the index names nothing else");
        }
    }

    async fn in_index(&self, user: &str) -> BTreeSet<String> {
        let key = format!("user_sessions:{user}");
        match self.store.client().get::<Option<String>>(&key).await {
            Ok(text) => serde_json::from_str(&text.expect("an index")).unwrap(),
            Err(error) if error.redis_code() == Some("WRONGTYPE") => {
                self.store.client().zrange::<String>(&key).await.unwrap().into_iter().collect()
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_while_their_slots_move() {
    let cluster = redis_test!(Cluster::start(0));
    let client = cluster.client().await;
    for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
        cluster.nodes.iter().for_each(|node| node.query::<()>("FLUSHALL"));
        let (load, callers) = Load::start(&client, layout).await;
        load.go_on(100);
        // The slot of an index, and that of a record.
        for key in ["user_sessions:user-0", "session:counter"] {
            let (home, slot) = cluster.owner(key);
            let away = (home + 1) % 3;
            let (from, to) =
                if layout == IndexLayout::JsonArray { (home, away) } else { (away, home) };
            cluster.move_slot(slot, from, to, || {
                let already = load.reads.load(Relaxed);
                until("reads between", || load.reads.load(Relaxed) > already + 2);
            });
            load.go_on(20);
        }
        let (fates, errors) = load.end(callers).await;
        assert!(errors.is_empty(), "no call notices: {errors:?}");
        assert!(fates.len() > 200, "{}", fates.len());
        load.check(fates).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_while_a_master_dies() {
    let mut cluster = redis_test!(Cluster::start(3));
    let client = cluster.client().await;
    let (load, callers) = Load::start(&client, IndexLayout::JsonArray).await;
    load.go_on(100);
    // The master of an index. Its confirmed writes have reached its replica: Redis does not wait
    // for that by itself, and would lose them.
    let (master, _) = cluster.owner("user_sessions:user-0");
    let replica = &cluster.nodes[master + 3];
    cluster.nodes[master].query::<()>("CLIENT PAUSE 60000 WRITE");
    until("a replica with everything", || {
        let sent = number(
            &cluster.nodes[master].query::<String>("INFO replication"),
            "master_repl_offset",
        );
        number(&replica.query::<String>("INFO replication"), "slave_repl_offset") == sent
    });
    cluster.nodes[master].kill();
    until("a new master", || {
        cluster.nodes[master + 3].query::<String>("INFO replication").contains("role:master")
    });
    let (fates, errors) = load.end(callers).await;
    let doubt = errors.iter().filter(|error| error.maybe_applied()).count();
    assert!(doubt <= 10, "only what was under way is in doubt: {doubt} of {errors:?}");
    assert!(fates.len() > 160, "{}", fates.len());
    load.check(fates).await;
}

fn number(info: &str, name: &str) -> u64 {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .expect("Redis says it")
        .trim()
        .parse()
        .unwrap()
}
