//! Reading arguments and writing numbers the way Redis does.

use redis_rest::Value;
use std::borrow::Cow;

/// The text of an error reply.
pub(super) struct Fault(pub(super) Cow<'static, str>);

/// What a command answers.
pub(super) type Outcome = Result<Value, Fault>;

/// A command's name and arguments.
pub(super) type Argv<'a> = &'a [&'a [u8]];

impl Fault {
    pub(super) const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub(super) fn owned(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

pub(super) const WRONG_TYPE: Fault =
    Fault::new("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(super) const SYNTAX: Fault = Fault::new("ERR syntax error");
pub(super) const NOT_INT: Fault = Fault::new("ERR value is not an integer or out of range");
pub(super) const NOT_FLOAT: Fault = Fault::new("ERR value is not a valid float");
pub(super) const NO_SUCH_KEY: Fault = Fault::new("ERR no such key");
pub(super) const OUT_OF_RANGE: Fault = Fault::new("ERR index out of range");
pub(super) const NOT_POSITIVE: Fault = Fault::new("ERR value is out of range, must be positive");
pub(super) const NAN_OR_INF: Fault = Fault::new("ERR increment would produce NaN or Infinity");
pub(super) const OVERFLOW: Fault = Fault::new("ERR increment or decrement would overflow");

pub(super) fn wrong_arity(name: &str) -> Fault {
    Fault::owned(format!("ERR wrong number of arguments for '{name}' command"))
}

/// An integer as Redis stores it: no plus sign, no leading zeros, no spaces.
pub(super) fn strict_int(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [] => false,
        [b'0'] => text.len() == 1,
        [b'0', ..] => false,
        _ => digits.iter().all(u8::is_ascii_digit),
    };
    if canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

pub(super) fn int(text: &[u8]) -> Result<i64, Fault> {
    strict_int(text).ok_or(NOT_INT)
}

/// A count that must not be negative.
pub(super) fn positive(text: &[u8]) -> Result<usize, Fault> {
    match strict_int(text) {
        Some(number) => usize::try_from(number).map_err(|_| NOT_POSITIVE),
        None => Err(NOT_POSITIVE),
    }
}

pub(super) use super::number::strict_float;

pub(super) fn float(text: &[u8]) -> Result<f64, Fault> {
    strict_float(text).ok_or(NOT_FLOAT)
}

pub(super) fn is(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

/// As much of a length as a reply can hold.
pub(super) fn len(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

/// A string value copied from a slice.
pub(super) fn text(bytes: &[u8]) -> Value {
    Value::bytes(bytes.to_vec())
}

/// A list index as an offset, counting from the end where negative. May be out of range.
pub(super) fn offset(index: i64, length: usize) -> i64 {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if index < 0 { index.saturating_add(length) } else { index }
}

/// The half-open range of an inclusive one, clamped; empty where nothing is left.
pub(super) fn clamp_range(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset(start, length).max(0)).unwrap_or(usize::MAX);
    let end = usize::try_from(offset(stop, length).saturating_add(1).max(0))
        .unwrap_or(usize::MAX)
        .min(length);
    if start >= end { 0..0 } else { start..end }
}

/// The half-open range of bytes of an inclusive one. Unlike [`clamp_range`], what ends before the beginning ends at it.
pub(super) fn byte_range(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    if start < 0 && stop < 0 && start > stop {
        return 0..0;
    }
    clamp_range(offset(start, length).max(0), offset(stop, length).max(0), length)
}

/// An integer between two others.
pub(super) fn int_between(text: &[u8], low: i64, high: i64) -> Result<i64, Fault> {
    let number = int(text)?;
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    Err(Fault::owned(format!("ERR value is out of range, value must between {low} and {high}")))
}

/// C's `%.{precision}g`: what scripts use for numbers (17), and cjson (14).
pub(super) fn format_g(number: f64, precision: usize) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let precision = precision.max(1);
    let scientific = format!("{number:.*e}", precision - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    trim_zeros(&format!("{number:.decimals$}")).to_owned()
}

fn trim_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A score in a reply.
pub(super) fn score(number: f64) -> Value {
    Value::bytes(super::number::shortest(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_canonical() {
        for good in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert!(strict_int(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808"] {
            assert!(strict_int(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn floats_print_as_c_does() {
        let cases = [
            (3.0, "3"),
            (3.5, "3.5"),
            (0.1, "0.10000000000000001"),
            (1e20, "1e+20"),
            (1e-5, "1.0000000000000001e-05"),
        ];
        for (number, expected) in cases {
            assert_eq!(format_g(number, 17), expected);
        }
        assert_eq!(format_g(1.234_567_890_123_456_7e17, 14), "1.2345678901235e+17");
        assert_eq!(format_g(f64::NEG_INFINITY, 17), "-inf");
    }

    #[test]
    fn ranges_clamp() {
        assert_eq!(clamp_range(0, -1, 3), 0..3);
        assert_eq!(clamp_range(-100, 100, 3), 0..3);
        assert_eq!(clamp_range(2, 1, 3), 0..0);
        assert_eq!(clamp_range(i64::MIN, i64::MAX, 3), 0..3);
        assert_eq!(clamp_range(5, 6, 3), 0..0);
    }
}
