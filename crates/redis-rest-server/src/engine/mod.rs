//! An embedded engine, for tests, examples and offline work.

mod args;
mod bitmaps;
mod conditional;
mod db;
mod expiry;
mod fields;
mod geo;
mod hash;
mod hashes;
mod hyperloglog;
mod json;
mod keys;
mod lcs;
mod lists;
mod lua;
mod number;
mod object;
mod ordered;
mod pubsub;
mod random;
mod scan;
mod server;
mod sets;
mod sort;
mod sorted_sets;
mod streams;
mod strings;
mod table;

#[cfg(test)]
mod tests;

use crate::clock;
use args::Fault;
use db::Db;
use futures_core::Stream;
use lua::Worker;
use redis_rest::backend::{Backend, EventStream, Reply};
use redis_rest::{
    BoxFuture, CallOptions, Command, Error, ErrorKind, Event, Outcome, Result, ServerError,
    SubscriptionTarget,
};
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

/// An embedded engine with its data, for tests, examples and offline work. Clones share both.
///
/// The engine has the commands of Redis 8.2 on strings, bitmaps, keys, hashes, lists, sets, sorted sets, streams,
/// places, HyperLogLogs and scripts, those of RedisJSON, and the conditions of Redis 8.4 (`SET … IFEQ`,
/// `DELEX`, `DIGEST`, `MSETEX`), with Redis's own replies and error texts, in this process and without a
/// server.
///
/// ```
/// use redis_rest_server::MemoryBackend;
/// use std::time::Duration;
/// let engine = MemoryBackend::new();
/// engine.advance(Duration::from_secs(60)); // whatever lives for less has now expired
/// ```
///
/// Limits, beyond the commands that are not there: one database; the collections come in insertion
/// order where Redis promises none; `XADD` and `XTRIM` trim exactly even with `~`; places are searched
/// one by one; JSONPath filters have no regular expressions; there is no bound on the data, and a glob pattern of many kilobytes against a key or channel of megabytes holds up
/// the engine, as it does Redis. What a script wrote before a limit ended it stays: there is no way
/// back, as in Redis.
#[derive(Clone)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
}

struct Shared {
    /// An async lock, because a script may hold it for seconds: the others then wait as tasks and
    /// block no thread of the runtime. Its guard can move, so that it goes to the script thread and
    /// what runs there stays atomic.
    db: Arc<Mutex<Db>>,
    /// The time by which tests have advanced the clock, in milliseconds.
    advanced: AtomicI64,
    /// The time at which the clock was stopped, in milliseconds since 1970; `RUNNING` if it was
    /// not.
    held: AtomicI64,
    worker: Worker,
}

/// The clock runs.
const RUNNING: i64 = i64::MIN;

/// The limits of a script.
#[derive(Clone, Copy)]
struct Limits {
    time: Duration,
    memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(5), memory: 64 * 1024 * 1024 }
    }
}

/// Builds a [`MemoryBackend`] with other limits.
#[derive(Clone, Copy, Default)]
pub struct MemoryBackendBuilder {
    limits: Limits,
}

impl MemoryBackendBuilder {
    /// Sets the longest run of a script (default 5 s). A longer one is ended by an error that it cannot
    /// catch; what it wrote until then stays. All other commands wait for a script, and so for this
    /// long at most (and for the one command that it is in).
    #[must_use]
    pub fn script_time(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// Sets the most bytes that Lua may use, and the arguments of one command of a script as well
    /// (default 64 MiB). Beyond it the script is ended by an error; what it wrote until then stays. Below
    /// 1 MiB it takes 1 MiB, which Lua's own libraries need.
    #[must_use]
    pub fn script_memory(mut self, limit: usize) -> Self {
        self.limits.memory = limit.max(1024 * 1024);
        self
    }

    /// Builds the engine.
    pub fn build(self) -> MemoryBackend {
        let shared = Shared {
            db: Arc::default(),
            advanced: AtomicI64::new(0),
            held: AtomicI64::new(RUNNING),
            worker: Worker::new(self.limits),
        };
        MemoryBackend { shared: Arc::new(shared) }
    }
}

impl fmt::Debug for MemoryBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackendBuilder")
            .field("script_time", &self.limits.time)
            .field("script_memory", &self.limits.memory)
            .finish()
    }
}

