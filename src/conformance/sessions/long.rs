//! The memory of an id after its session ended: minutes and hours pass.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use super::Harness;
use super::support::*;
use crate::session::{
    ChangeId, Delete, Marks, REQUEST_LIFETIME, SessionStoreExt as _, TtlRule, When, Write,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// After a delete for the longest of what was left of the session, `mark_for` and a minute.
pub async fn ids_are_remembered_after_a_delete(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let user = user();
    let (lasting, brief, marked) = (session(&user), session(&user), session(&user));
    let names = ["lasting", "brief", "marked"];
    let all = [&lasting, &brief, &marked];
    created(&*store, &lasting).await;
    let ttl = TtlRule::Set(MINUTE);
    version(write(&*store, Write { ttl, ..new(ChangeId::new(), &brief, &marks) }).await);
    let deletes =
        [end(&lasting.id), end(&brief.id), Delete { mark_for: HOUR / 2, ..end(&marked.id) }];
    assert_eq!(store.delete(&deletes).await.len(), 3);
    // A later delete does not shorten what is remembered.
    assert!(!delete(&*store, end(&lasting.id)).await && !delete(&*store, end(&marked.id)).await);
    for (passed, refused) in [
        (MINUTE - SECOND, &names[..]),
        (3 * MINUTE, &["lasting", "marked"]),
        (HOUR / 2, &["lasting"]),
        (HOUR, &[]),
    ] {
        harness.pass(passed).await;
        let creates = all.map(|session| new(ChangeId::new(), session, &marks));
        for (id, create) in names.into_iter().zip(creates) {
            if refused.contains(&id) {
                let result = write(&*store, create).await;
                assert_eq!(name(&result), "Gone", "{id} is remembered after {passed:?} more");
            }
        }
    }
    for session in all {
        version(write(&*store, new(ChangeId::new(), session, &marks)).await);
    }
}

/// After an expiry for a minute; for longer if a later write shortened the session's life.
pub async fn ids_are_remembered_after_an_expiry(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let user = user();
    let (expired, shortened) = (session(&user), session(&user));
    let ttl = TtlRule::Set(MINUTE);
    version(write(&*store, Write { ttl, ..new(ChangeId::new(), &expired, &marks) }).await);
    let first = created(&*store, &shortened).await;
    let set = Write { content: false, ttl, ..over(&shortened, &first) };
    version(write(&*store, set).await);
    harness.pass(MINUTE + SECOND).await;
    for session in [&expired, &shortened] {
        assert!(is_not_found(&store.retrieve_session(&session.id).await));
        let create = write(&*store, new(ChangeId::new(), session, &marks)).await;
        assert_eq!(name(&create), "Gone", "a create of an id that has just expired");
        assert!(
            !delete(&*store, Delete { when: When::Made(create_id()), ..end(&session.id) }).await
        );
    }
    harness.pass(REQUEST_LIFETIME).await;
    version(write(&*store, new(ChangeId::new(), &expired, &marks)).await);
    let create = write(&*store, new(ChangeId::new(), &shortened, &marks)).await;
    assert_eq!(name(&create), "Gone", "a shorter time to live does not shorten what is remembered");
    harness.pass(HOUR).await;
    version(write(&*store, new(ChangeId::new(), &shortened, &marks)).await);
}

fn create_id() -> ChangeId {
    ChangeId::new()
}

/// A caller who stores a session now may use an id again: after an expiry at once, and a minute
/// after a delete.
pub async fn ids_can_be_used_again(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let user = user();
    let (expired, deleted) = (session(&user), session(&user));
    let ttl = TtlRule::Set(MINUTE);
    version(write(&*store, Write { ttl, ..new(ChangeId::new(), &expired, &marks) }).await);
    created(&*store, &deleted).await;
    let first = stored(&*store, &deleted.id).await.version;
    assert!(delete(&*store, end(&deleted.id)).await);
    harness.pass(REQUEST_LIFETIME - SECOND).await;
    assert_eq!(name(&write(&*store, anew(&deleted, &marks)).await), "Gone", "a moment ago");
    harness.pass(2 * SECOND).await;
    version(write(&*store, anew(&expired, &marks)).await);
    let second = version(write(&*store, anew(&deleted, &marks)).await);
    assert!(second != first, "the same session again is another version");
    assert_eq!(listed(&*store, &user).await, ids(&[&expired, &deleted]));
    assert_eq!(name(&write(&*store, over(&deleted, &first)).await), "Changed", "an old version");
}

/// A late copy of a delete does not end a session that was created after it.
pub async fn late_copies_of_deletes(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let mine = session(&user());
    created(&*store, &mine).await;
    let first = end(&mine.id);
    assert!(delete(&*store, first).await);
    harness.pass(REQUEST_LIFETIME + SECOND).await;
    version(write(&*store, anew(&mine, &marks)).await);
    assert!(delete(&*store, first).await, "its result is what it was");
    assert!(store.exists(&mine.id).await.expect("an answer"), "a late delete ended a new session");
    assert_eq!(listed(&*store, &mine.user_id).await, ids(&[&mine]));
    assert!(delete(&*store, end(&mine.id)).await);
}

/// A log-out is kept for as long as a create may be executed that did not know it.
pub async fn marks_outlive_creates(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let user = user();
    store.revoke(&user, ChangeId::new()).await.expect("revoked");
    harness.pass(HOUR + REQUEST_LIFETIME - SECOND).await;
    let mine = session(&user);
    let create = write(&*store, new(ChangeId::new(), &mine, &marks)).await;
    assert_eq!(name(&create), "LoggedOut", "the default time to live and a minute");
    harness.pass(2 * SECOND).await;
    version(write(&*store, new(ChangeId::new(), &mine, &marks)).await);
}
