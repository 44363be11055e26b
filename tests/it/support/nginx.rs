//! A private nginx in front of servers in this process.

use super::process::{free_port, spawn};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running nginx. It ends with the test that owns it.
pub struct Nginx {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Nginx {
    /// Starts nginx with these `location` blocks, and returns when it listens. `None` if there is
    /// no nginx, which with `REQUIRE_REDIS=1` is a failure.
    pub fn start(locations: &str) -> Option<Self> {
        for _ in 0..10 {
            let dir =
                tempfile::Builder::new().prefix("redis-rest-test-").tempdir().expect("a directory");
            let port = free_port();
            let file = dir.path().join("nginx.conf");
            std::fs::write(&file, configuration(port, locations)).expect("it can be written");
            // Debian's is where only root's path leads.
            let mut child = spawn(&["nginx", "/usr/sbin/nginx"], |program| {
                command(program, dir.path(), &file)
            })?;
            let log = child.stderr.take().expect("standard error is a pipe");
            let mut lines = BufReader::new(log).lines().map_while(Result::ok);
            let mut said = String::new();
            let ready = lines.by_ref().any(|line| {
                said.extend([&line, "\n"]);
                // The first line after it has begun to listen.
                line.contains("getrlimit(RLIMIT_NOFILE)")
            });
            // Reads on, so that a full pipe does not stop it.
            std::thread::spawn(move || lines.for_each(drop));
            let nginx = Self { child, port, _dir: dir };
            if ready {
                return Some(nginx);
            }
            // Another process may have taken the port in between.
            assert!(said.contains("Address already in use"), "nginx does not start: {said}");
        }
        panic!("nginx found no free port");
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs nginx as a single process, so that ending it ends all of nginx, with its files in its
/// directory.
fn configuration(port: u16, locations: &str) -> String {
    format!(
        "daemon off;
        master_process off;
        pid nginx.pid;
        events {{}}
        http {{
            access_log access.log;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            server {{
                listen 127.0.0.1:{port};
                {locations}
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
