//! Which of two versions of a session stands: the one written here, or the stored one.
//!
//! Pure decisions; the writes that follow are made on a condition, so that a decision that was overtaken writes nothing. For the
//! same reason a request that was held up on its way and arrives late changes nothing.

use super::error::{Conflict, SessionError};
use super::record::Session;
use chrono::{DateTime, Utc};
use std::fmt;
use std::time::Duration;

/// What a session's time to live becomes when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TtlRule {
    /// It stays as it is.
    Keep,
    /// The session lives until then at least, unless its time to live is an explicit one.
    Slide(DateTime<Utc>),
    /// The session lives until then exactly: an explicit time to live.
    Set(DateTime<Utc>),
}

impl TtlRule {
    /// Both, `later` after this one: an explicit time to live beats the touches before it and is left alone by those after it; of
    /// two touches the later deadline counts.
    pub(super) fn and(self, later: Self) -> Self {
        match (self, later) {
            (_, Self::Set(at)) | (Self::Set(at), _) => Self::Set(at),
            (Self::Slide(one), Self::Slide(other)) => Self::Slide(one.max(other)),
            (Self::Keep, rule) | (rule, Self::Keep) => rule,
        }
    }

    pub(super) fn deadline(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Keep => None,
            Self::Slide(at) | Self::Set(at) => Some(at),
        }
    }
}

/// A session that is to be written on conditions, perhaps after an outage in which it was created, changed or used.
#[derive(Clone)]
#[non_exhaustive]
pub struct PendingPut {
    /// The session. What it was read from is what it is based on; one that was never read is new.
    pub session: Session,
    /// Its time to live. For a new session it must not be [`TtlRule::Keep`].
    pub ttl: TtlRule,
    /// It replaces whatever version is stored: the last writer wins. Otherwise only what it is based on, or older.
    pub overwrites: bool,
    /// It is written where nothing is, or not at all: whatever has its id is another session, and a conflict.
    pub exclusive: bool,
    /// SHA-1 of versions that were sent and may have been stored.
    pub(crate) sent: Vec<String>,
}

impl PendingPut {
    /// A session to be written over what it is based on.
    pub fn new(session: Session, ttl: TtlRule) -> Self {
        Self { session, ttl, overwrites: false, exclusive: false, sent: Vec::new() }
    }

    /// Over whatever version is stored.
    #[must_use]
    pub fn overwriting(mut self, overwrites: bool) -> Self {
        self.overwrites = overwrites;
        self
    }

    /// Only where nothing is: for a new session whose id somebody else may have.
    #[must_use]
    pub fn exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// What to do with it, where `stored` is what the store has now, read by [`Session::from_json`]. For stores that make their own
    /// [`reconcile`](super::SessionStore::reconcile): the write that follows must be made on the condition that `stored` is still
    /// what is there, and then the time to live becomes what [`ttl`](Self::ttl) says.
    ///
    /// # Errors
    /// [`SessionError::Conflict`] where another session or another user's is stored; [`SessionError::Unwritable`].
    pub fn decide(&self, stored: Option<&Session>) -> Result<Decision, SessionError> {
        decide(self, stored, crate::clock::utc_now())
    }

    pub(crate) fn with_sent(mut self, sent: Vec<String>) -> Self {
        self.sent = sent;
        self
    }
}

/// Shows nothing of the session, nor of its versions.
impl fmt::Debug for PendingPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingPut")
            .field("ttl", &self.ttl)
            .field("overwrites", &self.overwrites)
            .finish_non_exhaustive()
    }
}

/// What became of a [`PendingPut`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconciled {
    /// It is stored, as this.
    Written(Box<Session>),
    /// Somebody else's newer version stands, which is this. Its time to live and its last use are the later ones of both.
    Superseded(Box<Session>),
    /// It was deleted or expired meanwhile, and stays so.
    Gone,
    /// Its own time passed before it could be written.
    Expired,
}

/// What to do with a [`PendingPut`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Decision {
    /// Write this where nothing is.
    Create(Box<Session>),
    /// Write this over the record that is its [`original`](Session::original).
    Replace {
        /// What to write.
        version: Box<Session>,
        /// False where it is in substance somebody else's newer version.
        ours: bool,
    },
    /// Nothing to write: this has become of it.
    Settled(Reconciled),
}

impl Decision {
    /// The record to write; nothing where there is nothing to write.
    ///
    /// # Errors
    /// [`SessionError::Unwritable`].
    pub fn text(&self) -> Result<String, SessionError> {
        match self {
            Self::Create(version) | Self::Replace { version, .. } => version.to_json(),
            Self::Settled(_) => Ok(String::new()),
        }
    }

