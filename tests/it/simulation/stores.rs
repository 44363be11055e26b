//! The two stores behind the network, and their content, read and written by plain commands.

use super::clock::Clock;
use super::network::{Network, Part};
use redis_rest::backend::{Backend, Reply};
use redis_rest::session::{
    ChangeId, Check, Delete, InMemorySessionStore, Listed, Marks, Mode, RedisSessionStore, Session,
    SessionError, SessionStore, SessionStoreExt as _, StoreFuture, StoreHealth, Stored, TtlRule,
    Version, When, Write, Written,
};
use redis_rest::{BoxFuture, CallOptions, Client, Command, Result, Value, cmd};
use redis_rest_server::MemoryBackend;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end at this moment of the virtual time. Scripts run on a thread of the
/// engine, which is awaited.
fn run_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::park(),
        }
    }
}

thread_local! {
    /// The engine of all histories of a thread: it has all scripts loaded, and is empty between
    /// histories.
    static ENGINE: MemoryBackend = warm();
}

fn warm() -> MemoryBackend {
    let engine = MemoryBackend::new();
    let client = Client::from_backend(engine.clone());
    let store = RedisSessionStore::new(client, Duration::from_secs(60));
    run_now(async {
        for store in [store.clone(), store.cluster()] {
            let session = Session::new("up").id("warm");
            for _ in 0..2 {
                store.store_session(&session).await.unwrap();
            }
            store.prune("up").await.unwrap();
            store.delete_user_sessions("up").await.unwrap();
            let other = Session::new("other").id("other");
            store.store_session(&other).await.unwrap();
            let delete = Delete {
                id: ChangeId::new(),
                session: "nobody",
                user_id: None,
                mark_for: Duration::ZERO,
                when: When::Always,
            };
            store.delete(&[delete]).await.pop().unwrap().unwrap();
            store.delete_session(&other.id).await.unwrap();
            engine.execute(&cmd("FLUSHALL"), &CallOptions::default()).await.unwrap();
        }
    });
    engine
}

/// The data of a history.
#[derive(Clone)]
pub enum Data {
    Redis(MemoryBackend, Clock),
    Memory(InMemorySessionStore),
}

/// The content of a session in the store, read by plain commands.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub token: String,
    pub born: String,
    pub user_id: String,
    /// Remaining time in milliseconds; negative for none.
    pub left: i64,
}

/// Returns the content of a session, with its remaining time.
pub fn content(session: &Session, left: i64) -> Content {
    let text = |name| session.metadata.get::<String>(name).ok().flatten().unwrap_or_default();
    Content { token: text("token"), born: text("born"), user_id: session.user_id.clone(), left }
}

impl Data {
    pub fn new(redis: bool, clock: Clock, ttl: Duration) -> Self {
        if !redis {
            return Self::Memory(InMemorySessionStore::with_limits(ttl, 64, 1 << 20));
        }
        let engine = ENGINE.with(MemoryBackend::clone);
        let data = Self::Redis(engine, clock);
        data.run(cmd("FLUSHALL"));
        data
    }

    /// Returns the store as a machine uses it, over its link.
    pub fn store(
        &self,
        network: &Network,
        link: usize,
        ttl: Duration,
        cluster: bool,
    ) -> Arc<dyn SessionStore> {
        let network = network.clone();
        match self {
            Self::Redis(..) => {
                let client =
                    Client::from_backend(RemoteRedis { data: self.clone(), network, link });
                let store = RedisSessionStore::new(client, ttl);
                Arc::new(if cluster { store.cluster() } else { store })
            }
            Self::Memory(store) => {
                Arc::new(RemoteMemory { store: store.with_default_ttl(ttl), network, link })
            }
        }
    }

    fn reply(&self, command: &Command) -> Reply {
        let Self::Redis(engine, clock) = self else { unreachable!("commands are for Redis") };
        engine.hold_clock(clock.millis());
        run_now(engine.execute(command, &CallOptions::default()))
    }

    fn run(&self, command: Command) -> Value {
        self.reply(&command).unwrap()
    }

