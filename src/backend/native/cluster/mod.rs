//! Redis Cluster: sends each command to the node of its slot.
//!
//! The routing is this crate's own. The `redis` crate has a cluster client, which resends commands
//! whose connection broke, and whole pipelines of which one command was redirected: non-retry-safe
//! commands would run twice.

mod batch;
mod slots;

use super::connect::Target;
use super::pack::{self, Request};
use super::{NativeBackend, NativeConfig};
use crate::backend::SubscriptionTarget;
use crate::backend::{Backend, EventStream, Reply};
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, BoxFuture, Mutex};
use slots::{Address, Map, Place, Redirect};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Most redirects of one call: a cluster that sends it around in circles is broken.
const MOST_REDIRECTS: u32 = 16;

/// Executes commands on a Redis Cluster over TCP. Cheap to clone: clones share the connections, one
/// to each node.
///
/// * A command goes to the node of its keys' slot, and follows redirects: a redirected command has
///   not run. Keys in different slots are an error of code `CROSSSLOT`; `{…}` in a key decides its
///   slot.
/// * A pipeline is split by node, and the replies are merged in its order. Commands on the same
///   node keep their order, except those that are redirected while a slot moves: they run after the
///   others. A failing command does not stop the others.
/// * A transaction must stay in one slot; else it is refused before anything is sent. While its
///   slot is moving, it waits.
/// * Commands without keys (`PING`, `INFO`, `PUBLISH`, `CONFIG` …) go to any one node, `SCRIPT`,
///   `FUNCTION` and `FLUSHALL` to all of them. Commands that a node would answer for its part only
///   (`SCAN`, `KEYS`, `DBSIZE`) are refused, as are commands with unknown keys, and `MONITOR`.
/// * A command that may have run is never sent again. A call that cannot connect to a node asks the
///   others for its successor, and retries as often as [`NativeConfig::connect_retries`] allows;
///   that applies to a cluster without a master for the slot too.
/// * Replicas are not read.
///
/// The [session store](crate::session#on-redis-cluster) works on a cluster in two steps.
///
/// ```
/// # async fn run() -> redis_rest::Result<()> {
/// use redis_rest::{Client, backend::native::NativeBackend};
/// let cluster = NativeBackend::cluster(["redis://127.0.0.1:7000", "redis://127.0.0.1:7001"]).await?;
/// let client = Client::from_backend(cluster);
/// client.set("greeting", "hello").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NativeCluster(Arc<Inner>);

struct Inner {
    /// The first seed's: every node has the same settings and the same login.
    config: NativeConfig,
    seeds: Vec<NativeBackend>,
    nodes: Mutex<HashMap<Address, NativeBackend>>,
    map: Mutex<Map>,
    /// Locked by the call that loads the map.
    learning: tokio::sync::Mutex<()>,
    /// Number of times the map was loaded.
    learned: AtomicU64,
}

/// Shows no address.
impl fmt::Debug for NativeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeCluster")
    }
}

impl NativeBackend {
    /// Connects to a cluster that includes these nodes, with the default settings. See
    /// [`NativeCluster`].
    ///
    /// # Errors
    /// Fails like [`NativeBackend::connect`] if none of the nodes works.
    pub async fn cluster<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<NativeCluster> {
        NativeCluster::connect(urls.into_iter().map(NativeConfig::new)).await
    }

    fn host(&self) -> &str {
        match &self.0.connector.target {
            Target::One(endpoint) => match &endpoint.address {
                redis::ConnectionAddr::Tcp(host, _) => host,
                _ => "",
            },
            Target::Sentinels { .. } => "",
        }
    }
}

/// Returns a request of these words.
fn words(words: &[&str]) -> Request {
    let mut packed = pack::Batch::default();
    packed.push_words(words.iter().copied());
    packed.into_request()
}

fn within(deadline: Instant) -> CallOptions {
    CallOptions {
        deadline: Some(deadline.saturating_duration_since(clock::now())),
        ..CallOptions::default()
    }
}

/// Progress of a call.
struct Course {
    deadline: Instant,
    redirects: u32,
    attempts: u32,
    /// Number of the map that the call used.
    learned: u64,
}

/// Next target of a call: a node that it was redirected to, and whether for this once; or `None`
/// for the owner of the slot.
type Next = Option<(NativeBackend, bool)>;

impl NativeCluster {
    /// Connects through the first of these nodes that responds. The settings of the first hold for
    /// all nodes of the cluster.
    ///
    /// # Errors
    /// Fails like [`NativeConfig::connect`].
    pub async fn connect(seeds: impl IntoIterator<Item = NativeConfig>) -> Result<Self> {
        let cluster = Self::lazy(seeds)?;
        cluster.learn(None, cluster.course(&CallOptions::default()).deadline).await?;
        Ok(cluster)
    }

