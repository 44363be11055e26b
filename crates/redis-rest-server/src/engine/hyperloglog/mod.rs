//! HyperLogLogs, in Redis's own encoding: `GET` shows the same bytes.

mod registers;

use super::args::{Argv, Fault, Outcome};
use super::db::{Data, Db};
use super::table::{Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;
use registers::{COUNT, Registers, place};

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("pfadd", WRITE, pfadd),
    row("pfcount", WRITE, pfcount),
    row("pfmerge", WRITE, pfmerge),
];

const NOT_ONE: Fault = Fault::new("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPTED: Fault = Fault::new("INVALIDOBJ Corrupted HLL object detected");

/// `HYLL`, the encoding, three unused bytes, and the last count: its highest bit says that it is outdated.
const HEADER: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Longer sparse values become dense.
const LARGEST_SPARSE: usize = 3000;

/// A value as it is between reading and writing.
struct HyperLogLog {
    registers: Registers,
    dense: bool,
    /// The bytes of the last count.
    cache: [u8; 8],
}

impl HyperLogLog {
    fn new() -> Self {
        Self { registers: Registers::default(), dense: false, cache: [0; 8] }
    }

    fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let Some((header, body)) = bytes.split_at_checked(HEADER) else { return Err(NOT_ONE) };
        let dense = match (&header[..4], header[4]) {
            (b"HYLL", DENSE) => true,
            (b"HYLL", SPARSE) => false,
            _ => return Err(NOT_ONE),
        };
        if dense && body.len() != COUNT * 6 / 8 {
            return Err(NOT_ONE);
        }
        let registers = if dense {
            Registers::from_dense(body)
        } else {
            Registers::from_sparse(body).ok_or(CORRUPTED)?
        };
        let mut cache = [0; 8];
        cache.copy_from_slice(&header[8..]);
        Ok(Self { registers, dense, cache })
    }

    fn read(db: &Db, key: &[u8]) -> Result<Option<Self>, Fault> {
        db.read::<Bytes>(key)?.map(|bytes| Self::parse(bytes)).transpose()
    }

    fn outdate(&mut self) {
        self.cache[7] |= 0x80;
    }

    fn count(&mut self) -> u64 {
        if self.cache[7] & 0x80 != 0 {
            self.cache = self.registers.estimate().to_le_bytes();
        }
        u64::from_le_bytes(self.cache)
    }

    fn write(&mut self, db: &mut Db, key: &[u8]) {
        let sparse = if self.dense { None } else { self.registers.sparse() };
        let sparse = sparse.filter(|bytes| bytes.len() + HEADER <= LARGEST_SPARSE);
        self.dense = sparse.is_none();
        let body = sparse.unwrap_or_else(|| self.registers.dense());
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(b"HYLL");
        bytes.extend_from_slice(&[if self.dense { DENSE } else { SPARSE }, 0, 0, 0]);
        bytes.extend_from_slice(&self.cache);
        bytes.extend_from_slice(&body);
        db.replace(key, Data::String(Bytes::from(bytes)));
    }
}

fn pfadd(db: &mut Db, argv: Argv) -> Outcome {
    let known = HyperLogLog::read(db, argv[1])?;
    let new = known.is_none();
    let mut value = known.unwrap_or_else(HyperLogLog::new);
    let mut changed = false;
    for element in &argv[2..] {
        let (index, rank) = place(element);
        changed |= value.registers.raise(index, rank);
    }
    if changed || new {
        value.outdate();
        value.write(db, argv[1]);
    }
    Ok(Value::Int((changed || new).into()))
}

fn pfcount(db: &mut Db, argv: Argv) -> Outcome {
    let count = if let [key] = argv[1..] {
        let Some(mut value) = HyperLogLog::read(db, key)? else { return Ok(Value::Int(0)) };
        let before = value.cache;
        let count = value.count();
        if before != value.cache {
            value.write(db, key);
        }
        count
    } else {
        let mut all = Registers::default();
        for key in &argv[1..] {
            if let Some(value) = HyperLogLog::read(db, key)? {
                all.raise_all(&value.registers);
            }
        }
        all.estimate()
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn pfmerge(db: &mut Db, argv: Argv) -> Outcome {
    let mut target = HyperLogLog::new();
    for key in &argv[1..] {
        if let Some(value) = HyperLogLog::read(db, key)? {
            target.registers.raise_all(&value.registers);
            target.dense |= value.dense;
        }
    }
    if let Some(known) = HyperLogLog::read(db, argv[1])? {
        target.cache = known.cache;
    }
    target.outdate();
    target.write(db, argv[1]);
    Ok(Value::Okay)
}