    fn text(&self, key: String) -> Option<String> {
        match self.run(cmd("GET").arg(key)) {
            Value::Nil => None,
            value => Some(redis_rest::FromValue::from_value(value).unwrap()),
        }
    }

    pub fn session(&self, id: &str) -> Option<(Session, i64)> {
        match self {
            Self::Redis(..) => {
                let session = Session::from_json(self.text(format!("session:{id}"))?).unwrap();
                let left = self.run(cmd("PTTL").arg(format!("session:{id}")));
                Some((session, redis_rest::FromValue::from_value(left).unwrap()))
            }
            Self::Memory(store) => {
                let stored = run_now(store.get(&[id])).pop().unwrap().ok()?;
                let left = stored.ttl.map_or(-1, |ttl| i64::try_from(ttl.as_millis()).unwrap());
                Some((stored.session, left))
            }
        }
    }

    pub fn content(&self, id: &str) -> Option<Content> {
        self.session(id).map(|(session, left)| content(&session, left))
    }

    /// Returns the ids in a user's index.
    pub fn index(&self, user_id: &str) -> Vec<String> {
        match self {
            Self::Redis(..) => {
                let text = self.text(format!("user_sessions:{user_id}"));
                text.map_or_else(Vec::new, |text| serde_json::from_str(&text).unwrap())
            }
            Self::Memory(store) => run_now(store.list(user_id)).unwrap().ids,
        }
    }

    /// Replaces the record of an existing session, like another service. Returns false if there is
    /// none.
    pub fn overwrite(&self, id: &str, token: &str, keeps_end: bool, ttl: Duration) -> bool {
        let Self::Redis(..) = self else { return false };
        let Some((mut session, _)) = self.session(id) else { return false };
        session.metadata.insert("token", token).unwrap();
        let set = cmd("SET").arg(format!("session:{id}")).arg(session.to_json().unwrap());
        let millis = u64::try_from(ttl.as_millis()).unwrap();
        self.run(if keeps_end { set.arg("KEEPTTL") } else { set.arg("PX").arg(millis) });
        true
    }

    /// Deletes a key, like another service. Returns false if it did not exist.
    pub fn remove(&self, key: String) -> bool {
        matches!(self, Self::Redis(..)) && self.run(cmd("DEL").arg(key)) == Value::Int(1)
    }
}

/// The engine over the network.
struct RemoteRedis {
    data: Data,
    network: Network,
    link: usize,
}

impl RemoteRedis {
    fn part(&self, commands: &[Command]) -> Part<Vec<Reply>> {
        let (data, commands) = (self.data.clone(), commands.to_vec());
        Box::new(move || commands.iter().map(|command| data.reply(command)).collect())
    }
}

impl Backend for RemoteRedis {
    fn execute<'a>(&'a self, command: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let mut replies = self
                .network
                .send(self.link, vec![self.part(std::slice::from_ref(command))])
                .await?;
            replies.pop().and_then(|mut replies| replies.pop()).unwrap()
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move {
            let parts = commands.iter().map(|one| self.part(std::slice::from_ref(one))).collect();
            match self.network.send(self.link, parts).await {
                Ok(replies) => replies.into_iter().flatten().collect(),
                Err(error) => commands.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let mut replies = self.network.send(self.link, vec![self.part(commands)]).await?;
            Ok(replies.pop().unwrap())
        })
    }
}

/// The store in memory, over the network.
struct RemoteMemory {
    store: InMemorySessionStore,
    network: Network,
    link: usize,
}

impl RemoteMemory {
    async fn send<T: Send + 'static>(
        &self,
        mut execute: impl FnMut(&InMemorySessionStore) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        let store = self.store.clone();
        let part: Part<T> = Box::new(move || execute(&store));
        Ok(self.network.send(self.link, vec![part]).await?.pop().unwrap())
    }
}

fn failed<T>(count: usize) -> impl FnOnce(SessionError) -> Vec<Result<T, SessionError>> {
    move |error| (0..count).map(|_| Err(error.clone())).collect()
}

/// A mode that owns its data.
enum OwnMode {
    Create(Marks, bool),
    Replace(Version),
}

enum OwnWhen {
    Always,
    Unchanged(Version),
    UnlessKnown(ChangeId),
    Made(ChangeId),
}

