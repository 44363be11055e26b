//! The calls of [`SessionStoreExt`](crate::session::SessionStoreExt), on top of the requests.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use super::Harness;
use super::support::*;
use crate::platform;
use crate::session::{Conflict, Session, SessionError, SessionStoreExt as _};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Stored, read, listed, updated, deleted.
pub async fn life_of_a_session(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let (first, second) = (session(&user), session(&user));
    assert!(listed(&*store, &user).await.is_empty());
    store.store_session(&first).await.expect("stored");
    store.store_session(&second).await.expect("stored");
    store.store_session(&second).await.expect("stored again");
    assert_eq!(store.retrieve_session(&first.id).await.expect("found"), first);
    assert_eq!(listed(&*store, &user).await, ids(&[&first, &second]));
    assert!(store.exists(&first.id).await.expect("an answer"));

    let mut changed = store.retrieve_session(&first.id).await.expect("found");
    changed.metadata.insert("plan", "pro").expect("JSON");
    changed.mcp_client_ids.clear();
    store.update_session(&changed).await.expect("updated");
    assert_eq!(store.retrieve_session(&first.id).await.expect("found"), changed);

    assert!(store.delete_session(&first.id).await.expect("deleted"));
    assert!(matches!(store.retrieve_session(&first.id).await, Err(SessionError::NotFound)));
    assert!(!store.exists(&first.id).await.expect("an answer"));
    assert_eq!(listed(&*store, &user).await, ids(&[&second]));
    assert!(store.delete_session(&second.id).await.expect("deleted"));
    assert!(listed(&*store, &user).await.is_empty());
}

/// An update never brings a session back, and never moves it to another user.
pub async fn updates_never_resurrect(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let mut mine = session(&user);
    assert!(matches!(store.update_session(&mine).await, Err(SessionError::NotFound)));
    assert!(listed(&*store, &user).await.is_empty());
    store.store_session(&mine).await.expect("stored");
    mine.user_id = format!("{user}-other");
    for result in [store.update_session(&mine).await, store.store_session(&mine).await] {
        assert!(matches!(result, Err(SessionError::Conflict(Conflict::UserChanged))));
    }
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found").user_id, user);
}

/// Deleting twice is no error, and a late copy of a store does not bring the session back.
pub async fn deletes_win(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let mine = session(&user);
    store.store_session(&mine).await.expect("stored");
    assert!(store.delete_session(&mine.id).await.expect("deleted"));
    assert!(!store.delete_session(&mine.id).await.expect("deleted before"));
    for result in [store.store_session(&mine).await, store.create_session(&mine).await] {
        assert!(matches!(result, Err(SessionError::Conflict(Conflict::Deleted))));
    }
    // A delete that comes before the store wins over it too.
    let late = session(&user);
    assert!(!store.delete_session(&late.id).await.expect("nothing to delete"));
    assert!(matches!(
        store.store_session(&late).await,
        Err(SessionError::Conflict(Conflict::Deleted))
    ));
    assert!(listed(&*store, &user).await.is_empty());
}

/// `create_session` never writes over a session.
pub async fn create_is_not_save(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let mine = session(&user);
    store.create_session(&mine).await.expect("created");
    let mut again = mine.clone();
    again.system_prompt = "other".into();
    assert!(matches!(
        store.create_session(&again).await,
        Err(SessionError::Conflict(Conflict::Exists))
    ));
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found"), mine);
}

/// Each session of a batch has its own result, and the others stand.
pub async fn batches(harness: &impl Harness) {
    let (store, user, other) = (harness.store(HOUR), user(), user());
    let mut sessions: Vec<_> =
        (0..120).map(|n| session(if n % 3 == 0 { &other } else { &user })).collect();
    store.delete_session(&sessions[5].id).await.expect("a mark");
    sessions[7].id = "no/such".into();
    let outcome = store.batch_store_sessions(&sessions).await;
    let failed: Vec<_> = outcome.failed().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(failed, [sessions[5].id.clone(), sessions[7].id.clone()]);
    assert_eq!(listed(&*store, &user).await.len() + listed(&*store, &other).await.len(), 118);

    let gone: Vec<String> = sessions.iter().take(60).map(|session| session.id.clone()).collect();
    let outcome = store.batch_delete_sessions(&gone).await;
    let failed: Vec<_> = outcome.failed().collect();
    assert!(matches!(failed.as_slice(), [("no/such", SessionError::InvalidId)]));
    let left: BTreeSet<_> = sessions[60..].iter().map(|session| session.id.clone()).collect();
    assert_eq!(
        listed(&*store, &user)
            .await
            .union(&listed(&*store, &other).await)
            .cloned()
            .collect::<BTreeSet<_>>(),
        left
    );
    assert!(store.batch_store_sessions(&[]).await.is_ok());
    assert!(store.batch_delete_sessions(&[]).await.is_ok());
}

