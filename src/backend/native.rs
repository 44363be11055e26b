//! Redis over TCP; and the commands of the `redis` crate over any backend ([`RedisRs`](crate::RedisRs)). Nothing else names that crate.
//!
//! A single connection carries the calls of all clones at once. A pipeline or transaction is
//! written in one piece, so nothing comes between its commands. Nothing is ever sent twice: a call
//! whose connection breaks gets an error, and the next call opens a new connection.

mod cluster;
mod config;
mod connect;
mod connection;
mod listen;
mod pack;
pub(crate) mod resp;
mod script_limit;
mod sentinel;

use crate::backend::SubscriptionTarget;
use crate::backend::{Backend, EventStream, Reply};
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::platform::{self, BoxFuture};
use crate::value::Value;
pub use cluster::NativeCluster;
pub use config::NativeConfig;
use connect::Connector;
use connection::{Connection, Lost};
use pack::Request;
use resp::{Excess, Received};
use script_limit::{ScriptLimit, refused_as_busy};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Pause before retrying a command that Redis refused because it runs a script.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Executes commands on a Redis server over TCP or a Unix socket. Cheap to clone: clones share the
/// connection.
///
/// A call has 5 s unless [`NativeConfig`] or its options set another limit
/// ([`CallOptions::timeout`] and [`CallOptions::deadline`], whichever is shorter), and is one
/// attempt. Commands that change or end the shared connection (`SELECT`, `MULTI`, `SUBSCRIBE`,
/// `POST` …) are refused; blocking commands are not, but block every other call. A reply larger
/// than [`NativeConfig::max_reply_bytes`] or deeper than 64 arrays is an error of its own call.
/// `rediss://` is TLS, by feature `rustls`.
///
/// ```
/// # async fn run() -> redis_rest::Result<()> {
/// use redis_rest::{Client, backend::native::NativeBackend};
/// let client = Client::from_backend(NativeBackend::connect("redis://127.0.0.1:6379/0").await?);
/// client.set("greeting", "hello").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NativeBackend(Arc<Shared>);

struct Shared {
    connector: Connector,
    timeout: Duration,
    connect_retries: u32,
    max_request_bytes: usize,
    script_limit: Option<ScriptLimit>,
    /// Locked while connecting, so that concurrent calls open one connection.
    link: Mutex<Option<Connection>>,
}

/// Shows no address.
impl fmt::Debug for NativeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeBackend")
    }
}

impl NativeBackend {
    /// Connects to a server with the default settings; see [`NativeConfig::new`] for the forms of
    /// the address.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if the address is invalid, [`ErrorKind::Connect`] if no
    /// connection can be opened, and [`ErrorKind::Unauthorized`] if Redis refuses the password.
    pub async fn connect(url: &str) -> Result<Self> {
        NativeConfig::new(url).connect().await
    }

    /// Makes a backend as [`NativeBackend::connect`] does, but the first call connects. Does no I/O.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`].
    pub fn lazy(url: &str) -> Result<Self> {
        NativeConfig::new(url).lazy()
    }

    /// Creates a backend for the server at `REDIS_URL`. The first call connects.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if the variable is not set or invalid.
    pub fn from_env() -> Result<Self> {
        NativeConfig::from_env()?.lazy()
    }

