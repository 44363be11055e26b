//! Processes one complete request: method, token, address, commands, status. Independent of any
//! HTTP library, so that the testing kit uses it too.

use super::body::ReplyBody;
use super::config::DEFAULT_TOKEN;
use super::encode::Encoder;
use super::guard::{Access, Guard};
use super::memory::{Memory, Reservation, command_bytes};
use super::reply::{self, Encoding, ReplyBudget};
use super::request::{self, BadRequest};
use super::slices;
use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use redis_rest::backend::{Backend, Reply};
use redis_rest::internal::Secret;
use redis_rest::{CallOptions, Command, Error, ErrorKind, Idempotency, Outcome, internal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq as _;

/// A response with replies as its body.
pub type Answer = Response<ReplyBody>;

/// Kind of a request, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A single command.
    Single,
    /// Commands in order.
    Pipeline,
    /// Commands, all or none.
    Transaction,
    /// A command in the path.
    Path,
    /// Event streams.
    Stream,
    /// No path of the protocol.
    Unknown,
}

impl Form {
    /// Returns the form for this path.
    pub fn of(path: &str) -> Self {
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

/// Returns the encoding of strings that the request asks for, or `None` if its wishes contradict
/// each other.
pub fn encoding(headers: &HeaderMap, form: Form) -> Option<Encoding> {
    let says = |name: &str, value: &[u8]| {
        headers.get(name).is_some_and(|given| given.as_bytes().eq_ignore_ascii_case(value))
    };
    match (says("upstash-encoding", b"base64"), says("upstash-response-format", b"resp2")) {
        (true, true) => None,
        (true, false) => Some(Encoding::Base64),
        // Responses to transactions are always JSON.
        (false, true) if form != Form::Transaction => Some(Encoding::Resp2),
        (false, _) => Some(Encoding::Plain),
    }
}

/// Executes requests.
pub struct Service {
    backend: Arc<dyn Backend>,
    guard: Guard,
    token: Secret,
    read_only_token: Option<Secret>,
    /// False if a token is the default one: a web page needs only an address to send such a token.
    takes_query_token: bool,
    max_request_bytes: usize,
    max_reply_bytes: usize,
    memory: Arc<Memory>,
    answered: AtomicU64,
}

/// A request whose body may be read.
pub struct Admitted {
    access: Access,
    form: Form,
}

impl Admitted {
    /// Returns true for a subscription or a monitor.
    pub fn is_stream(&self) -> bool {
        self.form == Form::Stream
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }
}

impl Service {
    /// Creates a service over `backend`; the limits are those of a
    /// [`ServerConfig`](crate::ServerConfig).
    pub fn new(
        backend: Arc<dyn Backend>,
        token: Secret,
        read_only_token: Option<Secret>,
        max_request_bytes: usize,
        max_reply_bytes: usize,
        max_memory: usize,
    ) -> Self {
        let (guard, answered) = (Guard::new(max_reply_bytes), AtomicU64::new(1));
        let takes_query_token = [Some(&token), read_only_token.as_ref()]
            .into_iter()
            .flatten()
            .all(|token| token.as_str() != DEFAULT_TOKEN);
        Self {
            backend,
            guard,
            token,
            read_only_token,
            takes_query_token,
            max_request_bytes,
            max_reply_bytes,
            memory: Memory::new(max_memory),
            answered,
        }
    }

    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Returns the memory account of a new request, response or stream.
    pub fn reserve(&self) -> Reservation {
        self.memory.share()
    }

    /// Checks the head of a request.
    ///
    /// # Errors
    /// Fails with the response to a request that is refused whatever its body.
    pub fn admit(&self, head: &Parts) -> Result<Admitted, Box<Answer>> {
        if !matches!(head.method, Method::GET | Method::HEAD | Method::POST | Method::PUT) {
            let mut answer = failure(StatusCode::METHOD_NOT_ALLOWED, "ERR method not allowed");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT"));
            return Err(Box::new(answer));
        }
        let Some(access) = self.access(&head.headers, head.uri.query()) else {
            let text = if self.takes_query_token {
                "WRONGPASS invalid or missing auth token"
            } else {
                "WRONGPASS invalid or missing auth token (send the default token in the Authorization header)"
            };
            return Err(Box::new(failure(StatusCode::UNAUTHORIZED, text)));
        };
        if !request::is_normal(head.uri.path()) {
            return Err(Box::new(failure(
                StatusCode::BAD_REQUEST,
                "ERR the path has a segment that is empty, `.` or `..`: \
                 percent-encode the slashes of a name",
            )));
        }
        match Form::of(head.uri.path()) {
            Form::Stream => Ok(Admitted { access, form: Form::Stream }),
            // A subscription whose path was changed by a proxy must not run as a command.
            _ if wants_events(&head.headers) => Err(Box::new(failure(
                StatusCode::NOT_ACCEPTABLE,
                "ERR no event stream at this address: use /subscribe, /psubscribe or /monitor",
            ))),
            Form::Unknown => Err(Box::new(failure(
                StatusCode::NOT_FOUND,
                "ERR unknown address: use /, /pipeline or /multi-exec",
            ))),
            form => match declared_length(&head.headers) {
                Some(length) if length > self.max_request_bytes as u64 => {
                    Err(Box::new(self.too_large(&length.to_string())))
                }
                _ => Ok(Admitted { access, form }),
            },
        }
    }

    /// Runs the commands of a request that is no event stream. `held` accounts for its body.
    pub async fn perform(
        &self,
        head: &Parts,
        admitted: &Admitted,
        body: Bytes,
        mut held: Reservation,
    ) -> Answer {
        let Admitted { access, form } = *admitted;
        let Some(encoding) = encoding(&head.headers, form) else {
            return failure(
                StatusCode::BAD_REQUEST,
                "ERR conflicting encodings: ask for Upstash-Encoding or resp2, not both",
            );
        };
        let commands = match form {
            Form::Pipeline | Form::Transaction => request::commands(&body),
            Form::Path => {
                request::path(head.uri.path(), head.uri.query(), &body).map(|one| vec![one])
            }
            Form::Single | Form::Stream | Form::Unknown => {
                request::command(&body).map(|one| vec![one])
            }
        };
        let commands = match commands {
            Ok(commands) => commands,
            Err(bad) => return bad_request(bad),
        };
        // From here on the commands count instead of the body; they may take several times its
        // memory.
        held.shrink(body.len());
        drop(body);
        let bytes = commands.iter().map(command_bytes).sum();
        if held.grow(bytes).is_err() {
            return busy();
        }
        match (form, &commands[..]) {
            (Form::Pipeline, _) => self.pipeline(commands, access, encoding).await,
            (Form::Transaction, commands) => self.transaction(commands, access, encoding).await,
            (_, [command]) => self.single(command, access, encoding).await,
            _ => bad_request(request::NO_COMMAND),
        }
    }

    /// Returns the access that the request's token allows, or `None` without a valid token. The
    /// header precedes the query, which counts only if no token is the default one.
    fn access(&self, headers: &HeaderMap, query: Option<&str>) -> Option<Access> {
        let given = match headers.get(AUTHORIZATION) {
            Some(header) => {
                let (scheme, token) = header.as_bytes().split_at_checked(7)?;
                scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii().to_vec())?
            }
            None => self.takes_query_token.then(|| request::query_token(query))??,
        };
        // In constant time, so that a token cannot be found byte by byte.
        let is = |token: &str| bool::from(given.ct_eq(token.as_bytes()));
        match (
            is(self.token.as_str()),
            self.read_only_token.as_ref().map(Secret::as_str).is_some_and(is),
        ) {
            (true, _) => Some(Access::Full),
            (false, true) => Some(Access::ReadOnly),
            (false, false) => None,
        }
    }

    pub(super) fn too_large(&self, actual: &str) -> Answer {
        let text = format!(
            "ERR max request size exceeded. Limit: {} bytes, Actual: {actual} bytes",
            self.max_request_bytes
        );
        failure(StatusCode::PAYLOAD_TOO_LARGE, &text)
    }

    async fn single(&self, command: &Command, access: Access, encoding: Encoding) -> Answer {
        let reply = match self.guard.check(&*self.backend, command, access).await {
            Ok(()) => self.backend.execute(command, &CallOptions::default()).await,
            Err(refused) => Err(refused),
        };
        let mut room = self.room();
        let reply = room.fit(reply);
        if room.is_short_of_memory() && command.idempotency() == Idempotency::ReadOnly {
            // The client sees a command that did not run.
            return busy();
        }
        let status = reply.as_ref().err().map_or(StatusCode::OK, status_of);
        let refused = reply.as_ref().err().cloned();
        let answer = self.answer(status, Encoder::one(reply, encoding), encoding, room);
        with_retry_after(answer, refused.as_ref())
    }

    fn room(&self) -> ReplyBudget {
        ReplyBudget::new(self.max_reply_bytes, self.reserve())
    }

    /// Converts a reply of the backend to a response. It carries a token of read-your-writes: a
    /// single Redis behind this server has everything acknowledged so far, so any token will do.
    fn answer(
        &self,
        status: StatusCode,
        replies: Encoder,
        encoding: Encoding,
        room: ReplyBudget,
    ) -> Answer {
        let mut answer = json(status, ReplyBody::replies(replies, room.into_held()));
        let headers = answer.headers_mut();
        if encoding == Encoding::Resp2 {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        headers.insert(
            "upstash-sync-token",
            HeaderValue::from(self.answered.fetch_add(1, Ordering::Relaxed)),
        );
        answer
    }

    /// Runs a pipeline. A refused entry gets an error in its place; the others run.
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
        let mut room = self.room();
        let mut answers = slices::run(&*self.backend, &allowed, &mut room).await.into_iter();
        let missing = || {
            Err(Error::custom(
                ErrorKind::Decode,
                Outcome::MaybeApplied,
                "no reply for this command",
            ))
        };
        let replies: Vec<Reply> = replies
            .into_iter()
            .map(|reply| reply.unwrap_or_else(|| answers.next().unwrap_or_else(missing)))
            .collect();
        // If no reply came from Redis at all, the status reports the worst error: a command that
        // may have run must not look as if it had not.
        match replies
            .iter()
            .map(lost)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().min())
        {
            Some(status) => {
                let mut errors = replies.iter().filter_map(|reply| reply.as_ref().err());
                let worst = errors.find(|error| status_of(error) == status);
                let text = worst.map(reply::error_text).unwrap_or_default();
                with_retry_after(failure(status, &text), worst)
            }
            None => self.answer(StatusCode::OK, Encoder::many(replies, encoding), encoding, room),
        }
    }

