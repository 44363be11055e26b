use proptest::prelude::*;
use redis_rest::Client;
use redis_rest::session::{
    ChangeId, Conflict, Delete, InMemorySessionStore, IndexLayout, Mode, RedisSessionStore,
    Session, SessionError, SessionStore, SessionStoreExt as _, Touched, TtlRule, When, Write,
    Written,
};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::redis_test;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Sessions 0, 2, 4 belong to one user, the others to another.
const IDS: usize = 6;
/// Time passes in multiples of seven seconds, and no time to live is such a multiple, nor is it
/// with the minute for which ids are remembered: so the model never has to decide events within the
/// milliseconds of a test.
const STEP: u64 = 7;
const TTLS: [u64; 3] = [9, 32, 102];
const MINUTE: u64 = 60;

#[derive(Clone, Debug)]
enum Op {
    Store {
        id: usize,
        by: usize,
    },
    Create {
        id: usize,
        by: usize,
    },
    BatchStore {
        ids: BTreeSet<usize>,
        by: usize,
    },
    Update {
        id: usize,
        by: usize,
    },
    /// `stale`: another client writes between read and write.
    CompareAndUpdate {
        id: usize,
        by: usize,
        stale: bool,
    },
    Delete {
        id: usize,
        by: usize,
        known: bool,
    },
    BatchDelete {
        ids: BTreeSet<usize>,
        by: usize,
    },
    DeleteUser {
        user: usize,
        by: usize,
    },
    SetTtl {
        id: usize,
        by: usize,
        ttl: usize,
    },
    Touch {
        id: usize,
        by: usize,
        automatic: bool,
    },
    Cleanup {
        user: usize,
        by: usize,
    },
    Pass {
        steps: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let id = 0..IDS;
    let by = 0..TTLS.len();
    let user = 0..2_usize;
    let ids = proptest::collection::btree_set(0..IDS, 0..IDS);
    prop_oneof![
        3 => (id.clone(), by.clone()).prop_map(|(id, by)| Op::Store { id, by }),
        1 => (id.clone(), by.clone()).prop_map(|(id, by)| Op::Create { id, by }),
        1 => (ids.clone(), by.clone()).prop_map(|(ids, by)| Op::BatchStore { ids, by }),
        2 => (id.clone(), by.clone()).prop_map(|(id, by)| Op::Update { id, by }),
        1 => (id.clone(), by.clone(), any::<bool>()).prop_map(|(id, by, stale)| Op::CompareAndUpdate { id, by, stale }),
        2 => (id.clone(), by.clone(), any::<bool>()).prop_map(|(id, by, known)| Op::Delete { id, by, known }),
        1 => (ids, by.clone()).prop_map(|(ids, by)| Op::BatchDelete { ids, by }),
        1 => (user.clone(), by.clone()).prop_map(|(user, by)| Op::DeleteUser { user, by }),
        2 => (id.clone(), by.clone(), 0..TTLS.len()).prop_map(|(id, by, ttl)| Op::SetTtl { id, by, ttl }),
        2 => (id, by.clone(), any::<bool>()).prop_map(|(id, by, automatic)| Op::Touch { id, by, automatic }),
        1 => (user, by).prop_map(|(user, by)| Op::Cleanup { user, by }),
        3 => (1..9_u64).prop_map(|steps| Op::Pass { steps }),
    ]
}

#[derive(Clone, Debug)]
struct Live {
    prompt: String,
    deadline: u64,
    pinned: bool,
}

/// The expected state, in seconds since the start.
#[derive(Default)]
struct Model {
    now: u64,
    live: BTreeMap<usize, Live>,
    /// Shortest and longest time for which ids are remembered: in two steps a log-out makes them
    /// remembered for longer.
    remembered: BTreeMap<usize, (u64, u64)>,
    deleted: BTreeMap<usize, u64>,
    writes: u64,
}

impl Model {
    fn prompt(&mut self) -> String {
        self.writes += 1;
        format!("write {}", self.writes)
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let now = self.now;
        self.live.retain(|_, live| live.deadline > now);
        self.remembered.retain(|_, (_, most)| *most > now);
    }

    fn remember(&mut self, id: usize, least: u64, most: u64) {
        let (old_least, old_most) = self.remembered.entry(id).or_default();
        (*old_least, *old_most) = ((*old_least).max(least), (*old_most).max(most));
    }

