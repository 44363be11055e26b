//! Settings of a server, and their validation.

use super::cors::Cors;
use super::origin::Hosts;
use redis_rest::internal::Secret;
use redis_rest::{Error, ErrorKind, Outcome, Result};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Default token. It is public, so it is accepted on loopback addresses only.
pub const DEFAULT_TOKEN: &str = "local-token";

/// The HTTP library supports no smaller buffer.
const LEAST_HEADER_BYTES: usize = 8192;

/// Resource limits for clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) header_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) max_header_bytes: usize,
    pub(super) max_request_bytes: usize,
    pub(super) max_reply_bytes: usize,
    pub(super) max_backlog_bytes: usize,
    pub(super) max_memory: usize,
}

/// Settings of a [`Server`](super::Server), with their defaults.
///
/// | setting | default | beyond it |
/// |---|---|---|
/// | [`listen`](ServerConfig::listen) | `127.0.0.1:8079` | |
/// | [`token`](ServerConfig::token) | [`DEFAULT_TOKEN`] | 401 |
/// | [`read_only_token`](ServerConfig::read_only_token) | none | |
/// | [`cors`](ServerConfig::cors) | no page of another origin may ask | 403 |
/// | [`host`](ServerConfig::host) | on loopback, only loopback names and addresses | 403 |
/// | [`header_timeout`](ServerConfig::header_timeout) | 75 s | the connection is closed |
/// | [`body_timeout`](ServerConfig::body_timeout) | 30 s | 408 |
/// | [`write_timeout`](ServerConfig::write_timeout) | 30 s | the connection is closed |
/// | [`max_connections`](ServerConfig::max_connections) | 1000 | 503 |
/// | [`max_header_bytes`](ServerConfig::max_header_bytes) | 131 072 | 431 |
/// | [`max_request_bytes`](ServerConfig::max_request_bytes) | 10 000 000 | 413 |
/// | [`max_reply_bytes`](ServerConfig::max_reply_bytes) | 67 108 864 (64 MiB) | an error in the reply's place |
/// | [`max_backlog_bytes`](ServerConfig::max_backlog_bytes) | 8 388 608 (8 MiB) | the event stream is cut off |
/// | [`max_memory`](ServerConfig::max_memory) of all requests together | 536 870 912 (512 MiB) | 503 |
#[derive(Clone)]
#[must_use]
pub struct ServerConfig {
    pub(super) listen: SocketAddr,
    pub(super) token: Secret,
    pub(super) read_only_token: Option<Secret>,
    pub(super) limits: Limits,
    pub(super) cors: Cors,
    pub(super) hosts: Hosts,
    /// An invalid origin was given.
    wrong_origin: bool,
    /// An invalid host name was given.
    wrong_host: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8079).into(),
            token: Secret::new(DEFAULT_TOKEN),
            read_only_token: None,
            limits: Limits {
                header_timeout: Duration::from_secs(75),
                body_timeout: Duration::from_secs(30),
                write_timeout: Duration::from_secs(30),
                max_connections: 1000,
                max_header_bytes: 128 * 1024,
                max_request_bytes: 10_000_000,
                max_reply_bytes: 64 * 1024 * 1024,
                max_backlog_bytes: 8 * 1024 * 1024,
                max_memory: 512 * 1024 * 1024,
            },
            cors: Cors::default(),
            hosts: Hosts::default(),
            wrong_origin: false,
            wrong_host: false,
        }
    }
}

