//! Durations in Go's form, for `SESSION_TTL`.

use std::time::Duration;

/// Reads `24h`, `1h30m`, `1.5h`, `300ms`: numbers, each with a unit of `ns us µs ms s m h`; or a
/// bare `0`. Negative ones and those beyond what a `Duration` holds are `None`.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0_u128;
    while {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit);
        total = total.checked_add(nanos(digits, unit)?)?;
        rest = next;
        !rest.is_empty()
    } {}
    let nanos = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Duration::new(u64::try_from(total / 1_000_000_000).ok()?, nanos))
}

fn nanos(number: &str, unit: &str) -> Option<u128> {
    let unit: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits beyond a nanosecond's reach change nothing.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().ok()?.checked_mul(unit)? / 10_u128.pow(fraction.len() as u32)
    };
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn durations_as_go_writes_them() {
        for (text, millis) in [
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("90s", 90_000),
            ("300ms", 300),
            ("1m0.5s", 60_500),
            ("0", 0),
            ("+1s", 1000),
            (".5s", 500),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("1µs"), Some(Duration::from_micros(1)));
        for text in [
            "",
            "24",
            "h",
            "-1h",
            "1x",
            "1h30",
            "1.2.3s",
            ".s",
            "1 h",
            "99999999999999999999999999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