    /// The record that must be there for it, if one must.
    pub(super) fn replaces(&self) -> Option<&str> {
        match self {
            Self::Replace { version, .. } => version.original(),
            _ => None,
        }
    }

    /// What became of the put, once this record was written.
    pub fn written(self, text: &str) -> Reconciled {
        let (mut version, ours) = match self {
            Self::Create(version) => (version, true),
            Self::Replace { version, ours } => (version, ours),
            Self::Settled(result) => return result,
        };
        version.written_as(text);
        if ours { Reconciled::Written(version) } else { Reconciled::Superseded(version) }
    }
}

/// Decides as if what is stored were what the put is based on, to be written on that condition.
pub(super) fn decide_unseen(
    put: &PendingPut,
    now: DateTime<Utc>,
) -> Result<Decision, SessionError> {
    if put.session.was_read() {
        return Ok(Decision::Replace { version: Box::new(put.session.clone()), ours: true });
    }
    decide(put, None, now)
}

/// Decides from what is stored now.
///
/// * A new session is written where nothing is. A session that existed and is gone stays gone: delete beats update.
/// * What is stored is replaced if it is what ours is based on (whoever used it since), a version of ours that got through, or
///   older than that.
/// * A new session that is exclusive replaces nothing but what was sent for it before.
/// * Otherwise somebody else wrote meanwhile, and theirs stands. Of two versions of a new session, which only a lost reply can
///   make, the later `last_active_at` stands.
/// * Of both the later `last_active_at` is kept.
pub(super) fn decide(
    put: &PendingPut,
    stored: Option<&Session>,
    now: DateTime<Utc>,
) -> Result<Decision, SessionError> {
    let Some(stored) = stored else {
        let over = put.ttl.deadline().is_none_or(|at| at <= now);
        return Ok(match put.session.was_read() {
            true => Decision::Settled(Reconciled::Gone),
            false if over => Decision::Settled(Reconciled::Expired),
            false => Decision::Create(Box::new(put.session.clone())),
        });
    };
    let text = stored.to_json()?;
    if put.exclusive && !put.session.was_read() && !was_sent(put, &text)? {
        return Err(SessionError::Conflict(Conflict::Exists));
    }
    if stored.user_id != put.session.user_id {
        return Err(SessionError::Conflict(Conflict::UserChanged));
    }
    let is_base = match put.session.original() {
        Some(base) => base == text,
        None => put.session.was_read() && put.session.revision() == stored.revision(),
    };
    let ours = put.overwrites || is_base || ours_is_newer(put, stored, &text)?;
    let mut version = if ours { put.session.clone() } else { stored.clone() };
    if !put.overwrites && !is_base {
        version.last_active_at = stored.last_active_at.max(put.session.last_active_at);
    }
    let version = Box::new(version.based_on(stored));
    if put.ttl == TtlRule::Keep && version.to_json()? == text {
        let stored = Box::new(stored.clone());
        return Ok(Decision::Settled(if ours {
            Reconciled::Written(stored)
        } else {
            Reconciled::Superseded(stored)
        }));
    }
    Ok(Decision::Replace { version, ours })
}

/// True when what is stored is what the put would write, or a version of it that was sent before.
fn was_sent(put: &PendingPut, text: &str) -> Result<bool, SessionError> {
    Ok(text == put.session.to_json()?
        || put.sent.contains(&sha1_smol::Sha1::from(text).digest().to_string()))
}

/// True when nobody else wrote what is stored after what ours is based on.
fn ours_is_newer(put: &PendingPut, stored: &Session, text: &str) -> Result<bool, SessionError> {
    if was_sent(put, text)? {
        return Ok(true);
    }
    Ok(match put.session.original() {
        Some(base) => {
            let base = Session::from_json(base)?;
            stored.last_active_at < base.last_active_at || stored.same_but_for_use(&base)
        }
        None => !put.session.was_read() && stored.last_active_at <= put.session.last_active_at,
    })
}

