//! The `redis` crate's commands over a [`Client`]: its `ConnectionLike` for [`RedisRs`].

use crate::backend::Reply;
use crate::client::Client;
use crate::command::{CallOptions, Command};
use crate::error::{Error, ErrorKind, Outcome, ServerError};
use crate::value::Value;
use redis::{Arg, Cmd, Pipeline, RedisError, RedisFuture, RedisResult};
use std::fmt;
use std::io;

/// Appended to the text of an error of Redis after which the command may have run.
const MAYBE_APPLIED: &str = "; the command may have been applied";

/// A connection for the [`redis`] crate (version 1) that sends its commands through a [`Client`]:
/// everything that works on any `redis::aio::ConnectionLike` works over HTTP, such as
/// `AsyncCommands`, `redis::cmd`, pipelines, atomic pipelines, scripts and scans. Created by
/// [`Client::redis_rs`]. Cheap to clone.
///
/// The type is separate from `Client` because `AsyncCommands` has methods with the names of `Client`'s.
///
/// * Replies are those of RESP2. Statuses other than `OK` arrive as strings, which the crate reads
///   alike.
/// * An atomic pipeline is one transaction. An explicit `MULTI` is refused.
/// * Commands that REST cannot carry (`SUBSCRIBE`, `WATCH`, `SELECT`, `CLIENT`, blocking ones) are
///   errors of kind `Client`, and so is everything else that was refused before sending. Bytes that
///   are not UTF-8 have the limits of REST.
/// * Errors of Redis have the same kind, code and text as over TCP. **The text may quote keys and
///   arguments.**
/// * Timeouts, lost connections and proxies' responses are I/O errors. If the command may have run,
///   the text of any error ends in `the command may have been applied`.
/// * The client's features apply to these commands too: prefix, read-only, batching, retries of
///   idempotent commands.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use redis::AsyncCommands as _;
/// // Before: let mut connection = redis::Client::open("redis://…")?.get_multiplexed_async_connection().await?;
/// let mut connection = redis_rest::Client::from_env()?.redis_rs();
/// let _: () = connection.set_ex("name", "Ada", 60).await?;
/// let (name, visits): (String, i64) = redis::pipe().atomic().get("name").incr("visits", 1).query_async(&mut connection).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisRs(Client);

impl Client {
    /// Returns a connection for the `redis` crate over this client. Does no I/O.
    pub fn redis_rs(&self) -> RedisRs {
        RedisRs(self.clone())
    }
}

impl RedisRs {
    /// Returns the client behind the connection.
    pub fn client(&self) -> &Client {
        &self.0
    }