    /// Connects to the master that these sentinels call `master`, with the default settings; see
    /// [`NativeConfig::sentinel`].
    ///
    /// When a sentinel reports that the master moved, the connection is closed: calls in flight
    /// fail, and the next one asks the sentinels again. So does a call after a reply `READONLY`,
    /// and after the connection broke. Until the sentinels agree, calls fail to connect;
    /// [`NativeConfig::connect_retries`] waits instead. Writes that the old master had accepted and
    /// not replicated are lost, as with every failover of Redis.
    ///
    /// # Errors
    /// Fails like [`NativeBackend::connect`].
    pub async fn sentinel<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        master: impl Into<String>,
    ) -> Result<Self> {
        NativeConfig::sentinel(urls, master).connect().await
    }

    fn from_config(config: NativeConfig) -> Result<Self> {
        Ok(Self::from_connector(config.connector()?, &config))
    }

    fn from_connector(connector: Connector, config: &NativeConfig) -> Self {
        Self(Arc::new(Shared {
            connector,
            timeout: config.timeout,
            connect_retries: config.connect_retries,
            max_request_bytes: config.max_request_bytes,
            script_limit: config.script_timeout.map(ScriptLimit::new),
            link: Mutex::new(None),
        }))
    }

    async fn connect_now(&self) -> Result<()> {
        self.link(clock::after(self.0.connector.timeout)).await.map(drop)
    }

    /// Returns the connection, and opens it if none works, with as many attempts as allowed. Errors
    /// here mean that nothing was sent.
    async fn link(&self, deadline: Instant) -> Result<Connection> {
        let mut attempt = 1;
        loop {
            let error = match self.try_link(deadline).await {
                Err(error) if error.is_connect() && attempt <= self.0.connect_retries => error,
                result => return result.map_err(|error| error.with_attempts(attempt)),
            };
            let wait = Duration::from_millis(25 << attempt.min(5)).min(Duration::from_secs(1));
            if wait >= deadline.saturating_duration_since(clock::now()) {
                return Err(error.with_attempts(attempt));
            }
            platform::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn try_link(&self, deadline: Instant) -> Result<Connection> {
        platform::in_runtime()?;
        let connecting = async {
            let mut link = self.0.link.lock().await;
            if let Some(link) = link.as_ref().filter(|link| !link.is_closed()) {
                return Ok(link.clone());
            }
            let fresh = self.0.connector.connect().await?;
            *link = Some(fresh.clone());
            Ok(fresh)
        };
        let limit = deadline.saturating_duration_since(clock::now()).min(self.0.connector.timeout);
        platform::timeout(limit, connecting).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Connect, "no connection to Redis within the time allowed"))
        })
    }

    /// Drops a connection that broke or whose reply is overdue, unless another call has replaced it
    /// already.
    fn drop_link(&self, broken: &Connection) {
        // The holder of the lock is about to check the connection anyway: no reason to wait after a
        // timeout.
        let Ok(mut link) = self.0.link.try_lock() else { return };
        if link.as_ref().is_some_and(|current| current.is(broken)) {
            *link = None;
        }
    }

    /// Sends a request in one piece and waits for its replies. With a limit for scripts, retries
    /// commands that Redis refused because it ran a script.
    async fn exchange(&self, request: Request, options: &CallOptions) -> Result<Vec<Received>> {
        let limit = options
            .timeout
            .unwrap_or(self.0.timeout)
            .min(options.deadline.unwrap_or(Duration::MAX));
        let deadline = clock::after(limit);
        if self.0.script_limit.is_none() {
            return self.exchange_once(request, deadline).await;
        }
        let mut replies = self.exchange_once(request.clone(), deadline).await?;
        while let Some(first) = refused_as_busy(&replies)
            && clock::after(BUSY_PAUSE) < deadline
        {
            platform::sleep(BUSY_PAUSE).await;
            let again = Request { pieces: request.pieces[first..].to_vec(), ..request };
            match self.exchange_once(again, deadline).await {
                Ok(again) => {
                    replies.truncate(first);
                    replies.extend(again);
                }
                // The refusals remain valid.
                Err(error) if error.outcome() == Outcome::NotApplied => break,
                Err(error) => return Err(error),
            }
        }
        Ok(replies)
    }

    async fn exchange_once(&self, request: Request, deadline: Instant) -> Result<Vec<Received>> {
        let link = self.link(deadline).await?;
        let mut script = self.watch_script(&request);
        let sending = link.call(request.pieces, request.each);
        let left = deadline.saturating_duration_since(clock::now());
        let sent = tokio::select! {
            sent = platform::timeout(left, sending) => sent,
            error = script.unkillable() => {
                self.drop_link(&link);
                return Err(error.with_attempts(1));
            }
        };
        let error = match sent {
            Some(Ok(replies)) => {
                script.finish();
                if self.0.connector.follows_a_master() && replies.iter().any(is_read_only) {
                    self.drop_link(&link);
                }
                return Ok(replies);
            }
            Some(Err(Lost::Unreadable)) => {
                Error::new(ErrorKind::Decode, "the reply cannot be read")
            }
            Some(Err(Lost::Connection)) => {
                Error::new(ErrorKind::Io, "the connection to Redis broke")
            }
            None => Error::new(ErrorKind::Timeout, "no reply from Redis within the time allowed"),
        };
        self.drop_link(&link);
        Err(error.with_outcome(Outcome::MaybeApplied).with_attempts(1))
    }

    /// Sends one command.
    async fn exchange_one(&self, request: Request, options: &CallOptions) -> Reply {
        self.reply(self.exchange(request, options).await?.pop())
    }

    /// Converts a complete reply: an error in it is an `Err`.
    fn reply(&self, received: Option<Received>) -> Reply {
        match received {
            Some(Received::Whole(reply)) => self.entry(reply),
            Some(Received::Each(_)) | None => Err(short()),
        }
    }

    fn entry(&self, reply: Result<Value, Excess>) -> Reply {
        match reply {
            Ok(Value::Error(error)) => Err(Error::redis(error)),
            Ok(value) => Ok(value),
            Err(excess) => Err(self.dropped(excess)),
        }
    }

    /// The error for a reply that arrived and was dropped.
    fn dropped(&self, excess: Excess) -> Error {
        let limits = self.0.connector.limits;
        let bytes = format!(
            "{} bytes is the limit of a call (NativeConfig::max_reply_bytes)",
            limits.bytes
        );
        match excess {
            Excess::Bytes => Error::new(ErrorKind::ReplyTooLarge, "reply too large")
                .with_outcome(Outcome::Applied)
                .with_detail(bytes),
            Excess::Depth => Error::new(ErrorKind::ReplyTooLarge, "reply too deep")
                .with_outcome(Outcome::Applied)
                .with_detail(format!("{} arrays within each other is the limit", limits.depth)),
            Excess::ErrorText => Error::new(ErrorKind::ReplyTooLarge, "error text too large")
                .with_outcome(Outcome::MaybeApplied),
        }
    }
}

