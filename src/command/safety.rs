//! The effect of sending a command twice. Decides whether a request whose reply was lost may be sent again.

use super::Command;
use super::table::{self, Flags, Keys, Row};
use crate::error::{Error, Outcome};
use std::collections::HashSet;

/// The effect of sending a command again after it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Idempotency {
    /// Writes nothing.
    ReadOnly,
    /// Same effect and same reply: `SET k v`.
    Idempotent,
    /// Same effect, but the second reply may differ: `DEL`, `SADD`, `SET k v NX`.
    EffectIdempotent,
    /// Another effect, or a reply that holds what the effect destroyed: `INCR`, `LPOP`. Also
    /// everything unknown.
    NonIdempotent,
}

impl Idempotency {
    /// Every variant, for tables and exhaustive tests.
    #[doc(hidden)]
    pub const ALL: [Self; 4] =
        [Self::ReadOnly, Self::Idempotent, Self::EffectIdempotent, Self::NonIdempotent];

    /// Returns the error of a command that an earlier attempt or call may have run.
    pub(crate) fn of_repeated(self, error: Error) -> Error {
        match error.outcome() {
            Outcome::NotApplied if self != Self::ReadOnly => {
                error.with_outcome(Outcome::MaybeApplied)
            }
            Outcome::NotApplied | Outcome::Applied | Outcome::MaybeApplied => error,
        }
    }
}

/// Returns the idempotency of a command without a declared one, by its name and, if they matter,
/// its arguments.
pub(crate) fn classify(command: &Command) -> Idempotency {
    let Some(row) = table::find(command) else { return Idempotency::NonIdempotent };
    row.safety.unwrap_or_else(|| by_arguments(&row, command))
}

fn by_arguments(row: &Row, command: &Command) -> Idempotency {
    let has = |option: &str, from: usize| command.has(option, from);
    match row.command {
        "SET" if has("GET", 2) => Idempotency::NonIdempotent,
        "SET"
            if ["NX", "XX", "IFEQ", "IFNE", "IFDEQ", "IFDNE"]
                .iter()
                .any(|option| has(option, 2)) =>
        {
            Idempotency::EffectIdempotent
        }
        "SET" => Idempotency::Idempotent,
        "ZADD" if has("INCR", 1) => Idempotency::NonIdempotent,
        "ZADD" => Idempotency::EffectIdempotent,
        // `SETID key group $` means another entry each time.
        "XGROUP SETID" if command.get(3) == Some(b"$") => Idempotency::NonIdempotent,
        "XGROUP SETID" => Idempotency::Idempotent,
        // `SET` and `INCRBY` return the old value, or add.
        "BITFIELD" if only_gets(command) => Idempotency::ReadOnly,
        "BITFIELD" => Idempotency::NonIdempotent,
        // A time in the past deletes the value in the reply.
        "GETEX" | "HGETEX" if has("EXAT", 1) || has("PXAT", 1) => Idempotency::NonIdempotent,
        "GETEX" | "HGETEX" => Idempotency::EffectIdempotent,
        // The index then refers to another element.
        "JSON.DEL" | "JSON.FORGET" if command.get(1).is_some_and(|path| path.contains(&b'[')) => {
            Idempotency::NonIdempotent
        }
        "JSON.DEL" | "JSON.FORGET" => Idempotency::EffectIdempotent,
        // With a condition the second reply may differ, as does that of a relative time.
        "EXPIREAT" | "PEXPIREAT" if command.get(2).is_some() => Idempotency::EffectIdempotent,
        "EXPIREAT" | "PEXPIREAT" => Idempotency::Idempotent,
        _ if row.flags.any(Flags::STORE_OPTION) => match has("STORE", 1) || has("STOREDIST", 1) {
            true if command.arguments().skip(1).any(|arg| Some(arg) == command.get(0)) => {
                Idempotency::NonIdempotent
            }
            true => Idempotency::Idempotent,
            false => Idempotency::ReadOnly,
        },
        // The second run would start from the result of the first: `BITOP NOT k k`, `ZUNIONSTORE k
        // 2 k other`.
        _ if row.flags.any(Flags::COPIES) => match stores_into_a_source(row, command) {
            true => Idempotency::NonIdempotent,
            false => Idempotency::Idempotent,
        },
        _ => Idempotency::NonIdempotent,
    }
}

fn only_gets(command: &Command) -> bool {
    let arguments: Vec<_> = command.arguments().skip(1).collect();
    arguments.chunks(3).all(|operation| operation[0].eq_ignore_ascii_case(b"GET"))
}

fn stores_into_a_source(row: &Row, command: &Command) -> bool {
    let place = match row.keys {
        Keys::Range { first, .. } => usize::from(first),
        _ => 0,
    };
    let destination = command.get(place);
    command.arguments().skip(place + 1).any(|source| Some(source) == destination)
}

/// Returns true for a command that returns or copies the content of keys without changing those
/// keys.
pub(crate) fn reads(command: &Command) -> bool {
    command.idempotency() == Idempotency::ReadOnly
        || table::flags(command).any(Flags::COPIES | Flags::STORE_OPTION)
}

/// Returns the effect of resending all of these in this order. A read and a later write of the same
/// key are together a `GETDEL`: the second read would find the result of the write.
pub(crate) fn of_all(commands: &[Command]) -> Idempotency {
    let mut read = Touched::default();
    let mut all = Idempotency::ReadOnly;
    for command in commands {
        let safety = command.idempotency();
        if safety != Idempotency::ReadOnly && read.concerns(command) {
            return Idempotency::NonIdempotent;
        }
        if reads(command) {
            read.add(command);
        }
        all = all.max(safety);
    }
    all
}

