//! Matchers that select the requests of a mock.

use super::sent::Sent;
use http::header::AUTHORIZATION;
use redis_rest::internal::{key_positions, within_exactly_once};
use redis_rest::{Command, ToArg, ToArgs};
use redis_rest_server::internal::Form;
use wiremock::{Match, Request};

/// Matches a command by its name, in any case. `EXPIRE`, `TTL`, `SETEX` and similar names also
/// match the commands that the methods of these names send, in milliseconds (`PEXPIRE`, `PTTL`,
/// `PSETEX` …). A command to be executed [exactly once](redis_rest::Call::exactly_once) is matched
/// within its script.
///
/// Sees a command in a separate request: `POST /` with a JSON body, and the path form. A name of
/// two words (`SCRIPT LOAD`) is a name and its first argument. [`CommandMatch`] explains how to
/// restrict the match, and how to match commands in pipelines.
pub fn command(name: &str) -> CommandMatch {
    CommandMatch { name: words(name), ..CommandMatch::default() }
}

/// Matches any command with this key. See [`CommandMatch::with_key`].
pub fn with_key(key: impl ToArg) -> CommandMatch {
    CommandMatch::default().with_key(key)
}

/// Matches any command with a key that starts with this prefix. See
/// [`CommandMatch::with_key_prefix`].
pub fn with_key_prefix(prefix: impl ToArg) -> CommandMatch {
    CommandMatch::default().with_key_prefix(prefix)
}

/// Matches any command with exactly these arguments. See [`CommandMatch::with_args`].
pub fn with_args(args: impl ToArgs) -> CommandMatch {
    CommandMatch::default().with_args(args)
}

/// Matches a `/pipeline` of exactly the commands with these names, in this order.
///
/// Automatic batches are pipelines too, in the order of arrival: see [`CommandMatch::or_batched`].
pub fn pipeline_of<'a>(names: impl IntoIterator<Item = &'a str>) -> BatchMatch {
    BatchMatch { form: Form::Pipeline, names: Some(names.into_iter().map(words).collect()) }
}

/// Matches every `/pipeline`.
pub fn any_pipeline() -> BatchMatch {
    BatchMatch { form: Form::Pipeline, names: None }
}

/// Matches a `/multi-exec` of exactly the commands with these names, in this order.
pub fn transaction_of<'a>(names: impl IntoIterator<Item = &'a str>) -> BatchMatch {
    BatchMatch { form: Form::Transaction, names: Some(names.into_iter().map(words).collect()) }
}

/// Matches every `/multi-exec`.
pub fn any_transaction() -> BatchMatch {
    BatchMatch { form: Form::Transaction, names: None }
}

/// Matches a request with this token in its `Authorization` header.
pub fn bearer(token: impl Into<String>) -> BearerMatch {
    BearerMatch(token.into())
}

/// Matches requests by their commands: created by [`command`], [`with_key`], [`with_key_prefix`]
/// and [`with_args`]. All conditions must hold for **one** command.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redis_rest::Result<()> {
/// use redis_rest_testing::{command, config_for, redis_error, result};
/// use wiremock::{Mock, MockServer};
///
/// let server = MockServer::start().await;
/// Mock::given(command("SET").with_args(["name", "Ada"])).respond_with(result("OK")).expect(1).mount(&server).await;
/// Mock::given(command("GET").with_key_prefix("list:"))
///     .respond_with(redis_error("WRONGTYPE Operation against a key holding the wrong kind of value"))
///     .mount(&server)
///     .await;
///
/// let client = config_for(&server).build()?;
/// client.set("name", "Ada").await?;
/// let error = client.get::<Option<String>>("list:1").await.unwrap_err();
/// assert_eq!(error.redis_code(), Some("WRONGTYPE"));
/// # Ok(()) }
/// ```
///
/// # Automatic batching
///
/// A client sends commands that arrive while others are in flight as one `/pipeline`. By default a
/// matcher sees only commands in separate requests, so either
///
/// * the client under test sends each alone: that of [`FakeRedis`](super::FakeRedis), of
///   [`config_for`](super::config_for), or with
///   [`Config::no_auto_batch`](redis_rest::Config::no_auto_batch), or
/// * the mock responds to each command of such a batch alike: [`or_batched`](Self::or_batched), or
/// * a [`FakeRedis`](super::FakeRedis), which supports pipelines, responds, and faults in front of
///   it match [`anywhere`](Self::anywhere).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct CommandMatch {
    /// First words of the command; any name if empty.
    name: Vec<String>,
    keys: Vec<Vec<u8>>,
    key_prefixes: Vec<Vec<u8>>,
    args: Option<Vec<Vec<u8>>>,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, Default)]
enum Scope {
    #[default]
    Alone,
    Batched,
    Anywhere,
}

impl CommandMatch {
    /// Matches only commands with this key, as sent over the wire (with the prefix of
    /// [`Client::with_prefix`]). The keys of a script are those in `KEYS`; if this crate does not
    /// know the command, every argument counts as a key.
    ///
    /// [`Client::with_prefix`]: redis_rest::Client::with_prefix
    pub fn with_key(mut self, key: impl ToArg) -> Self {
        self.keys.push(bytes(key));
        self
    }