/// All sessions of one user end, and nobody else's.
pub async fn log_out_everywhere(harness: &impl Harness) {
    let (store, user, other) = (harness.store(HOUR), user(), user());
    let sessions: Vec<_> = (0..5).map(|_| session(&user)).collect();
    let foreign = session(&other);
    assert!(store.batch_store_sessions(&sessions).await.is_ok());
    store.store_session(&foreign).await.expect("stored");
    assert_eq!(store.delete_user_sessions(&user).await.expect("deleted"), 5);
    assert_eq!(store.delete_user_sessions(&user).await.expect("nothing left"), 0);
    assert!(listed(&*store, &user).await.is_empty());
    assert_eq!(listed(&*store, &other).await, ids(&[&foreign]));
    assert!(matches!(
        store.store_session(&sessions[0]).await,
        Err(SessionError::Conflict(Conflict::Deleted))
    ));
}

/// Ids that could leave their place are refused by every operation, before anything is sent.
pub async fn invalid_ids(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let (long, huge) = ("x".repeat(129), "x".repeat(32 << 10));
    for id in ["", ".", "..", "a/b", "../a", "a\0b", "ä", "a b", "*", "{a}", "a}", &long, &huge] {
        let bad = Session::new("user").id(id).org_id("org");
        let results = [
            store.store_session(&bad).await,
            store.create_session(&bad).await,
            store.update_session(&bad).await,
            store.retrieve_session(id).await.map(drop),
            store.delete_session(id).await.map(drop),
            store.exists(id).await.map(drop),
            store.set_ttl(id, HOUR).await,
            store.touch(id).await.map(drop),
        ];
        for result in results {
            assert!(matches!(result, Err(SessionError::InvalidId)), "{id:?}");
        }
    }
}

/// Users with any name are kept apart.
pub async fn odd_users(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let base = user();
    let huge = "x".repeat(32 << 10);
    for name in ["", "/../x", "a\0b", "\"quoted\\\"", "ü😀", "A", "a", "{a}", "}{", "a}b", &huge]
    {
        let user = format!("{base}{name}");
        let mine = session(&user);
        store.store_session(&mine).await.expect("stored");
        assert_eq!(listed(&*store, &user).await, ids(&[&mine]));
        let mut changed = mine.clone();
        changed.system_prompt = String::new();
        store.update_session(&changed).await.expect("updated");
        assert_eq!(store.delete_user_sessions(&user).await.expect("logged out"), 1);
    }
}

/// A write based on an old copy does not win over a newer one.
pub async fn compare_and_update(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let mine = session(&user);
    store.store_session(&mine).await.expect("stored");
    let read = stored(&*store, &mine.id).await;
    let (one, two) = (with_prompt(&read.session, "one"), with_prompt(&read.session, "two"));
    let new = store.compare_and_update(&one, &read.version).await.expect("nobody was faster");
    assert!(matches!(
        store.compare_and_update(&two, &read.version).await,
        Err(SessionError::Conflict(Conflict::Changed))
    ));
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found"), one);
    store.compare_and_update(&two, &new).await.expect("the version that was returned");
    let modified = store.modify(&mine.id, |session| session.org_id.push('x')).await.expect("found");
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found"), modified);
    assert!(modified.system_prompt == "two" && modified.org_id == "org-1x");
    store.delete_session(&mine.id).await.expect("deleted");
    assert!(is_not_found(&store.compare_and_update(&one, &new).await.map(drop)));
    assert!(is_not_found(&store.modify(&mine.id, |_| {}).await));
}

/// Many at once, on one user: no index entry is lost, none is left.
pub async fn concurrent_changes(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let sessions: Vec<_> = (0..64).map(|_| session(&user)).collect();
    let tasks = sessions.iter().cloned().enumerate().map(|(n, session)| {
        let store = Arc::clone(&store);
        let (done, ended) = oneshot::channel();
        platform::spawn(async move {
            store.store_session(&session).await.expect("stored");
            store.touch(&session.id).await.expect("touched");
            if n % 2 == 0 {
                assert!(store.delete_session(&session.id).await.expect("deleted"));
            }
            done.send(()).expect("the test waits");
        });
        ended
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no task panics");
    }
    let left: Vec<_> = sessions.iter().skip(1).step_by(2).collect();
    assert_eq!(listed(&*store, &user).await, ids(&left));
}
