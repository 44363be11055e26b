//! The loop of attempts.

use super::Attempts;
use crate::error::Error;
use std::time::Duration;

/// The entries of one request: a single command, a transaction, a pipeline, or a batch.
pub(crate) trait Entries {
    /// Ends entries whose deadline has passed.
    fn expire(&mut self) {}

    /// Returns the number of entries that wait for a reply.
    fn len(&self) -> usize;

    /// Sends a request with the remaining entries, and keeps the replies. `number` counts from 1;
    /// `may_have_run` is true if an earlier one may have been executed.
    async fn attempt(&mut self, number: u32, limit: Duration, may_have_run: bool) -> Attempted;

    /// Ends the entries that must not be retried after `error`.
    fn give_up(&mut self, error: &Error, attempts: &Attempts<'_>);

    /// Ends all entries.
    fn end(&mut self, error: &Error, attempts: &Attempts<'_>);

    /// Waits for the next attempt.
    async fn wait(&mut self, time: Duration, may_have_run: bool) {
        let _ = may_have_run;
        crate::platform::sleep(time).await;
    }
}

/// End of an attempt.
pub(crate) enum Attempted {
    /// Every entry has its reply.
    Done,
    /// The remaining entries were refused temporarily; the others have their replies.
    Refused(Error),
    /// No entry has a reply.
    Failed(Error),
    /// The replies were discarded. The next attempt follows at once.
    Repeat,
}

/// Makes attempts until every entry has its reply, or an error.
pub(crate) async fn drive(
    entries: &mut impl Entries,
    attempts: &mut Attempts<'_>,
    timeout: Duration,
) {
    loop {
        entries.expire();
        if entries.len() == 0 {
            return;
        }
        let Some((number, limit)) = attempts.begin(timeout) else {
            return entries.end(&attempts.expired(), attempts);
        };
        let error = match entries.attempt(number, limit, attempts.may_have_run()).await {
            Attempted::Done => return,
            Attempted::Repeat => continue,
            Attempted::Refused(error) => error,
            Attempted::Failed(error) => {
                attempts.note(&error);
                entries.give_up(&error, attempts);
                error
            }
        };
        let wait = if entries.len() == 0 { None } else { attempts.wait(&error) };
        let Some(wait) = wait else { return entries.end(&error, attempts) };
        let entries_left = entries.len();
        tracing::debug!(kind = ?error.kind(), status = error.status(), ?wait, entries = entries_left, "trying again");
        entries.wait(wait, attempts.may_have_run()).await;
    }
}
