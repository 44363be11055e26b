//! HyperLogLog: estimates the number of different elements, in 12 kB.
//!
//! ```
//! use redis_rest::cmd::{pfadd, pfcount};
//! let seen = pfadd("visitors", ["ada", "grace"]);
//! let about = pfcount(["visitors", "visitors:yesterday"]);
//! # let _ = (seen, about);
//! ```

use crate::command::declare::commands;
use crate::command::{ToArg, ToArgs};

commands! { "hyperloglog", "HyperLogLog";
    /// Counts elements; returns true if the estimate changed.
    fn pfadd(key: impl ToArg, elements: impl ToArgs) -> bool = "PFADD" [key, ..elements], EffectIdempotent, "2.8.9" @ -2;
    /// Estimates the number of different elements in all of `keys`; the standard error is 0.81 %.
    fn pfcount(keys: impl ToArgs) -> u64 = "PFCOUNT" [..keys], ReadOnly, "2.8.9";
    /// Adds the counts of `keys` to those of `destination`.
    fn pfmerge(destination: impl ToArg, keys: impl ToArgs) -> () = "PFMERGE" [destination, ..keys], Idempotent, "2.8.9" @ -2, COPIES;
}
