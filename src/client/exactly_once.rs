//! Exactly once: a command travels inside a script with a unique id. The server runs it the first
//! time, stores the reply, and returns the stored reply to a replay.
//!
//! The cost is a key that lives ten minutes, and about twice the work of the command. A value that
//! Lua cannot hold exactly, an integer reply of 2⁵³ or more, is an error instead of a wrong number.

use crate::backend::{Backend, Reply};
use crate::command::Script;
use crate::command::table::{self, Flags};
use crate::command::{CallOptions, Command, Idempotency, keys};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::value::Value;
use std::sync::LazyLock;
use std::time::Duration;
use uuid::Uuid;

/// Time for which a reply is stored: longer than any reasonable deadline, so that every replay
/// finds it.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Lua's stack holds 8000 values; the script needs some itself.
const MOST_ARGUMENTS: usize = 7000;

/// Prefix of the keys of stored replies, before a UUID and after the client's prefix.
const PREFIX: &str = "redis_rest:once:";

/// `KEYS[1]` stores the replies; the others are named for servers that lock by key. `ARGV`: how
/// long to store them, the number of commands, then for each the number of its words and the words.
const ONCE: &str = r#"
local kept = redis.call('GET', KEYS[1])
if not kept then
  local function exact(reply)
    if type(reply) == 'number' then return math.abs(reply) < 9007199254740992 end
    if type(reply) == 'table' then
      for _, item in ipairs(reply) do
        if not exact(item) then return false end
      end
    end
    return true
  end
  local replies, at = {}, 3
  for n = 1, tonumber(ARGV[2]) do
    local words = {}
    for word = 1, tonumber(ARGV[at]) do words[word] = ARGV[at + word] end
    at = at + #words + 1
    local reply = redis.pcall(unpack(words))
    if type(reply) == 'table' and reply.err then reply = {err = reply.err} end
    if not exact(reply) then reply = {err = 'INEXACT an integer reply that a script cannot hold'} end
    replies[n] = reply
  end
  kept = cmsgpack.pack(replies)
  redis.call('SET', KEYS[1], kept, 'PX', ARGV[1])
end
return cmsgpack.unpack(kept)
"#;

static SCRIPT: LazyLock<Script> =
    LazyLock::new(|| Script::new(ONCE.trim_start()).idempotency(Idempotency::Idempotent));

/// Returns one command that runs `commands` once, even if it is sent again. Checked here, before
/// anything is sent. `prefix` is the client's, so that its permissions apply to the stored reply
/// too.
pub(crate) fn wrap(prefix: &[u8], commands: &[Command]) -> Result<Command> {
    let refuse = |index: usize, reason: &'static str| {
        Err(Error::new(ErrorKind::InvalidCommand, reason).with_detail(format!("entry {index}")))
    };
    let mut call =
        SCRIPT.key([prefix, PREFIX.as_bytes(), Uuid::new_v4().to_string().as_bytes()].concat());
    let mut words = 0;
    for (index, command) in commands.iter().enumerate() {
        command.check()?;
        if table::flags(command).any(Flags::NO_SCRIPT) {
            return refuse(index, "exactly once: Redis does not allow this command in scripts");
        }
        words += command.parts().len() + 1;
        if words > MOST_ARGUMENTS {
            return refuse(
                index,
                "exactly once: more than 7000 arguments do not fit into a script call",
            );
        }
        call = keys_of(command).fold(call, crate::ScriptCall::key);
    }
    call = call.arg(crate::command::groups::millis(KEPT_FOR)).arg(commands.len());
    for command in commands {
        call = command.parts().fold(call.arg(command.parts().len()), crate::ScriptCall::arg);
    }
    Ok(call.call::<Value>().into_command())
}

/// Returns the keys of a command; of an unknown one none, rather than an argument that may be
/// something else.
fn keys_of(command: &Command) -> impl Iterator<Item = &[u8]> {
    keys::positions(command).unwrap_or_default().into_iter().filter_map(|index| command.get(index))
}