    async fn send_all(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<redis::Value>> {
        let mut batch = self.0.pipeline();
        for cmd in pipeline.cmd_iter() {
            let _ = batch.add_raw::<Value>(read(cmd)?);
        }
        let replies = batch.send().await.map_err(|error| failure(&error))?;
        let replies = entries(pipeline, replies.into_values())?;
        Ok(replies.into_iter().skip(offset).take(count).collect())
    }

    async fn send_atomically(&self, pipeline: &Pipeline) -> RedisResult<Vec<redis::Value>> {
        let mut batch = self.0.transaction();
        for cmd in pipeline.cmd_iter() {
            let _ = batch.add_raw::<Value>(read(cmd)?);
        }
        let replies = batch.send().await.map_err(|error| failure(&error))?;
        // The reply of EXEC, the only one that the crate requests.
        Ok(vec![redis::Value::Array(entries(pipeline, replies.into_values())?)])
    }
}

impl redis::aio::ConnectionLike for RedisRs {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, redis::Value> {
        Box::pin(async move {
            let reply = self.0.execute(read(cmd)?, &CallOptions::default()).await;
            written(reply.map_err(|error| failure(&error))?).map(|value| as_status(cmd, value))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<redis::Value>> {
        Box::pin(async move {
            match pipeline.is_transaction() {
                true => self.send_atomically(pipeline).await,
                false => self.send_all(pipeline, offset, count).await,
            }
        })
    }

    /// Always 0: REST has no databases.
    fn get_db(&self) -> i64 {
        0
    }
}

impl fmt::Debug for RedisRs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisRs")
    }
}

/// Converts the crate's command to this crate's.
fn read(cmd: &Cmd) -> RedisResult<Command> {
    if cmd.args_iter().any(|arg| matches!(arg, Arg::Cursor)) {
        // A scan hides its cursor; only the packed form shows it.
        let packed = cmd.get_packed_command();
        return unpack(&packed)
            .map(Command::from_parts)
            .ok_or_else(|| RedisError::from((redis::ErrorKind::Client, "an odd command")));
    }
    Ok(Command::from_parts(cmd.args_iter().map(|arg| match arg {
        Arg::Simple(part) => part,
        _ => b"0",
    })))
}

/// Returns the arguments in a request of RESP: an array of bulk strings.
fn unpack(packed: &[u8]) -> Option<Vec<&[u8]>> {
    let number = |rest: &[u8], mark: u8| -> Option<(usize, usize)> {
        let end = rest.iter().position(|&byte| byte == b'\r')?;
        let digits = rest.get(..end)?.strip_prefix(&[mark])?;
        Some((std::str::from_utf8(digits).ok()?.parse().ok()?, end + 2))
    };
    let (count, mut at) = number(packed, b'*')?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let (length, line) = number(packed.get(at..)?, b'$')?;
        at += line;
        parts.push(packed.get(at..at.checked_add(length)?)?);
        at += length + 2;
    }
    Some(parts)
}

/// Converts the replies of a pipeline. Errors of Redis stay in their places; any other error means
/// that a reply is unknown, which the crate can only report for the whole.
fn entries(
    pipeline: &Pipeline,
    replies: impl Iterator<Item = Reply>,
) -> RedisResult<Vec<redis::Value>> {
    let (mut values, mut lost) = (Vec::new(), None::<Error>);
    for (cmd, reply) in pipeline.cmd_iter().zip(replies) {
        match reply {
            Ok(value) => values.push(as_status(cmd, written(value)?)),
            Err(error) => match server_error(&error) {
                Some(server) => values.push(redis::Value::ServerError(server?)),
                // The least certain error represents all.
                None if lost.as_ref().is_none_or(|lost| !lost.maybe_applied()) => {
                    lost = Some(error)
                }
                None => {}
            },
        }
    }
    match lost {
        // The others have run.
        Some(error) => Err(failure(&error.with_outcome(Outcome::MaybeApplied))),
        None => Ok(values),
    }
}

fn written(value: Value) -> RedisResult<redis::Value> {
    Ok(match value {
        Value::Nil => redis::Value::Nil,
        Value::Int(n) => redis::Value::Int(n),
        Value::Bytes(bytes) => redis::Value::BulkString(bytes.into()),
        Value::Okay => redis::Value::Okay,
        Value::Array(items) => {
            redis::Value::Array(items.into_iter().map(written).collect::<RedisResult<_>>()?)
        }
        Value::Error(error) => redis::Value::ServerError(as_server_error(&with_code(&error))?),
    })
}

/// Converts the reply of `TYPE`, which the crate reads from a status only: REST cannot tell a
/// status from a string.
fn as_status(cmd: &Cmd, value: redis::Value) -> redis::Value {
    let is_type = || matches!(cmd.args_iter().next(), Some(Arg::Simple(name)) if name.eq_ignore_ascii_case(b"TYPE"));
    match value {
        redis::Value::BulkString(text) if is_type() => match String::from_utf8(text) {
            Ok(text) => redis::Value::SimpleString(text),
            Err(error) => redis::Value::BulkString(error.into_bytes()),
        },
        value => value,
    }
}

/// Returns the error of Redis in `error`, in the crate's terms.
fn server_error(error: &Error) -> Option<RedisResult<redis::ServerError>> {
    // The crate does not treat a failed login as the error of a command.
    let server = error
        .server_error()
        .filter(|server| error.kind() != ErrorKind::Unauthorized || server.code() == "NOPERM")?;
    let discarded = error.kind() == ErrorKind::Discarded && server.code() != "EXECABORT";
    let code = if discarded { "EXECABORT " } else { "" };
    let doubt = if error.maybe_applied() { MAYBE_APPLIED } else { "" };
    Some(as_server_error(&format!("{code}{}{doubt}", with_code(server))))
}

/// Returns the text with a code before it if it has none: the crate treats its first word as one.
fn with_code(server: &ServerError) -> String {
    let (code, message) = (server.code(), server.message());
    if message.starts_with(code) { message.to_owned() } else { format!("{code} {message}") }
}

/// Parses an error with the crate's parser, the only code that knows its codes. A line break would
/// end the error.
fn as_server_error(text: &str) -> RedisResult<redis::ServerError> {
    let line = format!("-{}\r\n", text.replace(['\r', '\n'], " "));
    match redis::parse_redis_value(line.as_bytes())? {
        redis::Value::ServerError(error) => Ok(error),
        _ => Err((redis::ErrorKind::Parse, "an error that is none").into()),
    }
}

fn failure(error: &Error) -> RedisError {
    if let Some(server) = server_error(error) {
        return server.map_or_else(|unreadable| unreadable, RedisError::from);
    }
    let io = |kind: io::ErrorKind| RedisError::from(io::Error::new(kind, error.clone()));
    let general = |kind: redis::ErrorKind, what: &'static str| {
        RedisError::from((kind, what, error.to_string()))
    };
    match error.kind() {
        ErrorKind::Config
        | ErrorKind::InvalidCommand
        | ErrorKind::Unsupported
        | ErrorKind::Closed
        | ErrorKind::Discarded => general(redis::ErrorKind::Client, "refused before it was sent"),
        ErrorKind::Unauthorized => {
            general(redis::ErrorKind::AuthenticationFailed, "the token is not accepted")
        }
        ErrorKind::Decode | ErrorKind::ReplyTooLarge => {
            general(redis::ErrorKind::Parse, "the reply cannot be read")
        }
        ErrorKind::Conversion | ErrorKind::Inexact => {
            general(redis::ErrorKind::UnexpectedReturnType, "the reply cannot be used")
        }
        ErrorKind::Timeout => io(io::ErrorKind::TimedOut),
        ErrorKind::Connect => io(io::ErrorKind::ConnectionRefused),
        ErrorKind::Io => io(io::ErrorKind::ConnectionReset),
        ErrorKind::RateLimited | ErrorKind::Http | ErrorKind::Redis => io(io::ErrorKind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_shows_its_cursor() {
        let mut scan = redis::cmd("SSCAN");
        scan.arg("a\r\nb").cursor_arg(1234).arg("MATCH").arg("");
        let parts: Vec<_> = read(&scan).unwrap().parts().map(<[u8]>::to_vec).collect();
        assert_eq!(parts, [&b"SSCAN"[..], b"a\r\nb", b"1234", b"MATCH", b""]);
    }

    #[test]
    fn codes_are_those_that_the_crate_knows() {
        for (text, kind) in [
            (
                "NOSCRIPT No matching script.",
                redis::ErrorKind::Server(redis::ServerErrorKind::NoScript),
            ),
            ("MOVED 1 127.0.0.1:1", redis::ErrorKind::Server(redis::ServerErrorKind::Moved)),
            ("ERR syntax error", redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError)),
            ("no code at all", redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError)),
            ("WRONGTYPE Operation against", redis::ErrorKind::Extension),
        ] {
            assert_eq!(failure(&Error::redis(ServerError::new(text))).kind(), kind, "{text}");
        }
        let error = failure(&Error::redis(ServerError::new("two\r\n+lines")));
        assert_eq!((error.code(), error.detail()), (Some("ERR"), Some("two  +lines")));
    }

