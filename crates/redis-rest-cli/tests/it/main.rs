//! The tool `redis-rest`, run as a process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

/// `sessions` on a cluster.
mod cluster;
/// `serve`, `exec`, `bench`, `sessions`.
mod commands;
/// Very many connections.
#[cfg(target_os = "linux")]
mod connections;
/// `doctor` on set-ups with one fault each.
mod doctor;
/// A REST server with deliberate faults.
mod fake;
/// Small requests that ask Redis for gigabytes.
#[cfg(target_os = "linux")]
mod gigabytes;
/// `--help` and completions.
mod help;
/// `subscribe`, `monitor`, `scan`.
mod listen;
/// Forward proxies from the environment.
mod proxies;
/// `repl` behind a pipe.
mod repl;
/// `repl`, and the progress of `scan`, on a terminal.
#[cfg(target_os = "linux")]
mod terminal;
/// Every text that users read.
mod texts;
/// `doctor` on other implementations.
mod third_party_servers;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub(crate) const TOKEN: &str = "cli-token";

fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-rest"));
    // The environment of the test run must not lead to a real server.
    for name in [
        "REDIS_REST_URL",
        "REDIS_REST_TOKEN",
        "REDIS_TOKEN",
        "UPSTASH_REDIS_REST_URL",
        "UPSTASH_REDIS_REST_TOKEN",
    ] {
        command.env_remove(name);
    }
    for name in
        ["KV_REST_API_URL", "KV_REST_API_TOKEN", "REDIS_REST_ALLOW_HTTP", "REDIS_REST_ENCODING"]
    {
        command.env_remove(name);
    }
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
    command
}

/// Runs a closure that may hang on a separate thread, so that a hang fails the test.
fn soon<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(run()));
    result.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// A running `redis-rest serve`, killed when dropped.
pub(crate) struct Serve {
    pub(crate) child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Serve {
    pub(crate) fn start(more: &[&str]) -> Self {
        let listen: &[&str] =
            if more.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut child = tool()
            .args(["serve", "--token", TOKEN])
            .args(listen)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, stdout) = soon("the start of the server", move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        let url = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.strip_suffix('\n'))
            .unwrap_or_default()
            .to_owned();
        assert!(
            url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"),
            "the first line is {line:?}"
        );
        Self { child, stdout: Some(stdout), url }
    }

    /// Runs the tool with this server in its environment.
    fn tool(&self, args: &[&str]) -> Ran {
        run(tool().env("REDIS_REST_URL", &self.url).env("REDIS_REST_TOKEN", TOKEN).args(args))
    }

    #[cfg(unix)]
    fn signal(&mut self, name: &str) -> (ExitStatus, String) {
        let sent =
            Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut stdout = self.stdout.take().unwrap();
        // The pipe ends with the process, so the wait is short.
        let rest = soon("the end of the server", move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            rest
        });
        (self.child.wait().unwrap(), rest)
    }
}

impl Serve {
    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Exit code and output of a run.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    bytes: Vec<u8>,
    stderr: String,
}

fn run(command: &mut Command) -> Ran {
    output(
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(),
    )
}

/// Waits for the end, and reads the output that was not taken from `child` before.
fn output(child: Child) -> Ran {
    let Output { status, stdout, stderr } =
        soon("the tool", move || child.wait_with_output().unwrap());
    let text = String::from_utf8_lossy(&stdout).into_owned();
    Ran {
        code: status.code(),
        stdout: text,
        bytes: stdout,
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

impl Ran {
    #[track_caller]
    fn prints(&self, stdout: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(0), stdout), "{self:?}");
    }

    #[track_caller]
    fn prints_bytes(&self, stdout: &[u8]) {
        assert_eq!((self.code, self.bytes.as_slice()), (Some(0), stdout), "{self:?}");
    }

    #[track_caller]
    fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing: {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}
