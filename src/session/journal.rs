//! The journal file: what a manager owes its store, so that it survives the end of the process.
//!
//! One line an entry: sixteen hexadecimal digits of the SHA-1 of the rest, a space, the entry as JSON. Lines are only added, each
//! is on the disk (`fdatasync`) before its write is reported done, and a later line on the same session replaces an earlier one.
//! A line that was cut off by a crash fails its checksum and is passed over. When most lines are outdated the file is written
//! anew beside itself and renamed into place.
//!
//! A thread of its own writes, so that no caller's thread waits for a disk; lines that wait together share one `fdatasync`.

use super::error::SessionError;
use super::reconcile::TtlRule;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// What is owed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// A session to be written.
    Put {
        record: String,
        /// The stored record that it is based on; none for a new session.
        base: Option<String>,
        /// It was only used, or its time to live was set.
        touched: bool,
        ttl: Ttl,
        /// SHA-1 of versions that may have arrived.
        sent: Vec<String>,
    },
    /// An end to be told.
    Delete { id: String, user_id: Option<String> },
    /// The end of all sessions of a user that were created until then, in milliseconds since 1970.
    Revoke { user_id: String, until: i64 },
    /// Nothing is owed for this session any more.
    Settled { id: String },
    /// Nor for all sessions of this user.
    Forgiven { user_id: String },
}

/// A [`TtlRule`] in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ttl {
    Keep,
    Slide(i64),
    Set(i64),
}

impl From<TtlRule> for Ttl {
    fn from(rule: TtlRule) -> Self {
        match rule {
            TtlRule::Keep => Self::Keep,
            TtlRule::Slide(at) => Self::Slide(at.timestamp_millis()),
            TtlRule::Set(at) => Self::Set(at.timestamp_millis()),
        }
    }
}

impl From<Ttl> for TtlRule {
    fn from(ttl: Ttl) -> Self {
        match ttl {
            Ttl::Keep => Self::Keep,
            Ttl::Slide(at) => Self::Slide(time(at)),
            Ttl::Set(at) => Self::Set(time(at)),
        }
    }
}

/// A time; the end of the calendar where it is beyond that.
pub(super) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Ready when an entry is on the disk.
pub(super) type Written = oneshot::Receiver<Result<(), io::ErrorKind>>;

enum Job {
    Add(String, oneshot::Sender<Result<(), io::ErrorKind>>),
    /// The whole file anew.
    Replace(String),
}

/// An open journal file. Dropping it waits until everything is written, and gives the file free.
pub(super) struct Journal {
    jobs: mpsc::Sender<Job>,
    writer: Option<JoinHandle<()>>,
    /// Lines in the file, outdated ones included.
    lines: usize,
    /// What it holds something of that is not outdated: only that can be settled.
    owed: HashSet<Key>,
}

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Session(String),
    User(String),
}

