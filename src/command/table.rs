//! The table of commands: a row for each, found by name.
//!
//! [`commands!`](super::declare) generates the rows of commands with a typed form; the others are
//! in [`groups::untyped`](super::groups). Nothing else in this crate lists names of commands.

use super::{Command, Idempotency, groups};
use std::ops::BitOr;

/// A command.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The group of Redis's documentation; empty without a typed form.
    pub group: &'static str,
    /// Redis's name, such as `SCRIPT LOAD`.
    pub command: &'static str,
    /// The method of [`Client`](crate::Client) and the function of [`cmd`](mod@crate::cmd); empty
    /// without a typed form.
    pub method: &'static str,
    /// The effect of sending it twice. `None` if that depends on the arguments.
    pub safety: Option<Idempotency>,
    /// The first Redis version that has it; `JSON` for the module, `Upstash` for that vendor's own.
    pub since: &'static str,
    /// The number of its words, with the name, in Redis's counting: negative for a minimum.
    pub arity: i8,
    /// The arguments that are keys.
    pub keys: Keys,
    /// Its special properties.
    pub flags: Flags,
}

/// The arguments of a command that are keys. Indexes count after the first word of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Keys {
    /// Unknown.
    Unknown,
    None,
    /// Every `step`th from `first` to `last`, which counts from the end if it is negative.
    Range {
        first: u8,
        last: i8,
        step: u8,
    },
    /// Every `step`th after their number, which is at `at`. With the first argument if
    /// `with_first`.
    Counted {
        at: u8,
        step: u8,
        with_first: bool,
    },
    /// The first half of the arguments after `STREAMS`.
    Streams,
}

/// Properties of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct Flags(u16);

impl Flags {
    pub const NONE: Self = Self(0);
    /// Blocks its connection.
    pub const BLOCKS: Self = Self(1);
    /// Blocks its connection if it has the option `BLOCK`.
    pub const MAY_BLOCK: Self = Self(1 << 1);
    /// Changes the state of its connection, or takes it over.
    pub const CONNECTION: Self = Self(1 << 2);
    /// Makes Redis close its connection.
    pub const ENDS_CONNECTION: Self = Self(1 << 3);
    /// Administers the server, and can harm it.
    pub const ADMIN: Self = Self(1 << 4);
    /// Redis refuses it in scripts.
    pub const NO_SCRIPT: Self = Self(1 << 5);
    /// Concerns all keys, or keys that it does not name.
    pub const WHOLE_KEYSPACE: Self = Self(1 << 6);
    /// The next word names one of its subcommands.
    pub const SUBCOMMANDS: Self = Self(1 << 7);
    /// Copies the content of its other keys to the first.
    pub const COPIES: Self = Self(1 << 8);
    /// The option `STORE` names a key to which it copies.
    pub const STORE_OPTION: Self = Self(1 << 9);
    /// Belongs on each node of a cluster.
    pub const EVERY_NODE: Self = Self(1 << 10);
    /// Runs a script or a function.
    pub const RUNS_SCRIPT: Self = Self(1 << 11);
    /// The second argument is the number of elements, negative for repeated ones.
    pub const COUNT: Self = Self(1 << 12);
    /// Its arguments can be passwords.
    pub const SECRET: Self = Self(1 << 13);
    /// Tells nothing of the server's data and settings.
    pub const HARMLESS: Self = Self(1 << 14);

    /// Returns true if it has one of these.
    pub const fn any(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    pub const fn and(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, flags: Self) -> Self {
        self.and(flags)
    }
}

impl Row {
    /// Returns the address of its documentation.
    pub fn url(&self) -> String {
        let name = self.command.to_ascii_lowercase().replace(' ', "-");
        match self.since {
            "Upstash" => "https://upstash.com/docs/redis/overall/rediscompatibility".into(),
            _ => format!("https://redis.io/docs/latest/commands/{name}/"),
        }
    }

    /// Creates the row of a command without a typed form. Its keys are unknown, and it must not be
    /// sent twice.
    pub(super) const fn untyped(command: &'static str, arity: i8, since: &'static str) -> Self {
        let safety = Some(Idempotency::NonIdempotent);
        let (keys, flags) = (Keys::Unknown, Flags::NONE);
        Self { group: "", command, method: "", safety, since, arity, keys, flags }
    }

    pub(super) const fn safety(self, safety: Idempotency) -> Self {
        Self { safety: Some(safety), ..self }
    }

    pub(super) const fn by_arguments(self) -> Self {
        Self { safety: None, ..self }
    }

    pub(super) const fn keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    pub(super) const fn flags(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }
}

/// Returns the row of `command`: that of its subcommand if it has one, with the flags of both.
#[doc(hidden)]
pub fn find(command: &Command) -> Option<Row> {
    let mut name = Name::default();
    name.push(command.name());
    let mut found = *name.row()?;
    let mut words = command.arguments();
    while found.flags.any(Flags::SUBCOMMANDS)
        && let Some(word) = words.next()
    {
        name.push(word);
        let Some(row) = name.row() else { break };
        let flags = Flags(found.flags.0 & !Flags::SUBCOMMANDS.0);
        found = Row { flags: flags | row.flags, ..*row };
    }
    Some(found)
}

/// The row of a command of this name.
#[doc(hidden)]
pub fn named(name: &str) -> Option<&'static Row> {
    let mut words = Name::default();
    words.push(name.as_bytes());
    words.row()
}

/// Returns the flags of `command`; none for an unknown one.
pub(crate) fn flags(command: &Command) -> Flags {
    find(command).map_or(Flags::NONE, |row| row.flags)
}

