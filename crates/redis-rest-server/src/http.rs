//! Serves one HTTP request on a connection: its body, and event streams. The `service` module
//! decides the response.

use super::backlog;
use super::body::ReplyBody;
use super::config::Limits;
use super::cors;
use super::events::{self, EventBody};
use super::memory::Reservation;
use super::origin::{Admission, Refusal};
use super::service::{self, Admitted, Service};
use crate::clock;
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use redis_rest::SubscriptionTarget;
use redis_rest::internal::{EVENTS_HEADER, IN_BASE64};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Longest time to read the rest of a refused body, so that a client that is still sending receives
/// the response.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// State shared by all connections of a server.
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) limits: Limits,
    pub(super) admission: Admission,
    /// True once the server stops, which ends event streams.
    pub(super) closing: watch::Sender<bool>,
}

type Answer = Response<Either<ReplyBody, EventBody>>;

fn whole(answer: service::Answer) -> Answer {
    answer.map(Either::Left)
}

/// Responds to one request. `cut` ends its connection at once.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    cut: Arc<Notify>,
) -> Result<Answer, Infallible> {
    let cross_origin = match shared.admission.check(&request) {
        Ok(Some(headers)) => headers,
        Ok(None) => return respond(shared, request, cut).await,
        Err(Refusal(text)) => {
            discard(request.into_body(), shared.limits.max_request_bytes);
            return Ok(whole(service::failure(StatusCode::FORBIDDEN, text)));
        }
    };
    let mut answer = if cors::is_preflight(&request) {
        let mut answer = Response::new(Either::Left(ReplyBody::whole(Vec::new())));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    } else {
        respond(shared, request, cut).await?
    };
    answer.headers_mut().extend(cross_origin);
    Ok(answer)
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    cut: Arc<Notify>,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let most = shared.limits.max_request_bytes;
    let admitted = match shared.service.admit(&head) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            discard(body, most);
            return Ok(whole(*refusal));
        }
    };
    if admitted.is_stream() {
        discard(body, most);
        return Ok(shared.stream(&head, &admitted, cut).await);
    }
    Ok(whole(match shared.read(body).await {
        Ok((body, held)) => shared.service.perform(&head, &admitted, body, held).await,
        Err(answer) => *answer,
    }))
}

impl Shared {
    /// Reads the whole body. Fails with the response to a body that is too large, too slow or
    /// incomplete.
    async fn read(&self, mut body: Incoming) -> Result<(Bytes, Reservation), Box<service::Answer>> {
        let deadline = clock::after(self.limits.body_timeout);
        let mut held = self.service.reserve();
        let mut all = BytesMut::new();
        loop {
            match tokio::time::timeout_at(deadline, body.frame()).await {
                Ok(None) => return Ok((all.freeze(), held)),
                Ok(Some(Ok(frame))) => {
                    let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                    if all.len() + data.len() > self.limits.max_request_bytes {
                        discard(body, self.limits.max_request_bytes);
                        return Err(Box::new(
                            self.service
                                .too_large(&format!("more than {}", self.limits.max_request_bytes)),
                        ));
                    }
                    if held.grow(data.len()).is_err() {
                        discard(body, self.limits.max_request_bytes);
                        return Err(Box::new(service::busy()));
                    }
                    all.extend_from_slice(data);
                }
                Ok(Some(Err(_))) => {
                    return Err(Box::new(service::failure(
                        StatusCode::BAD_REQUEST,
                        "ERR incomplete body: the connection ended early",
                    )));
                }
                Err(_) => {
                    return Err(Box::new(service::failure(
                        StatusCode::REQUEST_TIMEOUT,
                        "ERR body too slow: the limit is ServerConfig::body_timeout",
                    )));
                }
            }
        }
    }

    async fn stream(&self, head: &Parts, admitted: &Admitted, cut: Arc<Notify>) -> Answer {
        let Some(what) = events::wanted(head.uri.path()) else {
            return whole(service::failure(
                StatusCode::BAD_REQUEST,
                "ERR no channel in the path: append a channel or a pattern, percent-encoded",
            ));
        };
        if what == SubscriptionTarget::Monitor && admitted.is_read_only() {
            return whole(service::failure(
                StatusCode::FORBIDDEN,
                "NOPERM this user has no permissions to run the 'monitor' command",
            ));
        }
        match self.service.backend().listen(&what).await {
            Ok(stream) => {
                let most = self.limits.max_backlog_bytes;
                let backlog = backlog::follow(stream, most, self.service.reserve(), cut);
                let in_base64 = head.headers.get(EVENTS_HEADER) == Some(&IN_BASE64);
                let closing = self.closing.subscribe();
                let body = events::body(what, backlog, in_base64, closing);
                let mut answer = Response::new(Either::Right(body));
                let headers = answer.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                // Otherwise nginx buffers events until it has a few kilobytes of them.
                headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
                if in_base64 {
                    headers.insert(EVENTS_HEADER, IN_BASE64);
                }
                answer
            }
            Err(error) => whole(service::error_answer(&error)),
        }
    }
}

/// Reads and discards the rest of a body while the response is sent: closing a connection with
/// unread bytes resets it, and the client may lose the response. Bounded in bytes and time.
fn discard(mut body: Incoming, most: usize) {
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > most {
                break;
            }
        }
    }));
}