    /// Makes a backend as [`connect`](Self::connect) does, but the first call connects. Does no I/O.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`].
    pub fn lazy(seeds: impl IntoIterator<Item = NativeConfig>) -> Result<Self> {
        let configs: Vec<_> = seeds.into_iter().collect();
        let seeds = configs
            .iter()
            .map(|config| config.clone().connect_retries(0).lazy())
            .collect::<Result<Vec<_>>>()?;
        let config = configs
            .into_iter()
            .next()
            .ok_or_else(|| Error::new(ErrorKind::Config, "no node of the cluster is named"))?;
        let (nodes, map) = (Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Inner {
            config,
            seeds,
            nodes,
            map,
            learning: tokio::sync::Mutex::default(),
            learned: AtomicU64::default(),
        })))
    }

    fn course(&self, options: &CallOptions) -> Course {
        let limit = options
            .timeout
            .unwrap_or(self.0.config.timeout)
            .min(options.deadline.unwrap_or(Duration::MAX));
        Course {
            deadline: clock::after(limit),
            redirects: 0,
            attempts: 0,
            learned: self.0.learned.load(Ordering::Acquire),
        }
    }

    fn node(&self, address: &Address) -> Result<NativeBackend> {
        let mut nodes = self.0.nodes.lock();
        if let Some(node) = nodes.get(address) {
            return Ok(node.clone());
        }
        let node = self.0.config.clone().connect_retries(0).at(address)?;
        nodes.insert(address.clone(), node.clone());
        Ok(node)
    }

    /// Loads the map from `first`, the known nodes, and the seeds, each for its share of the time.
    async fn learn(&self, first: Option<&NativeBackend>, deadline: Instant) -> Result<()> {
        let mut last = Error::new(ErrorKind::Connect, "no node of the cluster answers");
        let known: Vec<NativeBackend> = self.0.nodes.lock().values().cloned().collect();
        let mut candidates: Vec<&NativeBackend> =
            first.into_iter().chain(&known).chain(&self.0.seeds).collect();
        candidates.reverse();
        while let Some(node) = candidates.pop() {
            let left = deadline.saturating_duration_since(clock::now());
            let share = left / u32::try_from(candidates.len() + 1).unwrap_or(u32::MAX);
            let options = CallOptions { timeout: Some(share), ..CallOptions::default() };
            let answer = node.exchange_one(words(&["CLUSTER", "SLOTS"]), &options).await;
            match answer.map(|value| Map::read(value, node.host())) {
                Ok(Some(map)) => {
                    self.0.nodes.lock().retain(|address, _| map.nodes().contains(&address));
                    *self.0.map.lock() = map;
                    self.0.learned.fetch_add(1, Ordering::Release);
                    return Ok(());
                }
                Ok(None) => last = Error::new(ErrorKind::Connect, "a node knows of no cluster"),
                // The query changes nothing, so nothing may have been applied.
                Err(error) => last = error.with_outcome(crate::Outcome::NotApplied),
            }
        }
        Err(last)
    }

    /// Loads the map, unless another call did so since the map with number `seen`.
    async fn learn_after(&self, seen: u64, deadline: Instant) -> Result<()> {
        platform::in_runtime()?;
        let learning = async {
            let _one = self.0.learning.lock().await;
            match self.0.learned.load(Ordering::Acquire) == seen {
                true => self.learn(None, deadline).await,
                false => Ok(()),
            }
        };
        let late = || {
            Err(Error::new(
                ErrorKind::Connect,
                "no node of the cluster answers within the time allowed",
            ))
        };
        platform::timeout(deadline.saturating_duration_since(clock::now()), learning)
            .await
            .unwrap_or_else(late)
    }

    /// Returns the node that has `slot`, or any node if no slot is given.
    async fn owner(&self, slot: Option<u16>, deadline: Instant) -> Result<NativeBackend> {
        for learned in [false, true] {
            let seen = self.0.learned.load(Ordering::Acquire);
            let found = {
                let map = self.0.map.lock();
                match slot {
                    Some(slot) => map.node(slot).cloned(),
                    None => map.nodes().first().map(|&node| node.clone()),
                }
            };
            match found {
                Some(address) => return self.node(&address),
                None if learned => break,
                None => self.learn_after(seen, deadline).await?,
            }
        }
        Err(Error::new(ErrorKind::Connect, "no node of the cluster has this slot"))
    }

    /// Returns the next target after `node` returned `error`, or the error if there is none.
    async fn after(
        &self,
        error: Error,
        node: &NativeBackend,
        slot: Option<u16>,
        course: &mut Course,
    ) -> Result<Next> {
        course.redirects += 1;
        if course.redirects > MOST_REDIRECTS {
            return Err(error);
        }
        match slots::redirect(&error, node.host()) {
            Some(Redirect::Moved(slot, address)) => {
                self.0.map.lock().set(slot, address.clone());
                let next = self.node(&address)?;
                // A single such query at a time is enough: this call knows its target.
                if let Ok(_one) = self.0.learning.try_lock() {
                    let _ = self.learn(Some(&next), course.deadline).await;
                }
                Ok(Some((next, false)))
            }
            Some(Redirect::Ask(address)) => Ok(Some((self.node(&address)?, true))),
            // The slot is moving, which takes little time: only the deadline of the call limits the
            // wait.
            Some(Redirect::Soon) => {
                course.redirects -= 1;
                self.pause(error, 2, course).await
            }
            Some(Redirect::Later) => self.again(error, course).await,
            None if error.is_connect() => {
                let _ = self.learn_after(course.learned, course.deadline).await;
                let owner = self.owner(slot, course.deadline).await?;
                // Another node has taken over.
                if !Arc::ptr_eq(&owner.0, &node.0) {
                    return Ok(None);
                }
                self.again(error, course).await
            }
            None => Err(error),
        }
    }

    async fn again(&self, error: Error, course: &mut Course) -> Result<Next> {
        course.redirects -= 1;
        course.attempts += 1;
        course.learned = self.0.learned.load(Ordering::Acquire);
        if course.attempts > self.0.config.connect_retries {
            return Err(error.with_attempts(course.attempts));
        }
        let round = course.attempts;
        self.pause(error, round, course).await
    }

    async fn pause(&self, error: Error, round: u32, course: &Course) -> Result<Next> {
        let wait = Duration::from_millis(25 << round.min(5)).min(Duration::from_secs(1));
        if wait >= course.deadline.saturating_duration_since(clock::now()) {
            return Err(error);
        }
        platform::sleep(wait).await;
        Ok(None)
    }

    /// Runs a command on the node of its slot.
    async fn run(&self, slot: Option<u16>, packed: &Request, mut course: Course) -> Reply {
        let mut next: Next = None;
        loop {
            let (node, asking) = match next.take() {
                Some(next) => next,
                None => (self.owner(slot, course.deadline).await?, false),
            };
            let mut request = packed.clone();
            if asking {
                // `ASKING` applies to the command after it; both leave in one piece.
                request.pieces.splice(..0, words(&["ASKING"]).pieces);
            }
            let replies = node.exchange(request, &within(course.deadline)).await;
            let error = match replies.and_then(|mut replies| node.reply(replies.pop())) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            next = self.after(error, &node, slot, &mut course).await?;
        }
    }

    /// Runs a command on every node with slots. Returns the last reply, or the first error.
    async fn run_everywhere(&self, packed: &Request, course: Course) -> Reply {
        self.owner(None, course.deadline).await?;
        let addresses: Vec<Address> = self.0.map.lock().nodes().into_iter().cloned().collect();
        let mut last = Err(Error::new(ErrorKind::Connect, "no node of the cluster answers"));
        for address in addresses {
            let node = self.node(&address)?;
            last = Ok(node.exchange_one(packed.clone(), &within(course.deadline)).await?);
        }
        last
    }

    async fn run_placed(&self, command: &Command, course: Course) -> Reply {
        let packed = pack::alone(command, self.0.config.max_request_bytes)?;
        match slots::place(command)? {
            Place::Slot(slot) => self.run(Some(slot), &packed, course).await,
            Place::Any => self.run(None, &packed, course).await,
            Place::All => self.run_everywhere(&packed, course).await,
        }
    }
}

impl Backend for NativeCluster {
    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(self.run_placed(command, self.course(options)))
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(self.run_pipeline(commands, self.course(options)))
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(self.run_transaction(commands, self.course(options)))
    }

    fn is_cluster(&self) -> bool {
        true
    }

    /// A message published anywhere in the cluster arrives at every node.
    fn listen<'a>(&'a self, what: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
        Box::pin(async move {
            if matches!(what, SubscriptionTarget::Monitor) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "MONITOR sees one node of the cluster only",
                ));
            }
            self.owner(None, self.course(&CallOptions::default()).deadline).await?.open(what).await
        })
    }
}
