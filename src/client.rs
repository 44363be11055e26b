//! [`Client`]: the handle that users hold. Typed calls come from [`crate::command`]; execution is the backend's.

use crate::backend::rest::RestBackend;
use crate::backend::{Backend, Reply};
use crate::command::{CallOptions, Command, Typed};
use crate::config::Config;
use crate::error::Result;
use crate::pipeline::{Pipeline, Transaction};
use crate::script::as_eval;
use std::fmt;
use std::sync::Arc;
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
