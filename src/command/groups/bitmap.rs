//! Bits of strings, and integers of any width in them.
//!
//! ```
//! use redis_rest::cmd::{bitcount, setbit};
//! let seen_today = setbit("seen:2026-01-31", 4711, true);
//! let how_many = bitcount("seen:2026-01-31");
//! # let _ = (seen_today, how_many);
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, One, ToArg, ToArgs};

calls! {
    /// The options of `BITCOUNT`: [`within`](BitCount::within),
    /// [`within_bits`](BitCount::within_bits).
    BitCount = u64;
    /// The options of `BITPOS`: [`within`](BitPos::within), [`within_bits`](BitPos::within_bits).
    BitPos = i64;
    /// The operations of `BITFIELD`: [`get`](BitField::get), [`set`](BitField::set),
    /// [`incrby`](BitField::incrby), and [`overflow`](BitField::overflow) for those after it.
    BitField = Vec<Option<i64>>;
    /// The operation of `BITFIELD_RO`: [`get`](BitFieldRo::get).
    BitFieldRo = Vec<i64>;
}

/// An operation of `BITOP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BitOp {
    /// Set in all.
    And,
    /// Set in any.
    Or,
    /// Set in an odd number.
    Xor,
    /// Not set in the only one.
    Not,
    /// Set in the first and in none of the others (Redis 8.2).
    Diff,
    /// Set in any of the others and not in the first (Redis 8.2).
    Diff1,
    /// Set in the first and in any of the others (Redis 8.2).
    AndOr,
    /// Set in exactly one (Redis 8.2).
    One,
}

impl ToArgs for BitOp {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(match self {
            Self::And => b"AND",
            Self::Or => b"OR",
            Self::Xor => b"XOR",
            Self::Not => b"NOT",
            Self::Diff => b"DIFF",
            Self::Diff1 => b"DIFF1",
            Self::AndOr => b"ANDOR",
            Self::One => b"ONE",
        });
    }
}

/// The kind of integer that an operation of `BITFIELD` reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bits {
    /// With a sign, of up to 64 bits.
    Signed(u8),
    /// Without a sign, of up to 63 bits.
    Unsigned(u8),
}

impl ToArgs for Bits {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        match self {
            Self::Signed(width) => out.display(format_args!("i{width}")),
            Self::Unsigned(width) => out.display(format_args!("u{width}")),
        }
    }
}

/// The first bit of an integer of `BITFIELD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitOffset {
    /// At this bit.
    Bit(u64),
    /// At this many integers of the same width.
    Item(u64),
}

impl From<u64> for BitOffset {
    fn from(bit: u64) -> Self {
        Self::Bit(bit)
    }
}

impl ToArgs for BitOffset {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        match self {
            Self::Bit(offset) => out.arg(offset),
            Self::Item(offset) => out.display(format_args!("#{offset}")),
        }
    }
}

/// The treatment of integers that do not fit in `BITFIELD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// Wraps around, the default.
    Wrap,
    /// Stays at the limit.
    Saturate,
    /// Changes nothing and returns nil.
    Fail,
}

impl ToArgs for Overflow {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(match self {
            Self::Wrap => b"WRAP",
            Self::Saturate => b"SAT",
            Self::Fail => b"FAIL",
        });
    }
}

commands! { "bitmap", "Bitmaps";
    /// Counts the bits that are set.
    fn bitcount(key: impl ToArg) -> u64 as BitCount = "BITCOUNT" [key], ReadOnly, "2.6.0";
    /// Runs the added operations on integers in a string; returns a result for each, nil if it
    /// failed to fit.
    ///
    /// ```
    /// use redis_rest::cmd::{Bits, Overflow, bitfield};
    /// let count = bitfield("counters").overflow(Overflow::Saturate).incrby(Bits::Unsigned(8), 0, 1).get(Bits::Signed(4), 8);
    /// # let _ = count;
    /// ```
    fn bitfield(key: impl ToArg) -> Vec<Option<i64>> as BitField = "BITFIELD" [key], ByArguments, "3.2.0";
    /// Does what [`bitfield`] does, and never writes.
    fn bitfield_ro(key: impl ToArg) -> Vec<i64> as BitFieldRo = "BITFIELD_RO" [key], ReadOnly, "6.0.0";
    /// Combines values bit by bit into `destination`; returns its length in bytes.
    fn bitop(how: BitOp, destination: impl ToArg, keys: impl ToArgs) -> u64 = "BITOP" [how, destination, ..keys], ByArguments, "2.6.0", COPIES;
    /// Returns the position of the first bit of this kind; -1 if there is none.
    fn bitpos(key: impl ToArg, bit: bool) -> i64 as BitPos = "BITPOS" [key, bit], ReadOnly, "2.8.7";
    /// Returns a bit.
    fn getbit(key: impl ToArg, offset: u64) -> bool = "GETBIT" [key, offset], ReadOnly, "2.2.0";
    /// Sets one bit; returns what it was.
    fn setbit(key: impl ToArg, offset: u64, bit: bool) -> bool = "SETBIT" [key, offset, bit], NonIdempotent, "2.2.0";
}

macro_rules! within {
    ($kind:ident, $reply:ty) => {
        impl<X> $kind<$reply, X> {
            /// Restricts to the bytes from `start` to `end`, both included; negative counts from
            /// the end.
            pub fn within(self, start: i64, end: i64) -> Self {
                Self(self.0.map(|command| command.arg(start).arg(end)))
            }

            /// Restricts to the bits from `start` to `end`, both included (Redis 7.0).
            pub fn within_bits(self, start: i64, end: i64) -> Self {
                Self(self.0.map(|command| command.arg(start).arg(end).arg("BIT")))
            }
        }
    };
}
within!(BitCount, u64);
within!(BitPos, i64);

options! { BitField on Vec<Option<i64>>;
    /// Returns an integer.
    fn get(bits: Bits, offset: impl Into<BitOffset>) = "GET" [bits, offset.into()];
    /// Sets an integer; returns what it was.
    fn set(bits: Bits, offset: impl Into<BitOffset>, value: i64) = "SET" [bits, offset.into(), value];
    /// Adds to an integer; returns what it is then.
    fn incrby(bits: Bits, offset: impl Into<BitOffset>, by: i64) = "INCRBY" [bits, offset.into(), by];
    /// Sets the treatment of integers that do not fit, for the operations after this.
    fn overflow(overflow: Overflow) = "OVERFLOW" [overflow];
}

options! { BitFieldRo on Vec<i64>;
    /// Returns an integer.
    fn get(bits: Bits, offset: impl Into<BitOffset>) = "GET" [bits, offset.into()];
}

finish! { BitCount BitPos BitField BitFieldRo }
