//! What every [`SessionStore`] must do. One function for each case; all of them use users of their own, so they can run at
//! once on one server.
//!
//! A [`Harness`] makes the stores and lets time pass:
//!
//! ```
//! use redis_rest::BoxFuture;
//! use redis_rest::session::{InMemorySessionStore, SessionStore};
//! use redis_rest::testing::conformance::sessions::{self, Harness};
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
//! sessions::run(|| Mine(InMemorySessionStore::new(Duration::from_secs(3600)))).await;
//! # }
//! ```
//!
//! [`each_session_case!`](crate::each_session_case) makes a test of its own from each case.

mod cases;

pub use cases::*;

use crate::platform::{BoxFuture, MaybeSend};
use crate::session::SessionStore;
use std::sync::Arc;
use std::time::Duration;

/// A kind of store to be tested.
pub trait Harness: MaybeSend {
    /// A store with this default time to live. All stores of one harness share their data.
    fn store(&self, ttl: Duration) -> Arc<dyn SessionStore>;

    /// Lets time pass, by waiting where the store's clock cannot be moved.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// Calls the macro whose name is given with the names of all cases of
/// [`testing::conformance::sessions`](crate::testing::conformance::sessions).
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
            life_of_a_session updates_never_resurrect deletes_win create_is_not_save sessions_expire times_to_live
            after_an_outage storing_again_starts_over batches log_out_everywhere invalid_ids odd_users compare_and_update compare_and_delete
            default_ttl
            concurrent_changes close
        }
    };
}

/// All cases, one after another, each with a harness of its own: a case ends with its store closed, and time that passes in one
/// must not end what another stored.
pub async fn run<H: Harness>(harness: impl Fn() -> H) {
    macro_rules! run_each {
        ($($case:ident)*) => {{ $($case(&harness()).await;)* }};
    }
    each_session_case!(run_each);
}