impl ServerConfig {
    /// Returns the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address to listen on (default `127.0.0.1:8079`). Port 0 picks a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the token that allows everything this server serves.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Secret::new(token);
        self
    }

    /// Sets a second token, which allows only commands that write nothing.
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.read_only_token = Some(Secret::new(token));
        self
    }

    /// Allows pages of this origin, such as `http://localhost:3000`, to send requests from a
    /// browser, with a token like every client; `*` stands for every origin, and requires a token
    /// other than the default. May be called more than once. A request with an `Origin` that is
    /// neither allowed here nor the server's own, or one that a browser marks cross-site, is
    /// refused whatever its token.
    pub fn cors(mut self, origin: impl AsRef<str>) -> Self {
        self.wrong_origin |= !self.cors.allow(origin.as_ref());
        self
    }

    /// Accepts requests for this host name or address, such as the public name that a proxy passes
    /// on; without scheme and port. May be called more than once.
    ///
    /// A server on a loopback address refuses names other than those of loopback: a web page could
    /// point its own name here (DNS rebinding). Beyond loopback every name is accepted, but a page
    /// counts as the server's own only under a name given here or an IP address.
    pub fn host(mut self, name: impl AsRef<str>) -> Self {
        self.wrong_host |= !self.hosts.allow(name.as_ref());
        self
    }

    /// Sets the longest time for the head of a request, from the beginning of the connection or the
    /// end of the answer before (default 75 s). A connection that idles for this long is closed,
    /// too. The default is above the 50 s for which this crate's client keeps a connection: the
    /// client should close first, since it knows whether it is about to send.
    pub fn header_timeout(mut self, limit: Duration) -> Self {
        self.limits.header_timeout = limit;
        self
    }

    /// Sets the longest time for the body of a request (default 30 s); slower ones are answered by
    /// 408.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.limits.body_timeout = limit;
        self
    }

    /// Sets how long a client may leave an answer unread (default 30 s). A connection is closed if,
    /// in this time, neither all that waits for it nor 64 KiB of it could be sent.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.limits.write_timeout = limit;
        self
    }

    /// Sets the most connections at once, event streams included; others get 503, which means that
    /// nothing ran, and are closed. Each uses a file descriptor of the process: if the system
    /// allows fewer, further connections wait.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// Sets the largest head of a request in bytes, address included, and at least 8192; larger
    /// ones get 431. Independently of this, an address has at most 65 534 bytes, and a request at
    /// most 100 headers.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_header_bytes = bytes;
        self
    }

    /// Sets the largest request body in bytes; larger ones get 413.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_request_bytes = bytes;
        self
    }

    /// Sets the most memory for the replies of one response: the bytes of their strings, and 64 for
    /// each element of an array. A reply that does not fit, alone or behind those of the same
    /// request, becomes an error in its place: its command has run, and those behind it run too.
    ///
    /// A backend should not return much more: set
    /// [`NativeConfig::max_reply_bytes`](redis_rest::backend::native::NativeConfig::max_reply_bytes)
    /// to the same value. A pipeline is sent to it in slices, of 16 commands at first, and more
    /// while their replies are small.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_reply_bytes = bytes;
        self
    }

    /// Sets the most bytes that wait in this process for the reader of one event stream, its
    /// buffers aside (default 8 MiB). A reader that is further behind is cut off: the connection is
    /// closed without an end of the stream, and subscribers that connect again know of the gap.
    /// Those who publish never wait.
    pub fn max_backlog_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_backlog_bytes = bytes;
        self
    }

    /// Sets the most bytes held for all clients together: received parts of bodies, commands,
    /// pending replies and events. Only existing bytes count. Beyond the limit a request gets 503
    /// with `Retry-After`, which means that nothing ran; the reply of a command that had run
    /// becomes an error in its place, unless the command only read; and event streams with pending
    /// events are disconnected. Requests and replies of up to 16 KiB pass, so that a client that
    /// holds much shuts out no other. Buffers of connections are not counted, nor is the reply that
    /// a backend is reading.
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.limits.max_memory = bytes;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |reason| Err(Error::custom(ErrorKind::Config, Outcome::NotApplied, reason));
        let (token, reader) =
            (self.token.as_str(), self.read_only_token.as_ref().map(Secret::as_str));
        if self.wrong_origin {
            return wrong(
                "invalid origin: use a scheme, a host and an optional port, such as http://localhost:3000, or * for every origin",
            );
        }
        if self.wrong_host {
            return wrong(
                "invalid host: use a name or an address without scheme and port, such as redis.example.com",
            );
        }
        // Any page in a browser on this machine could read everything.
        if self.cors.allows_every_origin() && [Some(token), reader].contains(&Some(DEFAULT_TOKEN)) {
            return wrong(
                "the default token is public: set another one to serve pages of every origin",
            );
        }
        for token in [Some(token), reader].into_iter().flatten() {
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return wrong("invalid token: use visible ASCII characters without spaces");
            }
        }
        if reader == Some(token) {
            return wrong("the read-only token must differ from the token");
        }
        if !self.listen.ip().is_loopback() {
            if token == DEFAULT_TOKEN {
                return wrong(
                    "the default token is public: set another one to listen beyond this machine",
                );
            }
            if reader == Some(DEFAULT_TOKEN) {
                return wrong(
                    "the default token is public: set another read-only token to listen beyond this machine",
                );
            }
        }
        let limits = &self.limits;
        if limits.max_header_bytes < LEAST_HEADER_BYTES {
            return wrong(
                "request head limit too small: set at least 8192 bytes (ServerConfig::max_header_bytes)",
            );
        }
        if limits.max_connections == 0
            || limits.max_connections > tokio::sync::Semaphore::MAX_PERMITS
        {
            return wrong(
                "invalid connection limit: set at least 1, and no more than the machine supports (ServerConfig::max_connections)",
            );
        }
        if [limits.header_timeout, limits.body_timeout, limits.write_timeout]
            .iter()
            .any(Duration::is_zero)
        {
            return wrong("invalid time limit: set more than zero");
        }
        Ok(())
    }
}

