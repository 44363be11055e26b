//! The contract of [`SessionStore`], case by case. Each case is a function with users of its own,
//! so cases can run at once on one server. A case that fails panics and says what was expected.
//!
//! A [`Harness`] makes the stores and lets time pass:
//!
//! ```
//! use redis_rest::BoxFuture;
//! use redis_rest::session::{InMemorySessionStore, SessionStore};
//! use redis_rest::conformance::sessions::{self, Harness};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! struct Mine(InMemorySessionStore); // your own `SessionStore`
//!
//! impl Harness for Mine {
//!     fn store(&self, ttl: Duration) -> Arc<dyn SessionStore> {
//!         Arc::new(self.0.with_default_ttl(ttl))
//!     }
//!
//!     fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
//!         self.0.advance(time); // a store without a clock of its own waits: Box::pin(tokio::time::sleep(time))
//!         Box::pin(std::future::ready(()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let harness = || Mine(InMemorySessionStore::new(Duration::from_secs(3600)));
//! sessions::run(harness).await;
//! sessions::run_long(harness).await;
//! # }
//! ```
//!
//! [`each_session_case!`](crate::each_session_case) makes a test of its own from each case. The
//! cases of [`each_long_session_case!`](crate::each_long_session_case) let more than an hour pass,
//! and are for stores whose clock can be moved.

mod calls;
mod deletes;
mod log_outs;
mod long;
mod support;
mod times;
mod writes;

pub use calls::*;
pub use deletes::*;
pub use log_outs::*;
pub use long::*;
pub use times::*;
pub use writes::*;

use crate::platform::{BoxFuture, MaybeSend};
use crate::session::SessionStore;
use std::sync::Arc;
use std::time::Duration;

/// A kind of store to be tested.
pub trait Harness: MaybeSend {
    /// A store with this default time to live. All stores of one harness share their data.
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore>;

    /// Lets time pass, by waiting if the store's clock cannot be moved.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// Calls the macro whose name is given with the names of all cases of
/// [`conformance::sessions`](crate::conformance::sessions) but the long ones.
///
/// ```
/// macro_rules! count {
///     ($($case:ident)*) => { [$(stringify!($case)),*].len() };
/// }
/// assert!(redis_rest::each_session_case!(count) > 10);
/// ```
#[macro_export]
macro_rules! each_session_case {
    ($run:ident) => {
        $run! {
            life_of_a_session updates_never_resurrect deletes_win create_is_not_save compare_and_update batches log_out_everywhere
            invalid_ids odd_users concurrent_changes
            creates_are_refused_by_what_is_there replaces_compare_the_exact_version changes_are_executed_once
            uses_hand_the_content_on results_are_of_each_session unwritable_sessions_are_refused versions_survive_as_text
            reads_change_nothing
            sessions_expire times_to_live slides_spare_explicit_ends storing_again_starts_over default_ttl ends_are_returned
            deletes_are_executed_once deletes_of_a_version deletes_of_what_a_create_made deletes_of_unknown_ids_are_remembered
            creates_are_refused_after_a_log_out log_outs_end_what_did_not_know_them log_outs_are_a_set log_outs_spare_other_users
            health
        }
    };
}

/// Calls the macro whose name is given with the names of the cases of
/// [`conformance::sessions`](crate::conformance::sessions) that let more than an
/// hour pass.
#[macro_export]
macro_rules! each_long_session_case {
    ($run:ident) => {
        $run! {
            ids_are_remembered_after_a_delete ids_are_remembered_after_an_expiry ids_can_be_used_again late_copies_of_deletes
            marks_outlive_creates
        }
    };
}

/// All cases but the long ones, one after another, each with a harness of its own: time that passes
/// in one must not end what another stored.
pub async fn run<H: Harness>(harness: impl Fn() -> H) {
    macro_rules! run_each {
        ($($case:ident)*) => {{ $($case(&harness()).await;)* }};
    }
    each_session_case!(run_each);
}

/// The cases that let more than an hour pass.
pub async fn run_long<H: Harness>(harness: impl Fn() -> H) {
    macro_rules! run_each {
        ($($case:ident)*) => {{ $($case(&harness()).await;)* }};
    }
    each_long_session_case!(run_each);
}
