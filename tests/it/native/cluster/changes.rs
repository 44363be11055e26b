//! Moving slots and failovers, while many callers count.

use redis_rest::{Client, cmd};
use redis_rest_test_support::cluster::Cluster;
use redis_rest_test_support::process::until;
use redis_rest_test_support::redis_test;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::task::JoinSet;

/// Callers that increment keys of one tag, and the results they received.
struct Counting {
    client: Client,
    tag: String,
    done: AtomicU64,
    maybe: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

const KEYS: u64 = 30;

impl Counting {
    fn start(client: &Client, tag: &str) -> (Arc<Self>, JoinSet<()>) {
        let counting = Arc::new(Self {
            client: client.clone(),
            tag: tag.to_owned(),
            done: AtomicU64::default(),
            maybe: AtomicU64::default(),
            refused: AtomicU64::default(),
            stop: AtomicBool::default(),
        });
        let mut callers = JoinSet::new();
        for caller in 0..3 {
            let counting = Arc::clone(&counting);
            callers.spawn(async move {
                let mut n = 0;
                while !counting.stop.load(Relaxed) {
                    counting.count(caller, n).await;
                    n += 1;
                }
            });
        }
        (counting, callers)
    }

    fn key(&self, n: u64) -> String {
        format!("{{{}}}:{}", self.tag, n % KEYS)
    }

    /// Sends one command, one pipeline of three, or one transaction of two.
    async fn count(&self, caller: u64, n: u64) {
        let results: Vec<redis_rest::Result<i64>> = match caller {
            0 => vec![self.client.incr(self.key(n)).await],
            1 => {
                let mut pipe = self.client.pipeline();
                let slots: Vec<_> = (n..n + 3).map(|n| pipe.add(cmd::incr(self.key(n)))).collect();
                match pipe.send().await {
                    Ok(mut replies) => slots.into_iter().map(|slot| replies.take(slot)).collect(),
                    Err(error) => vec![Err(error.clone()), Err(error.clone()), Err(error)],
                }
            }
            _ => {
                let mut tx = self.client.transaction();
                let slots = [tx.add(cmd::incr(self.key(n))), tx.add(cmd::incr(self.key(n + 1)))];
                match tx.send().await {
                    Ok(mut replies) => slots.into_iter().map(|slot| replies.take(slot)).collect(),
                    Err(error) => vec![Err(error.clone()), Err(error)],
                }
            }
        };
        for result in results {
            let count = match result {
                Ok(_) => &self.done,
                Err(error) if error.maybe_applied() => &self.maybe,
                Err(_) => &self.refused,
            };
            count.fetch_add(1, Relaxed);
        }
    }

    fn so_far(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Continues for a while, and then stops. Returns the stored, confirmed, possible and failed
    /// increments.
    async fn end(&self, callers: JoinSet<()>) -> (u64, u64, u64, u64) {
        let already = self.so_far();
        until("callers that go on", || self.so_far() > already + 200);
        self.stop.store(true, Relaxed);
        callers.join_all().await;
        let mut stored = 0;
        for n in 0..KEYS {
            stored += self.client.get::<Option<u64>>(self.key(n)).await.unwrap().unwrap_or(0);
        }
        (stored, self.so_far(), self.maybe.load(Relaxed), self.refused.load(Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_while_it_is_written() {
    let cluster = redis_test!(Cluster::start(0));
    let client = cluster.client().await;
    let tag = cluster.key_on(0, 0);
    let (_, slot) = cluster.owner(&tag);
    let (counting, callers) = Counting::start(&client, &tag);
    until("all keys", || {
        cluster.nodes[0].query::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}")) == KEYS
    });

    cluster.move_slot(slot, 0, 1, || {
        // Some calls with the slot half moved.
        let already = counting.so_far();
        until("calls between", || counting.so_far() > already + 5);
    });
    let (stored, done, maybe, refused) = counting.end(callers).await;
    assert_eq!((maybe, refused), (0, 0), "no call notices");
    assert_eq!(stored, done, "each ran once");
    assert_eq!(cluster.nodes[1].query::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}")), KEYS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_takes_over_while_it_is_written() {
    let mut cluster = redis_test!(Cluster::start(3));
    let client = cluster.client().await;
    let tag = cluster.key_on(1, 0);
    let (counting, callers) = Counting::start(&client, &tag);
    until("callers", || counting.so_far() > 200);

    // A manual failover: nothing is lost, and nothing is refused.
    cluster.nodes[4].query::<()>("CLUSTER FAILOVER");
    until("a new master", || {
        cluster.nodes[4].query::<String>("INFO replication").contains("role:master")
    });
    let (stored, done, maybe, refused) = counting.end(callers).await;
    assert_eq!((maybe, refused), (0, 0), "no call notices");
    assert_eq!(stored, done, "each ran once");

    // The master dies: changes that Redis had not replicated are lost, and nothing runs twice.
    until("the old master is its replica", || {
        cluster.nodes[1].query::<String>("INFO replication").contains("master_link_status:up")
    });
    let (counting, callers) = Counting::start(&client, &format!("{tag}}}second{{"));
    until("callers", || counting.so_far() > 200);
    cluster.nodes[4].kill();
    until("the next master", || {
        cluster.nodes[1].query::<String>("INFO replication").contains("role:master")
    });
    let (stored, done, maybe, refused) = counting.end(callers).await;
    assert!(stored <= done + maybe, "{stored} stored, {done} confirmed, {maybe} in doubt");
    assert!(maybe <= 6, "only the calls under way are in doubt: {maybe}");
    assert_eq!(refused, 0, "the others wait");
}