/// Shows no token.
impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("listen", &self.listen)
            .field("token", &self.token)
            .field("read_only_token", &self.read_only_token)
            .field("limits", &self.limits)
            .field("cors", &self.cors)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_and_tokens_hidden() {
        let beyond = SocketAddr::from(([0, 0, 0, 0], 8079));
        assert!(ServerConfig::new().check().is_ok());
        assert!(ServerConfig::new().listen(beyond).check().is_err());
        assert!(ServerConfig::new().listen(beyond).token("s3cret").check().is_ok());
        assert!(
            ServerConfig::new()
                .listen(beyond)
                .token("s3cret")
                .read_only_token(DEFAULT_TOKEN)
                .check()
                .is_err()
        );
        assert!(ServerConfig::new().token("").check().is_err());
        assert!(ServerConfig::new().token("a b").check().is_err());
        assert!(ServerConfig::new().read_only_token(DEFAULT_TOKEN).check().is_err());
        assert!(ServerConfig::new().cors("http://localhost:3000").check().is_ok());
        assert!(ServerConfig::new().cors("*").check().is_err());
        assert!(ServerConfig::new().cors("*").token("s3cret").check().is_ok());
        let known_reader =
            ServerConfig::new().cors("*").token("s3cret").read_only_token(DEFAULT_TOKEN);
        assert!(known_reader.check().is_err());
        assert!(ServerConfig::new().host("redis.example.com").check().is_ok());
        assert!(ServerConfig::new().host("http://redis.example.com").check().is_err());
        for origin in [
            "",
            "localhost",
            "http://localhost:3000/",
            "http://localhost/page",
            "data:x",
            "null",
            "http://a b",
        ] {
            assert!(ServerConfig::new().cors(origin).check().is_err(), "{origin}");
        }
        assert!(ServerConfig::new().max_header_bytes(8191).check().is_err());
        assert!(ServerConfig::new().max_connections(0).check().is_err());
        assert!(ServerConfig::new().max_connections(usize::MAX).check().is_err());
        assert!(ServerConfig::new().write_timeout(Duration::ZERO).check().is_err());
        let config = ServerConfig::new().token("s3cret").read_only_token("s3cret2");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