/// The arguments of some commands, to tell whether another concerns them. Which arguments are keys
/// is unknown here, so all of them count: a false positive is safe.
#[derive(Default)]
pub(crate) struct Touched<'a> {
    arguments: HashSet<&'a [u8]>,
    /// True if a command does not name the keys it touches, and therefore concerns all.
    everything: bool,
}

impl<'a> Touched<'a> {
    fn is_everything(command: &Command) -> bool {
        table::find(command).is_some_and(|row| {
            row.flags.any(Flags::WHOLE_KEYSPACE) && row.safety != Some(Idempotency::ReadOnly)
        })
    }

    pub(crate) fn add(&mut self, command: &'a Command) {
        self.everything |= Self::is_everything(command);
        self.arguments.extend(command.arguments());
    }

    /// Returns true if `command` may concern the added commands.
    pub(crate) fn concerns(&self, command: &Command) -> bool {
        let anything = self.everything || !self.arguments.is_empty();
        (Self::is_everything(command) && anything)
            || self.everything
            || command.arguments().any(|arg| self.arguments.contains(arg))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cmd;

    #[test]
    fn options_decide_where_they_must() {
        let safety = |command: Command| command.idempotency();
        assert_eq!(safety(cmd("set").arg("k").arg("GET")), Idempotency::Idempotent);
        assert_eq!(safety(cmd("SET").arg("k").arg("v").arg("get")), Idempotency::NonIdempotent);
        assert_eq!(safety(cmd("SET").arg("k").arg("v").arg("NX")), Idempotency::EffectIdempotent);
        assert_eq!(
            safety(cmd("ZADD").arg("k").arg("INCR").arg(1).arg("m")),
            Idempotency::NonIdempotent
        );
        assert_eq!(safety(cmd("INCR").arg("k")), Idempotency::NonIdempotent);
        assert_eq!(safety(cmd("INCR").arg("k").idempotent()), Idempotency::Idempotent);
        assert_eq!(safety(cmd("NEVER.HEARD.OF.THIS.COMMAND.AT.ALL")), Idempotency::NonIdempotent);
    }
    fn of(line: &str) -> Idempotency {
        line.split(' ')
            .skip(1)
            .fold(cmd(line.split(' ').next().unwrap()), Command::arg)
            .idempotency()
    }

    #[test]
    fn a_result_that_is_its_own_source_is_unsafe() {
        for line in [
            "BITOP NOT k k",
            "SDIFFSTORE d s d",
            "ZUNIONSTORE d 2 d s",
            "ZRANGESTORE d d 1 2",
            "SORT k LIMIT 1 2 STORE k",
        ] {
            assert_eq!(of(line), Idempotency::NonIdempotent, "{line}");
        }
        for line in [
            "BITOP NOT d k",
            "SDIFFSTORE d s t",
            "ZUNIONSTORE d 2 s t",
            "ZRANGESTORE d s 1 2",
            "SORT k LIMIT 1 2 STORE d",
        ] {
            assert_eq!(of(line), Idempotency::Idempotent, "{line}");
        }
    }

    #[test]
    fn replies_that_hold_what_was_destroyed() {
        let lines = "GETDEL k|GETSET k v|LPOP k|RPOP k|LMPOP 1 k LEFT|SPOP k|ZPOPMIN k|ZPOPMAX k|ZMPOP 1 k MIN|SETBIT k 0 1|HGETDEL k FIELDS 1 f\
                     |GETEX k PXAT 1|XREADGROUP GROUP g c STREAMS s >|XAUTOCLAIM s g c 0 0|BITFIELD k SET u8 0 1|BITFIELD k GET u8 0 INCRBY u8 0 1\
                     |LMOVE a b LEFT LEFT|RPOPLPUSH a b|JSON.DEL k $.list[0]|XADD s * f v|XADD s 1-1 f v|XGROUP SETID s g $|EVAL x 0";
        for line in lines.split('|') {
            assert_eq!(of(line), Idempotency::NonIdempotent, "{line}");
        }
    }

    #[test]
    fn options_that_make_a_write_a_read() {
        for line in [
            "BITFIELD k GET u8 0 get u8 8",
            "SORT k DESC",
            "GEORADIUS k 1 2 3 km",
            "XREAD STREAMS s 0",
            "MEMORY USAGE k",
        ] {
            assert_eq!(of(line), Idempotency::ReadOnly, "{line}");
        }
        assert_eq!(of("MEMORY PURGE"), Idempotency::Idempotent);
        assert_eq!(of("XGROUP CREATE s g $"), Idempotency::EffectIdempotent);
    }

    #[test]
    fn a_read_and_its_write_together_are_unsafe() {
        let all = |lines: &[&str]| {
            let commands: Vec<Command> = lines
                .iter()
                .map(|line| {
                    line.split(' ').skip(1).fold(cmd(line.split(' ').next().unwrap()), Command::arg)
                })
                .collect();
            of_all(&commands)
        };
        assert_eq!(all(&["GET k", "DEL k"]), Idempotency::NonIdempotent);
        assert_eq!(all(&["GET k", "FLUSHALL ASYNC"]), Idempotency::NonIdempotent);
        assert_eq!(all(&["SDIFFSTORE d s t", "SADD t x"]), Idempotency::NonIdempotent);
        assert_eq!(all(&["SET k v", "GET k"]), Idempotency::Idempotent);
        assert_eq!(all(&["HSET k f v", "EXPIRE k 1"]), Idempotency::EffectIdempotent);
        assert_eq!(all(&["GET k", "MGET k"]), Idempotency::ReadOnly);
        assert_eq!(all(&[]), Idempotency::ReadOnly);
    }
}
