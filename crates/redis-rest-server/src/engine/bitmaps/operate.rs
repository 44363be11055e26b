//! `BITOP`.

use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, is, len};
use crate::engine::db::{Data, Db};
use bytes::Bytes;

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
    Diff,
    Diff1,
    AndOr,
    One,
}

impl Operation {
    fn parse(word: &[u8]) -> Result<Self, Fault> {
        let names = [
            ("AND", Self::And),
            ("OR", Self::Or),
            ("XOR", Self::Xor),
            ("NOT", Self::Not),
            ("DIFF", Self::Diff),
            ("DIFF1", Self::Diff1),
            ("ANDOR", Self::AndOr),
            ("ONE", Self::One),
        ];
        names.into_iter().find(|(name, _)| is(word, name)).map(|(_, found)| found).ok_or(SYNTAX)
    }

    /// Returns a byte of the result, from the bytes at its place in the sources.
    fn of(self, first: u8, rest: impl Iterator<Item = u8>) -> u8 {
        match self {
            Self::And => rest.fold(first, |all, byte| all & byte),
            Self::Or => rest.fold(first, |any, byte| any | byte),
            Self::Xor => rest.fold(first, |odd, byte| odd ^ byte),
            Self::Not => !first,
            Self::Diff => first & !rest.fold(0, |any, byte| any | byte),
            Self::Diff1 => !first & rest.fold(0, |any, byte| any | byte),
            Self::AndOr => first & rest.fold(0, |any, byte| any | byte),
            Self::One => {
                let (once, more) =
                    rest.fold((first, 0), |(once, more), byte| (once | byte, more | once & byte));
                once & !more
            }
        }
    }
}

pub(super) fn bitop(db: &mut Db, argv: Argv) -> Outcome {
    let operation = Operation::parse(argv[1])?;
    let keys = &argv[3..];
    if operation == Operation::Not && keys.len() != 1 {
        return Err(Fault::new("ERR BITOP NOT must be called with a single source key."));
    }
    let needs_two = matches!(operation, Operation::Diff | Operation::Diff1 | Operation::AndOr);
    if needs_two && keys.len() < 2 {
        let name = String::from_utf8_lossy(argv[1]).to_ascii_uppercase();
        return Err(Fault::owned(format!(
            "ERR BITOP {name} must be called with at least two source keys."
        )));
    }
    let sources = keys
        .iter()
        .map(|key| Ok(db.read::<Bytes>(key)?.cloned().unwrap_or_default()))
        .collect::<Result<Vec<_>, Fault>>()?;
    let length = sources.iter().map(Bytes::len).max().unwrap_or(0);
    let byte = |source: &Bytes, index| source.get(index).copied().unwrap_or(0);
    let result: Vec<u8> = (0..length)
        .map(|index| {
            let mut bytes = sources.iter().map(|source| byte(source, index));
            let first = bytes.next().unwrap_or(0);
            operation.of(first, bytes)
        })
        .collect();
    if result.is_empty() {
        db.remove(argv[2]);
    } else {
        db.set(argv[2], Data::String(Bytes::from(result)));
    }
    Ok(len(length))
}
