//! [`NativeConfig`]: what a backend over TCP can be told. Checked when it is built; no I/O here.

use super::NativeBackend;
use super::connect::{Connector, Endpoint, Target};
use super::resp::Limits;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use redis::RedisConnectionInfo;
use std::fmt;
use std::time::Duration;

/// Deeper than any reply of a command; scripts can return any depth. REST replies have the same
/// limit.
const MOST_DEPTH: usize = 64;

/// Environment variable of the address.
const ENV_URL: &str = "REDIS_URL";

/// Settings of a [`NativeBackend`], with their defaults.
///
/// | setting | default |
/// |---|---|
/// | [`connect_timeout`](NativeConfig::connect_timeout) | 3 s |
/// | [`timeout`](NativeConfig::timeout) of a call | 5 s |
/// | [`connect_retries`](NativeConfig::connect_retries) | 0 |
/// | [`script_timeout`](NativeConfig::script_timeout) | none |
/// | [`max_reply_bytes`](NativeConfig::max_reply_bytes) of a call | 67,108,864 (64 MiB) |
/// | [`max_request_bytes`](NativeConfig::max_request_bytes) of a command | 536,870,912 (512 MiB) |
/// | [`only_root_certificates_pem`](NativeConfig::only_root_certificates_pem) | those of the platform |
///
/// ```
/// # async fn run() -> redis_rest::Result<()> {
/// use redis_rest::{Client, backend::native::NativeConfig};
/// use std::time::Duration;
/// let backend = NativeConfig::new("redis://127.0.0.1:6379").timeout(Duration::from_secs(1)).connect_retries(3).connect().await?;
/// let client = Client::from_backend(backend);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct NativeConfig {
    place: Place,
    username: Option<String>,
    password: Option<Secret>,
    database: Option<i64>,
    connect_timeout: Duration,
    pub(super) timeout: Duration,
    pub(super) connect_retries: u32,
    pub(super) script_timeout: Option<Duration>,
    max_reply_bytes: usize,
    pub(super) max_request_bytes: usize,
    root_certificates: Option<Vec<u8>>,
}

#[derive(Clone)]
enum Place {
    One(Secret),
    Sentinels { urls: Vec<Secret>, master: String },
}

impl NativeConfig {
    fn of(place: Place) -> Self {
        Self {
            place,
            username: None,
            password: None,
            database: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(5),
            connect_retries: 0,
            script_timeout: None,
            max_reply_bytes: 64 * 1024 * 1024,
            max_request_bytes: 512 * 1024 * 1024,
            root_certificates: None,
        }
    }

    /// Creates settings for a server at `redis://[user][:password@]host[:port][/database]`, the
    /// same with `rediss://` for TLS (feature `rustls`), or `unix:///path`.
    pub fn new(url: impl Into<String>) -> Self {
        Self::of(Place::One(Secret::new(url)))
    }

    /// Creates settings for the server at `REDIS_URL`.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if it is not set.
    pub fn from_env() -> Result<Self> {
        match std::env::var(ENV_URL) {
            Ok(url) if !url.trim().is_empty() => Ok(Self::new(url.trim())),
            _ => Err(Error::new(
                ErrorKind::Config,
                "no address: set REDIS_URL, such as redis://127.0.0.1:6379/0",
            )),
        }
    }