    /// Returns the possible results.
    fn may_store(&self, id: usize, create: bool) -> Vec<Result<(), Conflict>> {
        if self.live.contains_key(&id) {
            return vec![if create { Err(Conflict::Exists) } else { Ok(()) }];
        }
        let remembered = self.remembered.get(&id);
        let just_deleted = self.deleted.get(&id).is_some_and(|at| at + MINUTE > self.now);
        match remembered {
            Some((least, _)) if create && *least > self.now => vec![Err(Conflict::Deleted)],
            Some(_) if just_deleted => vec![Err(Conflict::Deleted)],
            Some(_) if create => vec![Err(Conflict::Deleted), Ok(())],
            _ => vec![Ok(())],
        }
    }

    fn store(&mut self, id: usize, by: usize, prompt: String, result: Result<(), Conflict>) {
        if result.is_ok() {
            let deadline = self.now + TTLS[by];
            self.live.insert(id, Live { prompt, deadline, pinned: false });
            self.remember(id, deadline + MINUTE, deadline + MINUTE);
        }
    }

    fn end_at(&mut self, id: usize, deadline: u64) {
        if let Some(live) = self.live.get_mut(&id) {
            live.deadline = deadline;
            self.remember(id, deadline + MINUTE, deadline + MINUTE);
        }
    }

    fn delete(&mut self, id: usize) -> bool {
        self.remember(id, self.now + MINUTE, self.now + MINUTE);
        self.deleted.insert(id, self.now);
        self.live.remove(&id).is_some()
    }

