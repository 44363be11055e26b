//! Floats with 64 bits of mantissa, in which Redis adds for `INCRBYFLOAT` on the usual processors: so 0.1 + 0.2 is 0.3.

use super::big::Big;
use super::parse::strtod;
use std::cmp::Ordering;

/// `mantissa * 2^exponent`; the mantissa has 64 bits, unless it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Extended {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// No finite number has a larger exponent, and none but zero a smaller one.
const LARGEST: i32 = 16384 - 64;
const SMALLEST: i32 = -16445;
/// Texts with larger decimal exponents are out of range, whatever their digits.
const DECIMAL_LIMIT: i64 = 5000;
/// Redis refuses longer texts.
const LONGEST: usize = 5 * 1024;

impl Extended {
    const ZERO: Self = Self { negative: false, mantissa: 0, exponent: 0 };

    /// Rounds `big * 2^exponent`; `None` if that is out of range. `rest` stands for something smaller than the last bit.
    fn round(negative: bool, big: &Big, exponent: i32, rest: bool) -> Option<Self> {
        if big.is_zero() {
            return Some(Self { negative, ..Self::ZERO });
        }
        let (mut big, mut exponent) = (big.clone(), exponent);
        if rest {
            big = big.shifted_left(2).plus(&Big::from(1));
            exponent -= 2;
        }
        let bits = i32::try_from(big.bits()).ok()?;
        let excess = (bits - 64).max(SMALLEST - exponent);
        let rounded = match usize::try_from(excess) {
            Ok(by) => big.rounded_right(by),
            Err(_) => big.shifted_left(usize::try_from(-excess).ok()?),
        };
        exponent = exponent.checked_add(excess)?;
        let carried = rounded.bits() > 64;
        let rounded = if carried { rounded.shifted_right(1) } else { rounded };
        exponent += i32::from(carried);
        let small = exponent == SMALLEST && rounded.is_zero();
        (exponent <= LARGEST && !small).then(|| Self {
            negative,
            mantissa: rounded.low_u64(),
            exponent,
        })
    }

    /// Reads a number as C's `strtold` does, where Redis wants a finite one. Infinities are `Err(())`.
    pub(in crate::engine) fn parse(text: &[u8]) -> Option<Result<Self, ()>> {
        if text.len() > LONGEST || text.first().is_none_or(u8::is_ascii_whitespace) {
            return None;
        }
        let parsed = strtod(text)?;
        if parsed.length != text.len() || parsed.value.is_nan() {
            return None;
        }
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if digits.first()?.is_ascii_alphabetic() {
            return Some(Err(()));
        }
        let number = match digits {
            [b'0', b'x' | b'X', rest @ ..] => Self::hexadecimal(negative, rest),
            _ => Self::decimal(negative, digits),
        };
        number.map(Ok)
    }

    fn split(digits: &[u8], marks: [u8; 2]) -> (&[u8], i64) {
        let end = digits.iter().position(|byte| marks.contains(byte)).unwrap_or(digits.len());
        let exponent = digits.get(end + 1..).and_then(|text| std::str::from_utf8(text).ok());
        (
            &digits[..end],
            exponent.map_or(0, |text| {
                text.parse().unwrap_or(if text.starts_with('-') { -99_999 } else { 99_999 })
            }),
        )
    }

    fn decimal(negative: bool, digits: &[u8]) -> Option<Self> {
        let (mantissa, mut exponent) = Self::split(digits, *b"eE");
        let (mut big, mut point) = (Big::default(), false);
        for byte in mantissa {
            match byte {
                b'.' => point = true,
                digit => {
                    big.times_plus(10, u32::from(digit - b'0'));
                    exponent -= i64::from(point);
                }
            }
        }
        if big.is_zero() {
            return Some(Self { negative, ..Self::ZERO });
        }
        if exponent.abs() > DECIMAL_LIMIT + i64::try_from(LONGEST).ok()? {
            return None;
        }
        if let Ok(power) = usize::try_from(exponent) {
            big.times_power_of_ten(power);
            return Self::round(negative, &big, 0, false);
        }
        let mut divisor = Big::from(1);
        divisor.times_power_of_ten(usize::try_from(-exponent).ok()?);
        let shift = (divisor.bits() + 66).saturating_sub(big.bits());
        let (quotient, rest) = big.shifted_left(shift).divided_by(&divisor);
        Self::round(negative, &quotient, -i32::try_from(shift).ok()?, rest)
    }

    fn hexadecimal(negative: bool, digits: &[u8]) -> Option<Self> {
        let (mantissa, mut exponent) = Self::split(digits, *b"pP");
        let (mut big, mut point) = (Big::default(), false);
        for byte in mantissa {
            match char::from(*byte).to_digit(16) {
                None => point = true,
                Some(digit) => {
                    big.times_plus(16, digit);
                    exponent -= if point { 4 } else { 0 };
                }
            }
        }
        Self::round(negative, &big, i32::try_from(exponent).ok()?, false)
    }

    /// The sum; `None` if it is out of range.
    pub(in crate::engine) fn plus(self, other: Self) -> Option<Self> {
        if self.mantissa == 0 || other.mantissa == 0 {
            return Some(if other.mantissa == 0 { self } else { other });
        }
        let (high, low) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = usize::try_from(high.exponent - low.exponent).ok()?;
        // The lower one is then less than any bit of the sum that counts.
        if shift > 200 {
            return Some(high);
        }
        let (left, right) = (Big::from(high.mantissa).shifted_left(shift), Big::from(low.mantissa));
        let (negative, big) = match (high.negative == low.negative, left.cmp(&right)) {
            (true, _) => (high.negative, left.plus(&right)),
            (false, Ordering::Less) => (low.negative, right.minus(&left)),
            (false, Ordering::Equal) => (false, Big::default()),
            (false, Ordering::Greater) => (high.negative, left.minus(&right)),
        };
        Self::round(negative, &big, low.exponent, false)
    }

    /// C's `%.17Lf` without zeros at its end.
    pub(in crate::engine) fn text(self) -> String {
        let mut big = Big::from(self.mantissa);
        big.times_power_of_ten(17);
        let units = match usize::try_from(self.exponent) {
            Ok(left) => big.shifted_left(left),
            Err(_) => big.rounded_right(self.exponent.unsigned_abs() as usize),
        };
        let digits = format!("{:0>18}", units.decimal());
        let (whole, fraction) = digits.split_at(digits.len() - 17);
        let text = format!("{whole}.{fraction}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let sign = if self.negative && text != "0" { "-" } else { "" };
        format!("{sign}{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_long_double() {
        let sum = |left: &str, right: &str| {
            let read = |text: &str| Extended::parse(text.as_bytes()).unwrap().unwrap();
            read(left).plus(read(right)).map(Extended::text)
        };
        let cases = [
            ("0.1", "0.2", "0.3"),
            ("10.50", "-10.5", "0"),
            ("5.0e3", "200", "5200"),
            ("0", "855019.2506376379", "855019.25063763790001303"),
            ("0", "0x1p3", "8"),
            ("0", "1e20", "100000000000000000000"),
            ("-1", "0.5", "-0.5"),
        ];
        for (left, right, expected) in cases {
            assert_eq!(sum(left, right).as_deref(), Some(expected), "{left} + {right}");
        }
        assert_eq!(Extended::parse(b"inf"), Some(Err(())));
        assert_eq!(Extended::parse(b"1e5000"), None);
        assert_eq!(Extended::parse(b"x"), None);
    }
}
