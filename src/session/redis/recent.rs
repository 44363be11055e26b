//! [`RecentVersions`]: the versions that a store saw last, so that a change names the one that it
//! replaces without a read. A version that is outdated costs what the read would have.

use crate::session::error::SessionError;
use crate::session::lru::Lru;
use crate::session::store::{Stored, Write, Written};
use crate::session::version::Version;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most sessions whose versions are kept: about a megabyte.
const MOST: usize = 4096;

/// The last versions of sessions and their users, by id.
#[derive(Default)]
pub(super) struct RecentVersions(Mutex<Lru<(String, Version)>>);

impl RecentVersions {
    fn lock(&self) -> MutexGuard<'_, Lru<(String, Version)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last version of a session of this user.
    pub(super) fn get(&self, id: &str, user_id: &str) -> Option<Version> {
        let recent = self.lock();
        let (user, version) = recent.peek(id)?;
        (user == user_id).then(|| version.clone())
    }

    fn put(&self, id: &str, user_id: &str, version: Option<Version>) {
        let Some(version) = version else { return self.forget(id) };
        let mut recent = self.lock();
        recent.insert(id, (user_id.to_owned(), version));
        if recent.len() > MOST {
            recent.pop_oldest();
        }
    }

    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Keeps the version of a session that was read.
    pub(super) fn note_read(&self, stored: &Stored) {
        let Stored { session, version, .. } = stored;
        self.put(&session.id, &session.user_id, version.as_last_written());
    }

    /// Keeps what the result of a write shows.
    pub(super) fn note_write(&self, write: &Write<'_>, result: &Result<Written, SessionError>) {
        let session = write.session;
        match result {
            Ok(Written::Written { version, .. }) => {
                self.put(&session.id, &session.user_id, Some(version.clone()));
            }
            Ok(Written::Changed(now) | Written::Exists(now)) => self.note_read(now),
            Ok(Written::Gone | Written::LoggedOut(_)) => self.forget(&session.id),
            Err(_) => {}
        }
    }
}