/// A name of one or more words, in capitals.
struct Name {
    text: [u8; Self::LONGEST],
    len: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self { text: [0; Self::LONGEST], len: 0 }
    }
}

impl Name {
    const LONGEST: usize = 32;

    /// Adds a word. A name that is too long becomes one that no command has.
    fn push(&mut self, word: &[u8]) {
        let start = if self.len == 0 { 0 } else { self.len + 1 };
        let Some(room) = self.text.get_mut(start..start + word.len()) else {
            (self.len, self.text[0]) = (1, 0);
            return;
        };
        room.copy_from_slice(word);
        room.make_ascii_uppercase();
        if start > 0 {
            self.text[start - 1] = b' ';
        }
        self.len = start + word.len();
    }

    fn row(&self) -> Option<&'static Row> {
        let name = &self.text[..self.len];
        let mut slot = hash(name);
        loop {
            let [group, row] = INDEX[slot % SLOTS]?;
            let row = &groups::ALL[usize::from(group)][usize::from(row)];
            if row.command.as_bytes() == name {
                return Some(row);
            }
            slot += 1;
        }
    }
}

/// More than twice the number of rows, so that probes are short.
const SLOTS: usize = 1024;

/// The group of each row and its place there, at the first free slot from the hash of its name on.
static INDEX: [Option<[u8; 2]>; SLOTS] = {
    let mut index = [None; SLOTS];
    let mut group = 0;
    while group < groups::ALL.len() {
        let mut row = 0;
        while row < groups::ALL[group].len() {
            let mut slot = hash(groups::ALL[group][row].command.as_bytes()) % SLOTS;
            while index[slot].is_some() {
                slot = (slot + 1) % SLOTS;
            }
            index[slot] = Some([group as u8, row as u8]);
            row += 1;
        }
        group += 1;
    }
    index
};

/// Computes FNV-1a, with its upper bits folded in.
const fn hash(name: &[u8]) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 15)) as usize
}

/// An entry of a declaration's brackets, with the text of the parameter.
#[derive(Clone, Copy)]
pub(crate) enum Parameter {
    One(&'static [u8]),
    List(&'static [u8]),
    /// A list after its length.
    Counted(&'static [u8]),
    /// A list of pairs after their number.
    CountedPairs(&'static [u8]),
    Pairs(&'static [u8]),
}

impl Keys {
    pub(crate) const FIRST: Self = Self::Range { first: 0, last: 0, step: 1 };
    pub(crate) const TWO: Self = Self::Range { first: 0, last: 1, step: 1 };
    pub(crate) const SECOND: Self = Self::Range { first: 1, last: 1, step: 1 };

    /// Returns the keys of a declared command, by the names of its parameters.
    pub(crate) const fn declared(command: &str, parameters: &[Parameter], flags: Flags) -> Self {
        if flags.any(Flags::WHOLE_KEYSPACE) {
            return Self::Unknown;
        }
        let mut keys = Self::None;
        let mut index = 0;
        while index < parameters.len() {
            let at = words(command) - 1 + index as u8;
            let last = index as i8 - parameters.len() as i8;
            keys = match (parameters[index], keys) {
                (Parameter::One(b"\"STREAMS\""), _) => return Self::Streams,
                (
                    Parameter::One(b"key" | b"other_key" | b"new_key" | b"source" | b"destination"),
                    Self::None,
                ) => Self::Range { first: at, last: at as i8, step: 1 },
                (
                    Parameter::One(b"other_key" | b"new_key" | b"source" | b"destination"),
                    Self::Range { first, .. },
                ) => Self::Range { first, last: at as i8, step: 1 },
                (Parameter::List(b"keys"), Self::None) => Self::Range { first: at, last, step: 1 },
                (Parameter::List(b"keys"), Self::Range { first, .. }) => {
                    Self::Range { first, last, step: 1 }
                }
                (Parameter::Counted(b"keys"), keys) => {
                    let with_first = matches!(keys, Self::Range { .. });
                    return Self::Counted { at, step: 1, with_first };
                }
                (Parameter::Pairs(b"pairs"), Self::None) => {
                    Self::Range { first: at, last, step: 2 }
                }
                (Parameter::CountedPairs(b"pairs"), Self::None) => {
                    return Self::Counted { at, step: 2, with_first: false };
                }
                (Parameter::List(b"Documents(documents)"), Self::None) => {
                    Self::Range { first: at, last, step: 3 }
                }
                (_, keys) => keys,
            };
            index += 1;
        }
        keys
    }
}

/// Returns the arity of a declared command, if each list has at least one element. `more`: it has
/// options.
pub(crate) const fn arity(command: &str, parameters: &[Parameter], more: bool) -> i8 {
    let mut least = words(command) as i8;
    let mut open = more;
    let mut index = 0;
    while index < parameters.len() {
        least += match parameters[index] {
            Parameter::One(_) => 1,
            Parameter::List(_) => 1,
            Parameter::Counted(_) | Parameter::Pairs(_) => 2,
            Parameter::CountedPairs(_) => 3,
        };
        open |= !matches!(parameters[index], Parameter::One(_));
        index += 1;
    }
    if open { -least } else { least }
}

/// Returns the number of words in a name.
const fn words(name: &str) -> u8 {
    let mut words = 1;
    let mut at = 0;
    while at < name.len() {
        words += (name.as_bytes()[at] == b' ') as u8;
        at += 1;
    }
    words
}

#[cfg(test)]
mod tests;
