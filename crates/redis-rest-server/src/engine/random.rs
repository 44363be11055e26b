//! What `HRANDFIELD` and `SRANDMEMBER` have in common.

use super::args::{Argv, Fault, SYNTAX, int_between, is};

/// Reads how many to pick. With their values Redis allows half as many.
pub(super) fn count_of(count: &[u8], options: Argv, word: &str) -> Result<(i64, bool), Fault> {
    let count = int_between(count, -i64::MAX, i64::MAX)?;
    let doubled = match options {
        [] => false,
        [given] if is(given, word) => true,
        _ => return Err(SYNTAX),
    };
    if doubled && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(Fault::new("ERR value is out of range"));
    }
    Ok((count, doubled))
}

/// Offsets to pick: without repetition, or with where the count is negative.
pub(super) fn pick(count: i64, length: usize) -> Result<Vec<usize>, Fault> {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if length == 0 {
        return Ok(Vec::new());
    }
    if count >= 0 {
        return Ok(if wanted >= length {
            (0..length).collect()
        } else {
            fastrand::choose_multiple(0..length, wanted)
        });
    }
    // Redis itself allows half of the integers here and would run out of memory.
    if wanted > 10_000_000 {
        return Err(Fault::new("ERR value is out of range"));
    }
    Ok((0..wanted).map(|_| fastrand::usize(..length)).collect())
}
