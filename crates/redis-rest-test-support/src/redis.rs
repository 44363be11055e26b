//! A private redis-server for each test. It starts in milliseconds, and ends with the test that
//! owns it.

#[cfg(feature = "native")]
use redis_rest::backend::native::NativeBackend;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running redis-server.
pub struct Redis {
    child: Child,
    port: u16,
    dir: TempDir,
    durable: bool,
}

impl Redis {
    /// Starts a server. Returns `None`, with a message that the test is skipped, if redis-server is
    /// not installed; with `REQUIRE_REDIS=1` that is a failure.
    pub fn start() -> Option<Self> {
        Self::start_as(false)
    }

    /// Starts a server that writes every change to disk before it replies.
    pub fn start_durable() -> Option<Self> {
        Self::start_as(true)
    }

    fn start_as(durable: bool) -> Option<Self> {
        for _ in 0..10 {
            match Self::start_once(durable) {
                Ok(Some(redis)) => return Some(redis),
                // Another process took the port.
                Ok(None) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    assert!(
                        std::env::var_os("REQUIRE_REDIS").is_none_or(|value| value != "1"),
                        "REQUIRE_REDIS=1, but redis-server not found"
                    );
                    println!("SKIPPED: redis-server not found");
                    return None;
                }
                Err(error) => panic!("redis-server does not start: {error}"),
            }
        }
        panic!("redis-server found no free port");
    }

    fn start_once(durable: bool) -> std::io::Result<Option<Self>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let dir = tempfile::Builder::new().prefix("redis-rest-test-").tempdir()?;
        let (child, ready) = launch(port, dir.path(), durable)?;
        let redis = Self { child, port, dir, durable };
        Ok(ready.then_some(redis))
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    #[cfg(feature = "native")]
    pub async fn backend(&self) -> NativeBackend {
        NativeBackend::connect(&self.url()).await.expect("the private redis-server answers")
    }

    /// Kills the server (`SIGKILL`) and starts a new one at the same port, empty or with the data
    /// on disk.
    pub fn restart(&mut self) {
        self.stop();
        let (child, ready) =
            launch(self.port, self.dir.path(), self.durable).expect("it started before");
        self.child = child;
        assert!(ready, "the port is taken");
    }

    /// Stops the process (`SIGSTOP`) or continues it (`SIGCONT`). Commands sent while it was
    /// stopped are executed then.
    pub fn hold(&self, held: bool) {
        let signal = if held { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "the process is ours");
    }

    /// Runs an administrative command on a separate connection.
    pub fn control(&self, command: &str) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it runs");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("it reads");
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).expect("it answers");
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a server and waits until it is ready. The end of its output means that it gave up.
fn launch(port: u16, dir: &Path, durable: bool) -> std::io::Result<(Child, bool)> {
    let append = if durable { "yes" } else { "no" };
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        append,
    ]);
    command.args(["--appendfsync", "always", "--dir"]).arg(dir);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = child.stdout.take().expect("standard output is a pipe");
    let mut lines = BufReader::new(output).lines();
    let ready = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains("Ready to accept connections"));
    // Keeps reading: a full pipe would block the server.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Ok((child, ready))
}
