//! The declared commands, one file for each group of Redis's documentation.

mod expiry;
mod range;
mod untyped;

// The methods of `Client` are documented in this order. The blank lines keep it.

pub mod string;

pub mod generic;

pub mod hash;

pub mod list;

pub mod set;

pub mod sorted_set;

pub mod stream;

pub mod json;

pub mod pubsub;

pub mod scripting;

pub mod bitmap;

pub mod hyperloglog;

pub mod geo;

pub mod server;

pub mod acl;

pub use self::{
    acl::*, bitmap::*, generic::*, geo::*, hash::*, hyperloglog::*, json::*, list::*, pubsub::*,
    scripting::*, server::*, set::*, sorted_set::*, stream::*, string::*,
};

use super::Row;
pub(crate) use expiry::millis;

/// All rows of the table, in the order of the groups.
pub(super) static ALL: [&[Row]; 17] = [
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
    untyped::ROWS,
];

/// Returns every command with a typed form, in the order of the groups. For the documentation and
/// the tool.
#[doc(hidden)]
pub fn table() -> impl Iterator<Item = &'static Row> {
    ALL.into_iter().flatten().filter(|row| !row.method.is_empty())
}
