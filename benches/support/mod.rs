//! What the benchmarks share.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub mod constant;
pub mod load;
pub mod processor;
pub mod redis;
pub mod report;

use std::future::Future;
use std::pin::Pin;

/// A process that ends with the value.
pub struct Process(pub std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;
