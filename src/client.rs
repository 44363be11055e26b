//! [`Client`]: the handle that users hold. Typed calls come from [`crate::command`]; execution is the backend's.

mod call;
pub(crate) mod exactly_once;
mod namespace;
mod pipeline;
#[cfg(feature = "native")]
mod redis_rs;
pub(crate) mod scan;
mod subscription;

pub use call::Bound;
pub use pipeline::{Pipeline, Replies, ReplyHandle, ReplyHandles, Transaction};
#[cfg(feature = "native")]
pub use redis_rs::RedisRs;
pub use scan::ScanStream;
pub use subscription::Subscription;

use crate::backend::rest::{Config, RestBackend};
use crate::backend::{Backend, FunctionBackend, Reply};
use crate::clock;
use crate::command::groups as cmd;
use crate::command::{Call, CallOptions, Command, ToArg, UnboundCall};
use crate::error::Result;
use crate::observe::{self, Operation};
use crate::platform::MaybeSend;
use crate::value::{FromValue, Value};
use namespace::Scope;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A Redis client over HTTP. Cheap to clone: clones share connections and settings.
///
/// Its methods are, in this order: creating a client and working with it as a whole; then the
/// commands, by the groups of Redis's documentation. The functions of the same names in
/// [`cmd`](mod@crate::cmd) create the same calls for pipelines.
///
/// | group | of the client | for pipelines |
/// |---|---|---|
/// | strings and counters | [methods](#strings) | [`cmd::string`](crate::cmd::string) |
/// | keys and times to live | [methods](#keys) | [`cmd::generic`](crate::cmd::generic) |
/// | hashes | [methods](#hashes) | [`cmd::hash`](crate::cmd::hash) |
/// | lists | [methods](#lists) | [`cmd::list`](crate::cmd::list) |
/// | sets | [methods](#sets) | [`cmd::set`](mod@crate::cmd::set) |
/// | sorted sets | [methods](#sorted-sets) | [`cmd::sorted_set`](crate::cmd::sorted_set) |
/// | streams | [methods](#streams) | [`cmd::stream`](crate::cmd::stream) |
/// | JSON documents | [methods](#json-documents) | [`cmd::json`](crate::cmd::json) |
/// | publishing | [methods](#publishing) | [`cmd::pubsub`](crate::cmd::pubsub) |
/// | scripts and functions | [methods](#scripts-and-functions) | [`cmd::scripting`](crate::cmd::scripting) |
/// | bitmaps | [methods](#bitmaps) | [`cmd::bitmap`](crate::cmd::bitmap) |
/// | HyperLogLog | [methods](#hyperloglog) | [`cmd::hyperloglog`](crate::cmd::hyperloglog) |
/// | places | [methods](#places) | [`cmd::geo`](crate::cmd::geo) |
/// | the server | [methods](#the-server) | [`cmd::server`](crate::cmd::server) |
/// | users | [methods](#users) | [`cmd::acl`](crate::cmd::acl) |
///
/// Calls need a Tokio runtime with timers and I/O, and fail with
/// [`ErrorKind::Config`](crate::ErrorKind::Config) elsewhere. Creating a client needs none, nor
/// does `wasm32`.
///
/// Runtimes may share a client. Over REST each has separate connections and batches: a runtime that
/// is blocked, or that no thread drives, delays no call of another. A call belongs to the runtime
/// that polls its future first; await it there.
///
/// ```
/// # async fn run() -> redis_rest::Result<()> {
/// use redis_rest::Client;
/// let client = Client::new("http://127.0.0.1:8079", "local-token")?;
/// client.set("greeting", "hello").await?;
/// let greeting: Option<String> = client.get("greeting").await?;
/// # Ok(()) }
/// ```
pub struct Client(Arc<Handle>);

#[derive(Clone)]
struct Handle {
    backend: Arc<dyn Backend>,
    /// The same backend, if its calls may join batches.
    rest: Option<Arc<RestBackend>>,
    /// `None`: commands are sent unchanged.
    scope: Option<Arc<Scope>>,
    /// Errors show the server's text.
    verbose: bool,
}

/// Each clone counts its own calls: threads would contend for a shared count.
impl Clone for Client {
    fn clone(&self) -> Self {
        Self(Arc::new(Handle::clone(&self.0)))
    }
}

