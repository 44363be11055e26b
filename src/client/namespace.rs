//! A client's modifications of its commands: a prefix of every key, and whether it may write. No
//! I/O.

use crate::command::table::{self, Flags};
use crate::command::{Command, Idempotency, keys, safety};
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;
use std::borrow::Cow;

#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    prefix: Vec<u8>,
    read_only: bool,
}

impl Scope {
    /// Returns the namespace with another prefix after the existing ones.
    pub(crate) fn prefixed(&self, prefix: &[u8]) -> Self {
        Self { prefix: [&self.prefix, prefix].concat(), ..self.clone() }
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    pub(crate) fn only_reads(&self) -> bool {
        self.read_only
    }

    pub(crate) fn read_only(&self) -> Self {
        Self { read_only: true, ..self.clone() }
    }

    /// Returns the command as sent.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: a write of a client that only reads, or a command whose keys are not known.
    pub(crate) fn admit<'a>(&self, command: &'a Command) -> Result<Cow<'a, Command>> {
        if self.read_only && safety::classify(command) != Idempotency::ReadOnly {
            return Err(Error::new(ErrorKind::Unsupported, "this client only reads"));
        }
        if self.prefix.is_empty() {
            return Ok(Cow::Borrowed(command));
        }
        if command.is("SCAN") {
            return Ok(Cow::Owned(self.scan(command)));
        }
        if command.is("KEYS") {
            return Ok(Cow::Owned(command.with_prefixes(&[0], &escaped(&self.prefix))));
        }
        if table::flags(command).any(Flags::WHOLE_KEYSPACE) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this would reach beyond the client's prefix",
            ));
        }
        if self.prefix.contains(&b'*') && (command.is("SORT") || command.is("SORT_RO")) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the client's prefix has a `*`, which would be a pattern in this command",
            ));
        }
        let mut positions = keys::positions(command).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "which arguments are keys is not known, so they cannot be given the client's prefix")
        })?;
        positions.extend(keys::patterns(command));
        Ok(Cow::Owned(command.with_prefixes(&positions, &self.prefix)))
    }

    /// Returns `SCAN` with a pattern that begins with the prefix.
    fn scan(&self, command: &Command) -> Command {
        let pattern =
            command.arguments().position(|argument| argument.eq_ignore_ascii_case(b"MATCH"));
        match pattern.filter(|place| command.get(place + 1).is_some()) {
            Some(place) => command.with_prefixes(&[place + 1], &escaped(&self.prefix)),
            None => command.clone().arg("MATCH").arg([&escaped(&self.prefix)[..], b"*"].concat()),
        }
    }

    /// Returns the reply with the prefix removed from its keys.
    pub(crate) fn strip(&self, command: &Command, reply: Value) -> Value {
        if self.prefix.is_empty() {
            return reply;
        }
        let is = |names: &[&str]| names.iter().any(|name| command.is(name));
        match reply {
            Value::Array(names) if is(&["KEYS"]) => {
                Value::Array(names.into_iter().map(|name| self.stripped(name)).collect())
            }
            Value::Array(mut page) if is(&["SCAN"]) => {
                if let Some(Value::Array(names)) = page.get_mut(1) {
                    names.iter_mut().for_each(|name| {
                        *name = self.stripped(std::mem::replace(name, Value::Nil))
                    });
                }
                Value::Array(page)
            }
            Value::Array(parts) if is(&["LMPOP", "ZMPOP"]) => self.strip_first(parts),
            Value::Array(streams) if is(&["XREAD", "XREADGROUP"]) => {
                let of_stream = |stream| {
                    if let Value::Array(parts) = stream { self.strip_first(parts) } else { stream }
                };
                Value::Array(streams.into_iter().map(of_stream).collect())
            }
            other => other,
        }
    }

    fn strip_first(&self, mut parts: Vec<Value>) -> Value {
        if let Some(first) = parts.first_mut() {
            *first = self.stripped(std::mem::replace(first, Value::Nil));
        }
        Value::Array(parts)
    }

    fn stripped(&self, name: Value) -> Value {
        match name {
            Value::Bytes(bytes) if bytes.starts_with(&self.prefix) => {
                Value::Bytes(bytes.slice(self.prefix.len()..))
            }
            other => other,
        }
    }
}

/// Returns the prefix for use in a glob pattern, with its special characters escaped.
fn escaped(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len());
    for &byte in prefix {
        if b"*?[]\\^".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}
