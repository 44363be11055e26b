//! Responders: the replies and faults of a mock.

use super::sent::Sent;
use super::values::ToValue;
use http::header::RETRY_AFTER;
use redis_rest::backend::Reply;
use redis_rest::{Error, ServerError, Value};
use redis_rest_server::internal::{self, Answer, Encoder, Encoding, Form};
use std::io;
use std::time::Duration;
use wiremock::{Request, Respond, ResponseTemplate};

/// Replies with the result of a successful command. [`ToValue`] lists the supported types.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redis_rest::Result<()> {
/// use redis_rest::cmd;
/// use redis_rest_testing::{command, config_for, result};
/// use wiremock::{Mock, MockServer};
///
/// let server = MockServer::start().await;
/// Mock::given(command("GET")).respond_with(result("Ada")).mount(&server).await;
/// Mock::given(command("LRANGE")).respond_with(result(["a", "b"])).mount(&server).await;
/// Mock::given(command("SCAN")).respond_with(result(("0", ["user:1", "user:2"]))).mount(&server).await;
/// Mock::given(command("DUMP")).respond_with(result(b"\xff\x00")).mount(&server).await;
///
/// let client = config_for(&server).build()?;
/// assert_eq!(client.get::<Option<String>>("name").await?.as_deref(), Some("Ada"));
/// assert_eq!(client.lrange::<String>("list", 0, -1).await?, ["a", "b"]);
/// assert_eq!(client.run::<Vec<u8>>(cmd("DUMP").arg("name")).await?, b"\xff\x00");
/// # Ok(()) }
/// ```
pub fn result(value: impl ToValue) -> RedisReply {
    RedisReply { reply: Ok(value.to_value()), delay: None }
}

/// Replies with a Redis error of this text: `redis_error("WRONGTYPE Operation against a key …")`.
/// The command did not run.
pub fn redis_error(text: impl Into<String>) -> RedisReply {
    RedisReply { reply: Err(Error::redis(ServerError::new(text.into()))), delay: None }
}

/// Replies to a pipeline or a transaction with one reply per command, each a [`result`] or a
/// [`redis_error`].
///
/// A number of replies other than the number of commands is sent unchanged, and the client cannot
/// read it; so is the response to a command in a separate request.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redis_rest::Result<()> {
/// use redis_rest::cmd;
/// use redis_rest_testing::{config_for, pipeline_of, redis_error, result, results};
/// use wiremock::{Mock, MockServer};
///
/// let server = MockServer::start().await;
/// Mock::given(pipeline_of(["SET", "INCR"]))
///     .respond_with(results([result("OK"), redis_error("ERR value is not an integer or out of range")]))
///     .mount(&server)
///     .await;
///
/// let client = config_for(&server).build()?;
/// let mut pipe = client.pipeline();
/// let (set, incr) = (pipe.add(cmd::set("name", "Ada")), pipe.add(cmd::incr("name")));
/// let mut replies = pipe.send().await?;
/// assert!(replies.take(set).is_ok());
/// assert_eq!(replies.take(incr).unwrap_err().redis_code(), Some("ERR"));
/// # Ok(()) }
/// ```
pub fn results(entries: impl IntoIterator<Item = RedisReply>) -> RedisReplies {
    RedisReplies { replies: entries.into_iter().map(|entry| entry.reply).collect(), delay: None }
}

/// Responds 429 with `Retry-After`, in whole seconds, rounded up. The command did not run
/// ([`Outcome::NotApplied`](redis_rest::Outcome::NotApplied)), so that clients retry every command.
pub fn rate_limited(after: Duration) -> ResponseTemplate {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    ResponseTemplate::new(429).insert_header(RETRY_AFTER, seconds)
}

/// Responds with an empty 500: the request arrived, and the client does not know whether it was
/// executed. For a command that writes, clients report
/// [`Outcome::MaybeApplied`](redis_rest::Outcome::MaybeApplied) and kind
/// [`Http`](redis_rest::ErrorKind::Http), and retry only idempotent commands. Nothing runs;
/// [`FakeReply::lost`](super::FakeReply::lost) runs the command and then loses the reply.
pub fn lost_reply() -> ResponseTemplate {
    ResponseTemplate::new(500)
}

