//! The declared commands, one file for each group of Redis's documentation.

mod generic;
mod hash;
mod list;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod string;

pub use self::{generic::*, hash::*, list::*, scripting::*, server::*, set::*, sorted_set::*, string::*};

use super::declare::Row;

/// Every declared command, in the order of the groups.
pub fn table() -> impl Iterator<Item = &'static Row> {
    [string::ROWS, generic::ROWS, hash::ROWS, list::ROWS, set::ROWS, sorted_set::ROWS, scripting::ROWS, server::ROWS].into_iter().flatten()
}

/// Milliseconds, rounded up so that a time to live is never shortened, at least 1 and at most 1000 years (Redis refuses
/// what overflows its clock; Lua prints up to 14 digits exactly).
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    const MOST: u128 = 1000 * 366 * 24 * 3600 * 1000;
    let millis = duration.as_nanos().div_ceil(1_000_000).clamp(1, MOST);
    u64::try_from(millis).unwrap_or(u64::MAX)
}
