//! [`Config`]: what a client can be told. No I/O here.

pub(crate) mod check;
mod encoding;
mod env;

pub use encoding::Encoding;

use crate::backend::rest::{Limits, ProxyChoice, Transport, Trust};
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a REST client, with their defaults.
///
/// | setting | default |
/// |---|---|
/// | [`connect_timeout`](Config::connect_timeout) | 3 s |
/// | [`timeout`](Config::timeout) of one attempt | 5 s |
/// | [`deadline`](Config::deadline) of a call with its retries | 15 s |
/// | [`pool_idle_timeout`](Config::pool_idle_timeout) | 50 s |
/// | [`retry`](Config::retry) | at most 10 attempts, 50 ms → 2 s, full jitter |
/// | [`encoding`](Config::encoding) | base64; text for a server that ignores it |
/// | [`max_request_bytes`](Config::max_request_bytes) | 10 000 000 |
/// | [`max_reply_bytes`](Config::max_reply_bytes) | 64 MiB |
/// | [`max_reply_header_bytes`](Config::max_reply_header_bytes) | 256 KiB |
/// | [`max_reply_depth`](Config::max_reply_depth) | 64 arrays |
/// | [`max_reply_elements`](Config::max_reply_elements) | 1 000 000 |
/// | [`max_event_bytes`](Config::max_event_bytes) | 16 MiB |
/// | [`max_pipeline_commands`](Config::max_pipeline_commands) of one request | 1000 |
/// | [`auto_batch_in_flight`](Config::auto_batch_in_flight) | 2 requests |
/// | [`paths_arrive_as_sent`](Config::paths_arrive_as_sent) | asked once, when it matters |
/// | [`verbose_errors`](Config::verbose_errors) | off |
///
/// The defaults suit workers and background tasks. [`for_web_requests`](Config::for_web_requests) sets shorter times.
#[derive(Clone)]
#[must_use]
pub struct Config {
    pub(crate) url: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) encoding: Encoding,
    pub(crate) max_request_bytes: usize,
    pub(crate) max_reply_bytes: usize,
    /// On wasm the host decides.
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) max_reply_header_bytes: usize,
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) pool_idle_timeout: Duration,
    pub(crate) reply_limits: Limits,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_pipeline_commands: usize,
    /// Most requests in flight before commands wait for one to return; none: no automatic batching.
    pub(crate) auto_batch: Option<usize>,
    pub(crate) allow_insecure_http: bool,
    pub(crate) paths_arrive: bool,
    pub(crate) telemetry: bool,
    pub(crate) read_only: bool,
    pub(crate) verbose_errors: bool,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) trust: Trust,
    pub(crate) proxy: ProxyChoice,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            encoding: Encoding::Auto,
            max_request_bytes: 10_000_000,
            max_reply_bytes: 64 << 20,
            max_reply_header_bytes: 256 << 10,
            pool_idle_timeout: Duration::from_secs(50),
            reply_limits: Limits { depth: 64, elements: 1_000_000 },
            max_event_bytes: 16 << 20,
            max_pipeline_commands: 1000,
            auto_batch: Some(2),
            allow_insecure_http: false,
            paths_arrive: false,
            telemetry: false,
            read_only: false,
            verbose_errors: false,
            transport: None,
            trust: Trust::default(),
            proxy: ProxyChoice::default(),
        }
    }
}

impl Config {
    /// The defaults, without address and token.
    pub fn new() -> Self {
        Self::default()
    }

