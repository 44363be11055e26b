//! Shared parts of the benchmarks.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub mod constant;
pub mod load;
pub mod processor;
pub mod redis;
pub mod report;
pub mod traffic;

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;

/// A process that ends when this is dropped.
pub struct Process(pub std::process::Child);

impl Process {
    /// Returns the first line of a piped output, which is closed afterwards.
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

/// Builds a program of a package with the profile of the calling benchmark, and returns its path;
/// `program` is its path in the target directory.
pub fn build(package: &str, what: &[&str], program: &str) -> std::io::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    // Cargo's variables for this package would change the input of some build scripts, and cause a
    // full rebuild.
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("CARGO_PKG_"))
        .for_each(|name| {
            cargo.env_remove(name);
        });
    cargo.env_remove("CARGO_MANIFEST_DIR");
    cargo.args(["build", "--quiet", "--locked", "--profile", "bench", "-p", package]).args(what);
    if !cargo.status()?.success() {
        return Err(std::io::Error::other(format!("{package} does not build")));
    }
    let bench = std::env::current_exe()?;
    let target = bench.parent().and_then(Path::parent).unwrap_or(&bench);
    Ok(target.join(program).with_extension(std::env::consts::EXE_EXTENSION))
}

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;
