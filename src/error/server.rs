//! [`ServerError`]: what Redis said, and how much of it may be shown.

use super::ServerErrorClass;
use std::fmt;
use std::sync::Arc;

/// An error in Redis's words: a code, and a text that may quote keys and arguments.
///
/// `Display` and `Debug` show the code and, if the text is one of Redis's constant sentences, the
/// text.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError(Arc<str>);

/// Codes that Redis, its cluster and Upstash use. Another first word may be data (a script can
/// return any text), so it is not shown.
const CODES: [&str; 31] = [
    "ERR",
    "WRONGTYPE",
    "NOSCRIPT",
    "NOPERM",
    "NOAUTH",
    "WRONGPASS",
    "READONLY",
    "LOADING",
    "BUSY",
    "BUSYKEY",
    "BUSYGROUP",
    "NOGROUP",
    "UNBLOCKED",
    "UNKILLABLE",
    "TRYAGAIN",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "MOVED",
    "ASK",
    "EXECABORT",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "NOMASTERLINK",
    "NOTBUSY",
    "INPROG",
    "NOPROTO",
    "NOKEY",
    "NOQUORUM",
    "INVALIDOBJ",
];

/// Sentences without data: exact, or up to the first quoted name.
const SENTENCES: [&str; 48] = [
    "Operation against a key holding the wrong kind of value",
    "No matching script",
    "Consumer Group name already exists",
    "No such key",
    "You can't write against a read only",
    "command not allowed when used memory",
    "command not allowed under OOM",
    "Redis is loading the dataset in memory",
    "Redis is busy running a script",
    "Redis is configured to save RDB snapshots",
    "Authentication required",
    "invalid username-password pair",
    "invalid or missing auth token",
    "Keys in request don't hash to the same slot",
    "Transaction discarded because of",
    "Target key name already exists",
    "The cluster is down",
    "Error compiling script",
    "Error running script",
    "Function not found",
    "value is not an integer or out of range",
    "value is not a valid float",
    "value is out of range",
    "increment or decrement would overflow",
    "increment would produce NaN or Infinity",
    "syntax error",
    "no such key",
    "index out of range",
    "hash value is not an integer",
    "hash value is not a float",
    "wrong number of arguments",
    "unknown command",
    "unknown subcommand",
    "invalid expire time",
    "min or max is not a float",
    "min or max not valid string range item",
    "resulting score is not a number (NaN)",
    "max request size exceeded",
    "max response size exceeded",
    "max daily request limit exceeded",
    "max requests limit exceeded",
    "max key size exceeded",
    "max single record size exceeded",
    "DB capacity quota exceeded",
    "DB connection refused",
    "caller gone",
    "Writes are temporarily rejected due to server upgrade",
    "Number of keys can't be greater than number of args",
];

impl ServerError {
    /// Creates an error from Redis's text, without the leading `-`.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the first word, such as `WRONGTYPE`; `ERR` if the text does not start with a code.
    pub fn code(&self) -> &str {
        let first = self.0.split([' ', '\r', '\n']).next().unwrap_or_default();
        let is_code = !first.is_empty()
            && first.len() <= 32
            && first.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && first.as_bytes()[0].is_ascii_uppercase()
            // Upstash's "DB connection refused" and "DB capacity quota exceeded" have no code.
            && first != "DB";
        if is_code { first } else { "ERR" }
    }

    /// Returns the code if it is one of Redis's; another may be data.
    pub(super) fn known_code(&self) -> Option<&'static str> {
        CODES.into_iter().find(|known| *known == self.code())
    }

    /// Returns the whole text. It may quote keys and arguments.
    pub fn message(&self) -> &str {
        &self.0
    }

    /// Returns the text without the code.
    pub(super) fn sentence(&self) -> &str {
        self.0.strip_prefix(self.code()).unwrap_or(&self.0).trim_start()
    }

    /// Returns the failing line of the script, which has at most six digits.
    fn script_line(&self) -> Option<&str> {
        let after = self.0.split("user_script:").nth(1)?;
        let digits = after.split(|byte: char| !byte.is_ascii_digit()).next()?;
        (1..=6).contains(&digits.len()).then_some(digits)
    }

    /// Returns its meaning.
    pub fn class(&self) -> ServerErrorClass {
        ServerErrorClass::of(self)
    }

    /// Returns true for a temporary refusal of everything: Redis loads its data, runs a script, or
    /// waits for its master. Nothing ran.
    pub(crate) fn is_busy(&self) -> bool {
        // A cluster that is down may stay so.
        let refused = self.refusal();
        let is_class =
            matches!(refused.class(), ServerErrorClass::Busy | ServerErrorClass::NotReady);
        is_class && refused.code() != "CLUSTERDOWN" && !self.may_have_run()
    }

    /// Returns true for the refusal of a Redis that runs a script. Nothing ran.
    #[cfg(feature = "native")]
    pub(crate) fn is_busy_script(&self) -> bool {
        self.refusal().class() == ServerErrorClass::Busy && !self.may_have_run()
    }

    /// Returns the error itself, or the one for which a transaction was discarded.
    fn refusal(&self) -> Self {
        let reason = self.0.strip_prefix("EXECABORT Transaction discarded because of: ");
        reason.map_or_else(|| self.clone(), Self::new)
    }

    /// Returns true for an error after which the command, or a part of it, may have taken effect:
    /// raised inside a running script, sent by a proxy whose caller was gone, or about a reply that
    /// the server could not carry.
    pub(crate) fn may_have_run(&self) -> bool {
        let (text, class) = (self.0.as_ref(), self.class());
        if class == ServerErrorClass::NoScript || text.starts_with("ERR Error compiling script") {
            return false;
        }
        // Redis 7 appends `script: <sha>, on @user_script:<line>.`; Redis 6 and Upstash start with
        // the call that failed.
        class.facts().may_have_run
            || text.contains("user_script")
            || text.starts_with("ERR Error running script")
            || text.contains("Script killed by user")
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(code) = self.known_code() else {
            return f.write_str("Redis error with a code of its own");
        };
        let sentence = self.sentence();
        match SENTENCES.iter().find(|known| sentence.starts_with(**known)) {
            Some(known) => write!(f, "{code} {known}")?,
            None => write!(f, "Redis error {code}")?,
        }
        if let Some(line) = self.script_line() {
            write!(f, ", line {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerError({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_texts_without_one() {
        assert_eq!(ServerError::new("Invalid token").code(), "ERR");
        assert_eq!(ServerError::new("").code(), "ERR");
        assert_eq!(ServerError::new("DB connection refused").code(), "ERR");
        assert_eq!(ServerError::new("WRONGTYPE Operation against").code(), "WRONGTYPE");
    }

    #[test]
    fn busy_servers_ran_nothing() {
        for (text, busy) in [
            ("BUSY Redis is busy running a script.", true),
            ("LOADING Redis is loading the dataset in memory", true),
            ("EXECABORT Transaction discarded because of: BUSY Redis is busy", true),
            ("EXECABORT Transaction discarded because of previous errors.", false),
            ("BUSYKEY Target key name already exists.", false),
            ("BUSY x script: 1, on @user_script:1.", false),
            ("UNKILLABLE Sorry the script already executed write commands", false),
        ] {
            assert_eq!(ServerError::new(text).is_busy(), busy, "{text}");
        }
    }
}
