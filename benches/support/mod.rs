//! What the benchmarks share.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub mod constant;
pub mod load;
pub mod processor;
pub mod redis;
pub mod report;
pub mod traffic;

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::pin::Pin;

/// A process that ends with the value.
pub struct Process(pub std::process::Child);

impl Process {
    /// The first line that it says on a piped output, which is closed then.
    pub fn first_line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if let Some(out) = self.0.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        Ok(line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;