    #[test]
    fn no_error_forgets_that_the_command_may_have_run() {
        for kind in ErrorKind::EACH {
            for outcome in [Outcome::NotApplied, Outcome::Applied, Outcome::MaybeApplied] {
                let text = failure(&Error::custom(kind, outcome, "s")).to_string();
                assert_eq!(
                    text.contains("may have been applied"),
                    outcome == Outcome::MaybeApplied,
                    "{kind:?}: {text}"
                );
            }
        }
        let text = failure(&Error::redis(ServerError::new("ERR x script: 1, on @user_script:1.")))
            .to_string();
        assert!(text.ends_with(MAYBE_APPLIED), "{text}");
    }

    #[test]
    fn a_pipeline_with_a_lost_reply_is_lost() {
        let mut pipe = redis::pipe();
        pipe.cmd("INCR").cmd("INCR").cmd("INCR");
        let wrong = || Err(Error::redis(ServerError::new("WRONGTYPE x")));
        assert!(matches!(
            entries(&pipe, [Ok(Value::Int(1)), wrong()].into_iter()).unwrap()[..],
            [_, redis::Value::ServerError(_)]
        ));
        let lost = || Err(Error::new(ErrorKind::Connect, "gone"));
        let error = entries(&pipe, [Ok(Value::Int(1)), lost(), wrong()].into_iter()).unwrap_err();
        assert!(
            error.is_io_error() && error.to_string().contains("may have been applied"),
            "{error}"
        );
    }
}
