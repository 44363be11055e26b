//! Redis over HTTP: encode → attempts → decode.

mod attempt;
mod batch;
pub(crate) mod block;
pub(crate) mod config;
mod encoding;
mod hedge;
// Either of the two, depending on the host.
#[cfg_attr(target_family = "wasm", path = "fetch.rs")]
mod hyper;
mod limits;
pub(crate) mod listen;
mod paths;
mod pipeline;
mod requests;
#[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
mod reqwest;
mod response;
pub(crate) mod sse;
mod sync;
mod transport;
pub(crate) mod wire;

pub use config::{Config, Encoding};
pub use hyper::HttpTransport;
pub(crate) use hyper::{ProxyChoice, Trust};
pub(crate) use limits::{DEEPEST, Limits};
use requests::KEPT;
#[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
pub use reqwest::ReqwestTransport;
pub use transport::{HttpChunks, HttpRequest, HttpResponse, HttpStream, Progress, Transport};

use crate::backend::{Backend, EventStream, Reply, SubscriptionTarget};
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Command, cmd};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, BoxFuture, Timers};
use crate::retry::{Attempts, RetryPolicy};
use attempt::{ReplyShape, no_reply, only, own};
use batch::{Batchers, Joined};
use bytes::Bytes;
use encoding::Detection;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use paths::Paths;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use sync::SyncToken;
use tracing::Span;
use url::Url;

/// Executes commands on a REST server. Created by [`Config::build`].
pub struct RestBackend {
    rest: Arc<Rest>,
    /// `None`: every command is a separate request.
    batchers: Option<Batchers>,
}

/// The parts of requests, and the means to send them.
struct Rest {
    transport: Arc<dyn Transport>,
    endpoints: Endpoints,
    /// For replies in JSON.
    headers: HeaderMap,
    encoding: Encoding,
    detection: Arc<Detection>,
    /// For replies in RESP2, while the server is believed to support it.
    resp2: Option<Resp2>,
    /// Reported by the server.
    has_no_pipelines: AtomicBool,
    sync: SyncToken,
    paths: Paths,
    timers: Timers,
    retry: RetryPolicy,
    connect_timeout: Duration,
    timeout: Duration,
    deadline: Duration,
    max_request_bytes: usize,
    max_reply_bytes: usize,
    reply_limits: Limits,
    max_event_bytes: usize,
    max_pipeline_commands: usize,
    telemetry: bool,
}

/// The addresses of the three `POST` forms, created once. The path form extends `command`.
struct Endpoints {
    command: Url,
    pipeline: Url,
    transaction: Url,
}

impl Endpoints {
    fn new(base: &Url) -> Self {
        let with = |last: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{last}", base.path().trim_end_matches('/')));
            url
        };
        Self { command: with(""), pipeline: with("pipeline"), transaction: with("multi-exec") }
    }
}

impl fmt::Debug for RestBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RestBackend")
    }
}

struct Resp2 {
    headers: HeaderMap,
    /// The server replied in JSON once.
    ignored: AtomicBool,
}

/// A request as sent in every attempt.
struct Outgoing {
    url: Url,
    body: Bytes,
    /// The reply may be RESP2 if that is configured.
    resp2: bool,
    /// True for a transaction.
    atomic: bool,
    /// The path contains characters that a proxy may change.
    changeable: bool,
    /// The spans of the calls that it carries, if those run in other tasks.
    calls: Vec<Span>,
}

impl Outgoing {
    fn new(url: Url, body: impl Into<Bytes>, resp2: bool) -> Self {
        Self { url, body: body.into(), resp2, atomic: false, changeable: false, calls: Vec::new() }
    }
}

