//! A private nginx in front of servers in this process.

use super::certificates::Certificates;
use super::process::{PATIENCE, free_port, signal, signal_handler, spawn};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

/// A running nginx. It ends with the test that owns it.
pub struct Nginx {
    child: Child,
    port: u16,
    log: Receiver<String>,
    _dir: TempDir,
}

impl Nginx {
    /// Starts nginx with these `location` blocks, and returns once it listens. Returns `None` if
    /// nginx is not installed; with `REQUIRE_REDIS=1` that is a failure.
    pub fn start(locations: &str) -> Option<Self> {
        Self::start_with(None, locations)
    }

    /// Starts nginx over TLS, for HTTP/2 and HTTP/1.1.
    pub fn start_tls(certificates: &Certificates, server: &str) -> Option<Self> {
        Self::start_with(Some(certificates), server)
    }

    fn start_with(certificates: Option<&Certificates>, server: &str) -> Option<Self> {
        for _ in 0..10 {
            let dir =
                tempfile::Builder::new().prefix("redis-rest-test-").tempdir().expect("a directory");
            let port = free_port();
            let file = dir.path().join("nginx.conf");
            let write = |file: &Path, text: &str| std::fs::write(file, text).expect("it is ours");
            if let Some(certificates) = certificates {
                write(&dir.path().join("server.pem"), &certificates.pem);
            }
            write(&file, &configuration(port, certificates.is_some(), server));
            // Debian installs nginx outside an ordinary user's `PATH`.
            let mut child = spawn(&["nginx", "/usr/sbin/nginx"], |program| {
                command(program, dir.path(), &file)
            })?;
            let log = child.stderr.take().expect("standard error is a pipe");
            let mut lines = BufReader::new(log).lines().map_while(Result::ok);
            let mut said = String::new();
            let ready = lines.by_ref().any(|line| {
                said.extend([&line, "\n"]);
                // First line after nginx has begun to listen.
                line.contains("getrlimit(RLIMIT_NOFILE)")
            });
            // Keeps reading: a full pipe would block nginx.
            let (sender, log) = channel();
            std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
            let nginx = Self { child, port, log, _dir: dir };
            if ready {
                return Some(nginx);
            }
            // Another process may have taken the port.
            assert!(said.contains("Address already in use"), "nginx does not start: {said}");
        }
        panic!("nginx found no free port");
    }

    /// Replaces the worker by a new one, like a reload after a configuration change. Returns once
    /// the old worker has begun to end.
    pub fn reload(&self) {
        signal_handler("-HUP", 1, &self.child);
        let ends = |line: String| line.contains("gracefully shutting down");
        let ended = std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok()).any(ends);
        assert!(ended, "nginx does not reload");
    }

    pub fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave its worker running.
        signal("-TERM", &self.child);
        let _ = self.child.wait();
    }
}

/// Returns a configuration with one worker and all files in its directory.
fn configuration(port: u16, tls: bool, server: &str) -> String {
    let tls = if tls {
        " ssl http2; ssl_certificate server.pem; ssl_certificate_key server.pem"
    } else {
        ""
    };
    format!(
        "daemon off;
        user root root;
        pid nginx.pid;
        events {{ worker_connections 4096; }}
        http {{
            access_log access.log;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            server {{
                listen 127.0.0.1:{port}{tls};
                {server}
            }}
        }}"
    )
}

fn command(program: &str, dir: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-p").arg(dir).arg("-c").arg(file);
    command.args(["-e", "stderr", "-g", "error_log stderr notice;"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}