/// Returns the commands inside a command of [`wrap`]; none for any other command.
pub(crate) fn unwrapped(command: &Command) -> Vec<Command> {
    let script = command.get(0).unwrap_or_default();
    let is_ours = (command.is("EVALSHA") && script == SCRIPT.sha1().as_bytes())
        || (command.is("EVAL") && script == SCRIPT.text().as_bytes());
    let number = |part: Option<&[u8]>| std::str::from_utf8(part?).ok()?.parse::<usize>().ok();
    let Some(keys) = number(command.get(1)).filter(|_| is_ours) else { return Vec::new() };
    // Skips the keys, the storage time of replies, and the number of commands.
    let mut words = command.arguments().skip(2 + keys + 2);
    std::iter::from_fn(|| {
        let count = number(words.next())?;
        Some(Command::from_parts(words.by_ref().take(count).collect::<Vec<_>>()))
    })
    .collect()
}

/// Reads the reply to [`wrap`] of `count` commands.
pub(crate) fn unwrap(reply: Reply, count: usize) -> Result<Vec<Reply>> {
    let replies = match reply? {
        Value::Array(replies) if replies.len() == count => replies,
        _ => {
            return Err(Error::new(
                ErrorKind::Conversion,
                "exactly once: the script answered something else",
            ));
        }
    };
    Ok(replies
        .into_iter()
        .map(|reply| match reply {
            Value::Error(server) if server.code() == "INEXACT" => Err(Error::new(
                ErrorKind::Inexact,
                "the reply is an integer of 2^53 or more, which a script cannot hold exactly",
            )
            .with_outcome(Outcome::Applied)),
            Value::Error(server) => Err(Error::redis(server).with_outcome(Outcome::NotApplied)),
            reply => Ok(reply),
        })
        .collect())
}

/// Refuses a deadline beyond which a replay would find no reply any more: the call's, or else the
/// backend's own.
pub(crate) fn check_deadline(backend: &dyn Backend, options: &CallOptions) -> Result<()> {
    match backend.deadline(options) {
        Some(deadline) if deadline >= KEPT_FOR => Err(Error::new(
            ErrorKind::InvalidCommand,
            "exactly once: the deadline must be shorter than the 10 minutes for which replies are kept",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    #[test]
    fn exactly_once_refuses_commands_that_scripts_cannot_run() {
        for name in ["EVAL", "fcall", "CONFIG", "SCRIPT LOAD"] {
            assert_eq!(wrap(b"", &[cmd(name)]).unwrap_err().kind(), ErrorKind::InvalidCommand);
        }
        assert!(wrap(b"", &[cmd("DEL").args(vec!["k"; 6998])]).is_ok());
        assert!(wrap(b"", &[cmd("DEL").args(vec!["k"; 7000])]).is_err());
    }

    #[test]
    fn commands_are_found_again() {
        let commands = [cmd("INCRBY").arg("k").arg(2), cmd("GET").arg("k")];
        let wrapped = wrap(b"app:", &commands).unwrap();
        for wrapped in [crate::command::as_eval(&wrapped).unwrap(), wrapped] {
            let found = unwrapped(&wrapped);
            assert_eq!(found.len(), 2);
            assert!(found.iter().zip(&commands).all(|(one, other)| one.parts().eq(other.parts())));
        }
        assert!(unwrapped(&cmd("EVAL").arg("return 1").arg(0)).is_empty());
    }

    #[test]
    fn the_keys_are_named() {
        let named = |line: &str, keys: &str| {
            let mut words = line.split(' ');
            let command = words.next().map(cmd).unwrap().args(words.collect::<Vec<_>>());
            let call = wrap(b"app:", &[command]).unwrap();
            let count = String::from_utf8_lossy(call.get(1).unwrap()).parse().unwrap();
            let all: Vec<_> =
                call.arguments().skip(2).take(count).map(String::from_utf8_lossy).collect();
            assert!(all[0].starts_with("app:redis_rest:once:"));
            assert_eq!(all[1..].join(" "), keys, "{line}");
        };
        named("INCRBY k 1", "k");
        named("mset a 1 b 2", "a b");
        named("DEL a b", "a b");
        named("LMPOP 2 a b LEFT", "a b");
        named("BITOP AND d a", "d a");
        named("XREADGROUP GROUP g c STREAMS a b > >", "a b");
        named("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b");
        named("SORT k BY w_* STORE d", "k d");
        named("LMPOP 18446744073709551615 a LEFT", "");
        named("MSETEX 18446744073709551615 a 1", "");
        named("NEVER.HEARD.OF 1", "");
        named("PING", "");
    }
}
