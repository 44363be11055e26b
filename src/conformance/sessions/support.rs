//! Requests of the cases, and what they expect of the results.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use crate::session::{
    ChangeId, Delete, Marks, Mode, Session, SessionError, SessionStore, SessionStoreExt as _,
    Stored, TtlRule, Version, When, Write, Written,
};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Long enough for a few requests on a busy machine, short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(700);

pub(super) fn user() -> String {
    format!("user-{}", Uuid::new_v4())
}

pub(super) fn session(user: &str) -> Session {
    let mut session = Session::new(user).org_id("org-1");
    session.mcp_client_ids = vec!["client-1".into(), "client-2".into()];
    session.system_prompt = "Be \"brief\"\n\u{1F600}".into();
    session
}

pub(super) fn with_prompt(session: &Session, prompt: &str) -> Session {
    let mut changed = session.clone();
    changed.system_prompt = prompt.into();
    changed
}

pub(super) async fn listed(store: &dyn SessionStore, user: &str) -> BTreeSet<String> {
    let list = store.list_sessions(user).await.expect("list_sessions returns the sessions");
    let ids: BTreeSet<_> = list.sessions.iter().map(|session| session.id.clone()).collect();
    assert_eq!(ids.len(), list.sessions.len(), "a session is listed twice");
    assert_eq!(list.corrupt, 0, "a session that the case stored cannot be read");
    ids
}

pub(super) fn ids(sessions: &[&Session]) -> BTreeSet<String> {
    sessions.iter().map(|session| session.id.clone()).collect()
}

/// The session as it is stored.
pub(super) async fn stored(store: &dyn SessionStore, id: &str) -> Stored {
    store.retrieve_stored(id).await.expect("the session is there")
}

/// Sends one write.
pub(super) async fn write(store: &dyn SessionStore, write: Write<'_>) -> Written {
    let mut results = store.write(&[write]).await;
    assert_eq!(results.len(), 1, "`write` returns one result for each session");
    results.remove(0).expect("the write is executed or refused by its condition")
}

/// A create by a caller who knows no log-outs, for an hour.
pub(super) fn new<'a>(id: ChangeId, session: &'a Session, marks: &'a Marks) -> Write<'a> {
    let mode = Mode::Create { marks, reuse: false };
    Write { id, session, mode, content: true, ttl: TtlRule::Slide(HOUR) }
}

/// A create by a caller who writes now.
pub(super) fn anew<'a>(session: &'a Session, marks: &'a Marks) -> Write<'a> {
    let mode = Mode::Create { marks, reuse: true };
    Write { id: ChangeId::new(), session, mode, content: true, ttl: TtlRule::Keep }
}

pub(super) fn over<'a>(session: &'a Session, version: &'a Version) -> Write<'a> {
    let (id, mode) = (ChangeId::new(), Mode::Replace(version));
    Write { id, session, mode, content: true, ttl: TtlRule::Keep }
}

/// Creates a session for an hour, and returns its version.
pub(super) async fn created(store: &dyn SessionStore, session: &Session) -> Version {
    let marks = Marks::default();
    version(write(store, new(ChangeId::new(), session, &marks)).await)
}

/// The version that was written.
pub(super) fn version(written: Written) -> Version {
    match written {
        Written::Written { version, .. } => version,
        other => panic!("the session should have been written, not {}", name(&other)),
    }
}

pub(super) fn name(written: &Written) -> &'static str {
    match written {
        Written::Written { .. } => "Written",
        Written::Changed(_) => "Changed",
        Written::Exists(_) => "Exists",
        Written::Gone => "Gone",
        Written::LoggedOut(_) => "LoggedOut",
    }
}

pub(super) fn end(session: &str) -> Delete<'_> {
    let (id, when) = (ChangeId::new(), When::Always);
    Delete { id, session, user_id: None, mark_for: Duration::ZERO, when }
}

/// Sends one delete.
pub(super) async fn delete(store: &dyn SessionStore, delete: Delete<'_>) -> bool {
    let mut results = store.delete(&[delete]).await;
    assert_eq!(results.len(), 1, "`delete` returns one result for each session");
    results.remove(0).expect("the delete is executed or refused by its condition")
}

pub(super) fn is_not_found<T>(result: &Result<T, SessionError>) -> bool {
    matches!(result, Err(SessionError::NotFound))
}
