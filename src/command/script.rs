//! Lua scripts: sent by their SHA-1, and as text if the server does not have them yet.

use crate::command::{Call, Command, Idempotency, ToArg, ToArgs, Unbound, cmd};
use crate::value::FromValue;
use std::fmt;
use std::sync::Arc;

/// A Lua script. Cheap to clone; create it once.
///
/// Running it sends `EVALSHA`; if the server replies `NOSCRIPT`, the whole text is sent by `EVAL`
/// (one more request, after which the server has the script). Every key that the script uses must
/// be passed by [`ScriptCall::key`]: servers route and lock by it.
///
/// ```
/// # async fn run(client: redis_rest::Client) -> redis_rest::Result<()> {
/// use redis_rest::Script;
/// let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
/// let sum: i64 = add.key("visits").arg(3).call().on(&client).await?;
/// let sum: i64 = add.keys(["visits"]).args([3]).call().on(&client).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Script(Arc<Inner>);

struct Inner {
    text: String,
    sha1: String,
    safety: Idempotency,
}

impl Script {
    /// Creates a script that must not be sent twice.
    pub fn new(text: impl Into<String>) -> Self {
        Self::with_idempotency(text.into(), Idempotency::NonIdempotent)
    }

    fn with_idempotency(text: String, safety: Idempotency) -> Self {
        let sha1 = sha1_smol::Sha1::from(&text).digest().to_string();
        Self(Arc::new(Inner { text, sha1, safety }))
    }

    /// Declares the effect of running the script twice; decides whether it is resent if a reply was
    /// lost.
    #[must_use]
    pub fn idempotency(self, safety: Idempotency) -> Self {
        Self::with_idempotency(self.0.text.clone(), safety)
    }

    /// Returns the SHA-1 of the text, in lower-case hex, which identifies it on the server.
    pub fn sha1(&self) -> &str {
        &self.0.sha1
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Starts a call with its first key.
    pub fn key(&self, key: impl ToArg) -> ScriptCall {
        self.prepare().key(key)
    }

    /// Starts a call with its keys.
    pub fn keys(&self, keys: impl ToArgs) -> ScriptCall {
        self.prepare().keys(keys)
    }

    /// Starts a call without keys, with its arguments.
    pub fn args(&self, args: impl ToArgs) -> ScriptCall {
        self.prepare().args(args)
    }

    /// Starts a call without keys.
    pub fn prepare(&self) -> ScriptCall {
        ScriptCall { script: self.clone(), keys: cmd("keys"), args: cmd("args") }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", self.0.sha1)
    }
}

/// A call of a [`Script`]: its keys and arguments.
#[derive(Clone, Debug)]
#[must_use]
pub struct ScriptCall {
    script: Script,
    keys: Command,
    args: Command,
}

impl ScriptCall {
    /// Adds a key.
    pub fn key(mut self, key: impl ToArg) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds keys.
    pub fn keys(mut self, keys: impl ToArgs) -> Self {
        self.keys.push_all(keys);
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl ToArg) -> Self {
        self.args.push(arg);
        self
    }

    /// Adds zero or more arguments.
    pub fn args(mut self, args: impl ToArgs) -> Self {
        self.args.push_all(args);
        self
    }

    /// Returns the command, for a client (`.call().on(&client).await`) or a pipeline. In a
    /// transaction it is sent as `EVAL`, since a `NOSCRIPT` there would leave the rest of the
    /// transaction applied. In a pipeline a script that the server does not have runs after the
    /// other entries: do not let them depend on it.
    pub fn call<R: FromValue>(self) -> Call<R, Unbound> {
        let mut command = cmd("EVALSHA").arg(&self.script.0.sha1).arg(self.keys.arguments().len());
        self.keys.arguments().chain(self.args.arguments()).for_each(|part| command.push(part));
        Call::new(command.with_idempotency(self.script.0.safety).with_script(self.script))
    }
}

/// Returns the `EVAL` equivalent to this `EVALSHA` of a [`Script`]; `None` for any other command.
pub(crate) fn as_eval(command: &Command) -> Option<Command> {
    let script = command.script()?;
    let mut eval = cmd("EVAL").arg(script.text());
    command.arguments().skip(1).for_each(|part| eval.push(part));
    Some(eval.with_idempotency(command.idempotency()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evalsha_and_its_eval() {
        let script = Script::new("return ARGV[1]").idempotency(Idempotency::ReadOnly);
        let several = script.keys(["k", "l"]).args((1, "a")).call::<String>().into_command();
        let parts: Vec<_> = several.arguments().skip(1).collect();
        assert_eq!(parts, [&b"2"[..], b"k", b"l", b"1", b"a"]);
        let command = script.key("k").arg("a").call::<String>().into_command();
        let parts: Vec<_> = command.parts().collect();
        assert_eq!(parts, [&b"EVALSHA"[..], script.sha1().as_bytes(), b"1", b"k", b"a"]);
        // Computed by `redis-cli script load "return ARGV[1]"`.
        assert_eq!(script.sha1(), "098e0f0d1448c0a81dafe820f66d460eb09263da");
        let eval = as_eval(&command).unwrap();
        assert_eq!(
            eval.parts().collect::<Vec<_>>(),
            [&b"EVAL"[..], b"return ARGV[1]", b"1", b"k", b"a"]
        );
        assert_eq!(eval.idempotency(), Idempotency::ReadOnly);
    }
}