    async fn transaction(
        &self,
        commands: &[Command],
        access: Access,
        encoding: Encoding,
    ) -> Answer {
        for command in commands {
            if let Err(refused) = self.guard.check(&*self.backend, command, access).await {
                return error_answer(&refused);
            }
        }
        match self.backend.transaction(commands, &CallOptions::default()).await {
            Ok(replies) => {
                let mut room = self.room();
                let replies = replies.into_iter().map(|reply| room.fit(reply)).collect();
                self.answer(StatusCode::OK, Encoder::many(replies, encoding), encoding, room)
            }
            Err(error) => error_answer(&error),
        }
    }
}

/// Returns the status of an error. Redis's own errors and refusals are the client's (400); a
/// backend that is unavailable, loading or running a script is not. 503 means that nothing ran, 502
/// that it may have.
fn status_of(error: &Error) -> StatusCode {
    match (error.server_message(), error.kind(), error.outcome()) {
        (Some(_), ..) if internal::is_busy(error) => StatusCode::SERVICE_UNAVAILABLE,
        (Some(_), ..) | (None, ErrorKind::InvalidCommand | ErrorKind::Unsupported, _) => {
            StatusCode::BAD_REQUEST
        }
        (None, _, Outcome::NotApplied) => StatusCode::SERVICE_UNAVAILABLE,
        (None, ..) => StatusCode::BAD_GATEWAY,
    }
}

