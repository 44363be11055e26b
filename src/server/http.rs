//! One HTTP request: method, token, address, body, commands, status.

use super::cors::{self, Cors};
use super::events::{self, EventBody};
use super::guard::{Access, Guard};
use super::reply::{self, Encoding};
use super::request::{self, Bad};
use crate::backend::{Backend, Reply};
use crate::clock;
use crate::command::{CallOptions, Command};
use crate::error::{Error, ErrorKind, Outcome};
use crate::platform;
use crate::subscribe::Listen;
use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the rest of a refused body is read, so that a client that is still sending gets to see the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) guard: Guard,
    pub(super) token: String,
    pub(super) read_only_token: Option<String>,
    pub(super) max_request_bytes: usize,
    pub(super) cors: Cors,
    /// True when the server stops: event streams end then.
    pub(super) closing: watch::Sender<bool>,
    pub(super) answered: AtomicU64,
}

type Answer = Response<Either<Full<Bytes>, EventBody>>;

/// What a request asks for, by its address.
enum Form {
    Single,
    Pipeline,
    Transaction,
    Path,
    /// Event streams.
    Stream,
    Unknown,
}

impl Form {
    fn of(path: &str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (first, rest) = path.split_once('/').map_or((path, ""), |(first, rest)| (first, rest));
        match (first, rest) {
            ("", "") => Self::Single,
            ("pipeline", "") => Self::Pipeline,
            ("multi-exec", "") => Self::Transaction,
            ("subscribe" | "psubscribe" | "monitor", _) => Self::Stream,
            ("" | "pipeline" | "multi-exec", _) => Self::Unknown,
            _ => Self::Path,
        }
    }
}

/// Answers one request.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let Some(cross_origin) = shared.cors.admit(&request) else { return respond(shared, request).await };
    let mut answer = match cors::is_preflight(&request) {
        true => {
            let mut answer = Response::new(Either::Left(Full::new(Bytes::new())));
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        false => respond(shared, request).await?,
    };
    answer.headers_mut().extend(cross_origin);
    Ok(answer)
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let refusal = if !matches!(head.method, Method::GET | Method::HEAD | Method::POST | Method::PUT) {
        let mut answer = failure(StatusCode::METHOD_NOT_ALLOWED, "ERR method not allowed");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT"));
        Err(answer)
    } else {
        match (shared.access(&head.headers, head.uri.query()), Form::of(head.uri.path())) {
            (None, _) => Err(failure(StatusCode::UNAUTHORIZED, "WRONGPASS invalid or missing auth token")),
            (Some(access), Form::Stream) => {
                discard(body, shared.max_request_bytes);
                return Ok(shared.stream(head.uri.path(), access).await);
            }
            (Some(_), Form::Unknown) => Err(failure(StatusCode::NOT_FOUND, "ERR there is nothing at this address")),
            (Some(access), form) => match declared_length(&head.headers) {
                Some(length) if length > shared.max_request_bytes as u64 => Err(shared.too_large(&length.to_string())),
                _ => Ok((access, form)),
            },
        }
    };
    let (access, form) = match refusal {
        Ok(allowed) => allowed,
        Err(answer) => {
            discard(body, shared.max_request_bytes);
            return Ok(answer);
        }
    };
    let body = match shared.read(body).await {
        Ok(body) => body,
        Err(answer) => return Ok(*answer),
    };
    let says = |name: &str, value: &[u8]| head.headers.get(name).is_some_and(|given| given.as_bytes().eq_ignore_ascii_case(value));
    let encoding = match (says("upstash-encoding", b"base64"), says("upstash-response-format", b"resp2")) {
        (true, true) => return Ok(failure(StatusCode::BAD_REQUEST, "ERR Upstash-Encoding and resp2 replies exclude each other")),
        (true, false) => Encoding::Base64,
        // Transactions are always answered in JSON.
        (false, true) if !matches!(form, Form::Transaction) => Encoding::Resp2,
        (false, _) => Encoding::Plain,
    };
    let answer = match form {
        Form::Pipeline => match request::commands(&body) {
            Ok(commands) => shared.pipeline(commands, access, encoding).await,
            Err(bad) => bad_request(bad),
        },
        Form::Transaction => match request::commands(&body) {
            Ok(commands) => shared.transaction(&commands, access, encoding).await,
            Err(bad) => bad_request(bad),
        },
        Form::Path => match request::path(head.uri.path(), head.uri.query(), &body) {
            Ok(command) => shared.single(&command, access, encoding).await,
            Err(bad) => bad_request(bad),
        },
        Form::Single | Form::Stream | Form::Unknown => match request::command(&body) {
            Ok(command) => shared.single(&command, access, encoding).await,
            Err(bad) => bad_request(bad),
        },
    };
    Ok(answer)
}

