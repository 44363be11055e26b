//! Deletes, each on its condition.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use super::Harness;
use super::support::*;
use crate::session::{ChangeId, Delete, Marks, SessionError, SessionStoreExt as _, When};

/// A delete that is sent again has the same result; a second delete finds nothing.
pub async fn deletes_are_executed_once(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let user = user();
    let (mine, other) = (session(&user), session(&user));
    created(&*store, &mine).await;
    created(&*store, &other).await;
    let first = end(&mine.id);
    assert!(delete(&*store, first).await, "a session that was there");
    assert!(delete(&*store, first).await, "the same delete again has the same result");
    assert!(!delete(&*store, end(&mine.id)).await, "another delete finds nothing");
    assert!(is_not_found(&store.retrieve_session(&mine.id).await));
    assert_eq!(listed(&*store, &user).await, ids(&[&other]), "a deleted session is not listed");
    // With the user known, several at once, each with its own result.
    let third = session(&user);
    created(&*store, &third).await;
    let known = |id| Delete { user_id: Some(&user), ..end(id) };
    let deletes = [known(&other.id), known("never-there"), end("no/such"), known(&third.id)];
    let results = store.delete(&deletes).await;
    assert!(matches!(
        results.as_slice(),
        [Ok(true), Ok(false), Err(SessionError::InvalidId), Ok(true)]
    ));
    assert!(listed(&*store, &user).await.is_empty());
}

/// A delete of one version leaves every other.
pub async fn deletes_of_a_version(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let mine = session(&user());
    let first = created(&*store, &mine).await;
    let only = |version| Delete { when: When::Unchanged(version), ..end(&mine.id) };
    let second = version(write(&*store, over(&with_prompt(&mine, "new"), &first)).await);
    assert!(!delete(&*store, only(&first)).await, "a delete of a version that was replaced");
    assert!(store.exists(&mine.id).await.expect("an answer"));
    assert_eq!(listed(&*store, &mine.user_id).await, ids(&[&mine]));
    assert!(delete(&*store, only(&second)).await, "a delete of the version that is there");
    assert!(is_not_found(&store.retrieve_session(&mine.id).await));
    assert!(!delete(&*store, only(&second)).await, "nothing is there");
    let never = session(&mine.user_id);
    assert!(!delete(&*store, Delete { session: &never.id, ..only(&second) }).await);
    created(&*store, &never).await;
}

/// A create that is given up ends what it made, and nothing else: a chosen id may be somebody
/// else's.
pub async fn deletes_of_what_a_create_made(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let made = |id, session| Delete { when: When::Made(id), ..end(session) };
    // Executed, and used since.
    let mine = session(&user());
    let create = new(ChangeId::new(), &mine, &marks);
    let first = version(write(&*store, create).await);
    let a_use = crate::session::Write { content: false, ..over(&mine, &first) };
    version(write(&*store, a_use).await);
    assert!(delete(&*store, made(create.id, &mine.id)).await, "what the create made");
    // Executed, and changed since.
    let changed = session(&user());
    let create = new(ChangeId::new(), &changed, &marks);
    let first = version(write(&*store, create).await);
    version(write(&*store, over(&with_prompt(&changed, "new"), &first)).await);
    assert!(!delete(&*store, made(create.id, &changed.id)).await, "changed by somebody else");
    assert!(store.exists(&changed.id).await.expect("an answer"));
    // Refused: the id is somebody else's.
    let theirs = session(&user());
    created(&*store, &theirs).await;
    let mut same_id = session(&user());
    same_id.id.clone_from(&theirs.id);
    let create = new(ChangeId::new(), &same_id, &marks);
    assert_eq!(name(&write(&*store, create).await), "Exists");
    assert!(!delete(&*store, made(create.id, &same_id.id)).await);
    assert!(store.exists(&theirs.id).await.expect("an answer"), "it ended somebody else's session");
    assert_eq!(listed(&*store, &theirs.user_id).await, ids(&[&theirs]));
    // Not executed yet: its late copy is refused.
    let late = session(&user());
    let create = new(ChangeId::new(), &late, &marks);
    assert!(!delete(&*store, made(create.id, &late.id)).await, "nothing is there");
    assert_eq!(name(&write(&*store, create).await), "Gone", "the late copy of the create");
}

/// A delete that comes before the create wins over it.
pub async fn deletes_of_unknown_ids_are_remembered(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let user = user();
    for known in [None, Some(user.as_str())] {
        let late = session(&user);
        assert!(!delete(&*store, Delete { user_id: known, ..end(&late.id) }).await);
        let create = write(&*store, new(ChangeId::new(), &late, &marks)).await;
        assert_eq!(name(&create), "Gone", "a create after a delete of its id");
    }
    assert!(listed(&*store, &user).await.is_empty());
}
