//! Creates and replaces: each is executed at most once, on its condition.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use super::Harness;
use super::support::*;
use crate::session::{
    ChangeId, Marks, Mode, SessionError, SessionStoreExt as _, TtlRule, Version, Write, Written,
};
use chrono::{DateTime, Utc};

/// A create returns the session that is there, and is refused by an id that was deleted.
pub async fn creates_are_refused_by_what_is_there(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let mine = session(&user());
    let first = created(&*store, &mine).await;
    let mut theirs = with_prompt(&mine, "theirs");
    theirs.user_id = user();
    for write in [new(ChangeId::new(), &theirs, &marks), anew(&theirs, &marks)] {
        match super::support::write(&*store, write).await {
            Written::Exists(now) => {
                assert_eq!(now.session, mine, "`Exists` returns the session that is there");
                assert!(now.version == first, "`Exists` returns the version that is there");
            }
            other => panic!("a create over a session is `Exists`, not `{}`", name(&other)),
        }
    }
    assert_eq!(stored(&*store, &mine.id).await.session, mine, "a create never overwrites");
    assert!(listed(&*store, &theirs.user_id).await.is_empty(), "a refused create is not listed");
    assert!(delete(&*store, end(&mine.id)).await);
    for write in [new(ChangeId::new(), &mine, &marks), anew(&mine, &marks)] {
        let refused = super::support::write(&*store, write).await;
        assert_eq!(name(&refused), "Gone", "a create of an id that was deleted a moment ago");
    }
    assert!(listed(&*store, &mine.user_id).await.is_empty(), "a refused create is not listed");
}

/// A replace is executed if exactly the expected version is there. A version that was replaced does
/// not return, not even if its text does.
pub async fn replaces_compare_the_exact_version(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let mine = session(&user());
    let first = created(&*store, &mine).await;
    assert!(stored(&*store, &mine.id).await.version == first, "a read returns the version written");
    let other = with_prompt(&mine, "other");
    let second = version(write(&*store, over(&other, &first)).await);
    assert!(second != first && !second.same_content(&first), "a write makes another version");
    match write(&*store, over(&mine, &first)).await {
        Written::Changed(now) => {
            assert_eq!(now.session, other, "`Changed` returns the session that is there");
            assert!(now.version == second, "`Changed` returns the version that is there");
        }
        other => panic!("a replace of an old version is `Changed`, not `{}`", name(&other)),
    }
    let third = version(write(&*store, over(&mine, &second)).await);
    assert!(third != first, "the same text again is another version");
    let refused = write(&*store, over(&other, &first)).await;
    assert_eq!(
        name(&refused),
        "Changed",
        "the first version, after the same text was written again"
    );
    assert!(delete(&*store, end(&mine.id)).await);
    assert_eq!(
        name(&write(&*store, over(&mine, &third)).await),
        "Gone",
        "a replace after a delete"
    );
    let never = session(&mine.user_id);
    assert_eq!(
        name(&write(&*store, over(&never, &third)).await),
        "Gone",
        "a replace of no session"
    );
    assert!(listed(&*store, &mine.user_id).await.is_empty(), "a replace brings nothing back");
}

/// The same change again has no effect: its result is the same if the session is as it left it.
pub async fn changes_are_executed_once(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let mine = session(&user());
    let create = new(ChangeId::new(), &mine, &marks);
    let first = version(write(&*store, create).await);
    let again = version(write(&*store, create).await);
    assert!(again == first, "a repeated create returns the version that it made");
    let ours = with_prompt(&mine, "ours");
    let update = over(&ours, &first);
    let second = version(write(&*store, update).await);
    assert!(second.is_of(update.id) && second.has_content(update.id));
    assert!(version(write(&*store, update).await) == second, "a repeated replace");
    // Somebody else writes: now the same request must not be executed.
    let theirs = with_prompt(&mine, "theirs");
    let third = version(write(&*store, over(&theirs, &second)).await);
    assert_eq!(name(&write(&*store, update).await), "Changed", "a late copy of an update");
    assert_eq!(name(&write(&*store, create).await), "Exists", "a late copy of a create");
    let now = stored(&*store, &mine.id).await;
    assert_eq!(now.session, theirs, "a late copy undid a newer write");
    assert!(now.version == third);
    assert!(delete(&*store, end(&mine.id)).await);
    assert_eq!(
        name(&write(&*store, create).await),
        "Gone",
        "a late copy of a create after a delete"
    );
    assert!(is_not_found(&store.retrieve_session(&mine.id).await));
}

/// A write that changes no content makes another version with the same content; an explicit time to
/// live has a token of its own.
pub async fn uses_hand_the_content_on(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let mine = session(&user());
    let first = created(&*store, &mine).await;
    let mut used = mine.clone();
    used.last_active_at += chrono::TimeDelta::seconds(5);
    let a_use = Write { content: false, ttl: TtlRule::Slide(2 * HOUR), ..over(&used, &first) };
    let second = version(write(&*store, a_use).await);
    assert!(second != first && second.same_content(&first), "a use keeps the content token");
    assert!(second.same_ttl(&first), "a use keeps the token of the time to live");
    let set = Write { content: false, ttl: TtlRule::Set(3 * HOUR), ..over(&used, &second) };
    let third = version(write(&*store, set).await);
    assert!(third.same_content(&first), "a time to live keeps the content token");
    assert!(third.has_ttl(set.id) && third.has_explicit_ttl() && !third.same_ttl(&second));
    let now = stored(&*store, &mine.id).await;
    assert_eq!(now.session, used);
    assert!(
        now.version == third && now.version.same_content(&first) && now.version.has_ttl(set.id)
    );
    let fourth = version(write(&*store, over(&mine, &third)).await);
    assert!(!fourth.same_content(&first) && fourth.same_ttl(&third), "content only");
}

