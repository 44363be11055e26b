//! The scenarios of the model, and each row of the table.

use super::*;
use crate::session::change::ChangeIds;
use crate::session::store::{Mode, TtlRule, Write};
use chrono::TimeDelta;
use std::time::Duration;

/// Ids, and the session of a test.
struct Scene {
    ours: ChangeIds,
    theirs: ChangeIds,
    session: Session,
    time: DateTime<Utc>,
}

const ALL: InProgress = InProgress { content: true, ttl: true };
const NONE: InProgress = InProgress { content: false, ttl: false };
const DONE: Decision = Decision::Done;

fn send(content: bool, ttl: bool) -> Decision {
    Decision::Send { content, ttl, superseded: false }
}

fn partly(content: bool, ttl: bool) -> Decision {
    Decision::Send { content, ttl, superseded: true }
}

impl Scene {
    fn new() -> Self {
        Self {
            ours: ChangeIds::named("ours----").unwrap(),
            theirs: ChangeIds::named("theirs--").unwrap(),
            session: Session::new("user").id("id").org_id("org"),
            time: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        }
    }

    fn write(&self, id: ChangeId, version: Option<&Version>, content: bool, ttl: bool) -> Version {
        let marks = Marks::default();
        let mode = match version {
            Some(version) => Mode::Replace(version),
            None => Mode::Create { marks: &marks, reuse: false },
        };
        let ttl = if ttl { TtlRule::Set(Duration::from_secs(9)) } else { TtlRule::Keep };
        let write = Write { id, session: &self.session, mode, content, ttl };
        version.map_or_else(|| Version::created(&write), |version| version.replaced(&write))
    }

    /// A version of theirs.
    fn stored(&self) -> Version {
        self.write(self.theirs.next(), None, true, false)
    }

    /// A change of ours on a version.
    fn update(&self, base: &Version) -> PendingChange {
        let mut change = self.nothing();
        change.base = Some(base.clone());
        self.change_content(&mut change);
        change
    }

    fn nothing(&self) -> PendingChange {
        PendingChange {
            session: Arc::new(self.session.clone()),
            ids: Vec::new(),
            content: None,
            ttl: None,
            slides_to: None,
            ends_at: None,
            base: None,
            create: None,
        }
    }

    fn create(&self, sent: bool) -> PendingChange {
        let mut change = self.nothing();
        self.change_content(&mut change);
        let hour = self.time + TimeDelta::hours(1);
        change.slides_to = Some(self.time + TimeDelta::hours(2));
        change.create = Some(Create {
            create_by: hour,
            marks: Marks::default(),
            derived: false,
            sent,
            live: false,
        });
        change
    }

    fn change_content(&self, change: &mut PendingChange) -> ChangeId {
        let id = self.ours.next();
        change.renew(id);
        change.content = Some(id);
        id
    }

    fn change_ttl(&self, change: &mut PendingChange) -> ChangeId {
        let id = self.ours.next();
        change.renew(id);
        change.ttl = Some(ExplicitTtl { id, ends_at: self.time + TimeDelta::hours(1) });
        id
    }

    fn decide(&self, change: &PendingChange, now: &Version, in_progress: InProgress) -> Decision {
        decide(change, Now::Stored(now, Some(&self.session)), in_progress, self.time)
    }
}

#[test]
fn content_applies_to_its_base_and_to_own_versions_and_is_superseded_by_others() {
    let scene = Scene::new();
    let base = scene.stored();
    let mut change = scene.update(&base);
    assert_eq!(scene.decide(&change, &base, NONE), send(true, false), "the base");
    let used = scene.write(scene.theirs.next(), Some(&base), false, false);
    assert_eq!(scene.decide(&change, &used, NONE), send(true, false), "a use of the base");
    let first = change.id().unwrap();
    let own = scene.write(first, Some(&base), true, false);
    assert_eq!(scene.decide(&change, &own, NONE), DONE, "its reply was lost");
    assert_eq!(scene.decide(&change, &own, ALL), DONE);
    scene.change_content(&mut change);
    assert_eq!(scene.decide(&change, &own, NONE), send(true, false), "an earlier one of ours");
    let theirs = scene.write(scene.theirs.next(), Some(&own), true, false);
    assert_eq!(scene.decide(&change, &theirs, NONE), Decision::Superseded);
    assert_eq!(scene.decide(&change, &theirs, ALL), send(true, false), "the last writer wins");
}

#[test]
fn content_that_went_out_with_a_later_ttl_is_done() {
    let scene = Scene::new();
    let base = scene.stored();
    let mut change = scene.update(&base);
    let content = change.id().unwrap();
    let ttl = scene.change_ttl(&mut change);
    let both = scene.write(ttl, Some(&base), true, true);
    assert_eq!(scene.decide(&change, &both, NONE), DONE);
    let content_only = scene.write(content, Some(&base), true, false);
    assert_eq!(scene.decide(&change, &content_only, NONE), send(false, true));
    // A content change after it: the time to live went out with the first, and stands.
    scene.change_content(&mut change);
    assert_eq!(scene.decide(&change, &both, NONE), send(true, false));
}

