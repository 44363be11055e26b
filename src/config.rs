//! [`Config`]: what a client can be told. Checked in [`Config::build`]; no I/O here.

use crate::backend::rest::{DEEPEST, Limits, Transport, Trust};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// The environment names of the address and of the token, in the order in which they are looked for.
const ENV_NAMES: [(&str, &[&str]); 3] = [
    ("REDIS_REST_URL", &["REDIS_REST_TOKEN", "REDIS_TOKEN"]),
    ("UPSTASH_REDIS_REST_URL", &["UPSTASH_REDIS_REST_TOKEN"]),
    ("KV_REST_API_URL", &["KV_REST_API_TOKEN"]),
];

/// The environment name that allows `http://` outside loopback when it is `1` or `true`.
const ENV_ALLOW_HTTP: &str = "REDIS_REST_ALLOW_HTTP";

/// How replies are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyFormat {
    /// JSON with strings in base64: any bytes survive. Every server knows it, or sends text.
    Base64,
    /// RESP2, as Redis itself speaks: any bytes survive, without the third that base64 adds. Of a server that answers in JSON all
    /// the same, base64 is asked from then on. Transactions come in base64.
    Resp2,
    /// JSON with strings as they are: bytes that are not UTF-8 are lost in the server.
    Text,
}

/// Settings of a REST client, with their defaults.
///
/// | setting | default |
/// |---|---|
/// | [`connect_timeout`](Config::connect_timeout) | 3 s |
/// | [`timeout`](Config::timeout) of one attempt | 5 s |
/// | [`deadline`](Config::deadline) of a call with its retries | 15 s |
/// | [`retry`](Config::retry) | at most 10 attempts, 50 ms → 2 s, full jitter |
/// | [`reply_format`](Config::reply_format) | JSON with strings in base64 |
/// | [`max_request_bytes`](Config::max_request_bytes) | 10 000 000 |
/// | [`max_reply_bytes`](Config::max_reply_bytes) | 64 MiB |
/// | [`max_reply_header_bytes`](Config::max_reply_header_bytes) | 256 KiB |
/// | [`max_reply_depth`](Config::max_reply_depth) | 64 arrays |
/// | [`max_reply_elements`](Config::max_reply_elements) | 1 000 000 |
/// | [`max_event_bytes`](Config::max_event_bytes) | 16 MiB |
/// | [`max_pipeline_commands`](Config::max_pipeline_commands) of one request | 1000 |
/// | [`auto_batch_in_flight`](Config::auto_batch_in_flight) | 2 requests |
#[derive(Clone)]
#[must_use]
pub struct Config {
    pub(crate) url: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) reply_format: ReplyFormat,
    pub(crate) max_request_bytes: usize,
    pub(crate) max_reply_bytes: usize,
    /// On wasm the host decides.
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) max_reply_header_bytes: usize,
    pub(crate) reply_limits: Limits,
    pub(crate) max_event_bytes: usize,
    pub(crate) max_pipeline_commands: usize,
    /// Most requests in flight before commands wait for one to return; none: no automatic batching.
    pub(crate) auto_batch: Option<usize>,
    pub(crate) allow_insecure_http: bool,
    pub(crate) telemetry: bool,
    pub(crate) read_only: bool,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) trust: Trust,
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
            reply_format: ReplyFormat::Base64,
            max_request_bytes: 10_000_000,
            max_reply_bytes: 64 << 20,
            max_reply_header_bytes: 256 << 10,
            reply_limits: Limits { depth: 64, elements: 1_000_000 },
            max_event_bytes: 16 << 20,
            max_pipeline_commands: 1000,
            auto_batch: Some(2),
            allow_insecure_http: false,
            telemetry: false,
            read_only: false,
            transport: None,
            trust: Trust::default(),
        }
    }
}

impl Config {
    /// The defaults, without address and token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Address and token from the environment. The first address that is set decides, and its token must be set too:
    ///
    /// 1. `REDIS_REST_URL` with `REDIS_REST_TOKEN` or `REDIS_TOKEN`
    /// 2. `UPSTASH_REDIS_REST_URL` with `UPSTASH_REDIS_REST_TOKEN`
    /// 3. `KV_REST_API_URL` with `KV_REST_API_TOKEN`
    ///
    /// `REDIS_REST_ALLOW_HTTP=1` allows `http://` addresses outside loopback. Names that are set to nothing count as not set.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what was looked for.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// As [`Config::from_env`], from any source of names: the bindings of a worker, for example.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let found = ENV_NAMES.iter().find_map(|(url, tokens)| Some((set(url)?, *url, *tokens)));
        let Some((url, url_name, token_names)) = found else {
            let names: Vec<_> = ENV_NAMES.iter().map(|(url, tokens)| format!("{url} with {}", tokens.join(" or "))).collect();
            return Err(config_error("no REST address in the environment").with_detail(format!("looked for {}", names.join("; "))));
        };
        let Some(token) = token_names.iter().find_map(|name| set(name)).map(Secret::new) else {
            let detail = format!("{url_name} is set, so one of these must be: {}", token_names.join(", "));
            return Err(config_error("no token in the environment").with_detail(detail));
        };
        let allowed = set(ENV_ALLOW_HTTP).is_some_and(|value| matches!(value.trim(), "1" | "true"));
        let config = Self::new().url(url.trim()).token(token.as_str().trim());
        Ok(if allowed { config.allow_insecure_http() } else { config })
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