    /// Matches only commands with a key that starts with this prefix.
    pub fn with_key_prefix(mut self, prefix: impl ToArg) -> Self {
        self.key_prefixes.push(bytes(prefix));
        self
    }

    /// Matches only commands with exactly these arguments, all of them and in this order. If the
    /// name has two words, the second word is the first argument.
    pub fn with_args(mut self, args: impl ToArgs) -> Self {
        self.args = Some(Command::new("X").args(args).arguments().map(<[u8]>::to_vec).collect());
        self
    }

    /// Also matches a pipeline in which **every** command matches, such as an automatic batch of
    /// these commands alone. [`result`](super::result) and [`redis_error`](super::redis_error) then
    /// reply to each of them.
    pub fn or_batched(mut self) -> Self {
        self.scope = Scope::Batched;
        self
    }

    /// Also matches a pipeline or a transaction in which **some** command matches. For faults that
    /// affect the whole request.
    pub fn anywhere(mut self) -> Self {
        self.scope = Scope::Anywhere;
        self
    }

    fn fits(&self, command: &Command) -> bool {
        let once = within_exactly_once(command);
        self.fits_itself(command) || once.iter().any(|command| self.fits_itself(command))
    }

    fn fits_itself(&self, command: &Command) -> bool {
        let keys = || {
            let known = key_positions(command);
            known
                .unwrap_or_else(|| (0..command.arguments().len()).collect())
                .into_iter()
                .filter_map(|index| command.get(index))
        };
        let named = is_named(command, &self.name);
        named
            && self.keys.iter().all(|wanted| keys().any(|key| key == wanted))
            && self.key_prefixes.iter().all(|wanted| keys().any(|key| key.starts_with(wanted)))
            && self
                .args
                .as_ref()
                .is_none_or(|args| command.arguments().eq(args.iter().map(Vec::as_slice)))
    }
}

impl Match for CommandMatch {
    fn matches(&self, request: &Request) -> bool {
        let Some(sent) = Sent::read(request) else { return false };
        let alone = matches!(sent.form, Form::Single | Form::Path);
        match self.scope {
            Scope::Alone if !alone => false,
            Scope::Batched if !alone && sent.form != Form::Pipeline => false,
            Scope::Alone | Scope::Batched => sent.commands.iter().all(|command| self.fits(command)),
            Scope::Anywhere => sent.commands.iter().any(|command| self.fits(command)),
        }
    }
}

/// Matches pipelines or transactions: see [`pipeline_of`] and [`transaction_of`].
#[derive(Clone, Debug)]
#[must_use]
pub struct BatchMatch {
    form: Form,
    names: Option<Vec<Vec<String>>>,
}

impl Match for BatchMatch {
    fn matches(&self, request: &Request) -> bool {
        Sent::read(request).filter(|sent| sent.form == self.form).is_some_and(|sent| {
            let named = |names: &Vec<Vec<String>>| {
                sent.commands.len() == names.len()
                    && sent
                        .commands
                        .iter()
                        .zip(names)
                        .all(|(command, name)| is_named(command, name))
            };
            self.names.as_ref().is_none_or(named)
        })
    }
}

/// Matches a token: see [`bearer`]. The token is shown in no output.
#[derive(Clone)]
#[must_use]
pub struct BearerMatch(String);

impl Match for BearerMatch {
    fn matches(&self, request: &Request) -> bool {
        let header = request
            .headers
            .get(AUTHORIZATION)
            .and_then(|header| header.as_bytes().split_at_checked(7));
        header.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && token.trim_ascii() == self.0.as_bytes()
        })
    }
}

impl std::fmt::Debug for BearerMatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerMatch(******)")
    }
}

pub(super) fn words(name: &str) -> Vec<String> {
    name.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Names of methods that send a different command, in milliseconds.
const IN_MILLISECONDS: [(&str, &str); 9] = [
    ("EXPIRE", "PEXPIRE"),
    ("EXPIREAT", "PEXPIREAT"),
    ("EXPIRETIME", "PEXPIRETIME"),
    ("HEXPIRE", "HPEXPIRE"),
    ("HEXPIREAT", "HPEXPIREAT"),
    ("HEXPIRETIME", "HPEXPIRETIME"),
    ("HTTL", "HPTTL"),
    ("SETEX", "PSETEX"),
    ("TTL", "PTTL"),
];

/// Returns true if the command begins with these words, in any case, or is sent by a method of this
/// name.
pub(super) fn is_named(command: &Command, words: &[String]) -> bool {
    let begins = words.len() <= command.parts().len()
        && command
            .parts()
            .zip(words)
            .all(|(part, word)| part.eq_ignore_ascii_case(word.as_bytes()));
    let sent = |word: &String| {
        let mut known = IN_MILLISECONDS.iter();
        known.any(|(name, sent)| word.eq_ignore_ascii_case(name) && command.is(sent))
    };
    begins || matches!(words, [word] if sent(word))
}

fn bytes(arg: impl ToArg) -> Vec<u8> {
    Command::new("X").arg(arg).get(0).unwrap_or_default().to_vec()
}
