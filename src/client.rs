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
/// Its methods are, in this order: making a client and what it does as a whole; then the commands, by the groups of Redis's
/// documentation. The functions of the same names in [`cmd`](mod@crate::cmd) make the same calls for pipelines.
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
/// Calls need a Tokio runtime with timers and I/O, and are errors of kind [`ErrorKind::Config`](crate::ErrorKind::Config) elsewhere.
/// Making a client needs none, nor does `wasm32`.
///
/// Runtimes may share a client. Over REST each has connections and batches of its own: a runtime
/// that is blocked, or that nobody drives, delays no call of another. A call belongs to the runtime
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
    /// None: commands go out as they are.
    scope: Option<Arc<Scope>>,
    /// Errors show what the server said.
    verbose: bool,
}

/// Each clone counts the calls made by it for itself: one count for all of them would be what the callers of several threads queue for.
impl Clone for Client {
    fn clone(&self) -> Self {
        Self(Arc::new(Handle::clone(&self.0)))
    }
}

/// # The client
impl Client {
    /// A client with default settings. See [`Config`] for what can be set, [`Client::builder`] to set it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the address or the token cannot work. Does no I/O.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self> {
        Self::builder().url(url).token(token).build()
    }

    /// Settings to choose, starting from the defaults.
    pub fn builder() -> Config {
        Config::new()
    }

    /// A client from the environment. [`Config::from_env`] lists the names and their order.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming what was looked for.
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

    /// A client in front of any [`Backend`].
    pub fn from_backend(backend: impl Backend) -> Self {
        Self::from_shared(Arc::new(backend))
    }

    /// A client in front of a [`Backend`] that others hold too.
    pub fn from_shared(backend: Arc<dyn Backend>) -> Self {
        Self(Arc::new(Handle { backend, rest: None, scope: None, verbose: false }))
    }

    /// A client whose commands are answered by a function, for tests of code that takes a client. The commands of pipelines and
    /// transactions are answered one after another.
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

    /// The backend behind this client. It knows nothing of the client's [prefix](Self::with_prefix), nor that it may
    /// [only read](Self::read_only): another client made from it has neither.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.backend
    }

    /// A client of the same connections that puts `prefix` before every key that its commands name, and takes it off the keys in
    /// replies: of several keys, of scripts, and of the patterns of `SCAN`, `KEYS` and `SORT`. Channels have no prefix. Prefixes of a
    /// client with a prefix are joined.
    ///
    /// Commands that reach beyond the prefix (`FLUSHDB`, `DBSIZE`, `RANDOMKEY` …), and those whose keys are not known here, are
    /// refused before sending ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)). Keys that a script makes up by itself are
    /// its own business.
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

    /// A client of the same connections that only reads: writes are refused before sending
    /// ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)), and scripts, since they may write.
    #[must_use]
    pub fn read_only(&self) -> Self {
        self.scoped(Scope::read_only)
    }

    /// The same client, for the time of a call.
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

    /// What goes before every key.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.0.scope.as_ref().map_or(&[], |scope| scope.prefix())
    }

    /// The command as it goes out.
    pub(crate) fn admit<'a>(&self, command: &'a Command) -> Result<Cow<'a, Command>> {
        match &self.0.scope {
            Some(scope) => scope.admit(command),
            None => Ok(Cow::Borrowed(command)),
        }
    }

    /// True if errors show what the server said.
    pub(crate) fn is_verbose(&self) -> bool {
        self.0.verbose
    }

    /// The reply as the caller sees it.
    pub(crate) fn seen(&self, command: &Command, reply: Value) -> Value {
        match &self.0.scope {
            Some(scope) => scope.strip(command, reply),
            None => reply,
        }
    }

    /// Asks the server to answer, and reports how long that took: connecting, where there was no connection, and attempts that
    /// failed included.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn ping(&self) -> Result<Duration> {
        let began = clock::now();
        let _: String = cmd::ping().on(self).await?;
        Ok(began.elapsed())
    }

    /// Connects now, so that the first call does not have to: over REST as many connections as
    /// [batching](Config::auto_batch_in_flight) keeps busy. They serve the calls of the same
    /// runtime, and are kept for 50 s without use.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn warm_up(&self) -> Result<()> {
        self.0.backend.warm_up().await
    }

    /// Any command, with the reply read as `R`.
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

    /// A command that the server runs once, however often it is sent; see [`Call::exactly_once`].
    pub fn exactly_once<C: UnboundCall>(&self, call: C) -> Call<C::Reply> {
        call.into_call().on(self).exactly_once()
    }

    /// Sets `key` to `value` for `ttl` if it does not exist; true when `value` is what it holds now. For locks: `value` must be
    /// one that nobody else uses, such as a UUID.
    ///
    /// `SET … NX` alone would answer false when it worked, its reply was lost and it was sent again; this reads back instead of
    /// guessing. It costs a second request whenever the key exists.
    ///
    /// # Errors
    /// What `SET` or the `GET` after it answers.
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

    /// The read-your-writes token of the newest reply. A server with replicas answers a request that carries it only from one
    /// that has caught up. Clones share it; take it along (in a cookie, say) to another instance and
    /// [set](Self::set_sync_token) it there.
    pub fn sync_token(&self) -> Option<String> {
        self.0.backend.sync_token()
    }

    /// Sets the read-your-writes token that the next request carries.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a text that cannot be a token.
    pub fn set_sync_token(&self, token: &str) -> Result<()> {
        self.0.backend.set_sync_token(token)
    }

    /// Commands to send together, not atomically.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.for_call())
    }

    /// Commands to execute atomically.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.for_call())
    }

    /// Executes one command.
    pub(crate) async fn execute(&self, command: Command, options: &CallOptions) -> Reply {
        self.execute_checked(&self.checked(command)?, options).await
    }

    /// The command as it goes out, or why it cannot.
    pub(crate) fn checked(&self, command: Command) -> Result<Command> {
        let admitted = match command.check().and_then(|()| self.admit(&command)) {
            Ok(Cow::Owned(admitted)) => Some(admitted),
            Ok(Cow::Borrowed(_)) => None,
            Err(error) => return Err(command.name_error(error)),
        };
        Ok(admitted.unwrap_or(command))
    }

    /// Executes a command that was [checked](Self::checked).
    pub(crate) async fn execute_checked(&self, command: &Command, options: &CallOptions) -> Reply {
        // What is rare has its own allocation: every call would carry its state otherwise.
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

    /// A script that the server does not know is sent again as text.
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
    /// Checks the settings and makes the client. Does no I/O.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with what to change.
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
