//! Log out everywhere.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use super::Harness;
use super::support::*;
use crate::session::{ChangeId, Check, Delete, Marks, SessionStoreExt as _, When, Written};

/// A create whose caller does not know a log-out is refused, and told of all that the user has.
pub async fn creates_are_refused_after_a_log_out(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let user = user();
    let (first, second) = (ChangeId::new(), ChangeId::new());
    assert!(store.revoke(&user, first).await.expect("revoked").is_empty());
    let mine = session(&user);
    let mut marks = Marks::default();
    let create = ChangeId::new();
    match write(&*store, new(create, &mine, &marks)).await {
        Written::LoggedOut(known) => {
            assert_eq!(known, Marks::from_iter([first]), "`LoggedOut` returns the log-outs");
            marks.learn(&known);
        }
        other => panic!("a create after a log-out is `LoggedOut`, not `{}`", name(&other)),
    }
    assert!(is_not_found(&store.retrieve_session(&mine.id).await));
    assert!(listed(&*store, &user).await.is_empty(), "a refused create is not listed");
    let written = version(write(&*store, new(create, &mine, &marks)).await);
    assert_eq!(*written.marks(), marks, "the version has the marks of its creator");
    assert_eq!(*stored(&*store, &mine.id).await.version.marks(), marks);
    // A second log-out: who knows only the first is refused.
    assert_eq!(store.revoke(&user, second).await.expect("revoked"), [mine.id.as_str()]);
    let other = session(&user);
    let refused = write(&*store, anew(&other, &marks)).await;
    let Written::LoggedOut(known) = refused else { panic!("{}", name(&refused)) };
    assert_eq!(known, Marks::from_iter([second, first]), "log-outs have no order");
    assert!(delete(&*store, end(&mine.id)).await);
    // The calls learn by themselves.
    store.create_session(&other).await.expect("created");
    store.store_session(&session(&user)).await.expect("stored");
}

/// Ends sessions whose creator did not know the log-out, whatever wrote them last, and spares the
/// others.
pub async fn log_outs_end_what_did_not_know_them(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let user = user();
    let (before, used, after) = (session(&user), session(&user), session(&user));
    created(&*store, &before).await;
    let version_used = created(&*store, &used).await;
    let log_out = ChangeId::new();
    let mut found = store.revoke(&user, log_out).await.expect("revoked");
    found.sort();
    let mut wanted = [before.id.clone(), used.id.clone()];
    wanted.sort();
    assert_eq!(found, wanted, "`revoke` returns the ids of the index");
    let marks = Marks::from_iter([log_out]);
    version(write(&*store, new(ChangeId::new(), &after, &marks)).await);
    // An update by somebody who knows the log-out changes nothing about who created the session.
    version(write(&*store, over(&with_prompt(&used, "new"), &version_used)).await);
    let unless = |session| Delete {
        id: ChangeId::new(),
        user_id: Some(&user),
        when: When::UnlessKnown(log_out),
        ..end(session)
    };
    let results = store.delete(&[unless(&before.id), unless(&used.id), unless(&after.id)]).await;
    assert!(matches!(results.as_slice(), [Ok(true), Ok(true), Ok(false)]));
    assert_eq!(listed(&*store, &user).await, ids(&[&after]));
    // A session that was not there is remembered: its create may be on its way.
    let late = session(&user);
    assert!(!delete(&*store, unless(&late.id)).await);
    let refused = write(&*store, new(ChangeId::new(), &late, &marks)).await;
    assert_eq!(name(&refused), "Gone", "a create on its way when the user was logged out");
}

/// The last eight log-outs of a user count, in any order; one that is repeated is there once.
pub async fn log_outs_are_a_set(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let user = user();
    let log_outs: Vec<ChangeId> = (0..Marks::MOST + 2).map(|_| ChangeId::new()).collect();
    for log_out in &log_outs {
        for _ in 0..2 {
            store.revoke(&user, *log_out).await.expect("revoked");
        }
    }
    let last: Marks = log_outs[2..].iter().rev().copied().collect();
    let without_one: Marks = log_outs[3..].iter().copied().collect();
    let mine = session(&user);
    match write(&*store, new(ChangeId::new(), &mine, &without_one)).await {
        Written::LoggedOut(known) => assert_eq!(known, last, "the last {} log-outs", Marks::MOST),
        other => panic!("{}", name(&other)),
    }
    version(write(&*store, new(ChangeId::new(), &mine, &last)).await);
}

/// A log-out ends the sessions of its user only.
pub async fn log_outs_spare_other_users(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let (user, other) = (user(), user());
    let theirs = session(&other);
    created(&*store, &theirs).await;
    let log_out = ChangeId::new();
    store.revoke(&user, log_out).await.expect("revoked");
    // An id that somebody put into the wrong index.
    let when = When::UnlessKnown(log_out);
    let delete_theirs = Delete { user_id: Some(&user), when, ..end(&theirs.id) };
    assert!(!delete(&*store, delete_theirs).await, "it ended a session of another user");
    assert_eq!(listed(&*store, &other).await, ids(&[&theirs]));
    version(write(&*store, new(ChangeId::new(), &session(&other), &Marks::default())).await);
}

/// A store that works says so, by both checks.
pub async fn health(harness: &impl Harness) {
    let store = harness.store(HOUR);
    for check in [Check::Ping, Check::ReadWrite] {
        store.health(check).await.expect("a store that works");
    }
}
