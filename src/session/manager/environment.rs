//! [`Environment`]: everything that a manager takes from outside besides its store. A simulation
//! replaces it.

use crate::clock;
use crate::platform::{BoxFuture, MaybeSend};
use crate::session::change::ChangeIds;
use chrono::{DateTime, Utc};
use std::io::{self, BufRead};

/// The file of a journal, open and locked.
pub trait JournalFile: MaybeSend + 'static {
    /// Adds bytes at the end. Ready when they are on the disk. After a failure, or if the future is
    /// dropped, any part of them may be there.
    fn append(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>>;

    /// Replaces the content, all or nothing. After a failure, or if the future is dropped, either
    /// content may be there.
    fn rewrite(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>>;
}

/// A wall clock.
pub trait WallClock: MaybeSend + 'static {
    /// The current time.
    fn utc_now(&self) -> DateTime<Utc>;
}

/// The clock of the system.
struct SystemClock;

impl WallClock for SystemClock {
    fn utc_now(&self) -> DateTime<Utc> {
        clock::utc_now()
    }
}

/// Everything that a manager takes from outside besides its store.
pub struct Environment {
    /// Names the changes.
    pub ids: ChangeIds,
    /// The wall clock. Monotonic time is that of the runtime.
    pub clock: Box<dyn WallClock>,
    /// The file of the journal, and what an earlier process left in it.
    pub journal: Option<(Box<dyn JournalFile>, Box<dyn BufRead>)>,
    /// The lines beyond four for each pending change, before the file is written anew.
    pub journal_slack: usize,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            ids: ChangeIds::new(),
            clock: Box::new(SystemClock),
            journal: None,
            journal_slack: 1000,
        }
    }
}