impl MemoryBackend {
    /// An empty engine.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An engine with other limits for scripts.
    pub fn builder() -> MemoryBackendBuilder {
        MemoryBackendBuilder::default()
    }

    /// Moves this engine's clock forward: keys expire as if that time had passed.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        self.shared.advanced.fetch_add(millis, Ordering::Relaxed);
    }

    /// Stops this engine's clock at this time, in milliseconds since 1970, until it is set again.
    /// For simulations.
    #[doc(hidden)]
    pub fn hold_clock(&self, at: i64) {
        self.shared.held.store(at, Ordering::Relaxed);
    }

    /// The data, alone, at the current time.
    async fn lock(&self) -> OwnedMutexGuard<Db> {
        let mut db = Arc::clone(&self.shared.db).lock_owned().await;
        let time = match self.shared.held.load(Ordering::Relaxed) {
            RUNNING => clock::utc_now().timestamp_millis(),
            held => held,
        };
        db.set_time(time.saturating_add(self.shared.advanced.load(Ordering::Relaxed)));
        db
    }

    async fn run(&self, command: &Command) -> Reply {
        command.check()?;
        let argv: Vec<&[u8]> = command.parts().collect();
        let spec = table::resolve(&argv).map_err(error)?;
        let mut db = self.lock().await;
        let now = db.now;
        db.hub.ran(now, &argv);
        match spec.run {
            table::Run::Here(run) => run(&mut db, &argv).map_err(error),
            _ => match self.shared.worker.run(db, vec![command.clone()]).await?.pop() {
                Some(reply) => reply,
                None => Err(Error::custom(
                    ErrorKind::Closed,
                    Outcome::NotApplied,
                    "the script thread gave no answer",
                )),
            },
        }
    }

    async fn run_all(&self, commands: &[Command]) -> Result<Vec<Reply>> {
        let mut with_lua = false;
        for command in commands {
            command.check()?;
            let argv: Vec<&[u8]> = command.parts().collect();
            match table::resolve(&argv) {
                Ok(spec) => with_lua |= spec.needs_lua(),
                Err(_) => {
                    return Err(error(Fault::new(
                        "EXECABORT Transaction discarded because of previous errors.",
                    )));
                }
            }
        }
        let mut db = self.lock().await;
        let now = db.now;
        for command in commands {
            db.hub.ran(now, &command.parts().collect::<Vec<_>>());
        }
        if with_lua {
            return self.shared.worker.run(db, commands.to_vec()).await;
        }
        Ok(commands.iter().map(|command| run_plain(&mut db, command)).collect())
    }
}

/// Runs a command that needs no Lua.
fn run_plain(db: &mut Db, command: &Command) -> Reply {
    let argv: Vec<&[u8]> = command.parts().collect();
    match table::resolve(&argv).map_err(error)?.run {
        table::Run::Here(run) => run(db, &argv).map_err(error),
        _ => Err(error(Fault::new("ERR This Redis command is not allowed here"))),
    }
}

fn error(fault: Fault) -> Error {
    Error::redis(ServerError::new(one_line(&fault.0).as_ref()))
}

/// Line breaks would end an error on the wire.
fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(['\r', '\n']) {
        true => Cow::Owned(text.replace(['\r', '\n'], " ")),
        false => Cow::Borrowed(text),
    }
}

/// The call's own time limit. A command that is given up may still run.
async fn within<T>(options: &CallOptions, call: impl Future<Output = Result<T>>) -> Result<T> {
    let limits = [options.timeout, options.deadline];
    let Some(limit) = limits.into_iter().flatten().min() else { return call.await };
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(Error::custom(
            ErrorKind::Timeout,
            Outcome::MaybeApplied,
            "the command did not finish in time",
        )),
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

/// The events of a listener.
struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// Shows no data.
impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn listen<'a>(&'a self, what: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
        Box::pin(async move {
            let receiver = self.lock().await.hub.listen(what);
            Ok(Box::pin(Events(receiver)) as EventStream)
        })
    }

    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(within(options, self.run(command)))
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move {
            let mut replies = Vec::with_capacity(commands.len());
            for command in commands {
                replies.push(within(options, self.run(command)).await);
            }
            replies
        })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(within(options, self.run_all(commands)))
    }
}
