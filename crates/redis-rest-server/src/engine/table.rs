//! Every command of the engine: its name, what it does to data, and its function. Arities and key
//! positions are those of the table of all commands.

use super::args::{Argv, Fault, Outcome, wrong_arity};
use super::db::Db;
use super::{
    bitmaps, conditional, expiry, fields, geo, hashes, hyperloglog, json, keys, lcs, lists, object,
    pubsub, scan, server, sets, sort, sorted_sets, streams, strings,
};
use redis_rest::Value;
use redis_rest::cmd::{self, Keys};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The place at which a command runs.
pub(super) enum Run {
    /// Wherever it is called.
    Here(fn(&mut Db, Argv) -> Outcome),
    /// On the script thread.
    Lua,
    /// Nowhere: its subcommands have rows of their own, named `command|subcommand`.
    Container,
}

/// A command.
pub(super) struct Spec {
    pub(super) name: &'static str,
    flags: &'static [&'static str],
    pub(super) run: Run,
}

pub(super) const READ: &[&str] = &["readonly"];
pub(super) const WRITE: &[&str] = &["write"];
pub(super) const OTHER: &[&str] = &["fast"];
pub(super) const NO_SCRIPT: &[&str] = &["noscript"];
const NO_SCRIPT_READ: &[&str] = &["noscript", "readonly"];

/// The row of a command that needs no Lua.
pub(super) const fn row(
    name: &'static str,
    flags: &'static [&'static str],
    run: fn(&mut Db, Argv) -> Outcome,
) -> Spec {
    Spec { name, flags, run: Run::Here(run) }
}

/// The row of a command that runs on the script thread.
pub(super) const fn lua(name: &'static str, flags: &'static [&'static str]) -> Spec {
    Spec { name, flags, run: Run::Lua }
}

/// The row of a command that has subcommands.
pub(super) const fn container(name: &'static str) -> Spec {
    Spec { name, flags: &[], run: Run::Container }
}

impl Spec {
    pub(super) fn writes(&self) -> bool {
        self.flags.contains(&"write")
    }

    pub(super) fn allowed_in_scripts(&self) -> bool {
        !self.flags.contains(&"noscript")
    }

    /// The row in the table of all commands, which parts the words of a name by blanks.
    fn declared(&self) -> Option<&'static cmd::Row> {
        cmd::named(&self.name.replace('|', " "))
    }

    /// Counts as Redis does: with the name, negative for a minimum.
    fn arity(&self) -> i64 {
        self.declared().map_or(-1, |row| row.arity.into())
    }

    /// Returns first key, last key and step; zeros if no rule tells.
    fn keys(&self) -> [i64; 3] {
        match (&self.run, self.declared().map(|row| row.keys)) {
            (Run::Container, _) => [0; 3],
            (_, Some(Keys::Range { first, last, step })) => {
                let last = i64::from(last);
                [i64::from(first) + 1, if last < 0 { last } else { last + 1 }, step.into()]
            }
            (_, Some(Keys::Counted { with_first: true, .. })) => [1, 1, 1],
            _ => [0; 3],
        }
    }

    /// True when this call goes to the script thread.
    pub(super) const fn needs_lua(&self) -> bool {
        matches!(self.run, Run::Lua)
    }
}

/// A row with its arity.
struct Known {
    spec: &'static Spec,
    arity: i64,
}

impl Known {
    fn accepts(&self, count: usize) -> bool {
        let wanted = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { count >= wanted } else { count == wanted }
    }
}

/// No name is longer.
const LONGEST: usize = 64;

/// Returns the command of that name, in any case.
pub(super) fn find(name: &[u8]) -> Option<&'static Spec> {
    known(name).map(|known| known.spec)
}

fn known(name: &[u8]) -> Option<&'static Known> {
    let mut buffer = [0; LONGEST];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    SPECS.get(&*lower)
}

/// True if there is the command, and its subcommand where it has some.
pub(super) fn exists(argv: Argv) -> bool {
    match (argv.first().and_then(|name| find(name)), argv.get(1)) {
        (Some(Spec { name, run: Run::Container, .. }), Some(word)) => {
            find(&[name.as_bytes(), b"|", word].concat()).is_some()
        }
        (spec, _) => spec.is_some(),
    }
}

/// Finds the command, or the subcommand, and checks the number of arguments.
pub(super) fn resolve(argv: Argv) -> Result<&'static Spec, Fault> {
    let Some(found) = argv.first().and_then(|name| known(name)) else { return Err(unknown(argv)) };
    let Spec { name, run, .. } = found.spec;
    // `COMMAND` runs by itself, too.
    let contains = matches!(run, Run::Container) || *name == "command";
    let found = match argv.get(1) {
        Some(word) if contains => known(&[name.as_bytes(), b"|", word].concat())
            .ok_or_else(|| unknown_subcommand(name, word))?,
        _ => found,
    };
    if found.accepts(argv.len()) { Ok(found.spec) } else { Err(wrong_arity(found.spec.name)) }
}

