//! Command history in a file that only its owner can read. Lines with passwords are not kept.

use super::words;
use redis_rest::cmd;
use redis_rest::cmd::Flags;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Most lines read back.
const KEPT: usize = 1000;
/// Size beyond which the file is cut to the newest [`KEPT`] lines.
const LONGEST: u64 = 256 * 1024;

/// The history file. Each line is appended as it is typed, so that concurrent shells do not
/// overwrite each other's lines.
pub(crate) struct History {
    file: File,
    lines: Vec<String>,
}

impl History {
    /// Opens and reads this user's file. Returns `None` if the system defines no place for it.
    pub(crate) fn open() -> io::Result<Option<Self>> {
        match place(|name| std::env::var_os(name)) {
            Some(path) => Self::open_at(&path).map(Some),
            None => Ok(None),
        }
    }

    fn open_at(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            create_private(directory)?;
        }
        let mut lines = Vec::new();
        let mut file = private(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        for line in String::from_utf8_lossy(&bytes).lines().filter(|line| !line.is_empty()) {
            lines.push(line.to_owned());
        }
        lines.drain(..lines.len().saturating_sub(KEPT));
        if file.metadata()?.len() > LONGEST {
            // The lines stay in memory if the disk is full between the two steps.
            file.set_len(0)?;
            file.write_all(
                lines.iter().flat_map(|line| [line, "\n"]).collect::<String>().as_bytes(),
            )?;
        }
        Ok(Self { file, lines })
    }

    /// Returns the lines at the start of the session, oldest first.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(crate) fn append(&mut self, line: &str) -> io::Result<()> {
        // A single write, so that appended lines stay whole.
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Returns `$XDG_STATE_HOME/redis-rest/history`, else a path under `~/.local/state`; on Windows
/// under `%LOCALAPPDATA%`.
fn place(lookup: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let directory = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = if cfg!(windows) {
        directory("LOCALAPPDATA")
    } else {
        directory("XDG_STATE_HOME")
            .or_else(|| Some(directory("HOME")?.join(".local").join("state")))
    };
    Some(state?.join("redis-rest").join("history"))
}

#[cfg(unix)]
fn create_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    // Also if the file existed already.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Creates directories below the user's own, which are private there.
#[cfg(not(unix))]
fn create_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// Returns true if a line is kept, in memory and in the file: it does not begin with a space, and
/// has no argument known to be a password. Passwords inside values cannot be recognised.
pub(crate) fn keeps(line: &str) -> bool {
    if line.is_empty() || line.starts_with(char::is_whitespace) || line.contains(['\n', '\r']) {
        return false;
    }
    let words = match words::split(line.as_bytes()) {
        Ok(words) => words,
        // The quotes are wrong, but the words can still be checked.
        Err(_) => line
            .split_ascii_whitespace()
            .map(|word| word.replace(['"', '\''], "").into_bytes())
            .collect(),
    };
    let words: Vec<String> =
        words.iter().map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).collect();
    let mut parts = words.iter();
    let command = parts.next().map(|name| cmd(name).args(parts.collect::<Vec<_>>()));
    match command.and_then(|command| cmd::find(&command)).filter(|row| row.flags.any(Flags::SECRET))
    {
        Some(row) if row.command == "ACL SETUSER" => false,
        Some(_) => !words.iter().any(|word| word.contains("pass") || word.contains("auth")),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_passwords_are_not_kept() {
        for line in [
            "AUTH secret",
            "auth user secret",
            "\"AUTH\" secret",
            "AUTH \"secret",
            "HELLO 3 AUTH user secret",
            "MIGRATE h 6379 k 0 1 AUTH2 u secret",
            "ACL SETUSER u >secret",
            "config set requirepass secret",
            "CONFIG SET maxmemory 1 masterauth secret",
            "CONFIG 'SET' tls-key-file-pass secret",
            " SET token secret",
            "",
        ] {
            assert!(!keeps(line), "{line}");
        }
        for line in [
            "GET auth",
            "HELLO 3",
            "ACL WHOAMI",
            "CONFIG GET requirepass",
            "CONFIG SET maxmemory 1",
            "SET \"open",
        ] {
            assert!(keeps(line), "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_private_and_bounded() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("new/redis-rest/history");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut history = History::open_at(&path).unwrap();
        assert!(history.lines().is_empty());
        history.append("GET a").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(History::open_at(&path).unwrap().lines(), ["GET a"]);
        assert_eq!(mode(&path), 0o600);

        let long = "x".repeat(1000);
        (0..1200).for_each(|n| history.append(&format!("ECHO {n} {long}")).unwrap());
        let cut = History::open_at(&path).unwrap();
        assert_eq!(cut.lines().len(), KEPT);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), KEPT);
        assert!(cut.lines()[KEPT - 1].starts_with("ECHO 1199 "));
        assert!(History::open_at(home.path()).is_err());
    }

    #[cfg(not(windows))]
    #[test]
    fn history_path_is_that_of_the_system() {
        let from = |names: &'static [(&str, &str)]| {
            place(|name| names.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
        };
        assert_eq!(
            from(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]),
            Some("/s/redis-rest/history".into())
        );
        assert_eq!(
            from(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/state/redis-rest/history".into())
        );
        assert_eq!(from(&[("HOME", "")]), None);
    }
}
