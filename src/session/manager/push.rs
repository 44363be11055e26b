//! Sending pending changes to the store: the same for a call and for a batch of a flush.

use super::Inner;
use super::cache::Began;
use super::decide::{Decision, InProgress, Now, PendingChange, decide};
use super::events::EventKind;
use super::journal::{Key, Ticket};
use super::state::{State, until};
use super::store_link::StoreLink;
use crate::session::change::ChangeId;
use crate::session::error::SessionError;
use crate::session::record::Session;
use crate::session::store::{Mode, Stored, TtlRule, Write, Written};
use crate::session::version::Version;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The number of times that a change is decided while others keep writing.
const ROUNDS: usize = 5;

/// The fate of a pending change.
#[derive(Debug)]
pub(super) enum PushOutcome {
    /// The store has it.
    Durable,
    /// The store has somebody else's later version, which is held here now.
    Superseded,
    /// The store executed it, and the session has ended here since.
    Overtaken,
    /// The session is over.
    Ended,
    /// Not created: its id is somebody else's.
    Exists,
    /// Not created: the user was logged out, and the session comes from before.
    LoggedOut,
    /// The store may have it, or could not be reached; or others kept writing. It stays pending.
    Pending(Option<SessionError>),
    /// The store refused it. It stays pending unless the caller takes it back.
    Refused(SessionError),
}

/// A change on its way.
struct Item {
    change: PendingChange,
    in_progress: InProgress,
    now: Reply,
    outcome: Option<PushOutcome>,
}

/// The state that the store was seen to have.
enum Reply {
    Unasked,
    Stored(Box<Stored>),
    Gone,
    LoggedOut,
}

/// A write that was decided.
struct Planned {
    place: usize,
    session: Session,
    id: ChangeId,
    content: bool,
    ttl: TtlRule,
    superseded: bool,
}

impl Item {
    fn now(&self) -> Now<'_> {
        match &self.now {
            Reply::Stored(stored) => Now::Stored(&stored.version, Some(&stored.session)),
            Reply::Gone => Now::Gone,
            Reply::LoggedOut => Now::LoggedOut,
            Reply::Unasked => match &self.change.base {
                Some(base) => Now::Stored(base, None),
                None => Now::Unused,
            },
        }
    }

    /// The version to replace; `None` for a create.
    fn replaces(&self) -> Option<&Version> {
        match &self.now {
            Reply::Stored(stored) => Some(&stored.version),
            _ => self.change.base.as_ref(),
        }
    }

    fn mode(&self) -> Option<Mode<'_>> {
        match (self.replaces(), &self.change.create) {
            (Some(version), _) => Some(Mode::Replace(version)),
            (None, Some(create)) => Some(Mode::Create { marks: &create.marks, reuse: false }),
            (None, None) => None,
        }
    }

    /// The session to write: as it is to be, or as it is stored, in either case with the later use.
    fn session(&self, content: bool) -> Session {
        let ours = self.change.session.as_ref();
        match &self.now {
            Reply::Stored(stored) => {
                let last_used = ours.last_active_at.max(stored.session.last_active_at);
                let mut session = if content { ours.clone() } else { stored.session.clone() };
                session.last_active_at = last_used;
                session
            }
            _ => ours.clone(),
        }
    }

    fn ttl(&self, explicit: bool, now: DateTime<Utc>) -> TtlRule {
        const LEAST: Duration = Duration::from_millis(1);
        match (self.change.ttl.filter(|_| explicit), self.change.slides_to) {
            // An end that has passed is executed too.
            (Some(ttl), _) => TtlRule::Set(until(ttl.ends_at, now).max(LEAST)),
            (None, Some(to)) if to > now => TtlRule::Slide(until(to, now)),
            _ => TtlRule::Keep,
        }
    }
}

