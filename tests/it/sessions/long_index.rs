//! Long JSON indexes, compared between the engine and a real Redis.

use redis_rest::Client;
use redis_rest::session::{
    ChangeId, Marks, Mode, RedisSessionStore, Session, SessionStore as _, SessionStoreExt as _,
    TtlRule, Write, Written,
};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::redis::Redis;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const INDEX: &str = "user_sessions:user";
/// Part of an index that is read to append an id.
const TAIL: usize = 16 * 1024;

/// The expected content of the index.
#[derive(Default)]
struct Model {
    /// Each id once, in the order of the index.
    listed: Vec<String>,
    alive: BTreeSet<String>,
    /// Ids stored again after they expired: these may be listed twice.
    again: HashSet<String>,
}

impl Model {
    fn store(&mut self, id: &str) {
        let new = self.alive.insert(id.to_owned());
        match self.listed.iter().any(|listed| listed == id) {
            true if new => drop(self.again.insert(id.to_owned())),
            true => {}
            false => self.listed.push(id.to_owned()),
        }
    }

    fn delete(&mut self, ids: &[String]) {
        self.listed.retain(|id| !ids.contains(id));
        self.alive.retain(|id| !ids.contains(id));
    }
}

fn session(id: &str) -> Session {
    Session::new("user").id(id).org_id("org")
}

/// Returns elements as another service writes them, with this total length.
fn others(rng: &mut fastrand::Rng, length: usize) -> Vec<String> {
    let count = length / 39 - 1;
    let mut ids: Vec<String> = (0..count).map(|_| format!("{:036x}", rng.u128(..))).collect();
    // 39 bytes with quotes and comma, and one bracket more than commas.
    let rest = length - (count * 39 + 1) - 3;
    ids.push("x".repeat(rest));
    ids
}

/// Applies the same operations to every store, and compares their indexes after each step.
async fn history(seed: u64, clients: &[Client]) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let stores: Vec<_> =
        clients.iter().map(|client| RedisSessionStore::new(client.clone(), HOUR)).collect();
    let length = TAIL + 1 - rng.usize(..3);
    let mut model = Model { listed: others(&mut rng, length), ..Model::default() };
    let mut text = serde_json::to_string(&model.listed).unwrap();
    for client in clients {
        client.flushdb().await.unwrap();
        client.set(INDEX, &text).await.unwrap();
    }
    for step in 0..60 {
        // Some never existed, some are alive or expired; in a batch also repeated.
        let mut ids: Vec<String> =
            (0..rng.usize(1..5)).map(|_| format!("s{:x}", rng.u32(..))).collect();
        for _ in 0..rng.usize(..4) {
            let known = rng
                .choice(&model.listed)
                .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            ids.push(known.unwrap_or(&ids[0]).clone());
        }
        rng.shuffle(&mut ids);
        let sessions: Vec<_> = ids.iter().map(|id| session(id)).collect();
        let live: Vec<String> = model.alive.iter().cloned().collect();
        let some =
            rng.choose_multiple(&live, live.len().min(3)).into_iter().cloned().collect::<Vec<_>>();
        let op = rng.u8(0..11);
        for (store, client) in stores.iter().zip(clients) {
            match op {
                0..3 => store.store_session(&sessions[0]).await.unwrap(),
                3 | 4 => store.batch_store_sessions(&sessions).await.ok().unwrap(),
                5 => {
                    let new = Session::new("user").id(format!("r{step}")).org_id("org");
                    let mode = Mode::Create { marks: &Marks::default(), reuse: false };
                    let (id, ttl) = (ChangeId::new(), TtlRule::Slide(HOUR));
                    let write = Write { id, session: &new, mode, content: true, ttl };
                    let written = store.write(&[write]).await.remove(0).unwrap();
                    assert!(matches!(written, Written::Written { .. }));
                }
                6 => {
                    for id in &some {
                        client.del([format!("session:{id}")]).await.unwrap();
                    }
                }
                7 => drop(
                    store
                        .delete_session(some.first().map_or("none", String::as_str))
                        .await
                        .unwrap(),
                ),
                8 => store.batch_delete_sessions(&some).await.ok().unwrap(),
                9 => drop(store.cleanup_expired_sessions("user").await.unwrap()),
                _ => {}
            }
        }
        match op {
            0..3 => model.store(&ids[0]),
            3 | 4 => ids.iter().for_each(|id| model.store(id)),
            5 => model.store(&format!("r{step}")),
            6 => model.alive.retain(|id| !some.contains(id)),
            7 => model.delete(&some[..some.len().min(1)]),
            8 => model.delete(&some),
            9 => {
                model.listed.retain(|id| model.alive.contains(id));
                model.again.clear();
            }
            _ => {
                // Another service rewrites the index in its own format, with ids that look like
                // parts of others.
                let mut ids: Vec<String> = serde_json::from_str(&text).unwrap();
                let length = rng.usize(TAIL / 2..TAIL + TAIL / 2);
                let one = ids.last().cloned().unwrap_or_default();
                let odd = [
                    format!("\"{one}"),
                    format!("{one}\",\"{}", ids.first().unwrap_or(&one)),
                    format!("ü{one}"),
                    format!("{one}\\"),
                ];
                let odd: Vec<_> = odd
                    .into_iter()
                    .chain(others(&mut rng, length))
                    .filter(|id| !ids.contains(id))
                    .collect();
                ids.extend(odd.clone());
                model.listed.extend(odd);
                text = match rng.u8(..3) {
                    0 => serde_json::to_string(&ids).unwrap(),
                    1 => serde_json::to_string_pretty(&ids).unwrap(),
                    _ => format!(
                        " {}\n",
                        serde_json::to_string(&ids).unwrap().replace("\",\"", "\", \"")
                    ),
                };
                for client in clients {
                    client.set(INDEX, &text).await.unwrap();
                }
            }
        }
        let at = format!("seed {seed}, step {step}, operation {op}");
        let stored = async |client: &Client| {
            client.get::<Option<String>>(INDEX).await.unwrap().unwrap_or_else(|| "[]".into())
        };
        text = stored(&clients[0]).await;
        let raw: Vec<String> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{at}: {error}"));
        let mut seen = HashSet::new();
        let (once, twice): (Vec<_>, Vec<_>) =
            raw.into_iter().partition(|id| seen.insert(id.clone()));
        let other = once.iter().zip(&model.listed).find(|(is, should)| is != should);
        assert_eq!((once.len(), other), (model.listed.len(), None), "{at}");
        assert!(twice.iter().all(|id| model.again.contains(id)), "{at}");
        for (store, client) in stores.iter().zip(clients) {
            assert!(stored(client).await == text, "{at}: the engine and Redis differ");
            let found: Vec<_> = store
                .list_sessions("user")
                .await
                .unwrap()
                .into_iter()
                .map(|session| session.id)
                .collect();
            assert_eq!(
                found,
                model
                    .listed
                    .iter()
                    .filter(|id| model.alive.contains(*id))
                    .cloned()
                    .collect::<Vec<_>>(),
                "{at}"
            );
        }
    }
}

#[tokio::test]
async fn random_histories_of_a_long_json_index() {
    let redis = Redis::start();
    let mut clients = vec![Client::from_backend(MemoryBackend::new())];
    if let Some(redis) = &redis {
        clients.push(Client::from_backend(redis.backend().await));
    }
    for seed in 0..3 {
        history(seed, &clients).await;
    }
}
