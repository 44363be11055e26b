//! A private haproxy in front of a server in this process.

use super::certificates::Certificates;
use super::process::{PATIENCE, free_port, signal, signal_handler, spawn};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

/// A running haproxy. It ends with the test that owns it.
pub struct Haproxy {
    child: Child,
    port: u16,
    log: Receiver<String>,
    _dir: TempDir,
}

impl Haproxy {
    /// Starts haproxy in front of `server` with these lines in its defaults, over TLS if
    /// certificates are given. Returns `None` if haproxy is not installed; with `REQUIRE_REDIS=1`
    /// that is a failure.
    pub fn start(
        server: SocketAddr,
        certificates: Option<&Certificates>,
        defaults: &str,
    ) -> Option<Self> {
        for _ in 0..10 {
            let dir =
                tempfile::Builder::new().prefix("redis-rest-test-").tempdir().expect("a directory");
            let port = free_port();
            let pem = dir.path().join("server.pem");
            let tls = certificates.map(|certificates| {
                std::fs::write(&pem, &certificates.pem).expect("it is ours");
                format!("ssl crt {} alpn h2,http/1.1", pem.display())
            });
            let file = dir.path().join("haproxy.cfg");
            let text = configuration(port, &tls.unwrap_or_default(), defaults, server);
            std::fs::write(&file, text).expect("it is ours");
            let mut child = spawn(&["haproxy", "/usr/sbin/haproxy"], |program| {
                let mut command = Command::new(program);
                command.args(["-W", "-db", "-f"]).arg(&file);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
                command
            })?;
            let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
            let (sender, log) = channel();
            std::thread::spawn(move || {
                lines.map_while(Result::ok).for_each(|line| drop(sender.send(line)));
            });
            let haproxy = Self { child, port, log, _dir: dir };
            if haproxy.wait_for_line("Loading success") {
                return Some(haproxy);
            }
        }
        panic!("haproxy found no free port");
    }

    /// Waits for a line with `text`. Returns false if haproxy ended before.
    fn wait_for_line(&self, text: &str) -> bool {
        std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok()).any(|line| line.contains(text))
    }

    /// Replaces the worker by a new one, like a reload after a configuration change.
    pub fn reload(&self) {
        signal_handler("-USR2", 12, &self.child);
        assert!(self.wait_for_line("Loading success"), "haproxy does not reload");
    }

    pub fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // SIGKILL would leave its worker running.
        signal("-TERM", &self.child);
        let _ = self.child.wait();
    }
}

fn configuration(port: u16, tls: &str, defaults: &str, server: SocketAddr) -> String {
    format!(
        "global
    maxconn 4096
    hard-stop-after 10s
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    {defaults}
frontend front
    bind 127.0.0.1:{port} {tls}
    default_backend back
backend back
    server one {server}
"
    )
}