impl RestBackend {
    /// Creates a backend after checking `config`. Does no I/O.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`].
    pub fn new(config: Config) -> Result<Self> {
        config.check_limits()?;
        let url = config.parsed_url()?;
        let endpoints = Endpoints::new(&url);
        let token = config.checked_token()?;
        // Allocated in full at once: a growing text leaves pieces behind.
        let mut bearer = String::with_capacity(7 + token.len());
        bearer.extend(["Bearer ", token]);
        let mut token = HeaderValue::try_from(bearer).map_err(|_| {
            Error::new(ErrorKind::Config, "the token holds a character that a header cannot have")
        })?;
        // Kept out of the HTTP library's debug output and of HTTP/2's compression tables.
        token.set_sensitive(true);
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(AUTHORIZATION, token);
        if let Some(name) = platform::USER_AGENT {
            headers.insert(USER_AGENT, HeaderValue::from_static(name));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let resp2 = (config.encoding == Encoding::Resp2).then(|| {
            let mut headers = headers.clone();
            headers.insert("upstash-response-format", HeaderValue::from_static("resp2"));
            Resp2 { headers, ignored: AtomicBool::new(false) }
        });
        if config.encoding != Encoding::Text {
            headers.insert("upstash-encoding", HeaderValue::from_static("base64"));
        }
        let transport = match config.transport.clone() {
            Some(transport) => transport,
            None => Arc::new(HttpTransport::for_config(&config)?),
        };
        let auto_batch = config.auto_batch;
        let rest = Arc::new(Rest {
            transport,
            endpoints,
            headers,
            encoding: config.encoding,
            detection: Detection::of(&config, &url),
            resp2,
            has_no_pipelines: AtomicBool::new(false),
            sync: SyncToken::default(),
            paths: Paths::new(config.paths_arrive),
            timers: Timers::default(),
            // The outage of one server must not use up the retries of another with the same
            // settings.
            retry: config.retry.with_own_budget(),
            connect_timeout: config.connect_timeout,
            timeout: config.timeout,
            deadline: config.deadline,
            max_request_bytes: config.max_request_bytes,
            max_reply_bytes: config.max_reply_bytes,
            reply_limits: config.reply_limits,
            max_event_bytes: config.max_event_bytes,
            max_pipeline_commands: config.max_pipeline_commands,
            telemetry: config.telemetry,
        });
        let batchers = auto_batch.map(|in_flight| Batchers::new(Arc::clone(&rest), in_flight));
        Ok(Self { rest, batchers })
    }

    /// Adds the command of a call that begins `now` to a request that carries others too, if it can
    /// join one; `None`: it has to be [executed](Backend::execute). Such a call only holds the
    /// place of its reply.
    pub(crate) fn join(
        &self,
        command: &Command,
        options: &CallOptions,
        now: Instant,
    ) -> Option<Joined> {
        let batchers = self.batchers.as_ref()?;
        requests::carried(command).ok()?;
        self.rest.may_batch(command, options).then(|| batchers.join(command, now)).flatten()
    }
}

impl Backend for RestBackend {
    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            requests::carried(command)?;
            // A queued call is small: the rest is created if needed.
            match &self.batchers {
                Some(batchers) if self.rest.may_batch(command, options) => {
                    batchers.execute(command).await
                }
                _ => Box::pin(self.rest.alone(command, options)).await,
            }
        })
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<()>> {
        let connections = self.batchers.as_ref().map_or(1, Batchers::limit);
        Box::pin(async move {
            let (ping, options) = (cmd("PING"), CallOptions::default());
            platform::join_all((0..connections).map(|_| self.rest.alone(&ping, &options)))
                .await
                .into_iter()
                .try_for_each(|reply| reply.map(drop))
        })
    }

    fn listen<'a>(&'a self, what: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
        Box::pin(self.rest.open(what))
    }

    fn deadline(&self, options: &CallOptions) -> Option<Duration> {
        Some(options.deadline.unwrap_or(self.rest.deadline))
    }

    fn sync_token(&self) -> Option<String> {
        self.rest.sync.get()
    }

    fn set_sync_token(&self, token: &str) -> Result<()> {
        let set = self.rest.sync.set(token);
        set.then_some(()).ok_or_else(|| {
            Error::new(ErrorKind::Config, "this cannot be a sync token: a header cannot hold it")
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(self.rest.pipeline(commands, options))
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(self.rest.transaction(commands, options))
    }
}

impl Rest {
    /// Returns the deadline of a call that starts now.
    fn deadline(&self, options: &CallOptions) -> Instant {
        clock::after(options.deadline.unwrap_or(self.deadline))
    }

    fn attempts(&self, deadline: Instant, options: &CallOptions) -> Attempts<'_> {
        Attempts::start(&self.retry, self.connect_timeout, deadline, options.no_retry)
    }
}

/// Returns the times in the headers of a response: when to retry, and how long to keep the
/// connection.
#[cfg(all(fuzzing, not(target_family = "wasm")))]
pub fn response_headers(headers: &HeaderMap) -> (Option<Duration>, Option<Duration>) {
    (response::retry_after(headers), response::keep_alive(headers))
}
