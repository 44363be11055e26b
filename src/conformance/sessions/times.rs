//! Times to live.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a case fails")]

use super::Harness;
use super::support::*;
use crate::session::{
    ChangeId, Marks, SessionStoreExt as _, Touched, TtlRule, Version, Write, Written,
};
use std::time::Duration;

/// A session is gone when its time is over, and only a clean-up removes its index entry.
pub async fn sessions_expire(harness: &impl Harness) {
    let (short, long, user) = (harness.store(SHORT), harness.store(HOUR), user());
    let (brief, lasting) = (session(&user), session(&user));
    long.store_session(&lasting).await.expect("stored");
    short.store_session(&brief).await.expect("stored");
    let mut changed = brief.clone();
    changed.system_prompt = "an update keeps the time to live".into();
    long.update_session(&changed).await.expect("updated");
    assert_eq!(listed(&*long, &user).await, ids(&[&brief, &lasting]));
    let version = stored(&*long, &brief.id).await.version;
    harness.pass(SHORT + SHORT / 2).await;
    assert!(is_not_found(&long.retrieve_session(&brief.id).await));
    assert!(is_not_found(&long.update_session(&brief).await));
    assert!(is_not_found(&long.touch(&brief.id).await));
    assert!(is_not_found(&long.set_ttl(&brief.id, HOUR).await));
    assert_eq!(name(&write(&*long, over(&brief, &version)).await), "Gone");
    assert_eq!(listed(&*long, &user).await, ids(&[&lasting]));
    assert_eq!(long.cleanup_expired_sessions(&user).await.expect("cleaned"), 1);
    assert_eq!(long.cleanup_expired_sessions(&user).await.expect("cleaned"), 0);
    assert_eq!(listed(&*long, &user).await, ids(&[&lasting]));
}

/// A touch slides and never shortens; an explicit time to live goes either way.
pub async fn times_to_live(harness: &impl Harness) {
    let (short, long, user) = (harness.store(SHORT), harness.store(HOUR), user());
    let (slid, kept, by_hand) = (session(&user), session(&user), session(&user));
    for one in [&slid, &by_hand] {
        short.store_session(one).await.expect("stored");
    }
    long.store_session(&kept).await.expect("stored");
    assert_eq!(long.touch(&slid.id).await.expect("touched"), Touched::Extended);
    assert_eq!(short.touch(&kept.id).await.expect("touched"), Touched::AlreadyLonger);
    long.set_ttl(&by_hand.id, SHORT).await.expect("set");
    assert_eq!(long.touch(&by_hand.id).await.expect("touched"), Touched::Extended);
    harness.pass(SHORT + SHORT / 2).await;
    assert_eq!(listed(&*long, &user).await, ids(&[&slid, &kept, &by_hand]));
    // Shortened by hand.
    long.set_ttl(&kept.id, Duration::from_nanos(1)).await.expect("set");
    harness.pass(Duration::from_millis(5)).await;
    assert!(!long.exists(&kept.id).await.expect("an answer"));
    // Longer than a clock of 64 bits in nanoseconds can say.
    long.set_ttl(&slid.id, Duration::from_secs(400 * 366 * 24 * 3600)).await.expect("set");
    long.set_ttl(&by_hand.id, Duration::MAX).await.expect("set");
    assert_eq!(listed(&*long, &user).await, ids(&[&slid, &by_hand]));
}

async fn ruled(store: &dyn crate::session::SessionStore, id: &str, ttl: TtlRule) -> Version {
    let now = stored(store, id).await;
    let a_use = Write { content: false, ttl, ..over(&now.session, &now.version) };
    version(write(store, a_use).await)
}

/// Slides never shorten, and leave an explicit time to live alone until another rule takes it away.
pub async fn slides_spare_explicit_ends(harness: &impl Harness) {
    let store = harness.store(HOUR);
    let user = user();
    let (explicit, shortened, restarted) = (session(&user), session(&user), session(&user));
    for one in [&explicit, &shortened, &restarted] {
        created(&*store, one).await;
    }
    ruled(&*store, &shortened.id, TtlRule::Slide(SHORT)).await;
    for one in [&explicit, &restarted] {
        assert!(ruled(&*store, &one.id, TtlRule::Set(SHORT)).await.has_explicit_ttl());
    }
    let after = ruled(&*store, &explicit.id, TtlRule::Slide(HOUR)).await;
    assert!(after.has_explicit_ttl(), "a slide leaves an explicit time to live");
    let after = ruled(&*store, &restarted.id, TtlRule::Restart(SHORT)).await;
    assert!(!after.has_explicit_ttl(), "a time to live that starts over is not explicit");
    ruled(&*store, &restarted.id, TtlRule::Slide(HOUR)).await;
    harness.pass(SHORT + SHORT / 2).await;
    assert_eq!(listed(&*store, &user).await, ids(&[&shortened, &restarted]));
}

/// Storing a session again gives it the default time to live again, and takes the explicit one
/// away.
pub async fn storing_again_starts_over(harness: &impl Harness) {
    let (short, long, user) = (harness.store(SHORT), harness.store(HOUR), user());
    let mine = session(&user);
    short.store_session(&mine).await.expect("stored");
    short.set_ttl(&mine.id, SHORT).await.expect("set");
    short.store_session(&mine).await.expect("stored");
    ruled(&*long, &mine.id, TtlRule::Slide(HOUR)).await;
    harness.pass(SHORT + SHORT / 2).await;
    assert!(long.exists(&mine.id).await.expect("an answer"));
}

/// A session that is stored or created without a time to live has the default one.
pub async fn default_ttl(harness: &impl Harness) {
    let (short, user) = (harness.store(SHORT), user());
    assert_eq!(short.default_ttl(), SHORT, "a store says the default that it was made with");
    let (stored, created) = (session(&user), session(&user));
    short.store_session(&stored).await.expect("stored");
    let marks = Marks::default();
    version(write(&*short, anew(&created, &marks)).await);
    harness.pass(SHORT + SHORT / 2).await;
    assert!(listed(&*short, &user).await.is_empty());
}

/// Reads and writes return how long the session lives.
pub async fn ends_are_returned(harness: &impl Harness) {
    let (store, marks) = (harness.store(HOUR), Marks::default());
    let mine = session(&user());
    let about = |written: Written, wanted: Duration| {
        let Written::Written { version, ttl } = written else { panic!("{}", name(&written)) };
        let ttl = ttl.expect("it has an end");
        assert!(ttl <= wanted && wanted - ttl < MINUTE, "{ttl:?} instead of {wanted:?}");
        version
    };
    let create = new(ChangeId::new(), &mine, &marks);
    let first = about(write(&*store, create).await, HOUR);
    about(write(&*store, create).await, HOUR);
    let rule = |ttl, version| Write { content: false, ttl, ..over(&mine, version) };
    let second = about(write(&*store, rule(TtlRule::Keep, &first)).await, HOUR);
    let third = about(write(&*store, rule(TtlRule::Slide(HOUR / 2), &second)).await, HOUR);
    let fourth = about(write(&*store, rule(TtlRule::Slide(2 * HOUR), &third)).await, 2 * HOUR);
    about(write(&*store, rule(TtlRule::Set(HOUR / 2), &fourth)).await, HOUR / 2);
    let read = stored(&*store, &mine.id).await.ttl.expect("it has an end");
    assert!(read <= HOUR / 2 && HOUR / 2 - read < MINUTE, "{read:?}");
}
