//! `LCS`: the longest common subsequence of two strings.

use super::args::{Argv, Fault, Outcome, SYNTAX, int, is, len};
use super::db::Db;
use super::table::{READ, Spec, row};
use bytes::Bytes;
use redis_rest::Value;

pub(super) const COMMANDS: &[Spec] = &[row("lcs", READ, lcs)];

/// The table takes the product of both lengths; Redis gives up beyond its memory.
const LARGEST: usize = 64 * 1024 * 1024;

/// A run that both have: its first offsets, and its length.
struct Match {
    left: usize,
    right: usize,
    length: usize,
}

impl Match {
    fn show(&self, with_length: bool) -> Value {
        let range = |first: usize| Value::Array(vec![len(first), len(first + self.length - 1)]);
        let mut parts = vec![range(self.left), range(self.right)];
        if with_length {
            parts.push(len(self.length));
        }
        Value::Array(parts)
    }
}

/// The subsequence, and its runs from the last to the first.
fn longest(left: &[u8], right: &[u8]) -> Result<(Vec<u8>, Vec<Match>), Fault> {
    let width = right.len() + 1;
    let size = (left.len() + 1).checked_mul(width).filter(|size| *size <= LARGEST);
    let mut table = vec![
        0_u32;
        size.ok_or(Fault::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        ))?
    ];
    for (i, a) in left.iter().enumerate() {
        for (j, b) in right.iter().enumerate() {
            table[(i + 1) * width + j + 1] = if a == b {
                table[i * width + j] + 1
            } else {
                table[i * width + j + 1].max(table[(i + 1) * width + j])
            };
        }
    }
    let (mut i, mut j) = (left.len(), right.len());
    let (mut found, mut matches) = (Vec::new(), Vec::<Match>::new());
    while i > 0 && j > 0 {
        if left[i - 1] == right[j - 1] {
            found.push(left[i - 1]);
            match matches.last_mut().filter(|last| last.left == i && last.right == j) {
                Some(last) => {
                    *last = Match { left: i - 1, right: j - 1, length: last.length + 1 };
                }
                None => matches.push(Match { left: i - 1, right: j - 1, length: 1 }),
            }
            i -= 1;
            j -= 1;
        } else if table[(i - 1) * width + j] > table[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    found.reverse();
    Ok((found, matches))
}

fn lcs(db: &mut Db, argv: Argv) -> Outcome {
    let read = |key: &[u8]| {
        db.read::<Bytes>(key)
            .map(Option::<&Bytes>::cloned)
            .map_err(|_| Fault::new("ERR The specified keys must contain string values"))
    };
    let left = read(argv[1])?.unwrap_or_default();
    let right = read(argv[2])?.unwrap_or_default();
    let (mut length, mut indexes, mut with_length, mut shortest) = (false, false, false, 0);
    let mut rest = &argv[3..];
    while let [word, tail @ ..] = rest {
        rest = tail;
        match tail {
            _ if is(word, "IDX") => indexes = true,
            _ if is(word, "LEN") => length = true,
            _ if is(word, "WITHMATCHLEN") => with_length = true,
            [number, after @ ..] if is(word, "MINMATCHLEN") => {
                shortest = usize::try_from(int(number)?).unwrap_or(0);
                rest = after;
            }
            _ => return Err(SYNTAX),
        }
    }
    if indexes && length {
        return Err(Fault::new(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    let (found, matches) = longest(&left, &right)?;
    if length {
        return Ok(len(found.len()));
    }
    if !indexes {
        return Ok(Value::bytes(found));
    }
    let shown =
        matches.iter().filter(|run| run.length >= shortest).map(|run| run.show(with_length));
    Ok(Value::Array(vec![
        Value::bytes("matches"),
        Value::Array(shown.collect()),
        Value::bytes("len"),
        len(found.len()),
    ]))
}
