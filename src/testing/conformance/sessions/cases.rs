//! The cases.

#![allow(clippy::expect_used, reason = "a panic is how a case fails")]

use super::Harness;
use crate::clock;
use crate::platform;
use crate::session::{
    Conflict, PendingPut, Reconciled, Session, SessionError, SessionStore, Touched, TtlRule,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for a few requests on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(700);

fn user() -> String {
    format!("user-{}", Uuid::new_v4())
}

fn session(user: &str) -> Session {
    let mut session = Session::new(user, "org-1");
    session.mcp_client_ids = vec!["client-1".into(), "client-2".into()];
    session.system_prompt = "Be \"brief\"\n\u{1F600}".into();
    session
}

async fn listed(store: &dyn SessionStore, user: &str) -> BTreeSet<String> {
    let list = store.list_sessions(user).await.expect("a list");
    let ids: BTreeSet<_> = list.iter().map(|session| session.id.clone()).collect();
    assert_eq!(ids.len(), list.len(), "no session is listed twice");
    assert_eq!(list.corrupt, 0);
    ids
}

fn ids(sessions: &[&Session]) -> BTreeSet<String> {
    sessions.iter().map(|session| session.id.clone()).collect()
}

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
    assert!(store.delete_loaded(&second).await.expect("deleted"));
    assert!(listed(&*store, &user).await.is_empty());
    store.health().await.expect("healthy");
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
    assert!(!store.delete_loaded(&mine).await.expect("deleted before"));
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

    // The same by way of `reconcile`, whoever has the id.
    let until = TtlRule::Set(clock::utc_now() + HOUR);
    let exclusive = |session: &Session| PendingPut::new(session.clone(), until).exclusive(true);
    let new = session(&user);
    let mut elsewhere = again.clone();
    elsewhere.user_id = self::user();
    let results =
        store.reconcile(&[exclusive(&new), exclusive(&again), exclusive(&elsewhere)]).await;
    assert!(matches!(&results[0], Ok(Reconciled::Written(_))));
    for taken in &results[1..] {
        assert!(matches!(taken, Err(SessionError::Conflict(Conflict::Exists))));
    }
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found"), mine);
    assert_eq!(listed(&*store, &user).await, ids(&[&mine, &new]));
}

/// A session is gone when its time is over, and nobody but a clean-up removes its index entry.
pub async fn sessions_expire(harness: &impl Harness) {
    let (short, long, user) = (harness.store(SHORT), harness.store(HOUR), user());
    let (brief, lasting) = (session(&user), session(&user));
    long.store_session(&lasting).await.expect("stored");
    short.store_session(&brief).await.expect("stored");
    let mut changed = brief.clone();
    changed.system_prompt = "an update keeps the time to live".into();
    long.update_session(&changed).await.expect("updated");
    assert_eq!(listed(&*long, &user).await, ids(&[&brief, &lasting]));
    harness.pass(SHORT + SHORT / 2).await;
    assert!(matches!(long.retrieve_session(&brief.id).await, Err(SessionError::NotFound)));
    assert!(matches!(long.update_session(&brief).await, Err(SessionError::NotFound)));
    assert!(matches!(long.touch(&brief.id).await, Err(SessionError::NotFound)));
    assert!(matches!(long.touch_loaded(&brief, true).await, Err(SessionError::NotFound)));
    assert!(matches!(long.set_ttl_loaded(&brief, HOUR).await, Err(SessionError::NotFound)));
    assert_eq!(listed(&*long, &user).await, ids(&[&lasting]));
    assert_eq!(long.cleanup_expired_sessions(&user).await.expect("cleaned"), 1);
    assert_eq!(long.cleanup_expired_sessions(&user).await.expect("cleaned"), 0);
    assert_eq!(listed(&*long, &user).await, ids(&[&lasting]));
}

