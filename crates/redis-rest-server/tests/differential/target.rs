//! The two that run commands: the engine, and a server.

use redis_rest::backend::Backend as _;
use redis_rest::{CallOptions, ServerError, Value, cmd};
use redis_rest_server::MemoryBackend;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub type Words = Vec<Vec<u8>>;

pub trait Target {
    fn clear(&mut self);
    /// An error is a value too.
    fn run(&mut self, command: &Words) -> Value;
}

pub struct Engine {
    engine: MemoryBackend,
    runtime: tokio::runtime::Runtime,
}

impl Engine {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { engine: MemoryBackend::new(), runtime }
    }
}

impl Engine {
    /// Subcommands are known by their command.
    pub fn knows(&self, name: &str) -> bool {
        let command = cmd("COMMAND").arg("INFO").arg(name);
        let reply = self.runtime.block_on(self.engine.execute(&command, &CallOptions::default()));
        matches!(reply, Ok(Value::Array(items)) if items != [Value::Nil])
    }
}

impl Target for Engine {
    fn clear(&mut self) {
        self.run(&vec![b"FLUSHALL".to_vec()]);
        self.run(&vec![b"FUNCTION".to_vec(), b"FLUSH".to_vec()]);
    }

    fn run(&mut self, command: &Words) -> Value {
        let [name, args @ ..] = command.as_slice() else { panic!("no command") };
        let name = String::from_utf8_lossy(name).into_owned();
        let command = args.iter().fold(cmd(&name), |command, arg| command.arg(arg));
        match self.runtime.block_on(self.engine.execute(&command, &CallOptions::default())) {
            Ok(value) => value,
            Err(error) => {
                let text = error.server_message().map_or_else(|| error.to_string(), str::to_owned);
                Value::Error(ServerError::new(text))
            }
        }
    }
}

/// A server of its own, on a socket in a directory of its own.
pub struct Server {
    child: Child,
    stream: BufReader<UnixStream>,
    dir: PathBuf,
    pub version: u32,
    commands: Vec<String>,
}

impl Server {
    /// `None` where no server is installed; a failure with `REQUIRE_REDIS=1`.
    pub fn start() -> Option<Self> {
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let dir = std::env::temp_dir().join(format!(
            "redis-rest-differential-{}-{:x}",
            std::process::id(),
            fastrand::u64(..)
        ));
        std::fs::create_dir_all(&dir).unwrap();
        let socket = dir.join("socket");
        let spawned = Command::new(&program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--maxmemory", "1gb"])
            .args(["--enable-debug-command", "yes"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(&dir)
            .stdout(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let required = std::env::var_os("REQUIRE_REDIS").is_some();
                assert!(!required, "{program}: {error}");
                eprintln!("skipped: {program}: {error}");
                return None;
            }
        };
        let until = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break BufReader::new(stream),
                Err(error) => assert!(Instant::now() < until, "no server: {error}"),
            }
            std::thread::yield_now();
        };
        let mut server = Self { child, stream, dir, version: 0, commands: Vec::new() };
        let info = show(&server.run(&vec![b"INFO".to_vec(), b"server".to_vec()]));
        let major = info.split("redis_version:").nth(1).and_then(|rest| rest.split('.').next());
        server.version = major.and_then(|major| major.parse().ok()).expect("a version");
        let list = server.run(&vec![b"COMMAND".to_vec(), b"LIST".to_vec()]);
        let Value::Array(names) = list else { panic!("no list of commands") };
        server.commands =
            names.iter().map(|name| show(name).trim_matches('"').to_owned()).collect();
        Some(server)
    }

    /// Lists name subcommands as `command|subcommand`.
    pub fn knows(&self, name: &str) -> bool {
        self.commands.contains(&name.to_ascii_lowercase())
    }

    /// The replies to all in one write.
    pub fn run_all(&mut self, commands: &[Words]) -> Vec<Value> {
        let bytes: Vec<u8> = commands.iter().flat_map(encode).collect();
        self.stream.get_mut().write_all(&bytes).unwrap();
        commands.iter().map(|_| self.reply()).collect()
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("the server answers");
        assert!(line.ends_with(b"\r\n"), "the server ended");
        line.truncate(line.len() - 2);
        line
    }

    fn reply(&mut self) -> Value {
        let line = self.line();
        let (kind, rest) = (line[0], &line[1..]);
        let text = String::from_utf8_lossy(rest).into_owned();
        match kind {
            b'+' if rest == b"OK" => Value::Okay,
            b'+' => Value::bytes(rest.to_vec()),
            b'-' => Value::Error(ServerError::new(text)),
            b':' => Value::Int(text.parse().unwrap()),
            _ if text == "-1" => Value::Nil,
            b'$' => {
                let mut bytes = vec![0; text.parse::<usize>().unwrap() + 2];
                self.stream.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Value::bytes(bytes)
            }
            b'*' => Value::Array((0..text.parse().unwrap()).map(|_: usize| self.reply()).collect()),
            other => panic!("an unknown reply: {}", other as char),
        }
    }
}

fn encode(command: &Words) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

impl Target for Server {
    fn clear(&mut self) {
        self.run_all(&[vec![b"FLUSHALL".to_vec()], vec![b"FUNCTION".to_vec(), b"FLUSH".to_vec()]]);
    }

    fn run(&mut self, command: &Words) -> Value {
        self.run_all(std::slice::from_ref(command)).remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A reply in one line.
pub fn show(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Bytes(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Value::Okay => "OK".to_owned(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
        }
        Value::Error(error) => format!("-{}", error.message()),
        _ => "another kind".to_owned(),
    }
}
