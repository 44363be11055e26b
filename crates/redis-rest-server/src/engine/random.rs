//! What `HRANDFIELD` and `SRANDMEMBER` have in common.

use super::args::{Fault, int};

/// Offsets to pick: without repetition, or with where the count is negative.
pub(super) fn pick(count: &[u8], length: usize) -> Result<Vec<usize>, Fault> {
    let count = int(count)?;
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
