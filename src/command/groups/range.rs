//! Ranges of sorted sets, from Rust's ranges.

use std::ops::{Bound, RangeBounds};

/// Returns `min` and `max` as Redis writes scores: `-inf`, `(1.5`, `7`.
pub(super) fn scores(range: &impl RangeBounds<f64>) -> [String; 2] {
    let end = |bound: Bound<&f64>, infinite: &str| match bound {
        Bound::Included(score) => score.to_string(),
        Bound::Excluded(score) => format!("({score}"),
        Bound::Unbounded => infinite.to_owned(),
    };
    [end(range.start_bound(), "-inf"), end(range.end_bound(), "+inf")]
}

/// Returns `min` and `max` as Redis writes members in the order of their bytes: `-`, `[a`, `(c`.
pub(super) fn members<'a>(range: &impl RangeBounds<&'a str>) -> [String; 2] {
    let end = |bound: Bound<&&str>, infinite: &str| match bound {
        Bound::Included(member) => format!("[{member}"),
        Bound::Excluded(member) => format!("({member}"),
        Bound::Unbounded => infinite.to_owned(),
    };
    [end(range.start_bound(), "-"), end(range.end_bound(), "+")]
}

/// Returns the first and the last rank, both included; negative counts from the end.
pub(super) fn ranks(range: &impl RangeBounds<i64>) -> [i64; 2] {
    let first = match range.start_bound() {
        Bound::Included(&rank) => rank,
        Bound::Excluded(&rank) => rank.saturating_add(1),
        Bound::Unbounded => 0,
    };
    match range.end_bound() {
        Bound::Included(&rank) => [first, rank],
        // A range that ends before the first is empty, and -1 would be the last.
        Bound::Excluded(0) => [1, 0],
        Bound::Excluded(&rank) => [first, rank.saturating_sub(1)],
        Bound::Unbounded => [first, -1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_what_rust_says() {
        assert_eq!(scores(&(1.0..)), ["1", "+inf"]);
        assert_eq!(scores(&(..2.5)), ["-inf", "(2.5"]);
        assert_eq!(scores(&(f64::NEG_INFINITY..=2.0)), ["-inf", "2"]);
        assert_eq!(members(&("a".."c")), ["[a", "(c"]);
        assert_eq!(members(&(..)), ["-", "+"]);
        assert_eq!(ranks(&(0..10)), [0, 9]);
        assert_eq!(ranks(&(-3..)), [-3, -1]);
        assert_eq!(ranks(&(0..0)), [1, 0], "empty");
        assert_eq!(ranks(&(-4..=-2)), [-4, -2]);
    }
}