impl Journal {
    /// Opens a file or makes one, and answers what it holds, oldest first. Lines that cannot be read are passed over.
    ///
    /// # Errors
    /// [`SessionError::Journal`]: the file cannot be read or written, or another process has it open (`WouldBlock`).
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Entry>), SessionError> {
        let failed = |error: io::Error| SessionError::Journal(error.kind());
        // The lock is on a file of its own, since the journal is replaced by renaming.
        let lock =
            private().truncate(false).write(true).open(beside(path, "lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| failed(error.into()))?;
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let (keyed, damaged) = read(&text);
        let (owed, entries) = keyed.into_iter().unzip();
        if damaged > 0 {
            tracing::warn!(
                damaged,
                "lines of the journal file cannot be read, and are passed over"
            );
        }
        let mut file = private().append(true).open(path).map_err(failed)?;
        if !text.is_empty() && !text.ends_with('\n') {
            // What comes next must not be glued to a line that was cut off.
            file.write_all(b"\n").map_err(failed)?;
        }
        let (jobs, queue) = mpsc::channel();
        let writer = Writer { file, path: path.to_owned(), torn: false, _lock: lock };
        let thread = std::thread::Builder::new().name("session-journal".into());
        let writer = Some(thread.spawn(move || writer.run(&queue)).map_err(failed)?);
        Ok((Self { jobs, writer, lines: text.lines().count(), owed }, entries))
    }

    /// Adds an entry.
    pub(super) fn write(&mut self, entry: &Entry) -> Written {
        let (done, written) = oneshot::channel();
        self.lines += 1;
        match key(entry) {
            Some((key, true)) => drop(self.owed.insert(key)),
            Some((key, false)) => drop(self.owed.remove(&key)),
            None => {}
        }
        // A writer that is gone drops `done`, which the receiver sees.
        let _ = self.jobs.send(Job::Add(line(entry), done));
        written
    }

    pub(super) fn settled(&mut self, id: &str) {
        self.settle(Key::Session(id.to_owned()), Entry::Settled { id: id.to_owned() });
    }

    pub(super) fn forgiven(&mut self, user_id: &str) {
        self.settle(Key::User(user_id.to_owned()), Entry::Forgiven { user_id: user_id.to_owned() });
    }

    /// What was never written here is not settled here: while the store works the file does not grow.
    fn settle(&mut self, key: Key, entry: Entry) {
        if self.owed.contains(&key) {
            drop(self.write(&entry));
        }
    }

    /// True when most lines are outdated, with so many entries that are not.
    pub(super) fn is_long(&self, live: usize) -> bool {
        const SLACK: usize = 1000;
        self.lines > 4 * live + SLACK
    }

    /// Nothing is owed any more.
    pub(super) fn clear(&mut self) {
        if self.lines > 0 {
            self.replace(&[]);
        }
    }

    /// Replaces all that is in the file.
    pub(super) fn replace(&mut self, entries: &[Entry]) {
        self.lines = entries.len();
        self.owed =
            entries.iter().filter_map(key).filter(|(_, owed)| *owed).map(|(key, _)| key).collect();
        let _ = self.jobs.send(Job::Replace(entries.iter().map(line).collect()));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The thread ends when nobody can send it anything any more.
        self.jobs = mpsc::channel().0;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The thread that writes.
struct Writer {
    file: File,
    path: PathBuf,
    /// A write failed, perhaps within a line.
    torn: bool,
    _lock: File,
}

impl Writer {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            let mut next = Some(job);
            let (mut text, mut waiting) = (String::new(), Vec::new());
            // All that waits is written together.
            while let Some(Job::Add(line, done)) = next {
                text.push_str(&line);
                waiting.push(done);
                next = queue.try_recv().ok();
            }
            if !text.is_empty() {
                let result = self.add(&text).map_err(|error| error.kind());
                if let Err(kind) = result {
                    tracing::error!(%kind, "the journal file cannot be written");
                }
                // Who no longer waits does not want to know.
                for done in waiting {
                    let _ = done.send(result);
                }
            }
            if let Some(Job::Replace(text)) = next
                && let Err(error) = self.replace(&text)
            {
                tracing::error!(kind = %error.kind(), "the journal file cannot be written anew, and goes on as it is");
            }
        }
    }

    fn add(&mut self, text: &str) -> io::Result<()> {
        if self.torn {
            // As after a line that a crash cut off.
            self.file.write_all(b"\n")?;
        }
        self.torn = true;
        self.file.write_all(text.as_bytes())?;
        self.torn = false;
        self.file.sync_data()
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        let new = beside(&self.path, "new");
        let mut file = private().truncate(true).write(true).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.torn = false;
        // The new name is on the disk when its directory is; where directories cannot be opened, that is the system's business.
        if let Some(Ok(dir)) = self.path.parent().map(File::open) {
            let _ = dir.sync_all();
        }
        Ok(())
    }
}

/// Makes files that only their owner can read, where the system knows that.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn checksum(text: &str) -> String {
    let mut sum = sha1_smol::Sha1::from(text).digest().to_string();
    sum.truncate(16);
    sum
}

fn line(entry: &Entry) -> String {
    // Strings and numbers only: there is nothing that JSON could not hold.
    let text = serde_json::to_string(entry).unwrap_or_default();
    format!("{} {text}\n", checksum(&text))
}

