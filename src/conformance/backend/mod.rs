//! Behaviour of every [`Backend`](crate::backend::Backend).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use redis_rest::Client;
//! use redis_rest_server::MemoryBackend;
//! use redis_rest::conformance;
//!
//! let mine = MemoryBackend::new(); // your own `Backend`
//! conformance::backend::run(&Client::from_backend(mine)).await;
//! # }
//! ```
//!
//! Alternatively each case as a separate test:
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! macro_rules! mine {
//!     ($($case:ident)*) => {$(
//!         #[tokio::test]
//!         async fn $case() {
//!             let client = Client::from_backend(MemoryBackend::new());
//!             redis_rest::conformance::backend::$case(&client).await;
//!         }
//!     )*};
//! }
//! redis_rest::each_backend_case!(mine);
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: a panic is their way to report"
)]

mod batches;
mod data;

pub use batches::{pipelines, scripts, scripts_in_batches, transactions};
pub use data::{
    errors, expire_conditions, hashes, integers, keys, large_values, lists, scanning, sets,
    sorted_sets, strings, ttls,
};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};

/// Calls the macro whose name is given with the names of all cases of
/// [`conformance::backend`](crate::conformance::backend).
///
/// ```
/// macro_rules! count {
///     ($($case:ident)*) => { [$(stringify!($case)),*].len() };
/// }
/// assert!(redis_rest::each_backend_case!(count) > 10);
/// ```
#[macro_export]
macro_rules! each_backend_case {
    ($callback:ident) => {
        $callback! {
            strings integers keys ttls expire_conditions hashes lists sets sorted_sets scanning large_values errors
            pipelines transactions scripts scripts_in_batches
        }
    };
}

/// All cases, one after another.
pub async fn run(client: &Client) {
    macro_rules! run_each {
        ($($case:ident)*) => {{ $($case(client).await;)* }};
    }
    each_backend_case!(run_each);
}

/// Keys that no other case uses.
struct Keys(uuid::Uuid);

impl Keys {
    fn new() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    fn key(&self, name: &str) -> String {
        format!("conformance:{}:{name}", self.0)
    }
}

/// Returns the expected error, after a check of its code.
#[track_caller]
fn refused<T>(result: Result<T>, code: &str) -> Error {
    let error = result.err().expect("this must be an error");
    assert_eq!(error.redis_code(), Some(code), "{error}");
    assert!(!error.maybe_applied(), "{error}");
    error
}

/// Asserts a conversion error.
#[track_caller]
fn unfit<T>(result: Result<T>) {
    let error = result.err().expect("this must be an error");
    assert_eq!(error.kind(), ErrorKind::Conversion, "{error}");
}
