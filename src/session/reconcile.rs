//! After an outage: which of two versions of a session stands, the one written here meanwhile or the stored one.
//!
//! Pure decisions; the writes that follow are made on a condition, so that a decision that was overtaken writes nothing.

use super::error::SessionError;
use super::record::Session;
use chrono::{DateTime, Utc};

/// What a session's time to live becomes when it is written after an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlRule {
    /// It stays as it is.
    Keep,
    /// The session lives until then at least, unless its time to live is an explicit one.
    Slide(DateTime<Utc>),
    /// The session lives until then exactly: an explicit time to live.
    Set(DateTime<Utc>),
}

/// A session that was written here while the store could not be reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingPut {
    /// The session. What it was read from is what it is based on; one that was never read is new.
    pub session: Session,
    /// Its time to live. For a new session it must not be [`TtlRule::Keep`].
    pub ttl: TtlRule,
    /// SHA-1 of versions that were sent and may have been stored.
    pub(crate) sent: Vec<String>,
}

impl PendingPut {
    /// A session to be written.
    pub fn new(session: Session, ttl: TtlRule) -> Self {
        Self { session, ttl, sent: Vec::new() }
    }

    pub(crate) fn with_sent(mut self, sent: Vec<String>) -> Self {
        self.sent = sent;
        self
    }
}

/// What became of a [`PendingPut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reconciled {
    /// It was written, or was stored already.
    Written,
    /// It was deleted or expired meanwhile, and stays so.
    Gone,
    /// Somebody else's newer version stands.
    Superseded,
    /// Its own time passed during the outage.
    Expired,
}

/// What to do with a put.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Write it where nothing is.
    Create,
    /// Write it over exactly what was seen.
    Replace,
    /// Nothing to write.
    Settled(Reconciled),
}

/// Decides from what is stored now.
///
/// * A new session is written where nothing is. A session that existed and is gone stays gone: delete beats update.
/// * What is stored is replaced if it is what ours is based on, a version of ours that got through, or older than that.
/// * Otherwise somebody else wrote meanwhile, and theirs stands. Of two versions of a new session, which only a lost reply can
///   make, the later `last_active_at` stands.
pub(super) fn decide(put: &PendingPut, stored: Option<&[u8]>, now: DateTime<Utc>) -> Result<Decision, SessionError> {
    let deadline = match put.ttl {
        TtlRule::Keep => None,
        TtlRule::Slide(at) | TtlRule::Set(at) => Some(at),
    };
    let base = put.session.original_text();
    let over = deadline.is_some_and(|at| at <= now);
    let Some(stored) = stored else {
        return Ok(match put.session.was_read() {
            true => Decision::Settled(Reconciled::Gone),
            false if over || deadline.is_none() => Decision::Settled(Reconciled::Expired),
            false => Decision::Create,
        });
    };
    if stored == put.session.to_json()?.as_bytes() {
        // Ours got through; its time to live perhaps did not.
        return Ok(if put.ttl == TtlRule::Keep { Decision::Settled(Reconciled::Written) } else { Decision::Replace });
    }
    let sha1 = sha1_smol::Sha1::from(stored).digest().to_string();
    if base.is_some_and(|base| base.as_bytes() == stored) || put.sent.contains(&sha1) {
        return Ok(Decision::Replace);
    }
    let theirs = Session::from_json(stored)?;
    let ours_is_newer = match base {
        Some(base) => theirs.last_active_at < Session::from_json(base)?.last_active_at,
        None => theirs.last_active_at <= put.session.last_active_at,
    };
    Ok(if ours_is_newer { Decision::Replace } else { Decision::Settled(Reconciled::Superseded) })
}

/// The rule and the time to live in milliseconds, as the script takes them.
pub(super) fn rule(ttl: TtlRule, now: DateTime<Utc>) -> (&'static str, u64) {
    let left = |at: DateTime<Utc>| crate::command::groups::millis((at - now).to_std().unwrap_or_default());
    match ttl {
        TtlRule::Keep => ("keep", 0),
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
        (session.created_at, session.last_active_at, session.system_prompt) = (at(0), at(active), prompt.into());
        session
    }

    fn changed(base: &Session, active: i64) -> Session {
        let mut session = Session::from_json(base.to_json().unwrap()).unwrap();
        (session.last_active_at, session.system_prompt) = (at(active), "ours".into());
        session
    }

    fn decision(put: PendingPut, stored: Option<&Session>) -> Decision {
        let stored = stored.map(|session| session.to_json().unwrap());
        decide(&put, stored.as_deref().map(str::as_bytes), at(100)).unwrap()
    }

    #[test]
    fn new_sessions() {
        let put = || PendingPut::new(version(50, "ours"), TtlRule::Slide(at(200)));
        assert_eq!(decision(put(), None), Decision::Create);
        assert_eq!(decision(put(), Some(&version(40, "an earlier store of ours"))), Decision::Replace);
        assert_eq!(decision(put(), Some(&version(60, "used elsewhere since"))), Decision::Settled(Reconciled::Superseded));
        let late = PendingPut::new(version(50, "ours"), TtlRule::Slide(at(100)));
        assert_eq!(decision(late, None), Decision::Settled(Reconciled::Expired));
    }

    #[test]
    fn updates() {
        let base = version(10, "base");
        let put = || PendingPut::new(changed(&base, 50), TtlRule::Keep);
        assert_eq!(decision(put(), Some(&base)), Decision::Replace);
        assert_eq!(decision(put(), None), Decision::Settled(Reconciled::Gone), "delete beats update");
        assert_eq!(decision(put(), Some(&version(20, "theirs"))), Decision::Settled(Reconciled::Superseded));
        assert_eq!(decision(put(), Some(&version(5, "older than the base"))), Decision::Replace);
        assert_eq!(decision(put(), Some(&changed(&base, 50))), Decision::Settled(Reconciled::Written));
        let between = changed(&base, 30);
        let sha1 = sha1_smol::Sha1::from(between.to_json().unwrap()).digest().to_string();
        assert_eq!(decision(put().with_sent(vec![sha1]), Some(&between)), Decision::Replace, "ours, whose reply was lost");
        assert_eq!(decision(put(), Some(&between)), Decision::Settled(Reconciled::Superseded));
    }

    #[test]
    fn deadlines_stay_absolute() {
        assert_eq!(rule(TtlRule::Set(at(160)), at(100)), ("set", 60_000));
        assert_eq!(rule(TtlRule::Slide(at(0)), at(100)), ("slide", 1));
        assert_eq!(rule(TtlRule::Keep, at(0)).0, "keep");
    }
}
