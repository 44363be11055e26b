//! A redis-server with custom arguments: with TLS, as a replica, as a sentinel, as a node of a
//! cluster.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for an event that a server causes by itself.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Process {
    child: Child,
    pub port: u16,
    lines: Receiver<String>,
    _dir: TempDir,
}

impl Process {
    /// Starts a server with the arguments that `arguments` returns for a free port and an empty
    /// directory, and waits for a line that contains `ready`. Returns `None` if redis-server is not
    /// installed; with `REQUIRE_REDIS=1` that is a failure.
    pub fn start(ready: &str, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Option<Self> {
        for _ in 0..10 {
            let dir =
                tempfile::Builder::new().prefix("redis-rest-test-").tempdir().expect("a directory");
            let port = free_port();
            let mut child = spawn(&["redis-server"], |program| {
                let mut command = Command::new(program);
                command
                    .args(arguments(port, dir.path()))
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
                command
            })?;
            let output = child.stdout.take().expect("standard output is a pipe");
            let (sender, lines) = channel();
            std::thread::spawn(move || {
                BufReader::new(output)
                    .lines()
                    .map_while(Result::ok)
                    .for_each(|line| drop(sender.send(line)))
            });
            let process = Self { child, port, lines, _dir: dir };
            if process.wait_for_line(ready) {
                return Some(process);
            }
            // Another process took the port.
        }
        panic!("redis-server found no free port");
    }

    /// Starts an ordinary server with additional arguments.
    pub fn start_with(more: &[&str]) -> Option<Self> {
        Self::start("Ready to accept connections", |port, dir| {
            let mut arguments = base(dir);
            arguments.extend(["--port".to_owned(), port.to_string()]);
            arguments.extend(more.iter().map(|&argument| argument.to_owned()));
            arguments
        })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Waits for a line with `text`. Returns false if the server ended before.
    pub fn wait_for_line(&self, text: &str) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return true,
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return false,
                Err(_) => panic!("no line with {text}"),
            }
        }
    }

    /// Runs an administrative command on a separate connection.
    #[cfg(feature = "native")]
    pub fn try_query<T: redis::FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        let mut words = command.split_whitespace();
        let mut cmd = redis::cmd(words.next().unwrap_or_default());
        words.for_each(|word| {
            cmd.arg(word);
        });
        cmd.query(&mut connection)
    }

    #[cfg(feature = "native")]
    pub fn query<T: redis::FromRedisValue>(&self, command: &str) -> T {
        self.try_query(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Polls until `condition` holds, for changes that no server announces.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts the first installed program of `programs`. Returns `None` if there is none; with
/// `REQUIRE_REDIS=1` that is a failure.
pub fn spawn(programs: &[&str], command: impl Fn(&str) -> Command) -> Option<Child> {
    for program in programs {
        match command(program).spawn() {
            Ok(child) => return Some(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{program} does not start: {error}"),
        }
    }
    let name = programs.first().expect("a program");
    let required = std::env::var_os("REQUIRE_REDIS").is_some_and(|value| value == "1");
    assert!(!required, "{name} not found");
    println!("SKIPPED: {name} not found");
    None
}

/// Sends a signal, such as `-TERM`, to a process that a test started.
pub fn signal(name: &str, child: &Child) {
    let _ = Command::new("kill").arg(name).arg(child.id().to_string()).status();
}

/// Sends a signal once the process has a handler for it: before, the signal would end it.
pub fn signal_handler(name: &str, number: u32, child: &Child) {
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let status = status.expect("it runs");
        let mask = |name| {
            let mut masks = status.lines().filter_map(|line| line.strip_prefix(name));
            u64::from_str_radix(masks.next().expect("a mask").trim(), 16).expect("a number")
        };
        (mask("SigCgt:") & !mask("SigBlk:")) >> (number - 1) & 1 == 1
    };
    until("the process handles signals", caught);
    signal(name, child);
}

/// Arguments of every server here.
pub fn base(dir: &Path) -> Vec<String> {
    let words = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"];
    words.into_iter().map(str::to_owned).chain([dir.display().to_string()]).collect()
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