/// Each session has its own result, in the order of the requests; one that fails does not fail the
/// others.
pub async fn results_are_of_each_session(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let (user, other) = (user(), user());
    let mut sessions: Vec<_> =
        (0..250).map(|n| session(if n % 3 == 0 { &other } else { &user })).collect();
    sessions[7].id = "no/such".into();
    sessions[8].created_at = DateTime::<Utc>::MAX_UTC;
    let taken = created(&*store, &sessions[9]).await;
    assert!(!delete(&*store, end(&sessions[10].id)).await);
    let writes: Vec<_> =
        sessions.iter().map(|session| new(ChangeId::new(), session, &marks)).collect();
    let results = store.write(&writes).await;
    assert_eq!(results.len(), writes.len(), "one result for each session");
    for (place, result) in results.iter().enumerate() {
        match (place, result) {
            (7, Err(SessionError::InvalidId)) | (8, Err(SessionError::Unwritable { .. })) => {}
            (9, Ok(Written::Exists(now))) => assert!(now.version == taken),
            (10, Ok(Written::Gone)) => {}
            (_, Ok(Written::Written { version, .. })) => {
                assert!(![7, 8, 9, 10].contains(&place), "{place} is written");
                assert!(version.is_of(writes[place].id), "the result of {place} is another's");
            }
            (place, result) => panic!("{place}: {:?}", result.as_ref().map(name)),
        }
    }
    let ids: Vec<&str> = sessions.iter().map(|session| session.id.as_str()).collect();
    let read = store.get(&ids).await;
    assert_eq!(read.len(), ids.len(), "one result for each id");
    for (place, (session, result)) in sessions.iter().zip(read).enumerate() {
        match (place, result) {
            (7, Err(SessionError::InvalidId)) | (8 | 10, Err(SessionError::NotFound)) => {}
            (place, result) => {
                assert_eq!(result.expect("the session is there").session, *session, "{place}");
            }
        }
    }
    assert_eq!(listed(&*store, &user).await.len() + listed(&*store, &other).await.len(), 247);
    // Writes of one session are executed in their order.
    let (one, two) = (with_prompt(&sessions[0], "one"), with_prompt(&sessions[0], "two"));
    let version = stored(&*store, &one.id).await.version;
    let results = store.write(&[over(&one, &version), over(&two, &version)]).await;
    let names: Vec<_> = results.iter().map(|result| result.as_ref().map(name).ok()).collect();
    assert_eq!(names, [Some("Written"), Some("Changed")], "two writes of one session");
    assert_eq!(stored(&*store, &one.id).await.session, one);
    assert!(store.write(&[]).await.is_empty() && store.get(&[]).await.is_empty());
    assert!(store.delete(&[]).await.is_empty());
}

/// A session that has no JSON is refused before anything is written.
pub async fn unwritable_sessions_are_refused(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let mine = session(&user());
    let mut bad = mine.clone();
    bad.last_active_at = DateTime::<Utc>::MAX_UTC;
    let unwritable = |result: &Result<Written, SessionError>| {
        matches!(result, Err(SessionError::Unwritable { field: "last_active_at" }))
    };
    let results = store.write(&[new(ChangeId::new(), &bad, &marks)]).await;
    assert!(unwritable(&results[0]), "a create of a session that has no JSON");
    assert!(is_not_found(&store.retrieve_session(&bad.id).await));
    let version = created(&*store, &mine).await;
    let results = store.write(&[over(&bad, &version)]).await;
    assert!(unwritable(&results[0]), "a replace by a session that has no JSON");
    assert!(stored(&*store, &mine.id).await.version == version, "nothing is written");
}

/// A version can be written as text, as a journal does, and used later.
pub async fn versions_survive_as_text(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let mine = session(&user());
    let first = created(&*store, &mine).await;
    let text = stored(&*store, &mine.id).await.version.to_string();
    assert!(!text.contains(&mine.id), "a version holds no session id");
    let read: Version = text.parse().expect("a version reads its own text");
    assert!(read == first && read.same_content(&first) && read.same_ttl(&first));
    let mode = Mode::Replace(&read);
    let changed = with_prompt(&mine, "later");
    let second = version(write(&*store, Write { mode, ..over(&changed, &first) }).await);
    assert!(second != first);
    assert_eq!(name(&write(&*store, over(&mine, &read)).await), "Changed");
}

/// Reads change neither versions nor ends.
pub async fn reads_change_nothing(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let user = user();
    let mine = session(&user);
    let version = created(&*store, &mine).await;
    let before = stored(&*store, &mine.id).await.ttl.expect("it has an end");
    for _ in 0..3 {
        let list = store.list(&user).await.expect("a list");
        assert_eq!(list.ids, [mine.id.as_str()]);
        assert!(list.partial.is_none() && list.corrupt == 0);
        assert!(list.sessions.len() == 1 && list.sessions[0].version == version);
        assert!(list.sessions[0].ttl.expect("an end") <= before, "a list moved the end");
        let read = stored(&*store, &mine.id).await;
        assert!(read.version == version && read.ttl.expect("an end") <= before);
    }
}