    /// Creates settings for the master that sentinels call `master`, wherever a failover moves it.
    /// The addresses are those of the sentinels, in the form of [`new`](Self::new), with the user
    /// and password of the sentinels if they require one; those of the master are set by
    /// [`login`](Self::login). The master is reached by TLS if its sentinels are.
    pub fn sentinel<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        master: impl Into<String>,
    ) -> Self {
        Self::of(Place::Sentinels {
            urls: urls.into_iter().map(Secret::new).collect(),
            master: master.into(),
        })
    }

    /// Sets the user and password, instead of those in the address. An empty user is Redis's
    /// default user.
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.username = Some(user.into()).filter(|user: &String| !user.is_empty());
        self.password = Some(Secret::new(password));
        self
    }

    /// Sets the database, instead of the one in the address.
    pub fn database(mut self, number: u32) -> Self {
        self.database = Some(number.into());
        self
    }

    /// Sets the longest time to connect: name, TCP, TLS, login, and asking the sentinels (default 3
    /// s).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the longest time for a call without a limit in its options (default 5 s), connecting
    /// included.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how often a call tries again to connect, within its own time (default 0): 50 ms later,
    /// then twice as much each time, up to 1 s. A command that was sent is never sent again.
    pub fn connect_retries(mut self, retries: u32) -> Self {
        self.connect_retries = retries;
        self
    }

    /// Ends scripts and functions of this backend that run longer, by `SCRIPT KILL` or `FUNCTION
    /// KILL` on a separate connection (default: none is ended; zero too). Calls that Redis refuses
    /// with `BUSY` meanwhile are retried within their time.
    ///
    /// Redis ends a script only after its own `busy-reply-threshold` (default 5 s), and then
    /// whichever script runs: on a shared Redis it may be another client's.
    /// [`timeout`](Self::timeout) should be longer than both, or other calls end before the script.
    /// A script that has written cannot be ended; its call fails at once with an error of code
    /// `UNKILLABLE`.
    pub fn script_timeout(mut self, limit: Duration) -> Self {
        self.script_timeout = Some(limit).filter(|limit| !limit.is_zero());
        self
    }

    /// Sets the most memory for the replies of one call – a command, a pipeline, a transaction –
    /// (default 64 MiB): the bytes of their strings, and 64 for each element of an array. A reply
    /// that does not fit behind those before it is dropped as it arrives, and becomes an error of
    /// kind [`ErrorKind::ReplyTooLarge`] in its place: its command ran. So does a reply with more
    /// than 64 nested arrays. Other calls are not affected. A larger message of a subscription ends
    /// its connection, and the subscription reports a gap.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Sets the largest command or transaction in bytes (default 512 MiB, Redis's limit for an
    /// argument); larger ones are refused. Redis closes the connection of a client that sends an
    /// argument larger than its `proto-max-bulk-len`, or queues more than its
    /// `client-query-buffer-limit`: set this if those are below their defaults, since all calls
    /// share the connection.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Trusts the certificates in this PEM text and no others, for servers with a private
    /// certificate authority.
    #[cfg(feature = "rustls")]
    pub fn only_root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] for invalid settings, [`ErrorKind::Connect`] if no
    /// connection can be opened, and [`ErrorKind::Unauthorized`] if Redis refuses the password.
    pub async fn connect(self) -> Result<NativeBackend> {
        let backend = self.lazy()?;
        backend.connect_now().await?;
        Ok(backend)
    }

    /// Makes a backend as [`connect`](Self::connect) does, but the first call connects. Does no I/O.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`].
    pub fn lazy(self) -> Result<NativeBackend> {
        NativeBackend::from_config(self)
    }

    /// Creates a backend with these settings for another node of a cluster.
    pub(super) fn at(&self, (host, port): &(String, u16)) -> Result<NativeBackend> {
        let mut connector = self.connector()?;
        if let Target::One(endpoint) = &mut connector.target {
            endpoint.address = redis::ConnectionAddr::Tcp(host.clone(), *port);
        }
        Ok(NativeBackend::from_connector(connector, self))
    }

    pub(super) fn connector(&self) -> Result<Connector> {
        let mut target = match &self.place {
            Place::One(url) => Target::One(Endpoint::parse(url.as_str())?),
            Place::Sentinels { urls, master } => {
                let sentinels = urls
                    .iter()
                    .map(|url| Endpoint::parse(url.as_str()))
                    .collect::<Result<Vec<_>>>()?;
                let login = RedisConnectionInfo::default();
                if sentinels.is_empty() {
                    return Err(Error::new(ErrorKind::Config, "no sentinel is named"));
                }
                Target::Sentinels { sentinels, master: master.clone(), login }
            }
        };
        let login = target.login_mut();
        let mut settings = login.clone();
        if let Some(user) = &self.username {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.as_str());
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database);
        }
        *login = settings;
        let limits = Limits { bytes: self.max_reply_bytes, depth: MOST_DEPTH };
        Connector::new(target, self.connect_timeout, limits, self.root_certificates.as_deref())
    }
}

/// Shows no address and no login.
impl fmt::Debug for NativeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeConfig")
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("connect_retries", &self.connect_retries)
            .field("script_timeout", &self.script_timeout)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("max_request_bytes", &self.max_request_bytes)
            .finish_non_exhaustive()
    }
}
