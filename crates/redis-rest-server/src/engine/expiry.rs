//! Expiry.

use super::args::{Argv, Fault, Outcome, int, is};
use super::db::Db;
use super::table::{READ, Spec, WRITE, row};
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("expire", WRITE, expire),
    row("pexpire", WRITE, pexpire),
    row("expireat", WRITE, expireat),
    row("pexpireat", WRITE, pexpireat),
    row("persist", WRITE, persist),
    row("ttl", READ, ttl),
    row("pttl", READ, pttl),
    row("expiretime", READ, expiretime),
    row("pexpiretime", READ, pexpiretime),
];

/// How a time is given.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    AtSeconds,
    AtMillis,
}

impl Unit {
    /// The unit of an option of `SET` and `GETEX`.
    pub(super) fn of_option(word: &[u8]) -> Option<Self> {
        let units = [
            ("EX", Self::Seconds),
            ("PX", Self::Millis),
            ("EXAT", Self::AtSeconds),
            ("PXAT", Self::AtMillis),
        ];
        units.into_iter().find(|(name, _)| is(word, name)).map(|(_, unit)| unit)
    }
}

/// The word that stands beside times in the options of a command.
#[derive(Clone, Copy)]
pub(super) enum Keyword {
    KeepTtl,
    Persist,
}

impl Keyword {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KeepTtl => "KEEPTTL",
            Self::Persist => "PERSIST",
        }
    }
}

/// The options that say how long a value lives: one time, or the keyword.
#[derive(Default)]
pub(super) struct Lifetime<'a> {
    pub(super) time: Option<(Unit, &'a [u8])>,
    pub(super) keyword: bool,
}

impl<'a> Lifetime<'a> {
    /// Reads one option; returns what follows it. A repetition replaces the time, another unit is refused.
    pub(super) fn option(&mut self, args: &'a [&'a [u8]], keyword: Keyword) -> Option<Argv<'a>> {
        let (word, rest) = args.split_first()?;
        if is(word, keyword.name()) {
            self.keyword = true;
            return self.time.is_none().then_some(rest);
        }
        let unit = Unit::of_option(word)?;
        let (amount, rest) = rest.split_first()?;
        let free = !self.keyword && self.time.is_none_or(|(other, _)| other == unit);
        self.time = Some((unit, amount));
        free.then_some(rest)
    }

    pub(super) const fn is_set(&self) -> bool {
        self.time.is_some() || self.keyword
    }

    /// The time in milliseconds.
    pub(super) fn due(&self, db: &Db, name: &str) -> Result<Option<i64>, Fault> {
        let Some((unit, amount)) = self.time else { return Ok(None) };
        let amount = is_positive(int(amount)?, name)?;
        due_at(db, unit, amount, name).map(Some)
    }
}

fn invalid(name: &str) -> Fault {
    Fault::owned(format!("ERR invalid expire time in '{name}' command"))
}

/// Commands that set a value refuse times that have no future.
pub(super) fn is_positive(amount: i64, name: &str) -> Result<i64, Fault> {
    if amount > 0 { Ok(amount) } else { Err(invalid(name)) }
}

/// The time in milliseconds.
pub(super) fn due_at(db: &Db, unit: Unit, amount: i64, name: &str) -> Result<i64, Fault> {
    let millis = match unit {
        Unit::Seconds | Unit::AtSeconds => amount.checked_mul(1000),
        Unit::Millis | Unit::AtMillis => Some(amount),
    };
    let due = match unit {
        Unit::Seconds | Unit::Millis => millis.and_then(|millis| millis.checked_add(db.now)),
        Unit::AtSeconds | Unit::AtMillis => millis,
    };
    due.ok_or_else(|| invalid(name))
}

#[derive(Default)]
pub(super) struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    /// The one of a field, as `HEXPIRE` reads it.
    pub(super) fn of_field(word: &[u8]) -> Option<Self> {
        conditions(&[word]).ok()
    }

    /// No expiry counts as one that never comes.
    pub(super) fn admit(&self, old: Option<i64>, due: i64) -> bool {
        let refused = (self.nx && old.is_some())
            || (self.xx && old.is_none())
            || (self.gt && old.is_none_or(|old| due <= old))
            || (self.lt && old.is_some_and(|old| due >= old));
        !refused
    }
}

fn conditions(args: Argv) -> Result<Conditions, Fault> {
    let mut found = Conditions::default();
    for word in args {
        match () {
            () if is(word, "NX") => found.nx = true,
            () if is(word, "XX") => found.xx = true,
            () if is(word, "GT") => found.gt = true,
            () if is(word, "LT") => found.lt = true,
            () => {
                return Err(Fault::owned(format!(
                    "ERR Unsupported option {}",
                    String::from_utf8_lossy(word)
                )));
            }
        }
    }
    if found.nx && (found.xx || found.gt || found.lt) {
        return Err(Fault::new(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if found.gt && found.lt {
        return Err(Fault::new("ERR GT and LT options at the same time are not compatible"));
    }
    Ok(found)
}

fn set_expiry(db: &mut Db, argv: Argv, unit: Unit, name: &str) -> Outcome {
    let conditions = conditions(&argv[3..])?;
    let due = due_at(db, unit, int(argv[2])?, name)?;
    if !db.exists(argv[1]) {
        return Ok(Value::Int(0));
    }
    let admitted = conditions.admit(db.expires(argv[1]), due);
    if admitted {
        db.set_expiry(argv[1], due);
    }
    Ok(Value::Int(admitted.into()))
}

pub(super) fn expire(db: &mut Db, argv: Argv) -> Outcome {
    set_expiry(db, argv, Unit::Seconds, "expire")
}

pub(super) fn pexpire(db: &mut Db, argv: Argv) -> Outcome {
    set_expiry(db, argv, Unit::Millis, "pexpire")
}

pub(super) fn expireat(db: &mut Db, argv: Argv) -> Outcome {
    set_expiry(db, argv, Unit::AtSeconds, "expireat")
}

pub(super) fn pexpireat(db: &mut Db, argv: Argv) -> Outcome {
    set_expiry(db, argv, Unit::AtMillis, "pexpireat")
}

pub(super) fn persist(db: &mut Db, argv: Argv) -> Outcome {
    Ok(Value::Int(db.clear_expiry(argv[1]).into()))
}

/// -2 without the key, -1 without an expiry.
fn remaining(db: &Db, key: &[u8], read: impl FnOnce(i64) -> i64) -> Outcome {
    let answer = match db.expires(key) {
        Some(due) => read(due),
        None if db.exists(key) => -1,
        None => -2,
    };
    Ok(Value::Int(answer))
}

pub(super) fn ttl(db: &mut Db, argv: Argv) -> Outcome {
    let now = db.now;
    remaining(db, argv[1], |due| (due - now).saturating_add(500) / 1000)
}

pub(super) fn pttl(db: &mut Db, argv: Argv) -> Outcome {
    let now = db.now;
    remaining(db, argv[1], |due| due - now)
}

pub(super) fn expiretime(db: &mut Db, argv: Argv) -> Outcome {
    remaining(db, argv[1], |due| due.saturating_add(500) / 1000)
}

pub(super) fn pexpiretime(db: &mut Db, argv: Argv) -> Outcome {
    remaining(db, argv[1], |due| due)
}
