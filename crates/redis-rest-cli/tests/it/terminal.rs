//! `repl`, and the progress of `scan`, on a terminal.

use super::{Serve, TOKEN, fake, soon, tool};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

const PROMPT: &str = "redis> ";

/// The tool on a pseudo-terminal, killed when dropped.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// Output received and not examined yet.
    seen: String,
    all: String,
}

impl Terminal {
    /// Starts `repl` with these arguments.
    fn start(url: &str, home: &Path, args: &[&str]) -> Self {
        Self::run(url, home, &[&["repl"], args].concat())
    }

    fn run(url: &str, home: &Path, args: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let mut command = tool();
        command
            .env("REDIS_REST_URL", url)
            .env("REDIS_REST_TOKEN", TOKEN)
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", home);
        command
            .args(args)
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs);
        let child = command.spawn().unwrap();
        // `command` holds the other end too, which would keep the screen open.
        drop(command);
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once all handles of the other end are closed.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keys, screen: receiver, seen: String::new(), all: String::new() }
    }

    /// Waits until `text` has appeared, and discards the output before it.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        loop {
            if let Some(place) = self.seen.find(text) {
                self.seen.drain(..place + text.len());
                return;
            }
            match self.screen.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    self.seen.push_str(&text);
                    self.all.push_str(&text);
                }
                Err(_) => panic!("{text:?} does not come; there is {:?}", self.seen),
            }
        }
    }

    fn presses(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line, and waits for its output and the next prompt.
    #[track_caller]
    fn line(&mut self, line: &str, shows: &str) {
        self.presses(line);
        self.presses("\r");
        self.shows(shows);
        self.shows(PROMPT);
    }

    #[track_caller]
    fn ends(mut self) {
        let status = soon("the tool", move || self.child.wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

/// Editing, completion, errors, Ctrl-C and Ctrl-D.
#[test]
fn lines_are_edited() {
    let (server, home) = (Serve::start(&[]), tempfile::tempdir().unwrap());
    let mut terminal = Terminal::start(&server.url, home.path(), &[]);
    terminal.shows(PROMPT);
    terminal.line("SET k \"a b\"", "OK\r\n");
    // Left arrow, twice.
    terminal.line("GT k\x1b[D\x1b[D\x1b[DE", "\"a b\"\r\n");
    terminal.line("getd\tk", "\"a b\"\r\n");
    terminal.line("EXISTS k", "(integer) 0\r\n");
    terminal.line("HGET k", "(error) ERR");
    terminal.line("\"open", "(error) unclosed quotation mark: close it");
    terminal.line("MONITOR", "redis-rest monitor");
    terminal.line("help getdel", "GETDEL  (string");
    terminal.presses("INCR n\x03");
    terminal.shows(PROMPT);
    terminal.line("EXISTS n", "(integer) 0\r\n");
    // Pasted lines are separate commands, and none is lost: the terminal was not asked for
    // bracketed paste.
    terminal.presses("INCR n\rINCR n\r");
    terminal.shows("(integer) 1\r\n");
    terminal.shows("(integer) 2\r\n");
    terminal.shows(PROMPT);
    assert!(!terminal.all.contains("\x1b[?2004h"), "{:?}", terminal.all);
    terminal.presses("\x04");
    terminal.ends();
}

#[test]
fn lines_are_kept_but_not_passwords() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, home) = (Serve::start(&[]), tempfile::tempdir().unwrap());
    let file = home.path().join("redis-rest/history");
    let mut first = Terminal::start(&server.url, home.path(), &["--json"]);
    first.shows(PROMPT);
    first.line("ECHO \"older\"", "\"older\"\r\n");
    first.line("ECHO newer", "\"newer\"\r\n");
    first.line("AUTH s3cret", "{\"error\":");
    first.line("CONFIG SET requirepass s3cret", "{\"error\":");
    first.line(" ECHO aside", "\"aside\"\r\n");
    // Up once: a line that was not kept is missing from this session's history too.
    first.line("\x1b[A", "\"newer\"\r\n");
    first.presses("exit\r");
    first.ends();
    assert_eq!(fs::read_to_string(&file).unwrap(), "ECHO \"older\"\nECHO newer\nexit\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let mut second = Terminal::start(&server.url, home.path(), &[]);
    second.shows(PROMPT);
    second.line("\x1b[A\x1b[A\x1b[A", "\"older\"\r\n");
    second.presses("\x04");
    second.ends();

    let before = fs::read(&file).unwrap();
    let mut third = Terminal::start(&server.url, home.path(), &["--no-history"]);
    third.shows(PROMPT);
    third.line("ECHO unkept", "\"unkept\"\r\n");
    third.presses("\x04");
    third.ends();
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn unusable_history_file_is_reported() {
    let (server, home) = (Serve::start(&[]), tempfile::tempdir().unwrap());
    fs::write(home.path().join("redis-rest"), "a file where a directory should be").unwrap();
    let mut terminal = Terminal::start(&server.url, home.path(), &[]);
    terminal.shows("history is not saved");
    terminal.shows(PROMPT);
    terminal.line("ECHO on", "\"on\"\r\n");
    terminal.presses("\x04");
    terminal.ends();
}

/// While a command runs, Ctrl-C is a signal: it cancels the wait and not the session.
#[test]
fn ctrl_c_cancels_a_hanging_command() {
    let (sender, came): (Sender<()>, _) = mpsc::channel();
    let url = fake::start(move |request| {
        if request.name() == "GET" {
            let _ = sender.send(());
            loop {
                std::thread::park();
            }
        }
        None
    });
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(&url, home.path(), &["--timeout", "3600"]);
    terminal.shows(PROMPT);
    terminal.presses("GET k\r");
    came.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(
        Command::new("kill")
            .args(["-INT", &terminal.child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    terminal.shows("(error) interrupted; the command may have been applied");
    terminal.shows(PROMPT);
    terminal.line("PING", "\"PONG\"\r\n");
    terminal.presses("\x04");
    terminal.ends();
}

/// A long scan shows its progress, and removes it at the end.
#[test]
fn long_scan_shows_progress() {
    let (go_on, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let url = fake::start(move |request| {
        let page = match request.body[1].as_str() {
            Some("0") => json!(["Nw==", ["Zmlyc3Q="]]),
            _ => {
                let _ = held.lock().unwrap().recv();
                json!(["MA==", ["bGFzdA=="]])
            }
        };
        Some(fake::json_answer(200, &json!({ "result": page })))
    });
    let home = tempfile::tempdir().unwrap();
    let mut terminal =
        Terminal::run(&url, home.path(), &["scan", "--encoding", "base64", "--timeout", "60"]);
    terminal.shows("first\r\n");
    terminal.shows("1 keys in ");
    go_on.send(()).unwrap();
    terminal.shows("\r\x1b[Klast\r\n");
    terminal.ends();
}