impl Inner {
    /// Sends the pending change of one session, whose lock the caller holds. `None` if nothing is
    /// pending.
    pub(super) async fn push(
        &self,
        link: &StoreLink,
        id: &str,
        in_progress: InProgress,
    ) -> Option<PushOutcome> {
        let user_id = self.state().outbox.log_out_before(id).map(str::to_owned);
        if let Some(user_id) = user_id {
            self.log_out_first(link, &user_id).await;
        }
        let ids = [id.to_owned()];
        self.push_all(link, &ids, in_progress).await.0.pop().map(|(_, outcome)| outcome)
    }

    /// Sends the pending changes of sessions, whose locks the caller holds: one request, and one
    /// more for those that others wrote meanwhile. True if the store is unavailable.
    pub(super) async fn push_all(
        &self,
        link: &StoreLink,
        ids: &[String],
        in_progress: InProgress,
    ) -> (Vec<(String, PushOutcome)>, bool) {
        let reading = self.begin();
        let mut items = self.take_items(ids, in_progress);
        let mut unavailable = false;
        for _ in 0..ROUNDS {
            let plans = self.plan(&mut items, reading.0);
            if plans.is_empty() || unavailable {
                break;
            }
            let writes: Vec<Write<'_>> = plans
                .iter()
                .filter_map(|plan| {
                    let Planned { place, session, id, content, ttl, .. } = plan;
                    let mode = items[*place].mode()?;
                    Some(Write { id: *id, session, mode, content: *content, ttl: *ttl })
                })
                .collect();
            let sent = Began { tick: reading.0.tick, at: crate::clock::now() };
            let (replies, down) = link.ask_many(link.store.write(&writes)).await;
            unavailable = down;
            drop(writes);
            for (plan, reply) in plans.into_iter().zip(replies) {
                self.take_reply(link, &mut items, plan, reply, sent);
            }
        }
        let outcomes = items.into_iter().map(|item| {
            let id = item.change.session.id.clone();
            (id, item.outcome.unwrap_or(PushOutcome::Pending(None)))
        });
        (outcomes.collect(), unavailable)
    }

    /// The pending changes of these sessions. Creates count as sent from here on, except those that
    /// wait for a log-out of their user: they know of it, and it would end one of them that it meets
    /// between its two steps on a cluster.
    fn take_items(&self, ids: &[String], in_progress: InProgress) -> Vec<Item> {
        let mut state = self.state();
        let change = |id: &String| {
            let waits = state.outbox.log_out_before(id).is_some();
            let change = state.outbox.change_mut(id)?;
            // Decided by what was true before this attempt.
            let item = change.clone();
            if let Some(create) = change.create.as_mut().filter(|_| !waits) {
                create.sent = true;
            }
            let outcome = waits.then_some(PushOutcome::Pending(None));
            Some(Item { change: item, in_progress, now: Reply::Unasked, outcome })
        };
        ids.iter().filter_map(change).collect()
    }

    /// Decides what is to be written, and ends the items of which nothing is.
    fn plan(&self, items: &mut [Item], began: Began) -> Vec<Planned> {
        let time = self.utc_now();
        let mut plans = Vec::new();
        for (place, item) in items.iter_mut().enumerate() {
            if item.outcome.is_some() {
                continue;
            }
            let decision = decide(&item.change, item.now(), item.in_progress, time);
            if let Decision::Send { content, ttl, superseded } = decision {
                // A use names nothing: it is merged however often it is made.
                let named = content || ttl;
                let id = item.change.id().filter(|_| named).unwrap_or_else(|| self.ids.next());
                let (session, ttl) = (item.session(content), item.ttl(ttl, time));
                plans.push(Planned { place, session, id, content, ttl, superseded });
                continue;
            }
            let create = item.in_progress.content && item.change.create.is_some();
            let now = std::mem::replace(&mut item.now, Reply::Unasked);
            item.outcome = Some(match (decision, now) {
                (Decision::Superseded, _) if create => PushOutcome::Exists,
                (Decision::Done, Reply::Stored(now)) => {
                    self.acknowledge(&item.change, *now, began, PushOutcome::Durable)
                }
                (Decision::Superseded, Reply::Stored(now)) => {
                    self.acknowledge(&item.change, *now, began, PushOutcome::Superseded)
                }
                (_, now) => {
                    let known = !matches!(now, Reply::Unasked);
                    self.session_gone(&item.change.session.id, item.change.id(), known);
                    match now {
                        Reply::LoggedOut => PushOutcome::LoggedOut,
                        _ => PushOutcome::Ended,
                    }
                }
            });
        }
        plans
    }