impl Shared {
    /// What the request's token allows; `None` without a right one. The header counts before the query.
    fn access(&self, headers: &HeaderMap, query: Option<&str>) -> Option<Access> {
        let given = match headers.get(AUTHORIZATION) {
            Some(header) => {
                let (scheme, token) = header.as_bytes().split_at_checked(7)?;
                scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii().to_vec())?
            }
            None => request::query_token(query)?,
        };
        // In constant time, so that a token cannot be found byte by byte.
        let is = |token: &str| bool::from(given.ct_eq(token.as_bytes()));
        match (is(&self.token), self.read_only_token.as_deref().is_some_and(is)) {
            (true, _) => Some(Access::Full),
            (false, true) => Some(Access::ReadOnly),
            (false, false) => None,
        }
    }

    fn too_large(&self, actual: &str) -> Answer {
        let text = format!("ERR max request size exceeded. Limit: {} bytes, Actual: {actual} bytes", self.max_request_bytes);
        failure(StatusCode::PAYLOAD_TOO_LARGE, &text)
    }

    /// The whole body, or the answer to one that is too large, too slow or broken off.
    async fn read(&self, mut body: Incoming) -> Result<Bytes, Box<Answer>> {
        let deadline = clock::after(BODY_TIMEOUT);
        let mut all = BytesMut::new();
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            match platform::timeout(left, body.frame()).await {
                Some(None) => return Ok(all.freeze()),
                Some(Some(Ok(frame))) => {
                    let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                    if all.len() + data.len() > self.max_request_bytes {
                        discard(body, self.max_request_bytes);
                        return Err(Box::new(self.too_large(&format!("more than {}", self.max_request_bytes))));
                    }
                    all.extend_from_slice(data);
                }
                Some(Some(Err(_))) => return Err(Box::new(failure(StatusCode::BAD_REQUEST, "ERR the body broke off"))),
                None => return Err(Box::new(failure(StatusCode::REQUEST_TIMEOUT, "ERR the body took too long"))),
            }
        }
    }

    async fn stream(&self, path: &str, access: Access) -> Answer {
        let Some(what) = events::wanted(path) else {
            return failure(StatusCode::BAD_REQUEST, "ERR a channel or a pattern belongs into the path, percent-encoded");
        };
        if what == Listen::Monitor && access == Access::ReadOnly {
            return failure(StatusCode::FORBIDDEN, "NOPERM this user has no permissions to run the 'monitor' command");
        }
        match self.backend.listen(&what).await {
            Ok(stream) => {
                let mut answer = Response::new(Either::Right(events::body(what, stream, self.closing.subscribe())));
                let headers = answer.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                answer
            }
            Err(error) => error_answer(&error),
        }
    }

    async fn single(&self, command: &Command, access: Access, encoding: Encoding) -> Answer {
        let reply = match self.guard.check(&*self.backend, command, access).await {
            Ok(()) => self.backend.execute(command, &CallOptions::default()).await,
            Err(refused) => Err(refused),
        };
        let status = reply.as_ref().err().map_or(StatusCode::OK, status_of);
        self.answer(status, encoding, |out| reply::write_reply(&reply, encoding, out))
    }

    /// An answer of the backend's. It carries a token of read-your-writes: behind this server is one Redis, which has all that was
    /// answered, so that any token will do.
    fn answer(&self, status: StatusCode, encoding: Encoding, write: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let mut answer = json(status, write);
        let headers = answer.headers_mut();
        if encoding == Encoding::Resp2 {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        headers.insert("upstash-sync-token", HeaderValue::from(self.answered.fetch_add(1, Ordering::Relaxed)));
        answer
    }

    /// Refused entries get their error in their place; the others run.
    async fn pipeline(&self, commands: Vec<Command>, access: Access, encoding: Encoding) -> Answer {
        let mut replies: Vec<Option<Reply>> = Vec::with_capacity(commands.len());
        let mut allowed = Vec::with_capacity(commands.len());
        for command in commands {
            match self.guard.check(&*self.backend, &command, access).await {
                Ok(()) => {
                    replies.push(None);
                    allowed.push(command);
                }
                Err(refused) => replies.push(Some(Err(refused))),
            }
        }
        let mut answers = Vec::new();
        if !allowed.is_empty() {
            answers = self.backend.pipeline(&allowed, &CallOptions::default()).await;
        }
        let mut answers = answers.into_iter();
        let missing = || Err(Error::new(ErrorKind::Decode, "no reply for this command"));
        let replies: Vec<Reply> =
            replies.into_iter().map(|reply| reply.unwrap_or_else(|| answers.next().unwrap_or_else(missing))).collect();
        // Where nothing came back from Redis at all, the status says so. The worst one: what may have run must not look
        // as if it had not.
        let lost = |reply: &Reply| reply.as_ref().err().map(status_of).filter(|status| *status != StatusCode::BAD_REQUEST);
        match replies.iter().map(lost).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min()) {
            Some(status) => json(status, |out| {
                let worst = replies.iter().filter_map(|reply| reply.as_ref().err()).find(|error| status_of(error) == status);
                reply::write_error(&worst.map(reply::error_text).unwrap_or_default(), out);
            }),
            None => self.answer(StatusCode::OK, encoding, |out| reply::write_replies(&replies, encoding, out)),
        }
    }

    async fn transaction(&self, commands: &[Command], access: Access, encoding: Encoding) -> Answer {
        for command in commands {
            if let Err(refused) = self.guard.check(&*self.backend, command, access).await {
                return error_answer(&refused);
            }
        }
        match self.backend.transaction(commands, &CallOptions::default()).await {
            Ok(replies) => self.answer(StatusCode::OK, encoding, |out| reply::write_replies(&replies, encoding, out)),
            Err(error) => error_answer(&error),
        }
    }
}

