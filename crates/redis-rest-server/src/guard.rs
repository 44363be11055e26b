//! Decides which commands are served.
//!
//! Refused are commands that block, change or take over the connection that all requests share, or
//! harm the server behind it: by the table of commands, and for commands that are not in it by the
//! flags that the backend's `COMMAND INFO` gives.
//!
//! Scripts bypass the guard. Redis itself refuses inside them only commands flagged `noscript`:
//! blocking, subscribing, `MULTI`, `AUTH`, `CONFIG`, `SHUTDOWN` and the like. `SELECT`, `MIGRATE`,
//! `RESTORE-ASKING`, `PFDEBUG`, `SLOWLOG`, `MEMORY` and `INFO` run, the read-only ones among them
//! also by `EVAL_RO`. Therefore a read-only token runs no script. To give a full token to clients
//! that must not run these commands, serve a Redis user without these rights (see SECURITY.md).

use redis_rest::backend::Backend;
use redis_rest::cmd::Flags;
use redis_rest::{
    CallOptions, Command, Error, Idempotency, Result, ServerError, Value, cmd, internal,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rights of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Full,
    ReadOnly,
}

/// Largest absolute value of a count.
const LARGEST_COUNT: u64 = 1 << 31;

/// Smallest size of an element in a reply: an empty string in RESP2.
const LEAST_ELEMENT_BYTES: u64 = 6;

/// The backend's information about a command or subcommand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    administers: bool,
    blocks: bool,
    read_only: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Info {
    itself: Told,
    subcommands: HashMap<String, Told>,
}

/// Decides which commands are served, and caches the backend's information about its commands.
pub(super) struct Guard {
    /// Holds only existing commands, so that it cannot grow beyond their number.
    known: Mutex<HashMap<String, Arc<Info>>>,
    max_reply_bytes: usize,
}

impl Guard {
    /// Creates a guard that refuses commands whose reply is certainly larger than
    /// `max_reply_bytes`.
    pub(super) fn new(max_reply_bytes: usize) -> Self {
        Self { known: Mutex::default(), max_reply_bytes }
    }

    /// Returns `Ok` if `command` may be sent to the backend.
    ///
    /// # Errors
    /// Fails with a refusal in Redis's wording, or if the backend could not be asked; nothing was
    /// sent then.
    pub(super) async fn check(
        &self,
        backend: &dyn Backend,
        command: &Command,
        access: Access,
    ) -> Result<()> {
        if let Some(reason) = refusal(command) {
            return Err(refused(reason));
        }
        self.check_count(command)?;
        let row = cmd::find(command);
        let has = |flags: Flags| row.is_some_and(|row| row.flags.any(flags));
        if access == Access::ReadOnly && has(Flags::HARMLESS) {
            return Ok(());
        }
        // A script reads what the guard refuses, although some are flagged read-only.
        if access == Access::ReadOnly && has(Flags::RUNS_SCRIPT) {
            return Err(no_permission(command));
        }
        let told = self.info(backend, command).await?.map(|info| info.of(command));
        // Flags say more than the known commands do: `PUBLISH` subscribes to nothing, and `XREAD`
        // blocks only when told to.
        let refuses = |told: Told| told.administers || told.blocks && row.is_none();
        if told.is_some_and(refuses) {
            return Err(refused("it blocks, subscribes or administers"));
        }
        let allowed = match (access, told) {
            // A command unknown to the backend: the backend's own error is the best one.
            (Access::Full, _) => true,
            (Access::ReadOnly, Some(told)) => told.read_only,
            // A backend without `COMMAND INFO`.
            (Access::ReadOnly, None) => command.idempotency() == Idempotency::ReadOnly,
        };
        if allowed { Ok(()) } else { Err(no_permission(command)) }
    }

    /// A negative count repeats elements, so that a small set makes a reply of any size: Redis
    /// would build all of it. Redis 7.0 loops for ever on one near the smallest integer.
    fn check_count(&self, command: &Command) -> Result<()> {
        let counts = cmd::find(command).is_some_and(|row| row.flags.any(Flags::COUNT));
        let Some(count) = command.get(1).filter(|_| counts) else { return Ok(()) };
        let Some(count) = std::str::from_utf8(count).ok().and_then(|text| text.parse::<i64>().ok())
        else {
            return Ok(());
        };
        let fits = (self.max_reply_bytes as u64 / LEAST_ELEMENT_BYTES).min(LARGEST_COUNT);
        let most = if count < 0 { fits } else { LARGEST_COUNT };
        if count.unsigned_abs() <= most {
            return Ok(());
        }
        let text = format!("ERR value is out of range: the largest count is {most}");
        Err(Error::redis(ServerError::new(text)))
    }

    async fn info(&self, backend: &dyn Backend, command: &Command) -> Result<Option<Arc<Info>>> {
        let name = String::from_utf8_lossy(command.name()).to_ascii_lowercase();
        if let Some(info) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Some(Arc::clone(info)));
        }
        let info =
            match backend.execute(&cmd("COMMAND INFO").arg(&name), &CallOptions::default()).await {
                Ok(Value::Array(mut items)) => items.pop().and_then(|item| Info::read(&item)),
                Ok(_) => None,
                Err(error) if error.server_message().is_some() => None,
                Err(error) => return Err(error.with_outcome(redis_rest::Outcome::NotApplied)),
            };
        let info = info.map(Arc::new);
        if let Some(info) = &info {
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(name, Arc::clone(info));
        }
        Ok(info)
    }
}

