//! The declared commands, one file for each group of Redis's documentation.

pub mod acl;
pub mod bitmap;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod json;
pub mod list;
pub mod pubsub;
mod range;
pub mod scripting;
pub mod server;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;

pub use self::{
    acl::*, bitmap::*, generic::*, geo::*, hash::*, hyperloglog::*, json::*, list::*, pubsub::*,
    scripting::*, server::*, set::*, sorted_set::*, stream::*, string::*,
};

use super::declare::Row;

/// Every declared command, in the order of the groups.
pub fn table() -> impl Iterator<Item = &'static Row> {
    let groups = [
        string::ROWS,
        bitmap::ROWS,
        generic::ROWS,
        hash::ROWS,
        list::ROWS,
        set::ROWS,
        sorted_set::ROWS,
        geo::ROWS,
        hyperloglog::ROWS,
        stream::ROWS,
        json::ROWS,
        pubsub::ROWS,
        scripting::ROWS,
        server::PING,
        server::ROWS,
        acl::ROWS,
    ];
    groups.into_iter().flatten()
}

/// Milliseconds, rounded up so that a time to live is never shortened, at least 1 and at most 1000 years (Redis refuses
/// what overflows its clock; Lua prints up to 14 digits exactly).
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    const MOST: u128 = 1000 * 366 * 24 * 3600 * 1000;
    let millis = duration.as_nanos().div_ceil(1_000_000).clamp(1, MOST);
    u64::try_from(millis).unwrap_or(u64::MAX)
}
