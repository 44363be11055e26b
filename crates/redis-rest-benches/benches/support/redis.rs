//! A private redis-server of a benchmark.

use super::Process;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

pub struct Redis {
    process: Process,
    port: u16,
}

impl Redis {
    /// Starts `redis-server` from the path, without persistence.
    pub fn start() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // Redis cannot pick a port by itself; if another program takes this one, it reports that
        // and ends.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let options = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""];
        let spawned = Command::new("redis-server")
            .args(options)
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .spawn();
        let process = spawned.map(Process).map_err(|error| {
            format!("redis-server does not start; Debian's package redis-server has it: {error}")
        })?;
        let mut redis = Self { process, port };
        if let Some(out) = redis.process.0.stdout.take() {
            for line in BufReader::new(out).lines() {
                if line?.contains("Ready to accept connections") {
                    return Ok(redis);
                }
            }
        }
        Err("redis-server ended before it was ready".into())
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}