/// Whom an entry is about, and whether something is owed then; `None` for a record that cannot be read.
fn key(entry: &Entry) -> Option<(Key, bool)> {
    Some(match entry {
        Entry::Put { record, .. } => {
            (Key::Session(super::Session::from_json(record).ok()?.id), true)
        }
        Entry::Delete { id, .. } => (Key::Session(id.clone()), true),
        Entry::Settled { id } => (Key::Session(id.clone()), false),
        Entry::Revoke { user_id, .. } => (Key::User(user_id.clone()), true),
        Entry::Forgiven { user_id } => (Key::User(user_id.clone()), false),
    })
}

/// The entries of a file that still count, oldest first, and how many lines could not be read.
fn read(text: &str) -> (Vec<(Key, Entry)>, usize) {
    let mut entries: Vec<Option<(Key, Entry)>> = Vec::new();
    let mut places = HashMap::new();
    let mut damaged = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let good = line.split_once(' ').filter(|(sum, text)| checksum(text) == *sum);
        let entry = good.and_then(|(_, text)| serde_json::from_str::<Entry>(text).ok());
        let Some((entry, (key, owed))) =
            entry.and_then(|entry| key(&entry).map(|key| (entry, key)))
        else {
            damaged += 1;
            continue;
        };
        if let Some(place) = places.insert(key.clone(), entries.len()) {
            entries[place] = None;
        }
        entries.push(owed.then_some((key, entry)));
    }
    (entries.into_iter().flatten().collect(), damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(id: &str, prompt: &str) -> Entry {
        let mut session = crate::session::Session::with_id(id, "user", "org");
        session.system_prompt = prompt.into();
        (session.created_at, session.last_active_at) = (time(0), time(0));
        Entry::Put {
            record: session.to_json().unwrap(),
            base: None,
            touched: false,
            ttl: Ttl::Slide(1),
            sent: vec![],
        }
    }

    #[test]
    fn the_last_word_on_a_session_counts_and_damaged_lines_do_not() {
        let delete = Entry::Delete { id: "b".into(), user_id: None };
        let revoke = Entry::Revoke { user_id: "u".into(), until: 5 };
        let again = Entry::Revoke { user_id: "u".into(), until: 9 };
        let lines = [
            put("a", "1"),
            put("b", "1"),
            revoke,
            put("a", "2"),
            delete.clone(),
            put("c", "1"),
            again.clone(),
        ];
        let settled = Entry::Settled { id: "c".into() };
        let mut text: String = lines.iter().chain([&settled]).map(line).collect();
        let read = |text: &str| {
            let (entries, damaged) = read(text);
            (entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), damaged)
        };
        assert_eq!(read(&text), (vec![put("a", "2"), delete.clone(), again.clone()], 0));
        // Any one byte changed, and a last line cut off anywhere: that line is passed over, the others count.
        let last = line(&put("a", "3"));
        for cut in 1..last.len() - 1 {
            let (entries, damaged) = read(&format!("{text}{}", &last[..cut]));
            assert_eq!((entries.len(), damaged), (3, 1), "cut after {cut} bytes");
        }
        text = text.replacen("\\\"a\\\"", "\\\"z\\\"", 1);
        assert_eq!(read(&text), (vec![put("a", "2"), delete, again], 1));
    }

    #[test]
    fn what_is_written_after_a_write_that_failed_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let file = || private().append(true).open(&path).unwrap();
        let mut full = file();
        let mut writer = Writer {
            file: File::open(&path).unwrap(),
            path: path.clone(),
            torn: false,
            _lock: file(),
        };
        assert!(writer.add(&line(&put("a", "1"))).is_err(), "opened for reading only");
        // As a disk that is full takes what it has room for.
        full.write_all(&line(&put("a", "1")).as_bytes()[..20]).unwrap();
        writer.file = full;
        writer.add(&line(&put("b", "1"))).unwrap();
        let (entries, damaged) = read(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(
            (entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), damaged),
            (vec![put("b", "1")], 1)
        );
    }
}
