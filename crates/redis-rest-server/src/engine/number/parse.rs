//! C's `strtod`.

/// The beginning of a text, as a number.
pub(in crate::engine) struct Parsed {
    pub(in crate::engine) value: f64,
    /// The number of bytes read.
    pub(in crate::engine) length: usize,
    /// False if it is too large, or too small for anything but zero.
    pub(in crate::engine) in_range: bool,
}

fn count(bytes: &[u8], accepts: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| accepts(byte)).count()
}

/// The length of digits with at most one point among them; `None` without any digit.
fn mantissa(text: &[u8], digit: impl Fn(&u8) -> bool + Copy) -> Option<usize> {
    let whole = count(text, digit);
    let fraction = match text.get(whole) {
        Some(b'.') => count(&text[whole + 1..], digit),
        _ => return (whole > 0).then_some(whole),
    };
    (whole + fraction > 0).then_some(whole + 1 + fraction)
}

/// The length of an exponent after its letter, with the letter; 0 if there is none.
fn exponent(text: &[u8], letter: u8) -> usize {
    let Some((first, rest)) = text.split_first() else { return 0 };
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    let digits = count(&rest[sign..], u8::is_ascii_digit);
    if first.eq_ignore_ascii_case(&letter) && digits > 0 { 1 + sign + digits } else { 0 }
}

/// Reads the number at the beginning; `None` if there is none.
pub(in crate::engine) fn strtod(text: &[u8]) -> Option<Parsed> {
    let spaces = count(text, |byte| byte.is_ascii_whitespace() || *byte == 0x0b);
    let signed = &text[spaces..];
    let sign = usize::from(matches!(signed.first(), Some(b'+' | b'-')));
    let negative = signed.first() == Some(&b'-');
    let rest = &signed[sign..];
    let (magnitude, length, in_range) = unsigned(rest)?;
    let value = if negative { -magnitude } else { magnitude };
    Some(Parsed { value, length: spaces + sign + length, in_range })
}

fn unsigned(text: &[u8]) -> Option<(f64, usize, bool)> {
    let begins =
        |word: &[u8]| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    if begins(b"infinity") {
        return Some((f64::INFINITY, 8, true));
    }
    if begins(b"inf") {
        return Some((f64::INFINITY, 3, true));
    }
    if begins(b"nan") {
        return Some((f64::NAN, 3, true));
    }
    if begins(b"0x")
        && let Some(digits) = mantissa(&text[2..], u8::is_ascii_hexdigit)
    {
        let power = exponent(&text[2 + digits..], b'p');
        let length = 2 + digits + power;
        let value = hexadecimal(&text[2..2 + digits], &text[2 + digits..length]);
        let zero = text[2..2 + digits].iter().all(|byte| matches!(byte, b'0' | b'.'));
        return Some((value, length, value.is_finite() && (zero || value != 0.0)));
    }
    let digits = mantissa(text, u8::is_ascii_digit)?;
    let length = digits + exponent(&text[digits..], b'e');
    let value: f64 = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    let zero = text[..digits].iter().all(|byte| matches!(byte, b'0' | b'.'));
    Some((value, length, value.is_finite() && (zero || value != 0.0)))
}

fn hexadecimal(digits: &[u8], power: &[u8]) -> f64 {
    let (mut value, mut scale, mut point) = (0.0_f64, 0_i32, false);
    for digit in digits {
        match char::from(*digit).to_digit(16) {
            Some(digit) => {
                value = value * 16.0 + f64::from(digit);
                scale -= if point { 4 } else { 0 };
            }
            None => point = true,
        }
    }
    let power: i32 =
        power.get(1..).and_then(|power| std::str::from_utf8(power).ok()).map_or(0, |power| {
            power.parse().unwrap_or(if power.starts_with('-') { -99_999 } else { 99_999 })
        });
    value * 2.0_f64.powi(power.saturating_add(scale))
}