impl Backend for NativeBackend {
    fn listen<'a>(&'a self, what: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
        Box::pin(self.open(what))
    }

    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let packed = pack::alone(command, self.0.max_request_bytes)?;
            self.exchange_one(packed, options).await
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move {
            let mut packed = pack::Batch::default();
            // A place for each reply, or the reason why there is none.
            let mut replies: Vec<Reply> = commands
                .iter()
                .map(|command| packed.push(command, self.0.max_request_bytes))
                .map(|packed| packed.map(|()| Value::Nil))
                .collect();
            if packed.is_empty() {
                return replies;
            }
            let answers = self.exchange(packed.into_request(), options).await;
            let places = replies.iter_mut().filter(|reply| reply.is_ok());
            match answers {
                Ok(answers) => places
                    .zip(answers)
                    .for_each(|(place, answer)| *place = self.reply(Some(answer))),
                Err(error) => places.for_each(|place| *place = Err(error.clone())),
            }
            replies
        })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let most = self.0.max_request_bytes;
            let bytes = commands.iter().map(Command::byte_len);
            // Redis keeps a transaction whole until it runs, and closes the connection if that
            // takes too much memory.
            pack::fits(bytes.fold(0, usize::saturating_add), most)?;
            let mut packed = pack::Batch::default();
            packed.push_words(["MULTI"]);
            for command in commands {
                packed.push(command, most)?;
            }
            packed.push_words(["EXEC"]);
            let request = Request { each: Some(commands.len()), ..packed.into_request() };
            let mut answers = self.exchange(request, options).await?;
            let exec = answers.pop();
            let failure = |received: &Received| match received {
                Received::Whole(Ok(Value::Error(error))) => Some(error.clone()),
                Received::Whole(_) | Received::Each(_) => None,
            };
            let failed = exec.as_ref().and_then(failure);
            // A cluster refuses a command of a transaction if its slot is elsewhere.
            let moved = answers
                .iter()
                .filter_map(failure)
                .find(|error| matches!(error.code(), "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN"));
            if let (Some(error), Some(_)) = (moved, &failed) {
                return Err(Error::redis(error).with_kind(ErrorKind::Discarded));
            }
            if let Some(error) = answers.first().and_then(failure) {
                // Without MULTI the others ran one by one, if at all.
                return Err(Error::redis(error).with_outcome(Outcome::MaybeApplied));
            }
            match (exec, failed) {
                (Some(Received::Each(replies)), _) => {
                    Ok(replies.into_iter().map(|reply| self.entry(reply)).collect())
                }
                (_, Some(error)) => match Error::redis(error) {
                    error if error.kind() == ErrorKind::Redis => {
                        Err(error.with_kind(ErrorKind::Discarded))
                    }
                    error => Err(error),
                },
                (Some(Received::Whole(Err(excess))), None) => Err(self.dropped(excess)),
                (Some(Received::Whole(Ok(_))) | None, None) => Err(short()),
            }
        })
    }
}

/// Returns true for the reply of a master that became a replica.
fn is_read_only(received: &Received) -> bool {
    matches!(received, Received::Whole(Ok(Value::Error(error))) if error.code() == "READONLY")
}

/// The error for a Redis that replied to fewer commands than were sent.
fn short() -> Error {
    Error::new(ErrorKind::Decode, "Redis did not answer every command")
}

#[cfg(test)]
mod tests;
