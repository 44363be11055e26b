//! `EVAL`, `EVALSHA`, their read-only forms and `SCRIPT LOAD`.

use super::state::{Engine, compile_error};
use crate::engine::Limits;
use crate::engine::args::{Argv, Fault, Outcome, int};
use crate::engine::db::Db;
use crate::engine::server::remember_script;
use bytes::Bytes;
use redis_rest::Value;
use tokio::sync::OwnedMutexGuard;

/// The Lua state, made when it is first needed and again after a run that a limit ended.
pub(super) struct Scripts {
    limits: Limits,
    engine: Option<Engine>,
}

/// A script's text, and what its first line says.
struct Source<'a> {
    code: &'a [u8],
    no_writes: bool,
}

impl<'a> Source<'a> {
    /// Reads the line `#!lua flags=…`. It stays in the code as an empty line, so that line numbers are right.
    fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        if !text.starts_with(b"#!") {
            return Ok(Self { code: text, no_writes: false });
        }
        let end = text
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(Fault::new("ERR Invalid script shebang"))?;
        let line = String::from_utf8_lossy(&text[..end]).into_owned();
        let mut words = line.split_ascii_whitespace();
        let engine = words.next().unwrap_or_default();
        if engine != "#!lua" {
            return Err(Fault::owned(format!("ERR Unexpected engine in script shebang: {engine}")));
        }
        let mut no_writes = false;
        for word in words {
            let Some(flags) = word.strip_prefix("flags=") else {
                return Err(Fault::owned(format!("ERR Unknown lua shebang option: {word}")));
            };
            for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
                match flag {
                    "no-writes" => no_writes = true,
                    "allow-oom"
                    | "allow-stale"
                    | "no-cluster"
                    | "allow-cross-slot-keys"
                    // Known to one vendor alone, whose libraries begin their scripts with it.
                    | "allow-key-locking" => {}
                    other => {
                        return Err(Fault::owned(format!(
                            "ERR Unexpected flag in script shebang: {other}"
                        )));
                    }
                }
            }
        }
        Ok(Self { code: &text[end..], no_writes })
    }
}

const NO_SCRIPT: Fault = Fault::new("NOSCRIPT No matching script. Please use EVAL.");
/// A name in hexadecimal.
const SHA_LENGTH: usize = 40;
const BROKEN: Fault = Fault::new("ERR the script engine lost its state");

impl Scripts {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, engine: None }
    }

    fn engine(&mut self) -> Result<&mut Engine, Fault> {
        if self.engine.is_none() {
            self.engine = Some(Engine::new(self.limits).map_err(|_| BROKEN)?);
        }
        self.engine.as_mut().ok_or(BROKEN)
    }

    /// Runs one of the commands above. The lock on the data is lent to the script and put back.
    pub(super) fn run(
        &mut self,
        held: &mut Option<OwnedMutexGuard<Db>>,
        name: &str,
        argv: Argv,
    ) -> Outcome {
        let by_sha = name.starts_with("evalsha");
        let db = held.as_mut().ok_or(BROKEN)?;
        if name == "script|load" {
            return self.load(db, argv[2]);
        }
        // Redis looks at the length of a name before anything else.
        if by_sha && argv[1].len() != SHA_LENGTH {
            return Err(NO_SCRIPT);
        }
        let (keys, args) = split(argv)?;
        let (sha, text) = if by_sha {
            let sha = String::from_utf8_lossy(argv[1]).to_ascii_lowercase();
            let text = db.scripts.get(&sha).cloned().ok_or(NO_SCRIPT)?;
            (sha, text)
        } else {
            (self.known(db, argv[1])?, Bytes::copy_from_slice(argv[1]))
        };
        let source = Source::parse(&text)?;
        let read_only = source.no_writes || name.ends_with("_ro");
        let engine = self.engine()?;
        let (outcome, healthy) = engine.run(held, &sha, source.code, keys, args, read_only);
        if !healthy {
            self.engine = None;
        }
        outcome
    }

    fn load(&mut self, db: &mut Db, text: &[u8]) -> Outcome {
        self.known(db, text).map(Value::bytes)
    }

    /// Compiles a script and remembers it. What does not compile is not remembered.
    fn known(&mut self, db: &mut Db, text: &[u8]) -> Result<String, Fault> {
        let sha = sha1_smol::Sha1::from(text).digest().to_string();
        if !db.scripts.contains_key(&sha) {
            let source = Source::parse(text)?;
            self.engine()?.compile(&sha, source.code).map_err(|problem| compile_error(&problem))?;
            remember_script(db, text);
        }
        Ok(sha)
    }
}

/// The keys and the arguments after `numkeys`.
fn split<'a>(argv: Argv<'a>) -> Result<(Argv<'a>, Argv<'a>), Fault> {
    let count = int(argv[2])?;
    let count =
        usize::try_from(count).map_err(|_| Fault::new("ERR Number of keys can't be negative"))?;
    let rest = &argv[3..];
    if count > rest.len() {
        return Err(Fault::new("ERR Number of keys can't be greater than number of args"));
    }
    Ok(rest.split_at(count))
}