impl SessionStore for RemoteMemory {
    fn get<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Stored, SessionError>>> {
        Box::pin(async move {
            let own: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            let get = move |store: &InMemorySessionStore| {
                run_now(store.get(&own.iter().map(String::as_str).collect::<Vec<_>>()))
            };
            self.send(get).await.unwrap_or_else(failed(ids.len()))
        })
    }

    fn list<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Listed> {
        let user_id = user_id.to_owned();
        Box::pin(async move { self.send(move |store| run_now(store.list(&user_id))).await? })
    }

    fn write<'a>(
        &'a self,
        writes: &'a [Write<'a>],
    ) -> BoxFuture<'a, Vec<Result<Written, SessionError>>> {
        Box::pin(async move {
            type Own = (ChangeId, Session, OwnMode, bool, TtlRule);
            let own = |write: &Write<'_>| -> Own {
                let mode = match write.mode {
                    Mode::Create { marks, reuse } => OwnMode::Create(marks.clone(), reuse),
                    Mode::Replace(version) => OwnMode::Replace(version.clone()),
                };
                (write.id, write.session.clone(), mode, write.content, write.ttl)
            };
            let own: Vec<Own> = writes.iter().map(own).collect();
            let write = move |store: &InMemorySessionStore| {
                let writes = own.iter().map(|(id, session, mode, content, ttl)| {
                    let mode = match mode {
                        OwnMode::Create(marks, reuse) => Mode::Create { marks, reuse: *reuse },
                        OwnMode::Replace(version) => Mode::Replace(version),
                    };
                    Write { id: *id, session, mode, content: *content, ttl: *ttl }
                });
                run_now(store.write(&writes.collect::<Vec<_>>()))
            };
            self.send(write).await.unwrap_or_else(failed(writes.len()))
        })
    }

    fn delete<'a>(
        &'a self,
        deletes: &'a [Delete<'a>],
    ) -> BoxFuture<'a, Vec<Result<bool, SessionError>>> {
        Box::pin(async move {
            type Own = (ChangeId, String, Option<String>, Duration, OwnWhen);
            let own = |delete: &Delete<'_>| -> Own {
                let when = match delete.when {
                    When::Always => OwnWhen::Always,
                    When::Unchanged(version) => OwnWhen::Unchanged(version.clone()),
                    When::UnlessKnown(log_out) => OwnWhen::UnlessKnown(log_out),
                    When::Made(create) => OwnWhen::Made(create),
                };
                let user_id = delete.user_id.map(str::to_owned);
                (delete.id, delete.session.to_owned(), user_id, delete.mark_for, when)
            };
            let own: Vec<Own> = deletes.iter().map(own).collect();
            let delete = move |store: &InMemorySessionStore| {
                let deletes = own.iter().map(|(id, session, user_id, mark_for, when)| {
                    let when = match when {
                        OwnWhen::Always => When::Always,
                        OwnWhen::Unchanged(version) => When::Unchanged(version),
                        OwnWhen::UnlessKnown(log_out) => When::UnlessKnown(*log_out),
                        OwnWhen::Made(create) => When::Made(*create),
                    };
                    let user_id = user_id.as_deref();
                    Delete { id: *id, session, user_id, mark_for: *mark_for, when }
                });
                run_now(store.delete(&deletes.collect::<Vec<_>>()))
            };
            self.send(delete).await.unwrap_or_else(failed(deletes.len()))
        })
    }

    fn revoke<'a>(&'a self, user_id: &'a str, log_out: ChangeId) -> StoreFuture<'a, Vec<String>> {
        let user_id = user_id.to_owned();
        Box::pin(
            async move { self.send(move |store| run_now(store.revoke(&user_id, log_out))).await? },
        )
    }

    fn prune<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        let user_id = user_id.to_owned();
        Box::pin(async move { self.send(move |store| run_now(store.prune(&user_id))).await? })
    }

    fn health(&self, check: Check) -> StoreFuture<'_, StoreHealth> {
        Box::pin(async move { self.send(move |store| run_now(store.health(check))).await? })
    }

    fn default_ttl(&self) -> Duration {
        self.store.default_ttl()
    }
}
