//! The required state at the end, given the acknowledged changes.

use chrono::{DateTime, TimeDelta, Utc};
use redis_rest::session::{Session, SessionStoreExt as _};
use redis_rest::{Client, cmd, session::RedisSessionStore};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// Certainty of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    No,
    Maybe,
    Yes,
}

/// Possible expiry of a session, given its operations. Uses by other workers move it too, so it is
/// shared.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub earliest: DateTime<Utc>,
    pub latest: DateTime<Utc>,
    /// Set explicitly: uses no longer move it.
    pub pinned: bool,
}

pub type Deadlines = Arc<Mutex<HashMap<String, Deadline>>>;

/// A session and its acknowledged state.
#[derive(Clone, Debug)]
pub struct Entry {
    pub user: String,
    /// The manager that changes it.
    pub home: usize,
    pub ended: Certainty,
    /// The version acknowledged last, and later ones that were refused or whose outcome is unknown.
    pub version: String,
    pub others: Vec<String>,
    /// The last result about the session said that the store had it.
    pub durable: bool,
}

/// Returns the version that a prompt names: its first word.
pub fn version_of(prompt: &str) -> &str {
    prompt.split(' ').next().unwrap_or_default()
}

/// Deviations of the stored data.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deviations {
    pub lost: usize,
    pub alive: usize,
    pub versions: usize,
    pub index: usize,
    pub deadlines: usize,
    pub details: Vec<String>,
}

impl Deviations {
    fn add(&mut self, count: fn(&mut Self) -> &mut usize, detail: String) {
        *count(self) += 1;
        if self.details.len() < 20 {
            self.details.push(detail);
        }
    }
}

/// Compares Redis with the required state.
pub async fn compare(
    client: &Client,
    entries: &HashMap<String, Entry>,
    deadlines: &Deadlines,
    users: &[String],
) -> Deviations {
    let store = RedisSessionStore::new(client.clone(), std::time::Duration::from_secs(1));
    let mut wrong = Deviations::default();
    let mut stored: HashMap<String, Session> = HashMap::new();
    for user in users {
        let ids: Vec<String> =
            match client.get::<Option<String>>(format!("user_sessions:{user}")).await.unwrap() {
                Some(text) => serde_json::from_str(&text).unwrap(),
                None => Vec::new(),
            };
        let distinct: HashSet<_> = ids.iter().collect();
        if distinct.len() != ids.len() {
            wrong.add(|wrong| &mut wrong.index, format!("twice in the index of {user}"));
        }
        let found = store.list_sessions(user).await.unwrap().sessions;
        if found.len() != ids.len() {
            wrong.add(
                |wrong| &mut wrong.index,
                format!("{} ids in the index of {user}, {} sessions", ids.len(), found.len()),
            );
        }
        stored.extend(found.into_iter().map(|session| (session.id.clone(), session)));
    }
    let keys: Vec<String> = client.run(cmd("KEYS").arg("session:*")).await.unwrap();
    for key in &keys {
        if !stored.contains_key(&key["session:".len()..]) {
            wrong.add(|wrong| &mut wrong.index, format!("{key} is in no index"));
        }
    }
    for (id, entry) in entries {
        match (stored.get(id), entry.ended) {
            (Some(_), Certainty::Yes) => {
                wrong.add(|wrong| &mut wrong.alive, format!("{id} is alive: {entry:?}"))
            }
            (None, Certainty::No) => {
                wrong.add(|wrong| &mut wrong.lost, format!("{id} is lost: {entry:?}"))
            }
            (Some(session), Certainty::No | Certainty::Maybe) => {
                let version = version_of(&session.system_prompt);
                if version != entry.version && !entry.others.iter().any(|other| other == version) {
                    let detail = format!("{id} has {version:?}: {entry:?}");
                    wrong.add(|wrong| &mut wrong.versions, detail);
                }
                let at: i64 =
                    client.run(cmd("PEXPIRETIME").arg(format!("session:{id}"))).await.unwrap();
                let at = DateTime::from_timestamp_millis(at).unwrap();
                let wanted = deadlines.lock().unwrap()[id];
                let second = TimeDelta::seconds(1);
                if at < wanted.earliest - second || at > wanted.latest + second {
                    wrong.add(
                        |wrong| &mut wrong.deadlines,
                        format!("{id} ends at {at}: {wanted:?}"),
                    );
                }
            }
            (None, Certainty::Yes | Certainty::Maybe) => {}
        }
    }
    wrong
}