/// Returns the status for a reply that did not come from Redis, or `None` for one that did.
pub(super) fn lost(reply: &Reply) -> Option<StatusCode> {
    let error = reply.as_ref().err().filter(|error| error.kind() != ErrorKind::ReplyTooLarge)?;
    Some(status_of(error)).filter(|status| *status != StatusCode::BAD_REQUEST)
}

/// Returns the response to a request for which there is no memory. The text is the protocol's for a
/// command that did not run.
pub(super) fn busy() -> Answer {
    let mut answer = failure(
        StatusCode::SERVICE_UNAVAILABLE,
        "DB connection refused: the server's memory limit is reached (ServerConfig::max_memory)",
    );
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

pub(super) fn error_answer(error: &Error) -> Answer {
    with_retry_after(failure(status_of(error), &reply::error_text(error)), Some(error))
}

/// Adds `Retry-After` if Redis itself refuses for a while.
fn with_retry_after(mut answer: Answer, error: Option<&Error>) -> Answer {
    if error.is_some_and(internal::is_busy) {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn bad_request(BadRequest(text): BadRequest) -> Answer {
    failure(StatusCode::BAD_REQUEST, text)
}

/// Returns an error of the protocol, as JSON.
pub fn failure(status: StatusCode, text: &str) -> Answer {
    let mut body = Vec::with_capacity(64);
    reply::write_error(text, &mut body);
    json(status, ReplyBody::whole(body))
}

fn json(status: StatusCode, body: ReplyBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Returns true for a request that accepts an event stream and nothing else.
fn wants_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    let only = accepted.next().filter(|_| accepted.next().is_none());
    only.is_some_and(|kind| kind.as_bytes().trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
