//! Changing a session that others may change too.

use super::RedisSessionStore;
use crate::platform;
use crate::session::error::{Conflict, SessionError};
use crate::session::record::Session;
use crate::session::store::SessionStore as _;
use std::time::Duration;

impl RedisSessionStore {
    /// Reads a session, lets `change` change it, and writes it if nobody else wrote meanwhile; else does so again, at most 16
    /// times. Answers what was written.
    ///
    /// # Errors
    /// [`SessionError::NotFound`]; [`SessionError::Conflict`] when others kept writing; [`SessionError::MaybeApplied`] when a
    /// reply was lost and what happened could not be found out. `change` may run several times, but takes effect at most once.
    pub async fn modify(
        &self,
        id: &str,
        mut change: impl FnMut(&mut Session),
    ) -> Result<Session, SessionError> {
        const TRIES: usize = 16;
        let mut uncertain: Option<(String, SessionError)> = None;
        let mut last = SessionError::NotFound;
        for attempt in 0..TRIES {
            if attempt > 1 {
                // Writers that collided twice come back at different times.
                platform::sleep(
                    Duration::from_millis(4 << attempt.min(6)).mul_f64(platform::random()),
                )
                .await;
            }
            let mut session = self.retrieve_session(id).await?;
            if let Some((written, error)) = uncertain.take() {
                match session.original() {
                    Some(text) if text == written => return Ok(session),
                    // Ours may have been written and replaced since: changing again could change twice.
                    _ => return Err(error),
                }
            }
            change(&mut session);
            let text = session.to_json()?;
            match self.compare_and_update(&session).await {
                Ok(()) => {
                    session.written_as(&text);
                    return Ok(session);
                }
                Err(error @ SessionError::MaybeApplied(_)) => {
                    uncertain = Some((text, error.clone()));
                    last = error;
                }
                Err(error @ SessionError::Conflict(Conflict::Changed)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}