/// A touch slides and never shortens; an explicit time to live goes either way, and automatic touches leave it alone.
pub async fn times_to_live(harness: &impl Harness) {
    let (short, long, user) = (harness.store(SHORT), harness.store(HOUR), user());
    let (slid, kept, pinned, by_hand) =
        (session(&user), session(&user), session(&user), session(&user));
    for one in [&slid, &pinned, &by_hand] {
        short.store_session(one).await.expect("stored");
    }
    long.store_session(&kept).await.expect("stored");
    assert_eq!(long.touch(&slid.id).await.expect("touched"), Touched::Extended);
    assert_eq!(short.touch(&kept.id).await.expect("touched"), Touched::AlreadyLonger);
    for one in [&pinned, &by_hand] {
        long.set_ttl(&one.id, SHORT).await.expect("set");
    }
    assert_eq!(long.touch_loaded(&pinned, true).await.expect("left alone"), Touched::Pinned);
    assert_eq!(long.touch(&by_hand.id).await.expect("touched"), Touched::Extended);
    harness.pass(SHORT + SHORT / 2).await;
    assert_eq!(listed(&*long, &user).await, ids(&[&slid, &kept, &by_hand]));
    // Shortened by hand.
    long.set_ttl_loaded(&kept, Duration::from_nanos(1)).await.expect("set");
    harness.pass(Duration::from_millis(5)).await;
    assert!(!long.exists(&kept.id).await.expect("an answer"));
    // Longer than a clock of 64 bits in nanoseconds can say.
    long.set_ttl_loaded(&slid, Duration::from_secs(400 * 366 * 24 * 3600)).await.expect("set");
    long.set_ttl_loaded(&by_hand, Duration::MAX).await.expect("set");
    assert_eq!(listed(&*long, &user).await, ids(&[&slid, &by_hand]));
}