/// Closes the connection without a response after the request arrived: `MaybeApplied` too, of kind
/// [`Io`](redis_rest::ErrorKind::Io). For
/// [`respond_with_err`](wiremock::MockBuilder::respond_with_err), because no [`ResponseTemplate`]
/// can close a connection. Over HTTP/1.1, which clients speak without TLS, only this request is
/// affected.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redis_rest::Result<()> {
/// use redis_rest::ErrorKind;
/// use redis_rest_testing::{broken_connection, command, config_for};
/// use wiremock::{Mock, MockServer};
///
/// let server = MockServer::start().await;
/// Mock::given(command("INCR")).respond_with_err(broken_connection()).expect(1).mount(&server).await;
/// let error = config_for(&server).build()?.incr("visits").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Io);
/// assert!(error.maybe_applied());
/// # Ok(()) }
/// ```
pub fn broken_connection() -> impl Fn(&Request) -> io::Error + Send + Sync + 'static {
    |_| io::ErrorKind::ConnectionReset.into()
}

/// Responds with the page of a proxy that has lost its server: 502 with HTML. `MaybeApplied`, of
/// kind [`Http`](redis_rest::ErrorKind::Http).
pub fn html_502() -> ResponseTemplate {
    ResponseTemplate::new(502)
        .set_body_raw("<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
}

/// Responds 401, the response to a missing or wrong token.
pub fn unauthorized() -> ResponseTemplate {
    template(internal::failure(
        http::StatusCode::UNAUTHORIZED,
        "WRONGPASS invalid or missing auth token",
    ))
}

/// A [`result`] or a [`redis_error`], in base64, RESP2 or plain JSON as the request asks.
///
/// A pipeline gets it once for each of its commands. So does a transaction, unless it is an error:
/// then the whole transaction was discarded.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisReply {
    reply: Reply,
    delay: Option<Duration>,
}

impl RedisReply {
    /// Delays the response by `delay`. Past the client's [`timeout`](redis_rest::Config::timeout)
    /// the reply is lost, with kind [`Timeout`](redis_rest::ErrorKind::Timeout).
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }
}

impl RedisReply {
    fn written_alone(self, request: &Request, form: Form) -> ResponseTemplate {
        let write = |encoding, out: &mut Vec<u8>| Encoder::one(self.reply, encoding).finish(out);
        delayed(self.delay, written(request, form, 200, write))
    }
}

impl Respond for RedisReply {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let form = Form::of(request.url.path());
        let count = match form {
            Form::Pipeline => Sent::read(request).map(|sent| sent.commands.len()),
            Form::Transaction if self.reply.is_ok() => {
                Sent::read(request).map(|sent| sent.commands.len())
            }
            _ => None,
        };
        let once = Sent::read(request).is_some_and(|sent| sent.is_exactly_once());
        if let (true, Ok(value)) = (once, &self.reply) {
            // The script that executes a command exactly once returns the reply in a list.
            let reply = Self { reply: Ok(Value::Array(vec![value.clone()])), delay: self.delay };
            return reply.written_alone(request, form);
        }
        let status = if count.is_none() && self.reply.is_err() { 400 } else { 200 };
        delayed(
            self.delay,
            written(request, form, status, |encoding, out| match count {
                Some(count) => Encoder::many(vec![self.reply.clone(); count], encoding).finish(out),
                None => Encoder::one(self.reply.clone(), encoding).finish(out),
            }),
        )
    }
}

/// Replies to a pipeline or a transaction: see [`results`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisReplies {
    replies: Vec<Reply>,
    delay: Option<Duration>,
}

impl RedisReplies {
    /// Delays the response like [`RedisReply::after`].
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }
}

impl Respond for RedisReplies {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let form = Form::of(request.url.path());
        delayed(
            self.delay,
            written(request, form, 200, |encoding, out| {
                Encoder::many(self.replies.clone(), encoding).finish(out)
            }),
        )
    }
}

fn written(
    request: &Request,
    form: Form,
    status: u16,
    write: impl FnOnce(Encoding, &mut Vec<u8>),
) -> ResponseTemplate {
    let Some(encoding) = internal::encoding(&request.headers, form) else {
        return template(internal::failure(
            http::StatusCode::BAD_REQUEST,
            "ERR conflicting encodings: ask for Upstash-Encoding or resp2, not both",
        ));
    };
    let mut body = Vec::new();
    write(encoding, &mut body);
    let mime =
        if encoding == Encoding::Resp2 { "application/octet-stream" } else { "application/json" };
    ResponseTemplate::new(status).set_body_raw(body, mime)
}

fn delayed(delay: Option<Duration>, template: ResponseTemplate) -> ResponseTemplate {
    match delay {
        Some(delay) => template.set_delay(delay),
        None => template,
    }
}

/// Converts a response of the server's code to a response of wiremock.
pub(super) fn template(answer: Answer) -> ResponseTemplate {
    let (head, body) = answer.into_parts();
    let mut template =
        ResponseTemplate::new(head.status).set_body_bytes(body.into_bytes().to_vec());
    for (name, value) in &head.headers {
        template = template.append_header(name, value);
    }
    template
}
