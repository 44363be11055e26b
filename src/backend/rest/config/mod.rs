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
/// The defaults suit workers and background tasks. [`for_web_requests`](Config::for_web_requests)
/// sets shorter times.
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
    /// On `wasm32` the host decides.
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) max_reply_header_bytes: usize,
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) pool_idle_timeout: Duration,
    pub(crate) reply_limits: Limits,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_pipeline_commands: usize,
    /// Most requests in flight before commands wait for one to return; `None`: no automatic
    /// batching.
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
    /// Returns the defaults, without address and token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the server's address, such as `https://host.example.com`. A path is kept as a prefix.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the token, sent in the `Authorization` header and nowhere else. This copy of it is
    /// wiped from memory when the settings are dropped; those in headers and in the buffers of
    /// connections are not.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Secret::new(token));
        self
    }

    /// Sets a token that allows reads only: the client refuses writes before sending, see
    /// [`Client::read_only`](crate::Client::read_only).
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.read_only = true;
        self.token(token)
    }

    /// Sets the longest time to connect (default 3 s).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the longest time for one attempt, connecting included (default 5 s).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the longest time for a call with all its attempts (default 15 s). Each attempt gets the
    /// remaining time.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Sets when and how often to retry.
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

    /// Sets the largest request body in bytes (default 10 000 000, the limit of common plans).
    /// Checked before sending; pipelines are split to fit.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Sets the longest time for which an idle connection is kept (default 50 s; common proxies
    /// close theirs after 60 s). Choose less than the server or proxy: a command that meets a
    /// connection which is being closed may have been applied. Zero: each request has a separate
    /// connection. If a server sends a shorter `Keep-Alive: timeout=n`, a second less than that
    /// applies.
    ///
    /// The built-in transport applies it; a custom one, `ReqwestTransport` and the host's `fetch`
    /// (on `wasm32`) do not see it.
    pub fn pool_idle_timeout(mut self, idle: Duration) -> Self {
        self.pool_idle_timeout = idle;
        self
    }

    /// Sets the largest reply body in bytes (default 64 MiB). Compression is never requested, and
    /// replies are never decompressed.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Sets the most bytes of all headers of a reply (default 256 KiB, at least 8 KiB); more of
    /// them, or more than 100 headers, are
    /// [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge). The buffer of an HTTP/1.1
    /// connection grows to this size, so that bytes arriving with the last part may be read as
    /// well: up to twice as much. The built-in transport applies it; a custom one,
    /// `ReqwestTransport` and the host's `fetch` have their own limits.
    pub fn max_reply_header_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_header_bytes = bytes;
        self
    }

    /// Sets the deepest nesting of arrays in a reply (default 64, at most 120). A deeper reply is
    /// [`ErrorKind::ReplyTooLarge`](crate::ErrorKind::ReplyTooLarge), as is one beyond the next
    /// limit.
    pub fn max_reply_depth(mut self, arrays: usize) -> Self {
        self.reply_limits.depth = arrays;
        self
    }

    /// Sets the most elements of all arrays in the reply to one request, those in nested arrays
    /// included (default 1 000 000). An element may take two bytes on the wire and takes about 40
    /// in memory, so this bounds the memory of a small reply. The replies to a pipeline's commands
    /// do not count as elements.
    pub fn max_reply_elements(mut self, count: usize) -> Self {
        self.reply_limits.elements = count;
        self
    }

    /// Sets the largest event of a [subscription](crate::Client::subscribe) in bytes (default 16
    /// MiB). A larger one ends the connection, and another is opened:
    /// [`Event::Gap`](crate::Event::Gap). Up to 256 events wait for a slow reader.
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// Sets the most commands in one pipeline request (default 1000); longer pipelines are split.
    pub fn max_pipeline_commands(mut self, count: usize) -> Self {
        self.max_pipeline_commands = count;
        self
    }

    /// Sends every command in a separate request.
    ///
    /// By default a command is sent at once if nothing is in flight; others wait until one of [a
    /// few](Self::auto_batch_in_flight) requests returns, and then share one `/pipeline`: at most
    /// [`max_pipeline_commands`](Self::max_pipeline_commands) and about 1 MiB. From 32 commands on
    /// they are split evenly among the requests in flight, so that the server works on one while
    /// the replies to another are distributed. Each command has its own result or error. Retry-safe
    /// and non-retry-safe commands never share a batch. Commands over 64 KiB, calls with their own
    /// options (`.timeout(…)`, `.exactly_once()` …), pipelines and transactions are sent
    /// separately.
    ///
    /// A caller that awaits one call before the next sees them run in that order. Concurrent calls
    /// have no order, with batching as without.
    pub fn no_auto_batch(mut self) -> Self {
        self.auto_batch = None;
        self
    }

    /// Sets how many requests may be in flight on each runtime before further commands wait and are
    /// batched (default 2). More requests shorten the wait on a slow network, fewer make larger
    /// batches.
    pub fn auto_batch_in_flight(mut self, requests: usize) -> Self {
        self.auto_batch = Some(requests.max(1));
        self
    }

    /// Allows `http://` to hosts other than this machine: the token then travels in plain text.
    pub fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure_http = true;
        self
    }

    /// Declares that the server receives the paths of requests unchanged: no proxy in between
    /// decodes or normalises them.
    ///
    /// Commands travel in bodies. Only the names of a [subscription](crate::Client::subscribe), and
    /// the arguments before one that is not UTF-8, are in a path. If such a name contains one of `/
    /// \ ? # % ;`, a blank or a control character, a proxy that decodes paths turns it into another
    /// name or another command. Before the first of them the client therefore probes once, by an
    /// `ECHO` in a path, whether paths arrive. If they do not, these calls are refused
    /// ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)): use `proxy_pass` without a URI
    /// in nginx. This setting sends them without a probe, to a server that does not permit `ECHO`
    /// for the token, for example. A name with a segment `.` or `..` is refused even with it.
    pub fn paths_arrive_as_sent(mut self) -> Self {
        self.paths_arrive = true;
        self
    }

    /// Sends the number of each retry to the server (`Upstash-Telemetry-Retry`). Off by default.
    pub fn telemetry(mut self) -> Self {
        self.telemetry = true;
        self
    }

    /// Shows in errors the server's text, and serde's text for a reply that could not be read.
    /// **These texts may quote keys and values**: for development, not for shared logs. Off by
    /// default; `REDIS_REST_VERBOSE_ERRORS=1` sets it in [`from_env`](Self::from_env).
    pub fn verbose_errors(mut self, on: bool) -> Self {
        self.verbose_errors = on;
        self
    }

    /// Sets limits for a handler of web requests, where a person waits and the caller may retry: a
    /// second to connect, a second and a half for an attempt, three seconds for the call, at most
    /// three attempts, 20 to 200 ms apart. All other settings are unchanged.
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

    /// Sets a transport to replace the built-in HTTP client.
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
