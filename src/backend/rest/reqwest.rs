//! [`ReqwestTransport`]. It and `fetch.rs` are the only files that name `reqwest`.

use super::hyper::body::{self, Cause};
use super::transport::{HttpRequest, HttpResponse, HttpStream, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::BoxFuture;
use std::fmt;

/// A [`Transport`] over a `reqwest` client with custom settings (feature `reqwest`): SOCKS, client
/// certificates, a resolver. The built-in one has none of these, and is faster.
///
/// ```
/// use redis_rest::Client;
/// use redis_rest::backend::rest::ReqwestTransport;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let http = reqwest::Client::builder()
///     .connect_timeout(Duration::from_secs(3))
///     .proxy(reqwest::Proxy::all("http://proxy.internal.example:3128")?);
/// let transport = ReqwestTransport::new(http)?;
/// let client = Client::builder().url("http://127.0.0.1:8079").token("local-token").transport(transport).build()?;
/// # Ok(()) }
/// ```
///
/// * The version of `reqwest` is 0.13, which is part of this crate's interface.
/// * TLS depends on the features of your own `reqwest` dependency: this crate's feature `rustls`
///   and `Config::root_certificate_pem` do not affect it, nor do `Config::max_reply_header_bytes`
///   and `Config::proxy`. It reads `HTTPS_PROXY` and the like by itself, unless `no_proxy()` is
///   set.
/// * Set a connect timeout yourself; without one, the attempt's timeout counts. An attempt that
///   fails by it has sent nothing; one that times out while connecting counts as possibly sent.
/// * All runtimes share its connections, and the runtime that opened a connection drives it. A
///   request over a connection of a runtime that is blocked, or that no thread drives, ends with
///   the attempt's timeout: deadlines hold, but calls may fail. Give each `current_thread` runtime
///   a separate transport.
/// * Redirects are never followed and requests never resent, whatever the builder's settings: a
///   token must not travel, and only this crate knows which commands may run twice.
#[derive(Clone)]
pub struct ReqwestTransport(::reqwest::Client);

impl ReqwestTransport {
    /// Creates a transport over the client of `builder`.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if `reqwest` cannot build it.
    pub fn new(builder: ::reqwest::ClientBuilder) -> Result<Self> {
        let client = builder
            .redirect(::reqwest::redirect::Policy::none())
            .retry(::reqwest::retry::never())
            .referer(false)
            .build();
        client.map(Self).map_err(|error| {
            Error::new(ErrorKind::Config, "the HTTP client cannot be set up")
                .with_source(cause(error))
        })
    }

    async fn start(&self, request: HttpRequest) -> Result<http::Response<::reqwest::Body>> {
        let mut outgoing = ::reqwest::Request::new(http::Method::POST, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = Some(request.body.into());
        match self.0.execute(outgoing).await {
            Ok(response) => Ok(response.into()),
            Err(error) if error.is_builder() => {
                Err(Error::new(ErrorKind::InvalidCommand, "the request cannot be built")
                    .with_source(cause(error)))
            }
            Err(error) => {
                let error = error.without_url();
                if body::chain(&error).any(|error| error.to_string() == NO_TLS) {
                    let message = "this client of reqwest has no TLS for https://: switch it on among the features of reqwest";
                    return Err(Error::new(ErrorKind::Config, message));
                }
                Err(body::unanswered(&error, error.is_connect()))
            }
        }
    }
}

/// The error of hyper-util's connector for `https://` without TLS.
const NO_TLS: &str = "invalid URL, scheme is not http";

/// Returns the cause without the address.
fn cause(error: ::reqwest::Error) -> Cause {
    Cause::of(&error.without_url())
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestTransport")
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        Box::pin(async move {
            let max_reply_bytes = request.max_reply_bytes;
            body::read(self.start(request).await?, max_reply_bytes).await
        })
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream>> {
        Box::pin(async move {
            let max_reply_bytes = request.max_reply_bytes;
            body::open(self.start(request).await?, max_reply_bytes).await
        })
    }
}