fn unknown_subcommand(command: &str, word: &[u8]) -> Fault {
    const SHOWN: usize = 128;
    let word = String::from_utf8_lossy(word.get(..SHOWN).unwrap_or(word));
    Fault::owned(format!(
        "ERR unknown subcommand '{word}'. Try {} HELP.",
        command.to_ascii_uppercase()
    ))
}

/// Redis quotes up to 128 bytes of the name, and of the arguments together.
fn unknown(argv: Argv) -> Fault {
    const SHOWN: usize = 128;
    let cut = |bytes: &[u8], limit: usize| {
        let bytes = bytes.get(..limit).unwrap_or(bytes);
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).replace(['\r', '\n'], " ")
    };
    let name = cut(argv.first().copied().unwrap_or_default(), SHOWN);
    let mut args = String::new();
    for arg in argv.iter().skip(1) {
        if args.len() >= SHOWN {
            break;
        }
        args += &format!("'{}' ", cut(arg, SHOWN - args.len()));
    }
    Fault::owned(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

/// The answer of `COMMAND INFO` for one command.
pub(super) fn describe(spec: &Spec) -> Value {
    let mut items = vec![Value::bytes(spec.name), Value::Int(spec.arity())];
    items.push(Value::Array(spec.flags.iter().map(|flag| Value::bytes(*flag)).collect()));
    items.extend(spec.keys().map(Value::Int));
    Value::Array(items)
}

/// Every command's name in lower case, with its row.
static SPECS: LazyLock<HashMap<&'static [u8], Known>> = LazyLock::new(|| {
    all().map(|spec| (spec.name.as_bytes(), Known { spec, arity: spec.arity() })).collect()
});

/// The groups, each beside its functions.
const GROUPS: &[&[Spec]] = &[
    strings::COMMANDS,
    bitmaps::COMMANDS,
    conditional::COMMANDS,
    keys::COMMANDS,
    scan::COMMANDS,
    expiry::COMMANDS,
    hashes::COMMANDS,
    fields::COMMANDS,
    lists::COMMANDS,
    sets::COMMANDS,
    sorted_sets::COMMANDS,
    streams::COMMANDS,
    geo::COMMANDS,
    hyperloglog::COMMANDS,
    json::COMMANDS,
    lcs::COMMANDS,
    object::COMMANDS,
    sort::COMMANDS,
    pubsub::COMMANDS,
    server::COMMANDS,
    LUA,
];

const LUA: &[Spec] = &[
    lua("script|load", NO_SCRIPT),
    lua("eval", NO_SCRIPT),
    lua("evalsha", NO_SCRIPT),
    lua("eval_ro", NO_SCRIPT_READ),
    lua("evalsha_ro", NO_SCRIPT_READ),
];

/// Every command.
pub(super) fn all() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv_of(spec: &Spec, count: usize, filler: &'static [u8]) -> Vec<&'static [u8]> {
        let words = spec.name.split('|').map(str::as_bytes);
        words.chain(std::iter::repeat(filler)).take(count + 1).collect()
    }

    #[test]
    fn every_command_is_in_the_table_of_all() {
        let missing: Vec<_> =
            all().filter(|spec| spec.declared().is_none()).map(|spec| spec.name).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_command_panics_on_odd_arguments() {
        for spec in all() {
            let Run::Here(run) = spec.run else { continue };
            for filler in [
                &b""[..],
                b"1",
                b"-1",
                b"k",
                b"(",
                b"[a",
                b"\xff\0",
                b"LIMIT",
                b"9223372036854775807",
                b"-9223372036854775808",
            ] {
                for count in
                    (0..8).filter(|count| known(spec.name.as_bytes()).unwrap().accepts(count + 1))
                {
                    let mut db = Db::default();
                    let argv = argv_of(spec, count, filler);
                    for seed in [
                        &[&b"set"[..], filler, b"1"][..],
                        &[b"rpush", filler, b"1"],
                        &[b"hset", filler, b"1", b"1"],
                        &[b"zadd", filler, b"1", b"1"],
                    ] {
                        db.flush();
                        if let Some(Spec { run: Run::Here(seed_run), .. }) = find(seed[0]) {
                            assert!(seed_run(&mut db, seed).is_ok());
                        }
                        let _ = run(&mut db, &argv);
                    }
                }
            }
        }
    }

    #[test]
    fn unknown_commands_are_quoted_and_cut() {
        let long = vec![b'a'; 200];
        let text = |argv: Argv| unknown(argv).0.into_owned();
        assert_eq!(
            text(&[b"foo", b"a", b"b c"]),
            "ERR unknown command 'foo', with args beginning with: 'a' 'b c' "
        );
        assert_eq!(
            text(&[b"foo", &long, b"b"]).len(),
            "ERR unknown command 'foo', with args beginning with: '' ".len() + 128
        );
    }
}