    fn of(&self, user: usize) -> Vec<usize> {
        self.live.keys().copied().filter(|id| id % 2 == user).collect()
    }
}

/// Stores with different default times to live on the same data, and a way to move their clock.
struct World {
    stores: Vec<Arc<dyn SessionStore>>,
    advance: Box<dyn Fn(Duration)>,
}

fn session(id: usize, prompt: &str) -> Session {
    let mut session =
        Session::new(format!("user-{}", id % 2)).id(format!("session-{id}")).org_id("org");
    session.system_prompt = prompt.into();
    session
}

fn conflict<T>(result: Result<T, SessionError>) -> Result<T, Conflict> {
    result.map_err(|error| match error {
        SessionError::Conflict(conflict) => conflict,
        other => panic!("{other}"),
    })
}

async fn run(world: &World, ops: &[Op]) {
    let mut model = Model::default();
    for op in ops {
        step(world, &mut model, op).await;
        check(world, &model, op).await;
    }
}

async fn step(world: &World, model: &mut Model, op: &Op) {
    let store = |by: &usize| &world.stores[*by];
    match op {
        Op::Store { id, by } | Op::Create { id, by } => {
            let (prompt, create) = (model.prompt(), matches!(op, Op::Create { .. }));
            let new = session(*id, &prompt);
            let result = if create {
                store(by).create_session(&new).await
            } else {
                store(by).store_session(&new).await
            };
            let result = conflict(result);
            assert!(model.may_store(*id, create).contains(&result), "{op:?}: {result:?}");
            // A create uses the default time to live of its store, like a store.
            model.store(*id, *by, prompt, result);
        }
        Op::BatchStore { ids, by } => {
            let prompt = model.prompt();
            let sessions: Vec<_> = ids.iter().map(|id| session(*id, &prompt)).collect();
            let outcome = store(by).batch_store_sessions(&sessions).await;
            for (id, (_, result)) in ids.iter().zip(outcome.iter()) {
                let result = conflict(result.clone());
                assert!(model.may_store(*id, false).contains(&result), "{op:?}: {result:?}");
                model.store(*id, *by, prompt.clone(), result);
            }
        }
        Op::Update { id, by } => {
            let prompt = model.prompt();
            let result = store(by).update_session(&session(*id, &prompt)).await;
            assert_eq!(result.is_ok(), model.live.contains_key(id), "{op:?}");
            model.live.entry(*id).and_modify(|live| live.prompt = prompt);
        }
        Op::CompareAndUpdate { id, by, stale } => {
            let Ok(mut read) = store(by).retrieve_stored(&format!("session-{id}")).await else {
                return;
            };
            if *stale {
                let prompt = model.prompt();
                store(&0).update_session(&session(*id, &prompt)).await.unwrap();
                model.live.entry(*id).and_modify(|live| live.prompt = prompt);
            }
            let prompt = model.prompt();
            read.session.system_prompt = prompt.clone();
            let wanted = if *stale { Err(Conflict::Changed) } else { Ok(()) };
            let written = store(by).compare_and_update(&read.session, &read.version).await;
            assert_eq!(conflict(written.map(drop)), wanted, "{op:?}");
            if !stale {
                model.live.entry(*id).and_modify(|live| live.prompt = prompt);
            }
        }
        Op::Delete { id, by, known } => {
            let mine = session(*id, "");
            let existed = if *known {
                let (id, when) = (ChangeId::new(), When::Always);
                let (session, user_id) = (mine.id.as_str(), Some(mine.user_id.as_str()));
                let delete = Delete { id, session, user_id, mark_for: Duration::ZERO, when };
                store(by).delete(&[delete]).await.remove(0)
            } else {
                store(by).delete_session(&mine.id).await
            };
            assert_eq!(existed.unwrap(), model.delete(*id), "{op:?}");
        }
        Op::BatchDelete { ids, by } => {
            let names: Vec<_> = ids.iter().map(|id| format!("session-{id}")).collect();
            store(by).batch_delete_sessions(&names).await.ok().unwrap();
            for id in ids {
                model.delete(*id);
            }
        }
        Op::DeleteUser { user, by } => {
            let ended = store(by).delete_user_sessions(&format!("user-{user}")).await.unwrap();
            let ids = model.of(*user);
            assert_eq!(ended, ids.len(), "{op:?}");
            // Unspecified: expired ids that were still listed may be remembered too. From here on
            // all are.
            for id in (0..IDS).filter(|id| id % 2 == *user) {
                model.delete(id);
                model.remember(id, 0, model.now + TTLS[*by] + MINUTE);
                assert!(
                    !store(by).delete_session(&format!("session-{id}")).await.unwrap(),
                    "{op:?}"
                );
            }
        }
        Op::SetTtl { id, by, ttl } => {
            let result =
                store(by).set_ttl(&format!("session-{id}"), Duration::from_secs(TTLS[*ttl])).await;
            assert_eq!(result.is_ok(), model.live.contains_key(id), "{op:?}");
            model.end_at(*id, model.now + TTLS[*ttl]);
            model.live.entry(*id).and_modify(|live| live.pinned = true);
        }
        Op::Touch { id, by, automatic: true } => {
            let name = format!("session-{id}");
            let Ok(read) = store(by).retrieve_stored(&name).await else {
                assert!(!model.live.contains_key(id), "{op:?}");
                return;
            };
            let mode = Mode::Replace(&read.version);
            let ttl = TtlRule::Slide(Duration::from_secs(TTLS[*by]));
            let write =
                Write { id: ChangeId::new(), session: &read.session, mode, content: false, ttl };
            let written = store(by).write(&[write]).await.remove(0);
            assert!(matches!(written, Ok(Written::Written { .. })), "{op:?}");
            let Live { deadline, pinned, .. } = model.live[id].clone();
            if !pinned {
                model.end_at(*id, deadline.max(model.now + TTLS[*by]));
            }
        }
        Op::Touch { id, by, automatic: false } => {
            let result = store(by).touch(&format!("session-{id}")).await;
            let deadline = model.now + TTLS[*by];
            match model.live.get(id).map(|live| live.deadline) {
                None => assert!(matches!(result, Err(SessionError::NotFound)), "{op:?}"),
                Some(longer) if longer > deadline => {
                    assert_eq!(result.unwrap(), Touched::AlreadyLonger, "{op:?}")
                }
                // Within the same second, milliseconds decide.
                Some(same) if same == deadline => drop(result.unwrap()),
                Some(_) => {
                    assert_eq!(result.unwrap(), Touched::Extended, "{op:?}");
                    model.end_at(*id, deadline);
                }
            }
        }
        Op::Cleanup { user, by } => {
            store(by).cleanup_expired_sessions(&format!("user-{user}")).await.unwrap();
            assert_eq!(
                store(by).cleanup_expired_sessions(&format!("user-{user}")).await.unwrap(),
                0,
                "{op:?}"
            );
        }
        Op::Pass { steps } => {
            (world.advance)(Duration::from_secs(steps * STEP));
            model.pass(steps * STEP);
        }
    }
}

/// Asserts that exactly the expected sessions exist and are listed.
async fn check(world: &World, model: &Model, op: &Op) {
    for user in 0..2 {
        let list = world.stores[1].list_sessions(&format!("user-{user}")).await.unwrap();
        assert_eq!(list.corrupt, 0);
        let found: BTreeMap<_, _> =
            list.into_iter().map(|session| (session.id, session.system_prompt)).collect();
        let wanted: BTreeMap<_, _> = model
            .of(user)
            .into_iter()
            .map(|id| (format!("session-{id}"), model.live[&id].prompt.clone()))
            .collect();
        assert_eq!(found, wanted, "after {op:?}");
    }
    for id in 0..IDS {
        assert_eq!(
            world.stores[2].exists(&format!("session-{id}")).await.unwrap(),
            model.live.contains_key(&id),
            "after {op:?}"
        );
    }
}

fn over_engine(layout: IndexLayout, two_steps: bool) -> World {
    let engine = MemoryBackend::new();
    let client = Client::from_backend(engine.clone());
    let store = |ttl: &u64| -> Arc<dyn SessionStore> {
        let store =
            RedisSessionStore::new(client.clone(), Duration::from_secs(*ttl)).index_layout(layout);
        Arc::new(if two_steps { store.cluster() } else { store })
    };
    World {
        stores: TTLS.iter().map(store).collect(),
        advance: Box::new(move |time| engine.advance(time)),
    }
}

fn in_memory() -> World {
    let store = InMemorySessionStore::new(Duration::from_secs(1));
    let handle = |ttl: &u64| -> Arc<dyn SessionStore> {
        Arc::new(store.with_default_ttl(Duration::from_secs(*ttl)))
    };
    World {
        stores: TTLS.iter().map(handle).collect(),
        advance: Box::new(move |time| store.advance(time)),
    }
}

/// Runs random histories; a failing one is shrunk and printed, with the seed that reproduces it.
fn check_histories(cases: u32, world: impl Fn() -> World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(ops in proptest::collection::vec(op(), 1..40))| {
        runtime.block_on(run(&world(), &ops));
    });
}

