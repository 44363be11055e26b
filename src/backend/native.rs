//! Redis over TCP, through the `redis` crate; and that crate's own commands over any backend ([`RedisRs`]). Nothing else names it.
//!
//! One connection carries the calls of all clones at once. A pipeline or transaction is written in one piece, so nothing
//! comes between its commands. Nothing is ever sent twice: a call whose connection breaks gets an error, and the next call
//! makes a new connection.

mod cluster;
mod config;
mod connect;
mod lines;
mod listen;
mod redis_rs;
mod script_limit;
mod sentinel;

use crate::backend::{Backend, EventStream, Reply};
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command, refuse};
use crate::error::{Error, ErrorKind, Outcome, Result, ServerError};
use crate::platform::{self, BoxFuture};
use crate::subscribe::Listen;
use crate::value::Value;
pub use cluster::NativeCluster;
pub use config::NativeConfig;
use connect::Connector;
use redis::aio::MultiplexedConnection;
pub use redis_rs::RedisRs;
use script_limit::{ScriptLimit, refused_as_busy};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

/// The pause before a command goes again that Redis refused because it runs a script.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Executes commands on a Redis server over TCP or a Unix socket. Cheap to clone: clones share the connection.
///
/// A call has 5 s unless [`NativeConfig`] or its options say otherwise ([`CallOptions::timeout`] and [`CallOptions::deadline`],
/// whichever is shorter), and is one attempt. Commands that change the shared connection (`SELECT`, `MULTI`, `SUBSCRIBE` …) are
/// refused; blocking commands are not, but hold up every other call. `rediss://` is TLS, by feature `rustls`; there `MONITOR` is not
/// offered.
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
    script_limit: Option<ScriptLimit>,
    /// Held while connecting, so that many calls at once make one connection.
    link: Mutex<Option<Link>>,
}

/// One connection, and the task that moves its bytes.
#[derive(Clone)]
struct Link {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

/// Shows no address.
impl fmt::Debug for NativeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeBackend")
    }
}

impl NativeBackend {
    /// Connects to a server with the default settings; see [`NativeConfig::new`] for the forms of the address.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an address that cannot work, [`ErrorKind::Connect`] when no connection can be made,
    /// [`ErrorKind::Unauthorized`] when Redis refuses the password.
    pub async fn connect(url: &str) -> Result<Self> {
        NativeConfig::new(url).connect().await
    }

    /// As [`NativeBackend::connect`], but the first call connects. Does no I/O.
    ///
    /// # Errors
    /// [`ErrorKind::Config`].
    pub fn lazy(url: &str) -> Result<Self> {
        NativeConfig::new(url).lazy()
    }

    /// The server at `REDIS_URL`. The first call connects.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is not set or cannot work.
    pub fn from_env() -> Result<Self> {
        NativeConfig::from_env()?.lazy()
    }

