//! What the benchmarks share.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub mod constant;
pub mod load;
pub mod redis;
pub mod report;

use std::future::Future;
use std::pin::Pin;

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;