#[test]
fn random_histories_on_the_engine_with_a_json_index() {
    check_histories(40, || over_engine(IndexLayout::JsonArray, false));
}

#[test]
fn random_histories_on_the_engine_with_a_sorted_set() {
    check_histories(40, || over_engine(IndexLayout::SortedSet, false));
}

#[test]
fn random_histories_in_two_steps_with_a_json_index() {
    check_histories(40, || over_engine(IndexLayout::JsonArray, true));
}

#[test]
fn random_histories_in_two_steps_with_a_sorted_set() {
    check_histories(40, || over_engine(IndexLayout::SortedSet, true));
}

#[test]
fn random_histories_in_memory() {
    check_histories(100, in_memory);
}

/// Runs many concurrent tasks on a real Redis: in any order, every session is listed, and no
/// deleted one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_histories_on_redis() {
    let redis = redis_test!();
    let client = Client::from_backend(redis.backend().await);
    for (layout, two_steps) in [
        (IndexLayout::JsonArray, false),
        (IndexLayout::SortedSet, false),
        (IndexLayout::JsonArray, true),
        (IndexLayout::SortedSet, true),
    ] {
        let prefix = format!("{layout:?}-{two_steps}");
        let seed = seed();
        println!("seed {seed}");
        let store =
            RedisSessionStore::new(client.clone(), Duration::from_secs(3600)).index_layout(layout);
        let store = if two_steps { store.cluster() } else { store };
        let tasks: Vec<_> = (0..8_u64)
            .map(|task| {
                let store = store.clone();
                let prefix = prefix.clone();
                tokio::spawn(async move {
                    let mut random = seed.wrapping_add(task.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    for _ in 0..150 {
                        // xorshift: a separate sequence for each task, and the same for the same
                        // seed.
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let session = Session::new(&prefix)
                            .id(format!("{prefix}-{}", random % 40))
                            .org_id("org");
                        match random >> 32 & 7 {
                            0..=2 => drop(store.store_session(&session).await),
                            3 => drop(store.update_session(&session).await),
                            4 => drop(store.touch(&session.id).await),
                            5 => drop(store.delete_session(&session.id).await),
                            6 => drop(
                                store.set_ttl(&session.id, Duration::from_millis(random % 3)).await,
                            ),
                            _ => drop(store.cleanup_expired_sessions(&prefix).await),
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        store.cleanup_expired_sessions(&prefix).await.unwrap();
        let stored = || async {
            let keys: Vec<String> = client.keys(format!("session:{prefix}-*")).await.unwrap();
            keys.iter()
                .map(|key| key.trim_start_matches("session:").to_owned())
                .collect::<BTreeSet<_>>()
        };
        // A session with two milliseconds to live may end in between.
        let before = stored().await;
        let listed: BTreeSet<String> = store
            .list_sessions(&prefix)
            .await
            .unwrap()
            .into_iter()
            .map(|session| session.id)
            .collect();
        let after = stored().await;
        assert!(
            listed.is_subset(&before) && after.is_subset(&listed),
            "{layout:?}, seed {seed}: {listed:?}, {before:?}, {after:?}"
        );
    }
}

fn seed() -> u64 {
    u64::from(std::process::id()) << 32 | 0x5EED
}
