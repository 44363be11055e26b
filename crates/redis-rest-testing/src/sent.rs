//! Parses requests to commands, by the server's parser.

use redis_rest::Command;
use redis_rest::internal::within_exactly_once;
use redis_rest_server::internal::{self, Form};
use wiremock::Request;

/// Content of one request.
pub(super) struct Sent {
    pub(super) form: Form,
    pub(super) commands: Vec<Command>,
}

impl Sent {
    /// Returns `None` if the request contains no command.
    pub(super) fn read(request: &Request) -> Option<Self> {
        let (path, body) = (request.url.path(), request.body.as_slice());
        let form = Form::of(path);
        let commands = match form {
            Form::Single => vec![internal::command(body).ok()?],
            Form::Path => vec![internal::path(path, request.url.query(), body).ok()?],
            Form::Pipeline | Form::Transaction => internal::commands(body).ok()?,
            Form::Stream | Form::Unknown => return None,
        };
        Some(Self { form, commands })
    }
}

impl Sent {
    /// Returns true for a single command that a script executes [exactly
    /// once](redis_rest::Call::exactly_once).
    pub(super) fn is_exactly_once(&self) -> bool {
        matches!(self.form, Form::Single | Form::Path)
            && matches!(self.commands.as_slice(), [command] if !within_exactly_once(command).is_empty())
    }
}

/// Returns the commands in a request, in their order: a single command, or those of a pipeline or a
/// transaction. Empty if the request contains no command.
///
/// For custom matchers, and for the requests that a mock server
/// [received](wiremock::MockServer::received_requests).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redis_rest::Result<()> {
/// use redis_rest_testing::{config_for, result, commands};
/// use wiremock::{Mock, MockServer, Request};
///
/// let server = MockServer::start().await;
/// let writes_much = |request: &Request| commands(request).iter().any(|command| command.byte_len() > 1000);
/// Mock::given(writes_much).respond_with(result("OK")).mount(&server).await;
/// config_for(&server).build()?.set("key", "x".repeat(1000)).await?;
/// # Ok(()) }
/// ```
pub fn commands(request: &Request) -> Vec<Command> {
    Sent::read(request).map(|sent| sent.commands).unwrap_or_default()
}
