//! Responses of any version of HTTP, and errors of requests without one.

use super::super::transport::{HttpResponse, HttpStream};
use crate::error::{Error, ErrorKind, Outcome, Result};
use ::hyper::body::Body;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body_util::BodyExt as _;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Returns a response whose body may still be arriving. If there is nothing to wait for, because
/// the server refuses, the body is read to its end.
pub(in super::super) async fn open<B>(
    response: http::Response<B>,
    max_reply_bytes: usize,
) -> Result<HttpStream>
where
    B: Body<Data = Bytes, Error: std::error::Error + 'static> + Send + Unpin + 'static,
{
    if response.status() != http::StatusCode::OK {
        return Ok(HttpStream::new(read(response, max_reply_bytes).await?, None));
    }
    let (head, body) = response.into_parts();
    let head = HttpResponse::new(200, head.headers, Bytes::new());
    Ok(HttpStream::new(head, Some(Box::pin(Chunks(body)))))
}

/// The body of a response, chunk by chunk.
pub(super) struct Chunks<B>(B);

impl<B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin> Stream for Chunks<B> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(context)) {
                // Trailers are ignored.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(&error)))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Reads a response to its end.
pub(in super::super) async fn read<B>(
    response: http::Response<B>,
    max_reply_bytes: usize,
) -> Result<HttpResponse>
where
    B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
{
    let (head, mut body) = response.into_parts();
    let status = head.status.as_u16();
    let too_large = || {
        Error::new(ErrorKind::ReplyTooLarge, "the reply is larger than allowed").with_status(status)
    };
    let declared = body.size_hint().exact().unwrap_or(0);
    if declared > max_reply_bytes as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    // Until the end, even if all bytes have arrived: with the end the connection returns to the
    // pool, where the next call finds it.
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if first.len() + all.len() + data.len() > max_reply_bytes {
            return Err(too_large());
        }
        if first.is_empty() && all.is_empty() {
            // Usually the only chunk: kept without copying.
            first = data;
            continue;
        }
        if all.is_empty() {
            let declared = usize::try_from(declared).unwrap_or(0);
            all.reserve(declared.max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    let body = if all.is_empty() { first } else { all.freeze() };
    Ok(HttpResponse { status, headers: head.headers, body })
}

/// Classifies an error by whether the command may have run. Only connection errors (name, TCP, TLS)
/// are certain not to, and requests that the server declared unprocessed.
pub(in super::super) fn unanswered(
    error: &(dyn std::error::Error + 'static),
    connecting: bool,
) -> Error {
    if connecting {
        let (message, of_proxy) = match refusal_of_proxy(error) {
            Some((message, lasting)) => (message, lasting),
            None => ("no connection to the server", false),
        };
        let failure = Error::new(ErrorKind::Connect, message).with_source(Cause::of(error));
        return if of_proxy || is_lasting(error) { failure.lasting() } else { failure };
    }
    match unprocessed(error) {
        Some(Unprocessed::InGoodOrder) => closed_before(error).unprocessed(),
        Some(Unprocessed::AfterAnError) => closed_before(error),
        None => broken(error),
    }
}

/// Returns the error of a request whose whole body no connection took.
pub(super) fn unwritten(error: &(dyn std::error::Error + 'static)) -> Error {
    let broken = broken(error).with_outcome(Outcome::NotApplied);
    // Another attempt would fail alike.
    if broken.is_lasting() || broken.kind() == ErrorKind::ReplyTooLarge {
        return broken;
    }
    match unprocessed(error) {
        Some(Unprocessed::AfterAnError) => closed_before(error),
        Some(Unprocessed::InGoodOrder) | None => closed_before(error).unprocessed(),
    }
}

fn closed_before(error: &Failure) -> Error {
    let message = "the server closed the connection before this request";
    Error::new(ErrorKind::Connect, message).with_source(Cause::of(error))
}

/// Returns an error and its causes.
pub(in super::super) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

type Failure = dyn std::error::Error + 'static;

/// Returns true if the certificate was refused, for its name, its dates or its issuer.
#[cfg(feature = "rustls")]
fn is_lasting(error: &Failure) -> bool {
    /// Returns the error inside an I/O error, which does not name it as its source.
    fn held<'a>(error: &&'a Failure) -> Option<&'a Failure> {
        Some(error.downcast_ref::<std::io::Error>()?.get_ref()?)
    }
    let errors = chain(error).flat_map(|error| std::iter::successors(Some(error), held));
    let mut tls = errors.filter_map(|error| error.downcast_ref());
    tls.any(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

#[cfg(not(feature = "rustls"))]
fn is_lasting(_: &Failure) -> bool {
    false
}

/// Reason why a server did not process a request.
enum Unprocessed {
    /// The server renews connections, or accepts fewer concurrent streams.
    InGoodOrder,
    /// A connection error, which may recur.
    AfterAnError,
}

/// Returns a proxy's response to `CONNECT`, and whether another attempt would get it again.
/// hyper-util does not export the type of this error; a test would notice other texts.
fn refusal_of_proxy(error: &Failure) -> Option<(&'static str, bool)> {
    const BEGINNING: &str = "tunnel error: ";
    let mut texts = chain(error).map(ToString::to_string);
    let text = texts.find(|text| text.starts_with(BEGINNING))?;
    Some(match text.trim_start_matches(BEGINNING) {
        "proxy authorization required" => {
            ("no connection: the proxy wants a user name and a password", true)
        }
        "failed to create underlying connection" => ("no connection to the proxy", false),
        _ => ("no connection: the proxy made none to the server", false),
    })
}

/// Returns whether a request was unprocessed. HTTP/2 reports such requests: a stream that the
/// server refused, or one after the last stream in its announcement when it closed the connection
/// (RFC 9113, 6.8 and 8.7). Others were waiting for a connection that ended.
fn unprocessed(error: &Failure) -> Option<Unprocessed> {
    chain(error).find_map(|error| {
        let canceled = |error: &::hyper::Error| error.is_canceled();
        if error.downcast_ref().is_some_and(canceled) {
            return Some(Unprocessed::InGoodOrder);
        }
        let error = error.downcast_ref::<h2::Error>().filter(|error| error.is_remote())?;
        match error.reason() {
            Some(h2::Reason::REFUSED_STREAM) if error.is_reset() => Some(Unprocessed::InGoodOrder),
            Some(h2::Reason::NO_ERROR) if error.is_go_away() => Some(Unprocessed::InGoodOrder),
            // Only streams after the last announced one end by the server's `GOAWAY`.
            _ if error.is_go_away() => Some(Unprocessed::AfterAnError),
            _ => None,
        }
    })
}

/// hyper exposes this kind for servers only; its text is the same for clients, and a test would
/// notice another.
fn is_too_large(error: &::hyper::Error) -> bool {
    error.is_parse() && error.to_string() == "message head is too large"
}

pub(in super::super) fn broken(error: &(dyn std::error::Error + 'static)) -> Error {
    if chain(error).filter_map(|error| error.downcast_ref::<::hyper::Error>()).any(is_too_large) {
        // Every attempt would fail alike.
        let message = "the headers of the reply are larger than max_reply_header_bytes allows, or more than 100";
        return Error::new(ErrorKind::ReplyTooLarge, message)
            .with_outcome(Outcome::MaybeApplied)
            .with_source(Cause::of(error));
    }
    let mut of_hyper = chain(error).filter_map(|error| error.downcast_ref::<::hyper::Error>());
    if of_hyper.any(::hyper::Error::is_parse) {
        return Error::new(ErrorKind::Io, NOT_HTTP)
            .with_outcome(Outcome::MaybeApplied)
            .lasting()
            .with_source(Cause::of(error));
    }
    Error::new(ErrorKind::Io, "the connection broke")
        .with_outcome(Outcome::MaybeApplied)
        .with_source(Cause::of(error))
}

const NOT_HTTP: &str = "the server does not answer in HTTP: if it is a Redis (port 6379), `redis-rest serve --redis` puts a REST \
     server in front of it";

/// The chain of causes as text. Causes contain no header, and no address except the names in a
/// wrong certificate.
pub(in super::super) struct Cause(String);

impl Cause {
    pub(in super::super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = String::new();
        for error in chain(error) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            // Its own text quotes the server's reason for closing the connection.
            match error.downcast_ref::<h2::Error>().map(h2::Error::reason) {
                Some(Some(reason)) => text.push_str(reason.description()),
                Some(None) => text.push_str("HTTP/2 failed"),
                None => text.push_str(&error.to_string()),
            }
        }
        Self(text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