impl Info {
    /// Reads an entry of `COMMAND INFO`: the flags are the third element, and since Redis 7 the
    /// subcommands the tenth.
    fn read(entry: &Value) -> Option<Self> {
        let Value::Array(fields) = entry else { return None };
        let itself = Told::read(fields.get(2)?)?;
        let mut subcommands = HashMap::new();
        if let Some(Value::Array(entries)) = fields.get(9) {
            for entry in entries {
                if let Value::Array(fields) = entry
                    && let (Some(Value::Bytes(name)), Some(told)) =
                        (fields.first(), fields.get(2).and_then(Told::read))
                {
                    // `script|load`
                    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                    subcommands
                        .insert(name.rsplit('|').next().unwrap_or_default().to_owned(), told);
                }
            }
        }
        Some(Self { itself, subcommands })
    }

    /// Returns the information about the subcommand that `command` names, else about the command.
    fn of(&self, command: &Command) -> Told {
        let subcommand =
            command.get(0).map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
        subcommand.and_then(|name| self.subcommands.get(&name)).copied().unwrap_or(self.itself)
    }
}

impl Told {
    fn read(list: &Value) -> Option<Self> {
        let Value::Array(items) = list else { return None };
        let has = |flag: &str| {
            items
                .iter()
                .any(|item| matches!(item, Value::Bytes(name) if name.as_ref() == flag.as_bytes()))
        };
        Some(Self {
            administers: has("admin"),
            blocks: has("blocking") || has("pubsub"),
            read_only: has("readonly"),
        })
    }
}

/// Returns the reason to refuse a command by its name and arguments alone.
fn refusal(command: &Command) -> Option<&'static str> {
    if let Some(reason) = internal::refused_over_rest(command) {
        Some(reason)
    } else if command.is("SELECT") {
        // Includes `SELECT 0`: the backend's connection may use another database.
        Some("it would change the connection that all requests share")
    } else if cmd::find(command).is_some_and(|row| row.flags.any(Flags::ADMIN)) {
        Some("it could harm the server")
    } else {
        None
    }
}

fn refused(reason: &str) -> Error {
    Error::redis(ServerError::new(format!("ERR this command is not available over REST: {reason}")))
}

fn no_permission(command: &Command) -> Error {
    let name: String =
        String::from_utf8_lossy(command.name()).to_ascii_lowercase().chars().take(64).collect();
    Error::redis(ServerError::new(format!(
        "NOPERM this user has no permissions to run the '{name}' command"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_in_any_case() {
        assert!(refusal(&cmd("select").arg(0)).is_some());
        assert!(refusal(&cmd("script").arg("kill")).is_some());
        assert!(refusal(&cmd("SCRIPT LOAD").arg("return 1")).is_none());
        assert!(refusal(&cmd("FLUSHALL")).is_none());
    }

    #[test]
    fn counts_have_a_limit() {
        let guard = Guard::new(6000);
        let check =
            |name: &'static str, count: i64| guard.check_count(&cmd(name).arg("k").arg(count));
        for name in ["srandmember", "HRANDFIELD", "ZRANDMEMBER", "SPOP", "LPOP", "RPOP"] {
            assert!(check(name, 1 << 31).is_ok() && check(name, -1000).is_ok(), "{name}");
            for count in [(1 << 31) + 1, -1001, -(1 << 31), i64::MIN, i64::MAX, i64::MIN / 2] {
                assert!(check(name, count).is_err(), "{name} {count}");
            }
        }
        assert!(check("LPUSH", i64::MIN).is_ok());
        let no_number = cmd("LPOP").arg("k").arg("99999999999999999999");
        assert!(guard.check_count(&no_number).is_ok(), "Redis refuses it by itself");
    }

    #[test]
    fn flags_of_subcommands() {
        let flags = |names: &[&'static str]| {
            Value::Array(names.iter().map(|name| Value::bytes(*name)).collect())
        };
        let entry = |name: &'static str, list: Value, subcommands: Vec<Value>| {
            let mut fields = vec![Value::bytes(name), Value::Int(2), list];
            fields.resize(9, Value::Int(0));
            fields.push(Value::Array(subcommands));
            Value::Array(fields)
        };
        let subcommands = vec![
            entry("x|look", flags(&["readonly"]), vec![]),
            entry("x|stop", flags(&["admin"]), vec![]),
        ];
        let info = Info::read(&entry("x", flags(&["write"]), subcommands)).unwrap();
        assert_eq!(info.of(&cmd("X LOOK")), Told { read_only: true, ..Told::default() });
        assert_eq!(info.of(&cmd("X STOP")), Told { administers: true, ..Told::default() });
        assert_eq!(info.of(&cmd("X other")), Told::default());
        assert!(Info::read(&Value::Nil).is_none());
    }
}
