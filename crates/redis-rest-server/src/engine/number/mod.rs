//! Numbers as C reads them and as Redis writes them.

mod big;
mod extended;
mod parse;

use super::args::strict_int;
pub(super) use extended::Extended;
use parse::strtod;

/// A float as C's `strtod` reads it where Redis wants one: all of the text, never NaN, and in range.
pub(super) fn strict_float(text: &[u8]) -> Option<f64> {
    if text.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    let parsed = strtod(text)?;
    (parsed.length == text.len() && parsed.in_range && !parsed.value.is_nan())
        .then_some(parsed.value)
}

/// A number without a sign. C's `strtoull` takes what Redis's own reading does not, such as a plus sign.
pub(super) fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(number) = strict_int(text) {
        return u64::try_from(number).ok();
    }
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A bound of scores: Redis reads it in another way than scores. An empty one is 0, and none is hexadecimal.
pub(super) fn bound(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    if text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'x') || byte.is_ascii_whitespace()) {
        return None;
    }
    let parsed = strtod(text)?;
    (parsed.length == text.len() && !parsed.value.is_nan()).then_some(parsed.value)
}

/// Redis writes whole numbers up to half of its integers with all their digits.
const WRITTEN_WHOLE: f64 = 4_611_686_018_427_387_903.0;

/// A score in a reply: the fewest digits that tell it from others, in the form that Redis 7.2 and newer choose.
pub(super) fn shortest(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if number.trunc() == number && number.abs() <= WRITTEN_WHOLE {
        return (number as i64).to_string();
    }
    let scientific = format!("{:e}", number.abs());
    let sign = if number < 0.0 { "-" } else { "" };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let scale = exponent - count + 1;
    if scale >= 0 && exponent < count + 7 {
        return format!("{sign}{digits}{}", "0".repeat(usize::try_from(scale).unwrap_or(0)));
    }
    if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        return format!("{sign}{}", number.abs());
    }
    let mark = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{mark}{}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_c_does() {
        let cases = [
            ("0x1p3", Some(8.0)),
            ("0x.8", Some(0.5)),
            ("0X1F", Some(31.0)),
            ("+2", Some(2.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("inf", Some(f64::INFINITY)),
            ("0x", None),
            ("1e", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("nan", None),
            ("1e400", None),
            ("1e-400", None),
            ("1_0", None),
            (".", None),
        ];
        for (text, expected) in cases {
            assert_eq!(strict_float(text.as_bytes()), expected, "{text}");
        }
        assert_eq!((bound(b""), bound(b" 1"), bound(b"0x1")), (Some(0.0), None, None));
    }

    #[test]
    fn scores_have_the_fewest_digits() {
        let cases = [
            (7.76, "7.76"),
            (933_585.511_087_784, "9.33585511087784e+5"),
            (5.124904172572608e-9, "5.124904172572608e-9"),
            (1e20, "1e+20"),
            (-1.5, "-1.5"),
            (0.001, "0.001"),
            (3.0, "3"),
        ];
        for (number, expected) in cases {
            assert_eq!(shortest(number), expected);
        }
    }
}
