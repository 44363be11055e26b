//! [`Client`]: the handle that users hold. Typed calls come from [`crate::command`]; execution is the backend's.

use crate::backend::rest::RestBackend;
use crate::backend::{Backend, Reply};
use crate::command::{CallOptions, Command, ToArg, Typed};
use crate::config::Config;
use crate::error::Result;
use crate::exactly_once;
use crate::pipeline::{Pipeline, Transaction};
use crate::script::as_eval;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// A Redis client over HTTP. Cheap to clone: clones share connections and settings.
///
/// ```
/// # async fn run() -> redis_rest::Result<()> {
/// use redis_rest::Client;
/// let client = Client::new("http://127.0.0.1:8079", "local-token")?;
/// client.set("greeting", "hello").await?;
/// let greeting: Option<String> = client.get("greeting").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    backend: Arc<dyn Backend>,
}

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

    pub(crate) fn from_config(config: Config) -> Result<Self> {
        Ok(Self::from_backend(RestBackend::new(config)?))
    }

    /// A client in front of any [`Backend`].
    pub fn from_backend(backend: impl Backend) -> Self {
        Self::from_shared(Arc::new(backend))
    }

    /// A client in front of a [`Backend`] that others hold too.
    pub fn from_shared(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// The backend behind this client.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Any command, with the reply read as `R`.
    ///
    /// ```
    /// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
    /// use redis_rest::cmd;
    /// let encoding: Option<String> = client.run(cmd("OBJECT ENCODING").arg("k")).await?;
    /// # Ok(()) }
    /// ```
    pub fn run<R>(&self, command: Command) -> Typed<R, crate::command::Plain, Client> {
        Typed::new(command).on(self)
    }

    /// A command that the server runs once, however often it is sent; see [`Typed::exactly_once`].
    pub fn exactly_once<R, K>(&self, command: Typed<R, K>) -> Typed<R, K, Client> {
        command.on(self).exactly_once()
    }

    /// Sets `key` to `value` for `ttl` if it does not exist; true when `value` is what it holds now. For locks: `value` must be
    /// one that nobody else uses, such as a UUID.
    ///
    /// `SET … NX` alone would answer false when it worked, its reply was lost and it was sent again; this reads back instead of
    /// guessing. It costs a second request whenever the key exists.
    ///
    /// # Errors
    /// What `SET` or the `GET` after it answers.
    pub async fn set_if_absent(&self, key: impl ToArg, value: impl ToArg, ttl: Duration) -> Result<bool> {
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
        self.backend.sync_token()
    }

    /// Sets the read-your-writes token that the next request carries.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a text that cannot be a token.
    pub fn set_sync_token(&self, token: &str) -> Result<()> {
        self.backend.set_sync_token(token)
    }

    /// Commands to send together, not atomically.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.clone())
    }

    /// Commands to execute atomically.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    /// Executes one command; a script the server does not know is sent again as text.
    pub(crate) async fn execute(&self, command: &Command, options: &CallOptions) -> Reply {
        if !options.exactly_once {
            return self.send(command, options).await;
        }
        exactly_once::check_deadline(options)?;
        let once = exactly_once::wrap(std::slice::from_ref(command))?;
        let mut replies = exactly_once::unwrap(self.send(&once, options).await, 1)?;
        replies.pop().unwrap_or_else(|| Ok(crate::Value::Nil))
    }

    async fn send(&self, command: &Command, options: &CallOptions) -> Reply {
        let span = tracing::debug_span!("redis", db.system.name = "redis", db.operation.name = command.label());
        async {
            command.check()?;
            match self.backend.execute(command, options).await {
                Err(error) if error.redis_code() == Some("NOSCRIPT") => match as_eval(command) {
                    Some(eval) => self.backend.execute(&eval, options).await,
                    None => Err(error),
                },
                reply => reply,
            }
            .map_err(|error| error.of_command(command))
        }
        .instrument(span)
        .await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
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