    /// The server's address, such as `https://host.example.com`. A path is kept as a prefix.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The token, sent in the `Authorization` header and nowhere else. This copy of it is wiped from memory when the settings are
    /// dropped; those in headers and in the buffers of connections are not.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Secret::new(token));
        self
    }

    /// A token that allows reads only: the client refuses writes before sending, see [`Client::read_only`](crate::Client::read_only).
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.read_only = true;
        self.token(token)
    }

    /// Longest time to make a connection (default 3 s).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Longest time for one attempt, connecting included (default 5 s).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Longest time for a call with all its attempts (default 15 s). Each attempt gets what is left.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// When and how often to try again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sends everything once.
    pub fn no_retry(mut self) -> Self {
        self.retry = self.retry.max_attempts(1);
        self
    }

    /// Sets the encoding of values in replies (default [`Encoding::Auto`]).
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Largest request body in bytes (default 10 000 000, the limit of common plans). Checked before sending; pipelines are
    /// split to fit.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Longest time for which an idle connection is kept (default 50 s; common proxies close theirs after 60 s). Choose less than
    /// the server or proxy keeps its side: a command that meets a connection which is being closed may have been applied. Zero:
    /// each request has a connection of its own. A server that says less by `Keep-Alive: timeout=n` gets a second less than that.
    ///
    /// The built-in transport keeps it; one of your own, `ReqwestTransport` and the host's `fetch` (on `wasm32`) do not see it.
    pub fn pool_idle_timeout(mut self, idle: Duration) -> Self {
        self.pool_idle_timeout = idle;
        self
    }

    /// Largest reply body in bytes (default 64 MiB). Replies are never asked to be compressed, and never decompressed.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Most bytes of all headers of a reply (default 256 KiB, at least 8 KiB); more of them, or more than 100 headers, are
    /// [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge). It is the size to which the buffer of an HTTP/1.1 connection
    /// grows, so that what comes at once with the last part may be read as well: up to twice as much. The built-in transport keeps it; one of your own, `ReqwestTransport` and the
    /// host's `fetch` have limits of their own.
    pub fn max_reply_header_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_header_bytes = bytes;
        self
    }

    /// Deepest nesting of arrays in a reply (default 64, at most 120). A deeper reply is
    /// [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge), as is one that the next limit ends.
    pub fn max_reply_depth(mut self, arrays: usize) -> Self {
        self.reply_limits.depth = arrays;
        self
    }

    /// Most elements of all arrays in the reply to one request, those within arrays included (default 1 000 000). An element may take
    /// two bytes on the wire and takes about 40 in memory, so this bounds what a reply of few bytes can become. The replies to a
    /// pipeline's commands are no elements by themselves.
    pub fn max_reply_elements(mut self, count: usize) -> Self {
        self.reply_limits.elements = count;
        self
    }

    /// Largest event of a [subscription](crate::Client::subscribe) in bytes (default 16 MiB). A larger one ends the connection, and another is
    /// made: [`Event::Gap`](crate::Event::Gap). As many as 256 events wait for a reader who is slow.
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// Most commands in one pipeline request (default 1000); longer pipelines are split.
    pub fn max_pipeline_commands(mut self, count: usize) -> Self {
        self.max_pipeline_commands = count;
        self
    }

    /// Sends every command in a request of its own.
    ///
    /// By default a command goes at once when nothing is in flight; others wait until one of
    /// [so many](Self::auto_batch_in_flight) requests returns, and then go together as one `/pipeline`: at most
    /// [`max_pipeline_commands`](Self::max_pipeline_commands) and about 1 MiB. From 32 on they are shared evenly among the requests in
    /// flight, so that the server works on one while the replies to another are handed out. Each has its own result, and its own error.
    /// Those that must not be sent twice travel apart from those that may. Commands over 64 KiB, calls with options of their own
    /// (`.timeout(…)`, `.exactly_once()` …), pipelines and transactions go by themselves.
    ///
    /// A caller that awaits one call before the next sees them run in that order. Calls that are under way at the same time have no
    /// order, with batching as without.
    pub fn no_auto_batch(mut self) -> Self {
        self.auto_batch = None;
        self
    }

    /// Sets how many requests may be in flight on each runtime before further commands wait and are
    /// batched (default 2). More shorten the wait on a slow network, fewer make larger batches.
    pub fn auto_batch_in_flight(mut self, requests: usize) -> Self {
        self.auto_batch = Some(requests.max(1));
        self
    }

    /// Allows `http://` to hosts other than this machine: the token then travels in the clear.
    pub fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure_http = true;
        self
    }

    /// Says that the server gets the paths of requests as they are sent: no proxy in between decodes
    /// or normalises them.
    ///
    /// Commands travel in bodies. Only the names of a [subscription](crate::Client::subscribe), and what
    /// stands before an argument that is not UTF-8, are in a path. Where such a name holds one of
    /// `/ \ ? # % ;`, a blank or a control, a proxy that decodes paths makes another name or another
    /// command of it. So before the first of them the client asks once, by an `ECHO` in a path,
    /// whether paths arrive. If they do not, these calls are refused
    /// ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)): use `proxy_pass` without a URI in
    /// nginx. This setting sends them without asking, to a server that does not let the token `ECHO`,
    /// for example. A name with a segment `.` or `..` is refused with it, too.
    pub fn paths_arrive_as_sent(mut self) -> Self {
        self.paths_arrive = true;
        self
    }

    /// Tells the server with each retry which one it is (`Upstash-Telemetry-Retry`). Off by default: nothing is told.
    pub fn telemetry(mut self) -> Self {
        self.telemetry = true;
        self
    }

    /// Shows in errors what the server said, and what serde said of a reply that could not be read. **These texts may quote
    /// keys and values**: for development, not for logs that others read. Off by default; `REDIS_REST_VERBOSE_ERRORS=1` sets
    /// it in [`from_env`](Self::from_env).
    pub fn verbose_errors(mut self, on: bool) -> Self {
        self.verbose_errors = on;
        self
    }

    /// Limits for a handler of web requests, where a person waits and the caller may try again: a second to connect, a second
    /// and a half for an attempt, three seconds for the call, at most three attempts, 20 to 200 ms apart. Everything else stays
    /// as it is.
    ///
    /// ```
    /// # fn run() -> redis_rest::Result<()> {
    /// let client = redis_rest::Config::from_env()?.for_web_requests().build()?;
    /// # Ok(()) }
    /// ```
    pub fn for_web_requests(mut self) -> Self {
        let millis = Duration::from_millis;
        self.retry = self.retry.max_attempts(3).backoff(millis(20), millis(200));
        self.connect_timeout(millis(1000)).timeout(millis(1500)).deadline(millis(3000))
    }

    /// Another way to move a request than the built-in HTTP client.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }
}

/// Shows no token and no address.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url.as_ref().map(|_| "******"))
            .field("token", &self.token)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("encoding", &self.encoding)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("max_pipeline_commands", &self.max_pipeline_commands)
            .field("auto_batch_in_flight", &self.auto_batch)
            .field("pool_idle_timeout", &self.pool_idle_timeout)
            .field("read_only", &self.read_only)
            .field("allow_insecure_http", &self.allow_insecure_http)
            .field("verbose_errors", &self.verbose_errors)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_token() {
        let config = Config::new().url("https://h0st.example").token("s3cret");
        let text = format!("{config:?}");
        assert!(text.contains("******") && !text.contains("s3cret") && !text.contains("h0st"));
    }
}