#[test]
fn explicit_ttls_have_a_register_of_their_own() {
    let scene = Scene::new();
    let base = scene.stored();
    let mut change = scene.nothing();
    change.base = Some(base.clone());
    let own = scene.change_ttl(&mut change);
    let theirs = scene.write(scene.theirs.next(), Some(&base), true, false);
    assert_eq!(scene.decide(&change, &theirs, NONE), send(false, true), "their content stays");
    let done = scene.write(own, Some(&theirs), false, true);
    assert_eq!(scene.decide(&change, &done, NONE), DONE);
    let later = scene.write(scene.theirs.next(), Some(&done), false, true);
    assert_eq!(scene.decide(&change, &later, NONE), Decision::Superseded);
    assert_eq!(scene.decide(&change, &later, ALL), send(false, true));
    scene.change_ttl(&mut change);
    assert_eq!(scene.decide(&change, &done, NONE), send(false, true), "an earlier one of ours");
    // Their content, our time to live.
    let mut both = scene.update(&base);
    scene.change_ttl(&mut both);
    assert_eq!(scene.decide(&both, &theirs, NONE), partly(false, true));
}

#[test]
fn uses_are_merged_by_maximum_and_never_write_content() {
    let scene = Scene::new();
    let base = scene.stored();
    let mut change = scene.nothing();
    change.base = Some(base.clone());
    change.renew(scene.ours.next());
    change.slides_to = Some(scene.time + TimeDelta::hours(1));
    let theirs = scene.write(scene.theirs.next(), Some(&base), true, true);
    assert_eq!(scene.decide(&change, &theirs, NONE), DONE, "as late as ours");
    let mut used = scene.session.clone();
    used.last_active_at += TimeDelta::seconds(1);
    change.session = Arc::new(used);
    assert_eq!(scene.decide(&change, &theirs, NONE), send(false, false));
    let mut update = scene.update(&base);
    update.slides_to = change.slides_to;
    update.session = Arc::clone(&change.session);
    assert_eq!(scene.decide(&update, &theirs, NONE), partly(false, false));
}

#[test]
fn creates_are_sent_until_their_time_and_never_over_anything_else() {
    let scene = Scene::new();
    let of = |change: &PendingChange, now: Now<'_>, in_progress, minutes| {
        decide(change, now, in_progress, scene.time + TimeDelta::minutes(minutes))
    };
    let (sent, unsent) = (scene.create(true), scene.create(false));
    assert_eq!(of(&sent, Now::Unused, NONE, 59), send(true, false));
    assert_eq!(of(&sent, Now::Unused, NONE, 61), Decision::Ended, "a copy may come too late");
    assert_eq!(of(&unsent, Now::Unused, NONE, 61), send(true, false));
    assert_eq!(of(&unsent, Now::Unused, NONE, 121), Decision::Ended, "its time to live is over");
    for change in [&sent, &unsent] {
        for in_progress in [NONE, ALL] {
            assert_eq!(of(change, Now::Gone, in_progress, 0), Decision::Ended, "it has existed");
        }
        let theirs = scene.stored();
        assert_eq!(scene.decide(change, &theirs, NONE), Decision::Superseded);
        assert_eq!(scene.decide(change, &theirs, ALL), Decision::Superseded, "theirs is untouched");
        let own = scene.write(change.id().unwrap(), None, true, false);
        assert_eq!(scene.decide(change, &own, NONE), DONE);
    }
    let mut derived = scene.create(false);
    assert_eq!(
        of(&derived, Now::LoggedOut, ALL, 0),
        send(true, false),
        "asks again, with the marks"
    );
    assert_eq!(of(&derived, Now::LoggedOut, NONE, 0), Decision::Ended);
    derived.create.as_mut().unwrap().derived = true;
    assert_eq!(of(&derived, Now::LoggedOut, ALL, 0), Decision::Ended);
}

#[test]
fn changes_upon_a_pending_create_apply_to_what_it_made() {
    let scene = Scene::new();
    let mut change = scene.create(true);
    let made = scene.write(change.id().unwrap(), None, true, false);
    scene.change_ttl(&mut change);
    assert_eq!(scene.decide(&change, &made, NONE), send(false, true));
    scene.change_content(&mut change);
    assert_eq!(scene.decide(&change, &made, NONE), send(true, true));
    let mut uses = scene.create(true);
    let mut used = scene.session.clone();
    used.last_active_at += TimeDelta::seconds(1);
    (uses.session, uses.slides_to) = (Arc::new(used), Some(scene.time + TimeDelta::hours(3)));
    let theirs = scene.stored();
    assert_eq!(scene.decide(&uses, &theirs, ALL), Decision::Superseded, "not even used");
}

#[test]
fn ends_beat_changes_and_other_users_sessions_are_left_alone() {
    let scene = Scene::new();
    let base = scene.stored();
    let change = scene.update(&base);
    for now in [Now::Gone, Now::Unused, Now::LoggedOut] {
        assert_eq!(decide(&change, now, ALL, scene.time), Decision::Ended);
    }
    let other = Session::new("another").id("id").org_id("org");
    let now = Now::Stored(&base, Some(&other));
    assert_eq!(decide(&change, now, ALL, scene.time), Decision::Superseded);
}

#[test]
fn the_last_sixteen_ids_are_remembered_and_older_ones_are_theirs() {
    let scene = Scene::new();
    let base = scene.stored();
    let mut change = scene.update(&base);
    let first = change.id().unwrap();
    let own = scene.write(first, Some(&base), true, false);
    for _ in 0..EARLIER {
        scene.change_content(&mut change);
    }
    assert_eq!(scene.decide(&change, &own, NONE), send(true, false));
    scene.change_content(&mut change);
    assert_eq!(change.ids.len(), EARLIER + 1);
    assert_eq!(scene.decide(&change, &own, NONE), Decision::Superseded);
}

#[test]
fn a_pending_create_of_a_taken_id_leaves_its_end_alone() {
    let scene = Scene::new();
    let mut change = scene.create(true);
    scene.change_ttl(&mut change);
    let taken = scene.stored();
    for in_progress in [NONE, ALL] {
        assert_eq!(scene.decide(&change, &taken, in_progress), Decision::Superseded);
    }
}