    /// A token that allows reads only: the client refuses writes before sending, see [`Client::read_only`].
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

    /// Does not ask for base64 replies. Bytes that are not UTF-8 are then lost in the server: only for text.
    pub fn no_base64(self) -> Self {
        self.reply_format(ReplyFormat::Text)
    }

    /// How replies are asked for (default: JSON with strings in base64).
    pub fn reply_format(mut self, format: ReplyFormat) -> Self {
        self.reply_format = format;
        self
    }

    /// Largest request body in bytes (default 10 000 000, the limit of common plans). Checked before sending; pipelines are
    /// split to fit.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Largest reply body in bytes (default 64 MiB). Replies are never asked to be compressed, and never decompressed.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Most bytes of all headers of a reply (default 256 KiB, at least 8 KiB); more of them, or more than 100 headers, are
    /// [`ErrorKind::ReplyTooLarge`]. It is the size to which the buffer of an HTTP/1.1 connection grows, so that what comes at once with
    /// the last part may be read as well: up to twice as much. The built-in transport keeps it; one of your own, `ReqwestTransport` and the
    /// host's `fetch` have limits of their own.
    pub fn max_reply_header_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_header_bytes = bytes;
        self
    }

    /// Deepest nesting of arrays in a reply (default 64, at most 120). A deeper reply is
    /// [`ErrorKind::ReplyTooLarge`], as is one that the next limit ends.
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

    /// Largest event of a [subscription](Client::subscribe) in bytes (default 16 MiB). A larger one ends the connection, and another is
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
    /// [`max_pipeline_commands`](Self::max_pipeline_commands) and about 1 MiB. Each has its own result, and its own error. Those that
    /// must not be sent twice travel apart from those that may. Commands over 64 KiB, calls with options of their own
    /// (`.timeout(…)`, `.exactly_once()` …), pipelines and transactions go by themselves.
    ///
    /// A caller that awaits one call before the next sees them run in that order. Calls that are under way at the same time have no
    /// order, with batching as without.
    pub fn no_auto_batch(mut self) -> Self {
        self.auto_batch = None;
        self
    }

    /// How many requests may be in flight before further commands wait and are batched. More shorten the wait on a slow network, fewer
    /// make larger batches.
    pub fn auto_batch_in_flight(mut self, requests: usize) -> Self {
        self.auto_batch = Some(requests.max(1));
        self
    }

    /// Allows `http://` to hosts other than this machine: the token then travels in the clear.
    pub fn allow_insecure_http(mut self) -> Self {
        self.allow_insecure_http = true;
        self
    }

    /// Tells the server with each retry which one it is (`Upstash-Telemetry-Retry`). Off by default: nothing is told.
    pub fn telemetry(mut self) -> Self {
        self.telemetry = true;
        self
    }

    /// Another way to move a request than the built-in HTTP client.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Checks the settings and makes the client. Does no I/O.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with what to change.
    pub fn build(self) -> Result<Client> {
        Client::from_config(self)
    }

    /// The address, checked.
    pub(crate) fn parsed_url(&self) -> Result<Url> {
        let text = self.url.as_deref().unwrap_or_default().trim();
        if text.is_empty() {
            return Err(config_error("no address: set one such as https://host.example.com"));
        }
        // The parser's own message quotes nothing of the input.
        let url = Url::parse(text)
            .map_err(|error| config_error("the address is no URL such as https://host.example.com").with_detail(error.to_string()))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_insecure_http || is_loopback(&url) => {}
            "http" => {
                return Err(config_error(
                    "http:// would send the token in the clear: use https://, or allow it by allow_insecure_http() or REDIS_REST_ALLOW_HTTP=1",
                ));
            }
            "redis" | "rediss" | "unix" => {
                return Err(config_error("this is an address of the native protocol: the REST address starts with https://"));
            }
            _ => return Err(config_error("the address must start with https:// or http://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(config_error("the address must not hold a user name or password: give the token separately"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(config_error("the address must not hold a query or a fragment"));
        }
        Ok(url)
    }

    /// The token, checked.
    pub(crate) fn checked_token(&self) -> Result<&str> {
        let token = self.token.as_ref().map_or("", Secret::as_str);
        if token.is_empty() {
            return Err(config_error("no token"));
        }
        if token.starts_with(['"', '\'']) {
            return Err(config_error("the token starts with a quotation mark: it was probably pasted with its quotes"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(config_error("the token holds a space, a line break or another character that a token cannot have"));
        }
        Ok(token)
    }

    pub(crate) fn check_limits(&self) -> Result<()> {
        let Limits { depth, elements } = self.reply_limits;
        let limits = [self.max_pipeline_commands, self.max_request_bytes, self.max_reply_bytes, self.max_event_bytes, depth, elements];
        if limits.contains(&0) {
            return Err(config_error("a limit of zero allows nothing"));
        }
        // The HTTP library cannot do with less.
        if self.max_reply_header_bytes < 8 << 10 {
            return Err(config_error("max_reply_header_bytes must be 8192 at least"));
        }
        if depth > DEEPEST {
            return Err(config_error("replies that are nested so deeply cannot be read").with_detail(format!("at most {DEEPEST} arrays")));
        }
        if self.timeout.is_zero() || self.deadline.is_zero() || self.connect_timeout.is_zero() {
            return Err(config_error("a timeout of zero allows nothing"));
        }
        Ok(())
    }
}

fn config_error(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
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
            .field("reply_format", &self.reply_format)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(names: &[(&str, &str)]) -> Result<Config> {
        Config::from_lookup(|name| names.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_in_its_order() {
        let all = [
            ("UPSTASH_REDIS_REST_URL", "https://b.example"),
            ("UPSTASH_REDIS_REST_TOKEN", "b"),
            ("REDIS_REST_URL", " https://a.example\n"),
            ("REDIS_TOKEN", "a"),
        ];
        let config = from(&all).unwrap();
        assert_eq!(config.url.as_deref(), Some("https://a.example"));
        assert_eq!(config.checked_token().unwrap(), "a");
        let config = from(&all[..2]).unwrap();
        assert_eq!(config.checked_token().unwrap(), "b");
        // A token of another family does not fit the address.
        let error = from(&all[..3]).unwrap_err().to_string();
        assert!(error.contains("REDIS_REST_TOKEN, REDIS_TOKEN"), "{error}");
        let error = from(&[("REDIS_REST_URL", "")]).unwrap_err().to_string();
        assert!(error.contains("REDIS_REST_URL") && error.contains("KV_REST_API_TOKEN"), "{error}");
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_with_a_reason() {
        for (url, reason) in [
            ("", "no address"),
            ("host.example.com", "no URL"),
            ("redis://localhost:6379", "native protocol"),
            ("ftp://localhost", "https://"),
            ("http://example.com", "in the clear"),
            ("http://127.evil.example", "in the clear"),
            ("https://user:s3cret@example.com", "user name"),
            ("https://example.com?_token=s3cret", "query"),
        ] {
            let error = Client::new(url, "t").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(reason), "{url}: {error}");
            assert!(!format!("{error:?}").contains("s3cret"));
        }
        for url in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://example.com/prefix/"] {
            assert!(Client::new(url, "t").is_ok(), "{url}");
        }
        assert!(Client::builder().url("http://10.0.0.1").token("t").allow_insecure_http().build().is_ok());
    }

    #[test]
    fn tokens_that_cannot_work_are_refused() {
        for token in ["", "a b", "a\nb", "\"abc\"", "ä"] {
            assert!(Client::new("https://example.com", token).is_err(), "{token:?}");
        }
    }

    #[test]
    fn limits_that_cannot_work_are_refused() {
        let config = || Client::builder().url("https://example.com").token("t");
        let zero: [fn(Config) -> Config; 7] = [
            |config| config.max_request_bytes(0),
            |config| config.max_reply_bytes(0),
            |config| config.max_reply_depth(0),
            |config| config.max_reply_elements(0),
            |config| config.max_event_bytes(0),
            |config| config.max_pipeline_commands(0),
            |config| config.max_reply_depth(121),
        ];
        for wrong in zero {
            assert_eq!(wrong(config()).build().unwrap_err().kind(), ErrorKind::Config);
        }
        assert!(config().max_reply_depth(120).build().is_ok());
    }

    #[test]
    fn debug_hides_the_token() {
        let config = Client::builder().url("https://h0st.example").token("s3cret");
        let text = format!("{config:?}");
        assert!(text.contains("******") && !text.contains("s3cret") && !text.contains("h0st"));
    }
}