/// Redis's own errors and refusals are the caller's business (400); a backend that cannot be asked is not. 503 says that
/// nothing ran, 502 that it may have.
fn status_of(error: &Error) -> StatusCode {
    match (error.server_error(), error.kind(), error.outcome()) {
        (Some(_), ..) | (None, ErrorKind::InvalidCommand | ErrorKind::Unsupported, _) => StatusCode::BAD_REQUEST,
        (None, _, Outcome::NotApplied) => StatusCode::SERVICE_UNAVAILABLE,
        (None, ..) => StatusCode::BAD_GATEWAY,
    }
}

fn error_answer(error: &Error) -> Answer {
    failure(status_of(error), &reply::error_text(error))
}

fn bad_request(Bad(text): Bad) -> Answer {
    failure(StatusCode::BAD_REQUEST, text)
}

fn failure(status: StatusCode, text: &str) -> Answer {
    json(status, |out| reply::write_error(text, out))
}

fn json(status: StatusCode, write: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut body = Vec::with_capacity(64);
    write(&mut body);
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the rest of a body that nobody wants, beside the answer: closing a connection that holds unread bytes resets it,
/// and the client may lose the answer. Bounded in bytes and time.
fn discard(mut body: Incoming, most: usize) {
    tokio::spawn(platform::timeout(DISCARD_TIMEOUT, async move {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > most {
                break;
            }
        }
    }));
}
