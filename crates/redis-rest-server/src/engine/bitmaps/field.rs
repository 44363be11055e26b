//! `BITFIELD`.

use super::{BAD_OFFSET, bit, edit};
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, int, is, strict_int};
use crate::engine::db::Db;
use crate::engine::strings::MAX_LEN;
use bytes::Bytes;
use redis_rest::Value;

const BAD_TYPE: Fault = Fault::new(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);

#[derive(Clone, Copy)]
struct Field {
    signed: bool,
    bits: u32,
    offset: usize,
}

#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Operation {
    Get,
    Set(i64),
    Add(i64),
}

impl Field {
    fn parse(kind: &[u8], place: &[u8]) -> Result<Self, Fault> {
        let (signed, digits) = match kind {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return Err(BAD_TYPE),
        };
        let bits = strict_int(digits).and_then(|bits| u32::try_from(bits).ok()).ok_or(BAD_TYPE)?;
        if bits == 0 || bits > if signed { 64 } else { 63 } {
            return Err(BAD_TYPE);
        }
        let (factor, digits) = match place.strip_prefix(b"#") {
            Some(digits) => (usize::try_from(bits).unwrap_or(64), digits),
            None => (1, place),
        };
        let offset = strict_int(digits)
            .and_then(|offset| usize::try_from(offset).ok()?.checked_mul(factor))
            .filter(|offset| offset / 8 < MAX_LEN)
            .ok_or(BAD_OFFSET)?;
        Ok(Self { signed, bits, offset })
    }

    const fn end(self) -> usize {
        self.offset + self.bits as usize
    }

    fn range(self) -> (i128, i128) {
        match self.signed {
            true => (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        }
    }

    fn read(self, bytes: &[u8]) -> i64 {
        let raw = (self.offset..self.end())
            .fold(0_u64, |value, offset| value << 1 | u64::from(bit(bytes, offset)));
        self.wrapped(i128::from(raw))
    }

    fn wrapped(self, value: i128) -> i64 {
        let (low, high) = self.range();
        let span = high - low + 1;
        ((value - low).rem_euclid(span) + low) as i64
    }

    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (low, high) = self.range();
        if (low..=high).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.wrapped(value)),
            Overflow::Saturate => Some(value.clamp(low, high) as i64),
            Overflow::Fail => None,
        }
    }

    fn write(self, bytes: &mut [u8], value: i64) {
        for index in 0..self.bits {
            let offset = self.offset + index as usize;
            let mask = 0x80 >> (offset % 8);
            let on = value >> (self.bits - 1 - index) & 1 == 1;
            let byte = &mut bytes[offset / 8];
            *byte = *byte & !mask | if on { mask } else { 0 };
        }
    }
}

type Step = (Field, Operation, Overflow);

fn parse(args: Argv, read_only: bool) -> Result<Vec<Step>, Fault> {
    let (mut steps, mut overflow, mut rest) = (Vec::new(), Overflow::Wrap, args);
    while let Some((word, tail)) = rest.split_first() {
        match (tail, word) {
            ([kind, place, after @ ..], word) if is(word, "GET") => {
                steps.push((Field::parse(kind, place)?, Operation::Get, overflow));
                rest = after;
            }
            ([policy, after @ ..], word) if is(word, "OVERFLOW") => {
                overflow = match () {
                    () if is(policy, "WRAP") => Overflow::Wrap,
                    () if is(policy, "SAT") => Overflow::Saturate,
                    () if is(policy, "FAIL") => Overflow::Fail,
                    () => return Err(Fault::new("ERR Invalid OVERFLOW type specified")),
                };
                rest = after;
            }
            ([kind, place, amount, after @ ..], word) if is(word, "SET") || is(word, "INCRBY") => {
                let field = Field::parse(kind, place)?;
                if read_only {
                    return Err(Fault::new("ERR BITFIELD_RO only supports the GET subcommand"));
                }
                let amount = int(amount)?;
                let operation = match is(word, "SET") {
                    true => Operation::Set(amount),
                    false => Operation::Add(amount),
                };
                steps.push((field, operation, overflow));
                rest = after;
            }
            _ => return Err(SYNTAX),
        }
    }
    Ok(steps)
}

fn step(bytes: &mut [u8], (field, operation, overflow): Step) -> Value {
    let old = field.read(bytes);
    let (new, reply_new) = match operation {
        Operation::Get => return Value::Int(old),
        // Unsigned ones see the bits of a negative value.
        Operation::Set(value) if !field.signed => (i128::from(value as u64), false),
        Operation::Set(value) => (i128::from(value), false),
        Operation::Add(amount) => (i128::from(old) + i128::from(amount), true),
    };
    let Some(new) = field.fit(new, overflow) else { return Value::Nil };
    field.write(bytes, new);
    Value::Int(if reply_new { new } else { old })
}

fn run(db: &mut Db, argv: Argv, read_only: bool) -> Outcome {
    let steps = parse(&argv[2..], read_only)?;
    let writes = steps.iter().filter(|(_, operation, _)| !matches!(operation, Operation::Get));
    let end = writes.map(|(field, ..)| field.end().div_ceil(8)).max();
    let Some(end) = end else {
        let bytes = db.read::<Bytes>(argv[1])?.cloned().unwrap_or_default();
        let reads = steps.iter().map(|(field, ..)| Value::Int(field.read(&bytes)));
        return Ok(Value::Array(reads.collect()));
    };
    let mut replies = Vec::with_capacity(steps.len());
    edit(db, argv[1], |bytes| {
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        replies.extend(steps.into_iter().map(|given| step(bytes, given)));
    })?;
    Ok(Value::Array(replies))
}

pub(super) fn bitfield(db: &mut Db, argv: Argv) -> Outcome {
    run(db, argv, false)
}

pub(super) fn bitfield_ro(db: &mut Db, argv: Argv) -> Outcome {
    run(db, argv, true)
}
