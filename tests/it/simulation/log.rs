//! The log of a history: every call with its result, and every look at the store.

use super::plan::Call;
use super::stores::Content;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};

/// The origin of an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Actor {
    /// A machine, and which of its processes.
    Node(usize, u32),
    /// A program that uses the store directly.
    Direct,
    /// Another service.
    Foreign,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The call has not returned.
    Open,
    Durable,
    Pending,
    Maybe,
    Superseded,
    Found(Content),
    Listed(Vec<(String, Content)>),
    /// An end, its durability, and whether there was a session.
    Ended(Box<Answer>, bool),
    Absent,
    Unavailable,
    Conflict(String),
    /// The change did not happen.
    Refused(String),
    /// The change may have happened.
    Unknown(String),
    /// The call was cancelled, or its process ended.
    Cut,
    /// There was nothing to do.
    Skipped,
}

/// A call or another change. Ticks order everything; times are milliseconds.
#[derive(Clone, Debug)]
pub struct Entry {
    pub actor: Actor,
    pub what: What,
    /// The session, empty for calls about none.
    pub id: String,
    pub user_id: String,
    /// The content that it writes.
    pub token: String,
    /// The log-in from which the session derives: the entry itself, unless it is derived.
    pub root: usize,
    pub start: usize,
    pub end: usize,
    pub began: i64,
    pub ended: i64,
    /// The machine had a store from its begin to its end.
    pub attached: bool,
    pub answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Call(Call),
    Overwrite { keeps_end: bool },
    Remove,
    LoseIndex,
}

/// A look at the store.
#[derive(Clone, Debug)]
pub struct Observation {
    pub tick: usize,
    pub at: i64,
    pub id: String,
    pub content: Option<Content>,
}

#[derive(Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub sights: Vec<Observation>,
    /// When the process of a machine ended: tick and machine.
    pub crashes: Vec<(usize, usize)>,
    pub complaints: Vec<String>,
    pub lines: Vec<String>,
    ticks: usize,
}

#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Log>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }
}

impl Log {
    pub fn tick(&mut self) -> usize {
        self.ticks += 1;
        self.ticks
    }

    pub fn say(&mut self, at: i64, what: &str) {
        let tick = self.ticks;
        self.lines.push(format!("{tick:4} {at:7} ms  {what}"));
    }

    pub fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// Records the start of a call. Returns its number.
    pub fn begin(&mut self, at: i64, mut entry: Entry) -> usize {
        let number = self.entries.len();
        entry.start = self.tick();
        (entry.end, entry.began, entry.ended) = (usize::MAX, at, i64::MAX);
        if entry.root == usize::MAX {
            entry.root = number;
        }
        let Entry { actor, what, id, user_id, token, .. } = &entry;
        let mut text = format!("#{number} {actor:?} {what:?}");
        for (name, value) in [("id", id), ("user", user_id), ("token", token)] {
            if !value.is_empty() {
                write!(text, " {name}={value}").unwrap();
            }
        }
        self.say(at, &text);
        self.entries.push(entry);
        number
    }

    /// Records the result of a call.
    pub fn end(&mut self, at: i64, number: usize, attached: bool, answer: Answer) {
        if self.entries[number].answer != Answer::Open {
            return;
        }
        let tick = self.tick();
        self.say(at, &format!("#{number} -> {answer:?}"));
        let entry = &mut self.entries[number];
        (entry.end, entry.ended, entry.answer) = (tick, at, answer);
        entry.attached &= attached;
    }

    pub fn see(&mut self, at: i64, id: &str, content: Option<Content>) {
        let tick = self.tick();
        let seen = content.as_ref().map(|content| (&content.token, content.left));
        self.say(at, &format!("the store has of {id}: {seen:?}"));
        self.sights.push(Observation { tick, at, id: id.to_owned(), content });
    }
}
