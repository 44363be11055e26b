//! Floats: exact, unless [`Lossy`] is asked for.

use super::convert::canonical_integer;
use super::{ConvertError, FromValue, Value};

/// An exact number, or an infinity, which is a valid score. A value that a double cannot hold
/// exactly, an overflow and `nan` are errors; [`Lossy`] reads those too.
impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let inexact = || ConvertError::new("a float", "an integer that a float cannot hold");
        match value {
            Value::Int(n) if i128::from(n) == (n as f64) as i128 => Ok(n as f64),
            Value::Int(_) => Err(inexact()),
            Value::Bytes(bytes) => {
                let float = parsed(&bytes)?;
                let text = bytes.strip_prefix(b"-").or(bytes.strip_prefix(b"+")).unwrap_or(&bytes);
                if float.is_nan() {
                    return Err(ConvertError::new("a float", "not a number"));
                }
                if float.is_infinite() && text.iter().any(u8::is_ascii_digit) {
                    return Err(ConvertError::new("a float", "a number too large for one"));
                }
                if canonical_integer(&bytes) && !holds(float, &bytes) {
                    return Err(inexact());
                }
                Ok(float)
            }
            other => Err(ConvertError::of("a float", &other)),
        }
    }
}

fn parsed(bytes: &[u8]) -> Result<f64, ConvertError> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .map(|text| text.strip_prefix("-nan").map_or(text, |_| "nan"));
    text.and_then(|text| text.parse().ok())
        .ok_or(ConvertError::new("a float", "a string that is none"))
}

/// Returns true if a float is this integer, or is written like this: Redis fills the shortest
/// digits up with zeros.
fn holds(float: f64, integer: &[u8]) -> bool {
    let exact = std::str::from_utf8(integer).ok().and_then(|text| text.parse::<i128>().ok());
    exact == Some(float as i128) || float.to_string().as_bytes() == integer
}

impl FromValue for f32 {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let float = f64::from_value(value)?;
        let single = float as f32;
        if single.is_infinite() && float.is_finite() {
            return Err(ConvertError::new("a float", "a number too large for one"));
        }
        Ok(single)
    }
}

/// A float that need not be exact: the nearest to the number, also of integers that a float cannot
/// hold. `nan` is one too.
///
/// ```
/// use redis_rest::{FromValue, Lossy, Value};
/// let large = Value::Int(i64::MAX);
/// assert!(f64::from_value(large.clone()).is_err());
/// assert_eq!(Lossy::from_value(large), Ok(Lossy(i64::MAX as f64)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Lossy<T>(pub T);

impl FromValue for Lossy<f64> {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Int(n) => Ok(Self(n as f64)),
            Value::Bytes(bytes) => parsed(&bytes).map(Self),
            other => Err(ConvertError::of("a float", &other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_exact_unless_asked_otherwise() {
        let read = |text: &'static str| f64::from_value(Value::bytes(text));
        let lossy = |text: &'static str| Lossy::<f64>::from_value(Value::bytes(text));
        for (text, wanted) in [
            ("1.5", 1.5),
            ("-0", -0.0),
            ("0.1", 0.1),
            ("3e2", 300.0),
            ("inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("9007199254740992", 9_007_199_254_740_992.0),
            ("123456789012345680000", 123_456_789_012_345_680_000.0),
            ("1152921504606846976", 1_152_921_504_606_846_976.0),
        ] {
            assert_eq!((read(text), lossy(text)), (Ok(wanted), Ok(Lossy(wanted))), "{text}");
        }
        for (text, wanted) in [
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("-9007199254740993", -9_007_199_254_740_992.0),
            ("1e999", f64::INFINITY),
            ("-1e999", f64::NEG_INFINITY),
        ] {
            assert!(read(text).is_err(), "{text}");
            assert_eq!(lossy(text), Ok(Lossy(wanted)), "{text}");
        }
        for text in ["nan", "-nan"] {
            assert!(read(text).is_err(), "{text}");
            assert!(lossy(text).is_ok_and(|Lossy(float)| float.is_nan()), "{text}");
        }
        assert!(read("x").is_err() && lossy("").is_err());
        assert_eq!(f64::from_value(Value::Int(1 << 60)), Ok((1_i64 << 60) as f64));
        for n in [i64::MAX, i64::MIN + 1, (1 << 53) + 1] {
            assert!(f64::from_value(Value::Int(n)).is_err(), "{n}");
        }
        assert!(f32::from_value(Value::bytes("1e39")).is_err());
        assert_eq!(f32::from_value(Value::bytes("inf")), Ok(f32::INFINITY));
    }
}