/// The rule and the time that is left, as the script takes them.
pub(super) fn rule(ttl: TtlRule, now: DateTime<Utc>) -> (&'static str, Duration) {
    let left = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
    match ttl {
        TtlRule::Keep => ("keep", Duration::ZERO),
        TtlRule::Slide(at) => ("slide", left(at)),
        TtlRule::Set(at) => ("set", left(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn version(active: i64, prompt: &str) -> Session {
        let mut session = Session::with_id("id", "user", "org");
        (session.created_at, session.last_active_at, session.system_prompt) =
            (at(0), at(active), prompt.into());
        session
    }

    fn read(session: &Session) -> Session {
        Session::from_json(session.to_json().unwrap()).unwrap()
    }

    fn changed(base: &Session, active: i64) -> Session {
        let mut session = read(base);
        (session.last_active_at, session.system_prompt) = (at(active), "ours".into());
        session
    }

    /// What would stand in the end, by its prompt and its last use; or why nothing is written.
    fn outcome(put: &PendingPut, stored: Option<&Session>) -> Result<(String, i64), Reconciled> {
        match decide(put, stored.map(read).as_ref(), at(100)).unwrap() {
            Decision::Create(version) | Decision::Replace { version, .. } => {
                Ok((version.system_prompt.clone(), (version.last_active_at - at(0)).num_seconds()))
            }
            Decision::Settled(result) => Err(result),
        }
    }

    fn ours(active: i64) -> Result<(String, i64), Reconciled> {
        Ok(("ours".to_owned(), active))
    }

    #[test]
    fn new_sessions() {
        let put = PendingPut::new(version(50, "ours"), TtlRule::Slide(at(200)));
        assert_eq!(outcome(&put, None), ours(50));
        assert_eq!(outcome(&put, Some(&version(40, "an earlier store of ours"))), ours(50));
        assert_eq!(
            outcome(&put, Some(&version(60, "used elsewhere since"))),
            Ok(("used elsewhere since".into(), 60))
        );
        let alone = put.exclusive(true);
        assert_eq!(outcome(&alone, None), ours(50));
        assert_eq!(
            outcome(&alone, Some(&version(50, "ours"))),
            ours(50),
            "its own, whose reply was lost"
        );
        let mut other = version(40, "somebody else's");
        for user in ["user", "somebody else"] {
            other.user_id = user.into();
            assert!(matches!(
                decide(&alone, Some(&read(&other)), at(100)),
                Err(SessionError::Conflict(Conflict::Exists))
            ));
        }
        let late = PendingPut::new(version(50, "ours"), TtlRule::Slide(at(100)));
        assert_eq!(outcome(&late, None), Err(Reconciled::Expired));
    }

    #[test]
    fn updates() {
        let base = version(10, "base");
        let put = PendingPut::new(changed(&base, 50), TtlRule::Keep);
        assert_eq!(outcome(&put, Some(&base)), ours(50));
        assert_eq!(outcome(&put, None), Err(Reconciled::Gone), "delete beats update");
        assert_eq!(
            outcome(&put, Some(&version(60, "base"))),
            ours(60),
            "only used elsewhere: the later use is kept"
        );
        assert_eq!(outcome(&put, Some(&version(5, "older than the base"))), ours(50));
        assert_eq!(
            outcome(&put, Some(&version(20, "theirs"))),
            Ok(("theirs".into(), 50)),
            "the later use is kept"
        );
        assert_eq!(
            outcome(&put, Some(&version(60, "theirs"))),
            Err(Reconciled::Superseded(Box::new(version(60, "theirs"))))
        );
        assert_eq!(outcome(&put.clone().overwriting(true), Some(&version(60, "theirs"))), ours(50));
        assert_eq!(
            outcome(&put, Some(&changed(&base, 50))),
            Err(Reconciled::Written(Box::new(changed(&base, 50))))
        );
        let between = changed(&base, 30);
        let sha1 = sha1_smol::Sha1::from(between.to_json().unwrap()).digest().to_string();
        assert_eq!(
            outcome(&put.clone().with_sent(vec![sha1]), Some(&between)),
            ours(50),
            "ours, whose reply was lost"
        );
        let mut other = base;
        other.user_id = "somebody else".into();
        assert!(matches!(
            decide(&put, Some(&other), at(100)),
            Err(SessionError::Conflict(Conflict::UserChanged))
        ));
    }

    #[test]
    fn deadlines_stay_absolute() {
        assert_eq!(rule(TtlRule::Set(at(160)), at(100)), ("set", Duration::from_secs(60)));
        assert_eq!(rule(TtlRule::Slide(at(0)), at(100)), ("slide", Duration::ZERO));
        assert_eq!(rule(TtlRule::Keep, at(0)).0, "keep");
        let (slide, set) =
            (|seconds| TtlRule::Slide(at(seconds)), |seconds| TtlRule::Set(at(seconds)));
        for (earlier, later, both) in [
            (slide(1), slide(2), slide(2)),
            (slide(2), slide(1), slide(2)),
            (slide(9), set(1), set(1)),
            (set(1), slide(9), set(1)),
            (set(1), set(2), set(2)),
            (TtlRule::Keep, slide(1), slide(1)),
            (set(1), TtlRule::Keep, set(1)),
        ] {
            assert_eq!(earlier.and(later), both, "{earlier:?}, then {later:?}");
        }
    }
}
