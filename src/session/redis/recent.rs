//! [`RecentVersions`]: the versions that a store wrote last, so that a change names the one that it
//! replaces without a read. A version that is outdated costs what the read would have.

use crate::session::error::SessionError;
use crate::session::lru::Lru;
use crate::session::store::{Write, Written};
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

    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Keeps the version that a write made.
    pub(super) fn note(&self, write: &Write<'_>, result: &Result<Written, SessionError>) {
        let session = write.session;
        match result {
            Ok(Written::Written { version, .. }) if version.is_hashed() => {
                let mut recent = self.lock();
                recent.insert(&session.id, (session.user_id.clone(), version.clone()));
                if recent.len() > MOST {
                    recent.pop_oldest();
                }
            }
            _ => self.forget(&session.id),
        }
    }
}