/// Storing a session again gives it the default time to live again, and takes the explicit one away.
pub async fn storing_again_starts_over(harness: &impl Harness) {
    let (short, long, user) = (harness.store(SHORT), harness.store(HOUR), user());
    let mine = session(&user);
    short.store_session(&mine).await.expect("stored");
    short.set_ttl_loaded(&mine, SHORT).await.expect("set");
    short.store_session(&mine).await.expect("stored");
    assert_eq!(long.touch_loaded(&mine, true).await.expect("touched"), Touched::Extended);
    harness.pass(SHORT + SHORT / 2).await;
    assert!(long.exists(&mine.id).await.expect("an answer"));
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
    for id in ["", ".", "..", "a/b", "../a", "a\0b", "ä", "a b", "*", &"x".repeat(129)] {
        let bad = Session::with_id(id, "user", "org");
        let results = [
            store.store_session(&bad).await,
            store.create_session(&bad).await,
            store.update_session(&bad).await,
            store.compare_and_update(&bad).await,
            store.compare_and_delete(&bad).await,
            store.retrieve_session(id).await.map(drop),
            store.delete_session(id).await.map(drop),
            store.delete_loaded(&bad).await.map(drop),
            store.exists(id).await.map(drop),
            store.set_ttl(id, HOUR).await,
            store.set_ttl_loaded(&bad, HOUR).await,
            store.touch(id).await.map(drop),
            store.touch_loaded(&bad, true).await.map(drop),
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
    for name in ["", "/../x", "a\0b", "\"quoted\\\"", "ü😀", "A", "a"] {
        let user = format!("{base}{name}");
        let mine = session(&user);
        store.store_session(&mine).await.expect("stored");
        assert_eq!(listed(&*store, &user).await, ids(&[&mine]));
        let mut changed = mine.clone();
        changed.system_prompt = String::new();
        store.update_session(&changed).await.expect("updated");
    }
}

/// A write based on an old copy does not win over a newer one.
pub async fn compare_and_update(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let mine = session(&user);
    store.store_session(&mine).await.expect("stored");
    let mut one = store.retrieve_session(&mine.id).await.expect("found");
    let mut two = store.retrieve_session(&mine.id).await.expect("found");
    one.system_prompt = "one".into();
    two.system_prompt = "two".into();
    store.compare_and_update(&one).await.expect("nobody was faster");
    assert!(matches!(
        store.compare_and_update(&two).await,
        Err(SessionError::Conflict(Conflict::Changed))
    ));
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found"), one);
    store.delete_session(&mine.id).await.expect("deleted");
    assert!(matches!(store.compare_and_update(&one).await, Err(SessionError::NotFound)));
}

/// A delete based on an old copy does not win over a newer version.
pub async fn compare_and_delete(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let never_read = session(&user);
    store.store_session(&never_read).await.expect("stored");
    let old = store.retrieve_session(&never_read.id).await.expect("found");
    let mut newer = old.clone();
    newer.system_prompt = "newer".into();
    store.update_session(&newer).await.expect("updated");
    for outdated in [&old, &never_read] {
        assert!(matches!(
            store.compare_and_delete(outdated).await,
            Err(SessionError::Conflict(Conflict::Changed))
        ));
    }
    let read = store.retrieve_session(&newer.id).await.expect("found");
    assert_eq!(read, newer);
    store.compare_and_delete(&read).await.expect("nobody was faster");
    assert!(!store.exists(&read.id).await.expect("an answer"));
    assert!(listed(&*store, &user).await.is_empty());
    assert!(matches!(store.compare_and_delete(&read).await, Err(SessionError::NotFound)));
    assert!(matches!(
        store.store_session(&never_read).await,
        Err(SessionError::Conflict(Conflict::Deleted))
    ));
}

/// After an outage: new sessions are written with the deadline they had, deletions win, and what others wrote meanwhile stands.
pub async fn after_an_outage(harness: &impl Harness) {
    let (store, user) = (harness.store(HOUR), user());
    let soon = clock::utc_now() + SHORT;
    let later = |session: &Session, seconds| session.last_active_at + Duration::from_secs(seconds);
    let (new, brief, expired) = (session(&user), session(&user), session(&user));
    let (deleted, mine, both) = (session(&user), session(&user), session(&user));
    for one in [&deleted, &mine, &both] {
        store.store_session(one).await.expect("stored");
    }
    let mut puts = vec![
        PendingPut::new(new.clone(), TtlRule::Slide(clock::utc_now() + HOUR)),
        PendingPut::new(brief.clone(), TtlRule::Set(soon)),
        PendingPut::new(expired.clone(), TtlRule::Slide(clock::utc_now() - HOUR)),
    ];
    for one in [&deleted, &mine, &both] {
        let mut changed = store.retrieve_session(&one.id).await.expect("found");
        (changed.system_prompt, changed.last_active_at) = ("ours".into(), later(one, 5));
        puts.push(PendingPut::new(changed, TtlRule::Keep));
    }
    store.delete_session(&deleted.id).await.expect("deleted elsewhere");
    let mut theirs = store.retrieve_session(&both.id).await.expect("found");
    (theirs.system_prompt, theirs.last_active_at) = ("theirs".into(), later(&both, 9));
    store.update_session(&theirs).await.expect("changed elsewhere");

    let named = |result: Result<Reconciled, SessionError>| match result.expect("an answer") {
        Reconciled::Written(_) => "written",
        Reconciled::Superseded(_) => "superseded",
        Reconciled::Gone => "gone",
        Reconciled::Expired => "expired",
    };
    let results: Vec<_> = store.reconcile(&puts).await.into_iter().map(named).collect();
    assert_eq!(results, ["written", "written", "expired", "gone", "written", "superseded"]);
    assert_eq!(listed(&*store, &user).await, ids(&[&new, &brief, &mine, &both]));
    assert_eq!(store.retrieve_session(&mine.id).await.expect("found").system_prompt, "ours");
    assert_eq!(store.retrieve_session(&both.id).await.expect("found").system_prompt, "theirs");
    // Once more changes nothing.
    let again: Vec<_> = store.reconcile(&puts[3..]).await.into_iter().map(named).collect();
    assert_eq!((again[0], again[2]), ("gone", "superseded"));
    assert_eq!(store.touch_loaded(&brief, true).await.expect("left alone"), Touched::Pinned);
    harness.pass(SHORT + SHORT / 2).await;
    assert_eq!(listed(&*store, &user).await, ids(&[&new, &mine, &both]));
    store.probe().await.expect("it can be written and read");
}

/// The default time to live is live, and the one that is set.
pub async fn default_ttl(harness: &impl Harness) {
    let store = harness.store(HOUR);
    assert_eq!(store.default_ttl(), HOUR);
    let user = user();
    store.set_default_ttl(SHORT);
    assert_eq!(store.default_ttl(), SHORT);
    let mine = session(&user);
    store.store_session(&mine).await.expect("stored");
    harness.pass(SHORT + SHORT / 2).await;
    assert!(!store.exists(&mine.id).await.expect("an answer"));
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
            store.touch_loaded(&session, true).await.expect("touched");
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

/// A closed store says so, and so do its clones.
pub async fn close(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let mine = session(&user());
    store.close().await.expect("closed");
    assert!(matches!(store.store_session(&mine).await, Err(SessionError::Closed)));
    assert!(matches!(store.list_sessions(&mine.user_id).await, Err(SessionError::Closed)));
    assert!(matches!(store.health().await, Err(SessionError::Closed)));
    let outcome = store.batch_store_sessions(&[mine]).await;
    assert!(matches!(outcome.ok(), Err(SessionError::Closed)));
}