/// # The client
impl Client {
    /// Creates a client with default settings. [`Config`] lists the settings; [`Client::builder`]
    /// changes them.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config) if the address or the token is
    /// invalid. Does no I/O.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self> {
        Self::builder().url(url).token(token).build()
    }

    /// Returns the default settings, to be changed.
    pub fn builder() -> Config {
        Config::new()
    }

    /// Creates a client from the environment. [`Config::from_env`] lists the names and their order.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config), which names the variables.
    pub fn from_env() -> Result<Self> {
        Config::from_env()?.build()
    }

    fn from_config(config: Config) -> Result<Self> {
        let (read_only, verbose) = (config.read_only, config.verbose_errors);
        let rest = Arc::new(RestBackend::new(config)?);
        let backend: Arc<dyn Backend> = rest.clone();
        let client = Self(Arc::new(Handle { backend, rest: Some(rest), scope: None, verbose }));
        Ok(if read_only { client.read_only() } else { client })
    }

    /// Creates a client in front of any [`Backend`].
    pub fn from_backend(backend: impl Backend) -> Self {
        Self::from_shared(Arc::new(backend))
    }

    /// Creates a client in front of a shared [`Backend`].
    pub fn from_shared(backend: Arc<dyn Backend>) -> Self {
        Self(Arc::new(Handle { backend, rest: None, scope: None, verbose: false }))
    }

    /// Creates a client whose commands get their replies from a function, for tests of code that
    /// takes a client. The commands of pipelines and transactions are run one after another.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redis_rest::Result<()> {
    /// use redis_rest::{Client, Error, ServerError, Value};
    /// let client = Client::from_fn(|command| match command.name() {
    ///     b"GET" => Ok(Value::bytes("Ada")),
    ///     _ => Err(Error::redis(ServerError::new("ERR unknown command"))),
    /// });
    /// assert_eq!(client.get::<String>("name").await?, "Ada");
    /// assert!(client.incr("visits").await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn from_fn(answer: impl Fn(&Command) -> Result<Value> + MaybeSend + 'static) -> Self {
        Self::from_backend(FunctionBackend(answer))
    }

    /// Returns the backend behind this client. It knows neither the client's
    /// [prefix](Self::with_prefix), nor that it is [read-only](Self::read_only): another client
    /// created from it has neither.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.backend
    }

    /// Returns a client on the same connections that puts `prefix` before every key of its
    /// commands, and removes it from the keys in replies: of several keys, of scripts, and of the
    /// patterns of `SCAN`, `KEYS` and `SORT`. Channels have no prefix. Prefixes of a client with a
    /// prefix are joined.
    ///
    /// Commands that reach beyond the prefix (`FLUSHDB`, `DBSIZE`, `RANDOMKEY` …), and those with
    /// unknown keys, are refused before sending
    /// ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)). Keys that a script builds
    /// itself get no prefix.
    ///
    /// ```
    /// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
    /// let app = client.with_prefix("app:");
    /// app.set("name", "Ada").await?;
    /// assert_eq!(client.get::<String>("app:name").await?, "Ada");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_prefix(&self, prefix: impl AsRef<[u8]>) -> Self {
        self.scoped(|scope| scope.prefixed(prefix.as_ref()))
    }

    /// Returns a read-only client on the same connections: writes are refused before sending
    /// ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)), and scripts, since they may
    /// write.
    #[must_use]
    pub fn read_only(&self) -> Self {
        self.scoped(Scope::read_only)
    }

    /// Returns the same client, for the duration of a call.
    pub(crate) fn for_call(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn scoped(&self, change: impl FnOnce(&Scope) -> Scope) -> Self {
        let scope = change(self.0.scope.as_deref().unwrap_or(&Scope::default()));
        Self(Arc::new(Handle {
            backend: Arc::clone(&self.0.backend),
            rest: self.0.rest.clone(),
            scope: Some(Arc::new(scope)),
            verbose: self.0.verbose,
        }))
    }

    /// Returns the prefix of every key.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.0.scope.as_ref().map_or(&[], |scope| scope.prefix())
    }

    /// Returns the command as sent.
    pub(crate) fn admit<'a>(&self, command: &'a Command) -> Result<Cow<'a, Command>> {
        match &self.0.scope {
            Some(scope) => scope.admit(command),
            None => Ok(Cow::Borrowed(command)),
        }
    }

    /// Returns true if errors show the server's text.
    pub(crate) fn is_verbose(&self) -> bool {
        self.0.verbose
    }

    /// Returns the reply as the caller sees it.
    pub(crate) fn seen(&self, command: &Command, reply: Value) -> Value {
        match &self.0.scope {
            Some(scope) => scope.strip(command, reply),
            None => reply,
        }
    }

    /// Pings the server and returns the round-trip time, including a new connection, if there was
    /// none, and failed attempts.
    ///
    /// # Errors
    /// Fails with the error of the call.
    pub async fn ping(&self) -> Result<Duration> {
        let began = clock::now();
        let _: String = cmd::ping().on(self).await?;
        Ok(began.elapsed())
    }

    /// Connects now, so that the first call need not: over REST with as many connections as
    /// [batching](Config::auto_batch_in_flight) uses. They serve the calls of the same runtime, and
    /// are kept for 50 s without use.
    ///
    /// # Errors
    /// Fails with the error of the connection.
    pub async fn warm_up(&self) -> Result<()> {
        self.0.backend.warm_up().await
    }

    /// Runs any command, with the reply read as `R`.
    ///
    /// ```
    /// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
    /// use redis_rest::cmd;
    /// let encoding: Option<String> = client.run(cmd("OBJECT ENCODING").arg("k")).await?;
    /// # Ok(()) }
    /// ```
    pub fn run<R: FromValue>(&self, command: Command) -> Call<R> {
        Call::new(command).on(self)
    }

    /// Runs a command once on the server, even if it is sent again; see [`Call::exactly_once`].
    pub fn exactly_once<C: UnboundCall>(&self, call: C) -> Call<C::Reply> {
        call.into_call().on(self).exactly_once()
    }

    /// Sets `key` to `value` for `ttl` if it does not exist; returns true if the key then holds
    /// `value`. For locks: `value` must be unique, such as a UUID.
    ///
    /// `SET … NX` alone would return false if it worked, its reply was lost and it was sent again;
    /// this reads back instead of guessing. It costs a second request if the key exists.
    ///
    /// # Errors
    /// Fails with the error of `SET`, or of the `GET` after it.
    pub async fn set_if_absent(
        &self,
        key: impl ToArg,
        value: impl ToArg,
        ttl: Duration,
    ) -> Result<bool> {
        let set = self.set(&key, &value).ex(ttl).nx();
        let wanted = set.command().get(1).map(<[u8]>::to_vec);
        match set.await {
            Ok(true) => return Ok(true),
            Err(error) if !error.maybe_applied() => return Err(error),
            Ok(false) | Err(_) => {}
        }
        let held: Option<bytes::Bytes> = self.get(&key).await?;
        Ok(held.as_deref() == wanted.as_deref())
    }

    /// Returns the read-your-writes token of the newest reply. A server with replicas serves a
    /// request that carries it only from one that has caught up. Clones share it; carry it (in a
    /// cookie, say) to another instance and [set](Self::set_sync_token) it there.
    pub fn sync_token(&self) -> Option<String> {
        self.0.backend.sync_token()
    }

    /// Sets the read-your-writes token for the next request.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config) if the text cannot be a token.
    pub fn set_sync_token(&self, token: &str) -> Result<()> {
        self.0.backend.set_sync_token(token)
    }

    /// Returns an empty pipeline: commands to send together, not atomically.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.for_call())
    }

    /// Returns an empty transaction: commands to execute atomically.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.for_call())
    }

    /// Executes one command.
    pub(crate) async fn execute(&self, command: Command, options: &CallOptions) -> Reply {
        self.execute_checked(&self.checked(command)?, options).await
    }

    /// Returns the command as sent, or why it cannot be sent.
    pub(crate) fn checked(&self, command: Command) -> Result<Command> {
        let admitted = match command.check().and_then(|()| self.admit(&command)) {
            Ok(Cow::Owned(admitted)) => Some(admitted),
            Ok(Cow::Borrowed(_)) => None,
            Err(error) => return Err(command.name_error(error)),
        };
        Ok(admitted.unwrap_or(command))
    }

    /// Executes a [checked](Self::checked) command.
    pub(crate) async fn execute_checked(&self, command: &Command, options: &CallOptions) -> Reply {
        // Rare cases are boxed: otherwise every call would carry their state.
        let reply = if options.exactly_once {
            Box::pin(self.execute_once(command, options)).await
        } else {
            self.send(command, options).await
        };
        reply.map(|reply| self.seen(command, reply))
    }

    async fn execute_once(&self, command: &Command, options: &CallOptions) -> Reply {
        exactly_once::check_deadline(&*self.0.backend, options)?;
        let once = exactly_once::wrap(self.prefix(), std::slice::from_ref(command))?;
        let mut replies = exactly_once::unwrap(self.send(&once, options).await, 1)?;
        replies.pop().unwrap_or_else(|| Ok(Value::Nil))
    }

    /// Sends a script that the server does not have again as text.
    fn send<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> impl Future<Output = Reply> + use<'a> {
        let (backend, now) = (&*self.0.backend, clock::now());
        observe::call(Operation::of(command), now, async move {
            let alone = || backend.execute(command, options);
            let joined = self.0.rest.as_ref().and_then(|rest| rest.join(command, options, now));
            let reply = match joined {
                Some(joined) => joined.reply_or(command.idempotency(), alone).await,
                None => alone().await,
            };
            let reply = match call::as_text(backend, command, options, &reply) {
                Some(again) => again.await,
                None => reply,
            };
            reply.map_err(|error| command.name_error(error).shown(self.0.verbose))
        })
    }
}

impl Config {
    /// Checks the settings and creates the client. Does no I/O.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config), which names the setting.
    pub fn build(self) -> Result<Client> {
        Client::from_config(self)
    }
}

/// Shows settings, and of the prefix only that there is one: it may be a tenant's name.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("prefixed", &!self.prefix().is_empty())
            .field("read_only", &self.0.scope.as_ref().is_some_and(|scope| scope.only_reads()))
            .field("verbose_errors", &self.0.verbose)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(not(target_family = "wasm"))]
    #[test]
    fn is_a_handle_for_many_threads() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<super::Client>();
    }
}
