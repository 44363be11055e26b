//! Strings as arrays of bits.

mod field;
mod operate;

use super::args::{Argv, Fault, Outcome, SYNTAX, byte_range, int, is, len, offset, strict_int};
use super::db::Db;
use super::strings::{MAX_LEN, edit};
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("setbit", WRITE, setbit),
    row("getbit", READ, getbit),
    row("bitcount", READ, bitcount),
    row("bitpos", READ, bitpos),
    row("bitop", WRITE, operate::bitop),
    row("bitfield", WRITE, field::bitfield),
    row("bitfield_ro", READ, field::bitfield_ro),
];

const BAD_OFFSET: Fault = Fault::new("ERR bit offset is not an integer or out of range");
const BAD_BIT: Fault = Fault::new("ERR bit is not an integer or out of range");

/// An offset of bits within the largest string.
fn bit_offset(text: &[u8]) -> Result<usize, Fault> {
    let offset = strict_int(text).and_then(|number| usize::try_from(number).ok());
    offset.filter(|offset| offset / 8 < MAX_LEN).ok_or(BAD_OFFSET)
}

fn bit(bytes: &[u8], offset: usize) -> bool {
    bytes.get(offset / 8).is_some_and(|byte| byte >> (7 - offset % 8) & 1 == 1)
}

fn setbit(db: &mut Db, argv: Argv) -> Outcome {
    let offset = bit_offset(argv[2])?;
    let on = match strict_int(argv[3]) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(BAD_BIT),
    };
    let mut old = false;
    edit(db, argv[1], |bytes| {
        if bytes.len() <= offset / 8 {
            bytes.resize(offset / 8 + 1, 0);
        }
        old = bit(bytes, offset);
        let mask = 0x80 >> (offset % 8);
        bytes[offset / 8] = bytes[offset / 8] & !mask | if on { mask } else { 0 };
    })?;
    Ok(Value::Int(old.into()))
}

fn getbit(db: &mut Db, argv: Argv) -> Outcome {
    let offset = bit_offset(argv[2])?;
    let value = db.read::<Bytes>(argv[1])?;
    Ok(Value::Int(value.is_some_and(|value| bit(value, offset)).into()))
}

/// Reads `BYTE` or `BIT`; true for bits.
fn in_bits(word: Option<&&[u8]>) -> Result<bool, Fault> {
    match word {
        None => Ok(false),
        Some(word) if is(word, "BYTE") => Ok(false),
        Some(word) if is(word, "BIT") => Ok(true),
        Some(_) => Err(SYNTAX),
    }
}

/// The ones in a half-open range of bits.
fn count_ones(bytes: &[u8], range: std::ops::Range<usize>) -> u64 {
    let (first, last) = (range.start.div_ceil(8) * 8, range.end / 8 * 8);
    if first >= last {
        return range.map(|offset| u64::from(bit(bytes, offset))).sum();
    }
    let edges = (range.start..first).chain(last..range.end);
    let whole = bytes[first / 8..last / 8].iter().map(|byte| u64::from(byte.count_ones()));
    edges.map(|offset| u64::from(bit(bytes, offset))).sum::<u64>() + whole.sum::<u64>()
}

fn bitcount(db: &mut Db, argv: Argv) -> Outcome {
    let range = match argv[2..] {
        [] => None,
        [start, stop, ref rest @ ..] if rest.len() < 2 => {
            Some((int(start)?, int(stop)?, in_bits(rest.first())?))
        }
        _ => return Err(SYNTAX),
    };
    let Some(value) = db.read::<Bytes>(argv[1])? else { return Ok(Value::Int(0)) };
    let range = match range {
        None => 0..value.len() * 8,
        Some((start, stop, true)) => byte_range(start, stop, value.len() * 8),
        Some((start, stop, false)) => {
            let bytes = byte_range(start, stop, value.len());
            bytes.start * 8..bytes.end * 8
        }
    };
    Ok(Value::Int(i64::try_from(count_ones(value, range)).unwrap_or(i64::MAX)))
}

/// The first bit of a kind in a half-open range.
fn find(bytes: &[u8], range: std::ops::Range<usize>, wanted: bool) -> Option<usize> {
    let skip = if wanted { 0 } else { 0xff };
    let mut offset = range.start;
    while offset < range.end {
        if offset.is_multiple_of(8) && bytes.get(offset / 8) == Some(&skip) {
            offset += 8;
        } else if bit(bytes, offset) == wanted {
            return Some(offset);
        } else {
            offset += 1;
        }
    }
    None
}

fn bitpos(db: &mut Db, argv: Argv) -> Outcome {
    let wanted = match int(argv[2])? {
        0 => false,
        1 => true,
        _ => return Err(Fault::new("ERR The bit argument must be 1 or 0.")),
    };
    if argv.len() > 6 {
        return Err(SYNTAX);
    }
    let start = argv.get(3).map_or(Ok(0), |start| int(start))?;
    let bits = in_bits(argv.get(5))?;
    let stop = argv.get(4).map_or(Ok(-1), |stop| int(stop))?;
    let Some(value) = db.read::<Bytes>(argv[1])? else {
        return Ok(Value::Int(if wanted { -1 } else { 0 }));
    };
    let length = if bits { value.len() * 8 } else { value.len() };
    let start = offset(start, length).max(0);
    let stop = offset(stop, length).max(0);
    let range = super::args::clamp_range(start, stop, length);
    if range.is_empty() {
        return Ok(Value::Int(-1));
    }
    let range = if bits { range } else { range.start * 8..range.end * 8 };
    Ok(match find(value, range, wanted) {
        Some(found) => len(found),
        // Without an end, zeros follow the string.
        None if !wanted && argv.len() < 5 => len(value.len() * 8),
        None => Value::Int(-1),
    })
}
