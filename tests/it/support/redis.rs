//! A private redis-server for each test: it starts in milliseconds, and dies with the test that owns it.

use redis_rest::backend::native::NativeBackend;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running redis-server.
pub struct Redis {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Redis {
    /// Starts a server, or says that the test is skipped where there is no redis-server. With `REQUIRE_REDIS=1` that is a
    /// failure.
    pub fn start() -> Option<Self> {
        for _ in 0..10 {
            match Self::start_once() {
                Ok(Some(redis)) => return Some(redis),
                // Somebody else took the port in between.
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

    fn start_once() -> std::io::Result<Option<Self>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("redis-rest-test-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        match launch(port, &dir) {
            Ok((child, ready)) => {
                let redis = Self { child, port, dir };
                Ok(ready.then_some(redis))
            }
            Err(error) => {
                let _ = std::fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub async fn backend(&self) -> NativeBackend {
        NativeBackend::connect(&self.url()).await.expect("the private redis-server answers")
    }

    /// Kills the server and starts an empty one at the same port.
    pub fn restart(&mut self) {
        self.stop();
        let (child, ready) = launch(self.port, &self.dir).expect("it started before");
        self.child = child;
        assert!(ready, "the port is taken");
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Starts a server, and waits until it says that it is ready. The end of its output means that it has given up.
fn launch(port: u16, dir: &Path) -> std::io::Result<(Child, bool)> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(dir);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = child.stdout.take().expect("standard output is a pipe");
    let mut lines = BufReader::new(output).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
    // Reads on, so that a full pipe does not stop it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Ok((child, ready))
}
