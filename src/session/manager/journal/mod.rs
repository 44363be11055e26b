//! The journal: the pending changes in a file, so that they survive the end of the process.
//!
//! Each line is a conditional request with ids of its own, which may be replayed at any time with
//! no effect beyond the first. So correctness never depends on when a line is taken out of the
//! file: lines that say so, and rewriting the file, only keep it short. Knows no disk, no thread
//! and no clock: it writes through [`JournalFile`].

pub(super) mod file;
mod line;
#[cfg(test)]
mod tests;

pub(super) use line::{Key, Line};

use super::environment::JournalFile;
use crate::clock::{self, Instant};
use crate::platform::Mutex;
use std::collections::HashSet;
use std::io::{self, BufRead};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::time::Duration;

/// The pause of rewriting after a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// Lines that are written together, and whether they are on the disk.
type Batch = Arc<OnceLock<Result<(), io::ErrorKind>>>;

/// A line that is on its way to the disk.
#[must_use]
pub(super) struct Ticket(Batch);

/// An open journal.
pub(super) struct Journal {
    file: Box<dyn JournalFile>,
    queue: Mutex<Queue>,
    /// Held while the file is written: lines reach it in the order of the queue.
    writer: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    batches: Vec<Batch>,
    /// A part of a line may be at the end of the file.
    torn: bool,
    /// Lines in the file, outdated ones included.
    lines: usize,
    /// The lines beyond four for each pending change, before the file is written anew.
    slack: usize,
    /// Whom the file holds, or may hold, something pending of.
    live: HashSet<Key>,
    no_rewrite_before: Option<Instant>,
}

/// Lines that were taken from the queue; returned to it if they are dropped before they were
/// written.
struct Taken<'a> {
    journal: &'a Journal,
    bytes: Vec<u8>,
    batches: Vec<Batch>,
    /// The lines and keys of the file, in case that it is not replaced.
    before: (usize, HashSet<Key>),
}

impl Taken<'_> {
    /// The lines are on the disk, or failed and are given up.
    fn end(&mut self, result: Result<(), io::ErrorKind>) {
        for batch in self.batches.drain(..) {
            // Set here only.
            let _ = batch.set(result);
        }
        self.bytes.clear();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let queue = &mut *self.journal.lock();
        queue.lines += self.before.0;
        queue.live.extend(self.before.1.drain());
        if self.bytes.is_empty() {
            return;
        }
        queue.torn = true;
        self.bytes.append(&mut queue.bytes);
        self.batches.append(&mut queue.batches);
        queue.bytes = std::mem::take(&mut self.bytes);
        queue.batches = std::mem::take(&mut self.batches);
    }
}

impl Journal {
    /// A journal in this file, and what the file holds, oldest first.
    ///
    /// # Errors
    /// If the content cannot be read; `InvalidData` if it is of another version.
    pub(super) fn open(
        file: Box<dyn JournalFile>,
        content: impl BufRead,
        slack: usize,
    ) -> io::Result<(Self, Vec<Line>)> {
        let content = line::read(content)?;
        if content.damaged > 0 {
            tracing::warn!(lines = content.damaged, "lines of the journal file are damaged");
        }
        let live = content.pending.iter().map(|line| line.key().0).collect();
        let queue =
            Queue { torn: content.torn, lines: content.lines, slack, live, ..Queue::default() };
        Ok((
            Self { file, queue: Mutex::new(queue), writer: tokio::sync::Mutex::default() },
            content.pending,
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Adds a line, which [`written`](Self::written) waits for.
    pub(super) fn add(&self, line: &Line) -> Ticket {
        let queue = &mut *self.lock();
        let (key, pending) = line.key();
        if pending {
            queue.live.insert(key)
        } else {
            queue.live.remove(&key)
        };
        queue.bytes.extend(line.encode());
        queue.lines += 1;
        if queue.batches.is_empty() {
            queue.batches.push(Batch::default());
        }
        Ticket(Arc::clone(&queue.batches[queue.batches.len() - 1]))
    }

    /// Adds that nothing is pending, if the file may hold something; nobody needs to wait for it.
    pub(super) fn settle(&self, key: Key) -> Option<Ticket> {
        let holds = self.lock().live.contains(&key);
        holds.then(|| self.add(&Line::settled(key)))
    }

    /// Waits until a line is on the disk. Lines that wait together are written together.
    ///
    /// # Errors
    /// If they could not be written; they may be there all the same.
    pub(super) async fn written(&self, ticket: Ticket) -> Result<(), io::ErrorKind> {
        let _writer = self.writer.lock().await;
        if let Some(result) = ticket.0.get() {
            return *result;
        }
        self.append().await
    }

    /// Writes the queue. Called by the holder of `writer`.
    async fn append(&self) -> Result<(), io::ErrorKind> {
        let mut taken = self.take();
        if taken.bytes.is_empty() {
            return Ok(());
        }
        let result = self.file.append(taken.bytes.clone()).await.map_err(|error| error.kind());
        if let Err(kind) = result {
            tracing::error!(%kind, "the journal file cannot be written");
            self.lock().torn = true;
        }
        taken.end(result);
        result
    }

    fn take(&self) -> Taken<'_> {
        let queue = &mut *self.lock();
        let mut bytes = std::mem::take(&mut queue.bytes);
        if std::mem::take(&mut queue.torn) {
            // The lines must not be glued to one that was cut off.
            bytes.insert(0, b'\n');
        }
        let batches = std::mem::take(&mut queue.batches);
        Taken { journal: self, bytes, batches, before: Default::default() }
    }

    /// True if most of the file is outdated.
    pub(super) fn is_long(&self) -> bool {
        self.lock().is_long()
    }

    /// True if lines wait that nobody waits for, or most of the file is outdated.
    pub(super) fn is_untidy(&self) -> bool {
        let queue = self.lock();
        !queue.bytes.is_empty() || queue.is_long()
    }

    /// Writes the lines that nobody waits for, or the file anew if most of it is outdated.
    /// `pending` returns the lines of all that is pending; it calls its argument under the lock
    /// under which changes are noted.
    pub(super) async fn tidy(&self, pending: impl FnOnce(&mut dyn FnMut()) -> Vec<Line>) {
        let _writer = self.writer.lock().await;
        if !self.lock().is_long() {
            // A failure was logged, and what nobody waits for may be lost.
            let _ = self.append().await;
            return;
        }
        let mut taken = None;
        // The lines in the queue are among those that are pending, or outdated.
        let lines = pending(&mut || taken = Some(self.take()));
        let Some(mut taken) = taken else { return };
        {
            let queue = &mut *self.lock();
            let live = lines.iter().map(|line| line.key().0).collect();
            taken.before = (
                std::mem::replace(&mut queue.lines, lines.len()),
                std::mem::replace(&mut queue.live, live),
            );
        }
        match self.file.rewrite(lines.iter().flat_map(Line::encode).collect()).await {
            Ok(()) => {
                taken.before = Default::default();
                taken.end(Ok(()));
            }
            Err(error) => {
                tracing::warn!(kind = %error.kind(), "the journal file cannot be written anew");
                self.lock().no_rewrite_before = Some(clock::after(PAUSE));
                drop(taken);
                let _ = self.append().await;
            }
        }
    }
}

impl Queue {
    fn is_long(&self) -> bool {
        let most = if self.live.is_empty() { 0 } else { 4 * self.live.len() + self.slack };
        self.lines > most && self.no_rewrite_before.is_none_or(|at| at <= clock::now())
    }
}