    /// Connects to the master that these sentinels call `master`, with the default settings; see [`NativeConfig::sentinel`].
    ///
    /// When a sentinel says that the master moved, the connection is cut: calls under way are errors, and the next one asks the
    /// sentinels again. So does one after a reply `READONLY`, and after the connection broke. Until the sentinels agree, calls are errors of connecting; [`NativeConfig::connect_retries`] waits instead.
    /// Writes that the old master had accepted and not handed on are lost, as with every failover of Redis.
    ///
    /// # Errors
    /// As [`NativeBackend::connect`].
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
            script_limit: config.script_timeout.map(ScriptLimit::new),
            link: Mutex::new(None),
        }))
    }

    async fn connect_now(&self) -> Result<()> {
        self.link(clock::after(self.0.connector.timeout)).await.map(drop)
    }

    /// The connection, made now if there is none that works, by as many attempts as are allowed. Errors here mean that nothing was
    /// sent.
    async fn link(&self, deadline: Instant) -> Result<Link> {
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

    async fn try_link(&self, deadline: Instant) -> Result<Link> {
        platform::in_runtime()?;
        let connecting = async {
            let mut link = self.0.link.lock().await;
            if let Some(link) = link.as_ref().filter(|link| !link.driver.is_finished()) {
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

    /// Gives up a connection that broke or owes a reply for too long, unless another call has replaced it already.
    fn drop_link(&self, broken: &Link) {
        // Whoever holds the lock is about to look at the connection anyway: no reason to wait after a timeout.
        let Ok(mut link) = self.0.link.try_lock() else { return };
        if link.as_ref().is_some_and(|current| current.driver.id() == broken.driver.id()) {
            *link = None;
        }
    }

    /// Sends `commands` in one piece and waits for as many replies. With a limit for scripts, sends again what Redis refused because
    /// it ran one.
    async fn exchange(
        &self,
        commands: &[redis::Cmd],
        options: &CallOptions,
    ) -> Result<Vec<redis::Value>> {
        let limit = options
            .timeout
            .unwrap_or(self.0.timeout)
            .min(options.deadline.unwrap_or(Duration::MAX));
        let deadline = clock::after(limit);
        let mut replies = self.exchange_once(commands, deadline).await?;
        while self.0.script_limit.is_some()
            && let Some(first) = refused_as_busy(&replies)
            && clock::after(BUSY_PAUSE) < deadline
        {
            platform::sleep(BUSY_PAUSE).await;
            match self.exchange_once(&commands[first..], deadline).await {
                Ok(again) => {
                    replies.truncate(first);
                    replies.extend(again);
                }
                // The refusals stay true.
                Err(error) if error.outcome() == Outcome::NotApplied => break,
                Err(error) => return Err(error),
            }
        }
        Ok(replies)
    }

    async fn exchange_once(
        &self,
        commands: &[redis::Cmd],
        deadline: Instant,
    ) -> Result<Vec<redis::Value>> {
        let link = self.link(deadline).await?;
        let mut scripts = self.watch_scripts(commands);
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let mut connection = link.connection.clone();
        let sending = connection.send_packed_commands(&pipeline, 0, commands.len());
        let limit = deadline.saturating_duration_since(clock::now());
        let sent = tokio::select! {
            sent = platform::timeout(limit, sending) => sent,
            error = scripts.unkillable() => {
                self.drop_link(&link);
                return Err(error.with_attempts(1));
            }
        };
        let error = match sent {
            Some(Ok(replies)) if replies.len() == commands.len() => {
                scripts.finish();
                if self.0.connector.follows_a_master() && replies.iter().any(is_read_only) {
                    self.drop_link(&link);
                }
                return Ok(replies);
            }
            Some(Ok(_)) => {
                Error::new(ErrorKind::Decode, "Redis answered with another number of replies")
            }
            Some(Err(error)) if error.kind() == redis::ErrorKind::Parse => {
                Error::new(ErrorKind::Decode, "the reply cannot be read")
            }
            Some(Err(_)) => Error::new(ErrorKind::Io, "the connection to Redis broke"),
            None => Error::new(ErrorKind::Timeout, "no reply from Redis within the time allowed"),
        };
        self.drop_link(&link);
        Err(error.with_outcome(Outcome::MaybeApplied).with_attempts(1))
    }
}

impl Backend for NativeBackend {
    fn listen<'a>(&'a self, what: &'a Listen) -> BoxFuture<'a, Result<EventStream>> {
        Box::pin(self.open(what))
    }

    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let packed = pack(command)?;
            self.exchange(&[packed], options).await?.pop().map_or_else(|| Err(short()), reply)
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move {
            let mut replies: Vec<Reply> = Vec::with_capacity(commands.len());
            let mut packed = Vec::with_capacity(commands.len());
            for command in commands {
                // A place for the reply, or why there is none.
                replies.push(pack(command).map(|command| {
                    packed.push(command);
                    Value::Nil
                }));
            }
            if packed.is_empty() {
                return replies;
            }
            let answers = self.exchange(&packed, options).await;
            let places = replies.iter_mut().filter(|reply| reply.is_ok());
            match answers {
                Ok(answers) => {
                    places.zip(answers).for_each(|(place, answer)| *place = reply(answer))
                }
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
            let mut packed = Vec::with_capacity(commands.len() + 2);
            packed.push(redis::cmd("MULTI"));
            for command in commands {
                packed.push(pack(command)?);
            }
            packed.push(redis::cmd("EXEC"));
            let mut answers = self.exchange(&packed, options).await?;
            let exec = answers.pop().map_or_else(|| Err(short()), reply);
            // A cluster refuses a command of a transaction where its slot is not.
            let moved = answers.iter().find(|answer| {
                matches!(answer, redis::Value::ServerError(error) if matches!(error.code(), "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN"))
            });
            if let (Some(redis::Value::ServerError(error)), Err(_)) = (moved, &exec) {
                return Err(Error::redis(server_error(error)).with_kind(ErrorKind::Discarded));
            }
            if let Some(redis::Value::ServerError(error)) = answers.first() {
                // Without MULTI the others ran one by one, if they ran.
                return Err(Error::redis(server_error(error)).with_outcome(Outcome::MaybeApplied));
            }
            match exec {
                Ok(Value::Array(items)) if items.len() == commands.len() => {
                    Ok(items.into_iter().map(entry).collect())
                }
                Ok(_) => Err(short()),
                Err(error) if error.kind() == ErrorKind::Redis => {
                    Err(error.with_kind(ErrorKind::Discarded))
                }
                Err(error) => Err(error),
            }
        })
    }
}

/// True for what a master says after it became a replica.
fn is_read_only(reply: &redis::Value) -> bool {
    matches!(reply, redis::Value::ServerError(error) if error.code() == "READONLY")
}

/// Redis answered, but not what belongs to the request.
fn short() -> Error {
    Error::new(ErrorKind::Decode, "Redis did not answer every command")
}

fn pack(command: &Command) -> Result<redis::Cmd> {
    command.check()?;
    if command.upper(&mut [0; 24]).is_some_and(refuse::takes_the_connection) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "this command would change the connection that all calls share",
        ));
    }
    let mut packed = redis::Cmd::new();
    command.parts().for_each(|part| {
        packed.arg(part);
    });
    Ok(packed)
}

