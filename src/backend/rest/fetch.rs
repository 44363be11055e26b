//! The built-in [`Transport`] over the JavaScript host's `fetch`: browsers, Workers, Node. It
//! replaces `hyper.rs` there. It and `reqwest.rs` are the only files that name `reqwest`.

use super::transport::{HttpRequest, HttpResponse, HttpStream, Transport};
use crate::backend::rest::config::Config;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::platform::{BoxFuture, BoxStream};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The built-in [`Transport`]: `fetch`. The host pools connections, and decides on TLS, proxies and
/// HTTP's version.
///
/// `fetch` does not report whether a failed request was sent, so every failure is
/// [`MaybeApplied`](crate::Outcome::MaybeApplied), including a refused connection. It follows
/// redirects within a host; a redirected reply is an error. It drops the token for other hosts.
#[derive(Clone)]
pub struct HttpTransport {
    client: ::reqwest::Client,
}

/// The host handles certificates.
#[derive(Clone, Default)]
pub(crate) struct Trust(());

/// The host handles proxies.
#[derive(Clone, Default)]
pub(crate) struct ProxyChoice(());

impl ProxyChoice {
    pub(crate) fn from_lookup(_: impl Fn(&str) -> Option<String>) -> Self {
        Self(())
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpTransport")
    }
}

impl HttpTransport {
    /// Creates a transport. The host connects, without a separate limit: the timeout of the attempt
    /// counts.
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`] if the host has no `fetch`.
    pub fn new(_connect_timeout: Duration) -> Result<Self> {
        let client = ::reqwest::Client::builder()
            .build()
            .map_err(|_| Error::new(ErrorKind::Config, "the HTTP client cannot be set up"))?;
        Ok(Self { client })
    }

    /// Returns the transport that a client of `config` would create, to wrap it.
    ///
    /// # Errors
    /// Fails like [`new`](Self::new).
    pub fn for_config(config: &Config) -> Result<Self> {
        let (Trust(()), ProxyChoice(())) = (&config.trust, &config.proxy);
        Self::new(config.connect_timeout)
    }

    async fn start(&self, request: HttpRequest) -> Result<(HttpResponse, Chunks)> {
        let asked = request.url.clone();
        let mut outgoing = ::reqwest::Request::new(http::Method::POST, request.url);
        *outgoing.headers_mut() = request.headers;
        *outgoing.body_mut() = Some(request.body.into());
        let mut response = self.client.execute(outgoing).await.map_err(classify)?;
        let status = response.status().as_u16();
        if *response.url() != asked {
            return Err(Error::new(ErrorKind::Http, "the server redirects: set the final address")
                .with_outcome(Outcome::MaybeApplied)
                .with_status(status));
        }
        if response.content_length().is_some_and(|length| length > request.max_reply_bytes as u64) {
            return Err(too_large(status));
        }
        let mut headers = std::mem::take(response.headers_mut());
        // The host has decompressed the body, and leaves the header.
        headers.remove(http::header::CONTENT_ENCODING);
        let head = HttpResponse { status, headers, body: Bytes::new() };
        Ok((head, Chunks(Box::pin(response.bytes_stream()))))
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse> {
        let most = request.max_reply_bytes;
        let (head, chunks) = self.start(request).await?;
        read(head, chunks, most).await
    }

    async fn begin(&self, request: HttpRequest) -> Result<HttpStream> {
        let most = request.max_reply_bytes;
        let (head, chunks) = self.start(request).await?;
        match head.status {
            200 => Ok(HttpStream { response: head, chunks: Some(Box::pin(chunks)) }),
            _ => Ok(HttpStream { response: read(head, chunks, most).await?, chunks: None }),
        }
    }
}

/// Reads a response to its end.
async fn read(head: HttpResponse, mut chunks: Chunks, most: usize) -> Result<HttpResponse> {
    let mut body = BytesMut::new();
    while let Some(chunk) = poll_fn(|context| Pin::new(&mut chunks).poll_next(context)).await {
        let chunk = chunk?;
        if body.len() + chunk.len() > most {
            return Err(too_large(head.status));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { body: body.freeze(), ..head })
}

fn too_large(status: u16) -> Error {
    Error::new(ErrorKind::ReplyTooLarge, "the reply is larger than allowed").with_status(status)
}

/// The body of a response as it arrives. Dropping it aborts the request.
struct Chunks(BoxStream<::reqwest::Result<Bytes>>);

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context).map_err(classify)
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        Box::pin(self.exchange(request))
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream>> {
        Box::pin(self.begin(request))
    }
}

/// Converts an error, without the host's text: it contains a stack trace, and with some hosts the
/// address.
fn classify(error: ::reqwest::Error) -> Error {
    match error.is_builder() {
        true => Error::new(ErrorKind::InvalidCommand, "the request cannot be built"),
        false => {
            Error::new(ErrorKind::Io, "the request failed").with_outcome(Outcome::MaybeApplied)
        }
    }
}