    fn take_reply(
        &self,
        link: &StoreLink,
        items: &mut [Item],
        plan: Planned,
        reply: Result<Written, SessionError>,
        sent: Began,
    ) {
        let item = &mut items[plan.place];
        match reply {
            Ok(Written::Written { version, ttl }) => {
                let stored = Stored { session: plan.session, version, ttl };
                let outcome =
                    if plan.superseded { PushOutcome::Superseded } else { PushOutcome::Durable };
                item.outcome = Some(self.acknowledge(&item.change, stored, sent, outcome));
            }
            Ok(Written::Changed(now) | Written::Exists(now)) => item.now = Reply::Stored(now),
            Ok(Written::Gone) => item.now = Reply::Gone,
            Ok(Written::LoggedOut(marks)) => {
                item.now = Reply::LoggedOut;
                let user_id = &item.change.session.user_id;
                let ttl = link.store.default_ttl();
                let mut state = self.state();
                state.outbox.learn(user_id, &marks, ttl, crate::clock::now());
                let pending = state.outbox.change_mut(&item.change.session.id);
                for change in [Some(&mut item.change), pending].into_iter().flatten() {
                    // A derived session, and one that was answered, ends by this; the others know
                    // it now.
                    if let Some(create) = change
                        .create
                        .as_mut()
                        .filter(|create| item.in_progress.content && !create.derived)
                    {
                        create.marks.learn(&marks);
                    }
                }
            }
            Err(error) => {
                let pending = error.is_unavailable() || error.maybe_applied();
                item.outcome = Some(if pending {
                    PushOutcome::Pending(Some(error))
                } else {
                    PushOutcome::Refused(error)
                });
            }
        }
    }

    /// The store has this version. Nothing is pending any more.
    fn acknowledge(
        &self,
        change: &PendingChange,
        stored: Stored,
        sent: Began,
        outcome: PushOutcome,
    ) -> PushOutcome {
        let id = change.session.id.as_str();
        let mut state = self.state();
        let stands = state.acknowledge(change, stored, sent);
        if state.outbox.change(id).is_none() && state.outbox.tombstone(id).is_none() {
            self.settle_session(&state, id);
        }
        drop(state);
        if !stands {
            return match outcome {
                PushOutcome::Durable => PushOutcome::Overtaken,
                _ => PushOutcome::Ended,
            };
        }
        self.events.send(EventKind::Synced, id);
        if matches!(outcome, PushOutcome::Superseded) {
            self.events.send(EventKind::Superseded, id);
        }
        outcome
    }

    /// The session is gone, whatever was changed: an end beats a change. Unless something else is
    /// pending by now. `known`: the store was asked.
    fn session_gone(&self, id: &str, change: Option<ChangeId>, known: bool) {
        let mut state = self.state();
        if state.outbox.change(id).and_then(PendingChange::id) != change {
            return;
        }
        let held = if known { state.gone(id) } else { state.give_up(id) };
        self.settle_session(&state, id);
        drop(state);
        self.flights.forget(id);
        if held {
            self.events.send(EventKind::Expired, id);
        }
    }

    /// Adds what is pending for a session to the journal, if there is one.
    pub(super) fn note_pending(&self, locked: &State, id: &str) -> Option<Ticket> {
        let journal = self.journal.as_ref()?;
        Some(journal.add(&locked.outbox.line(id)?))
    }

    /// Notes in the journal that nothing is pending for a session.
    pub(super) fn settle_session(&self, _locked: &State, id: &str) {
        if let Some(journal) = &self.journal {
            drop(journal.settle(Key::Session(id.to_owned())));
        }
    }
}