fn server_error(error: &redis::ServerError) -> ServerError {
    // The crate parts the text at its first space.
    match error.details() {
        Some(details) => ServerError::new(format!("{} {details}", error.code())),
        None => ServerError::new(error.code()),
    }
}

/// A whole reply: an error in it is an `Err`.
fn reply(value: redis::Value) -> Reply {
    convert(value).and_then(entry)
}

fn entry(value: Value) -> Reply {
    match value {
        Value::Error(error) => Err(Error::redis(error)),
        value => Ok(value),
    }
}

fn convert(value: redis::Value) -> Reply {
    Ok(match value {
        redis::Value::Nil => Value::Nil,
        redis::Value::Int(n) => Value::Int(n),
        redis::Value::BulkString(bytes) => Value::Bytes(bytes.into()),
        redis::Value::SimpleString(text) => Value::Bytes(text.into()),
        redis::Value::Okay => Value::Okay,
        redis::Value::Array(items) => {
            Value::Array(items.into_iter().map(convert).collect::<Result<_>>()?)
        }
        redis::Value::ServerError(error) => Value::Error(server_error(&error)),
        // RESP2 has no other types, and nothing here asks for RESP3.
        _ => {
            return Err(Error::new(
                ErrorKind::Decode,
                "Redis answered in another protocol than RESP2",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    #[test]
    fn addresses_that_cannot_work_are_refused_without_quoting_them() {
        for url in [
            "",
            "s3cret",
            "http://s3cret",
            "rediss://:s3cret@host#insecure",
            "redis://:s3cret@host:99999",
        ] {
            let error = NativeBackend::lazy(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
        let backend = NativeBackend::lazy("redis://:s3cret@h0st/3").unwrap();
        assert_eq!(format!("{backend:?}"), "NativeBackend");
    }

    #[test]
    fn what_would_change_the_connection_is_refused() {
        for name in ["select", "MULTI", "Client", "READONLY"] {
            assert_eq!(pack(&cmd(name).arg("1")).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert!(pack(&cmd("GET").arg("MULTI")).is_ok());
    }

    #[test]
    fn errors_keep_their_whole_text() {
        for text in ["WRONGTYPE Operation against", "ERR  two spaces", "NOSCRIPT", "MYCODE x y"] {
            let (code, details) = text
                .split_once(' ')
                .map_or((text, None), |(code, details)| (code, Some(details.to_owned())));
            let error = redis::make_extension_error(code.to_owned(), details);
            let server = error.into_server_errors().unwrap()[0].1.clone();
            assert_eq!(server_error(&server).message(), text);
        }
    }
}
