//! The calls of users: on a manager, on the store itself, and through the middleware of
//! tower-sessions.

use super::clock::Clock;
use super::log::{Actor, Answer};
use super::plan::{Call, Plan};
use super::stores::{Content, content};
use super::world::{session_id, user_id};
use chrono::TimeDelta;
use redis_rest::session::{
    Durability, NewSession, Session, SessionError, SessionManager, SessionStore,
    SessionStoreExt as _, WallClock as _,
};
use redis_rest_tower::TowerStore;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use time::OffsetDateTime;
use tower_sessions_core::SessionStore as _;
use tower_sessions_core::session::{Id, Record};

/// The place at which a call is made.
#[derive(Clone)]
pub enum Place {
    Manager(SessionManager, Clock),
    Store(Arc<dyn SessionStore>),
}

impl Place {
    /// Without a store, a manager acts for itself alone.
    pub fn is_attached(&self) -> bool {
        match self {
            Self::Manager(manager, _) => manager.session_store().is_some(),
            Self::Store(_) => true,
        }
    }
}

/// The records that users received.
#[derive(Clone)]
pub struct Users {
    state: Arc<Mutex<UserState>>,
}

struct UserState {
    tokens: usize,
    seed: u64,
    /// Records by their numbers: as last written or loaded, by whom, and the log-in they derive
    /// from.
    records: BTreeMap<usize, (Record, Actor, usize)>,
    ids: Vec<String>,
}

/// A call with all its inputs.
pub struct Prepared {
    call: Call,
    pub id: String,
    pub user_id: String,
    pub token: String,
    pub root: usize,
    record: Option<Record>,
    actor: Actor,
}

impl Users {
    pub fn new(plan: &Plan) -> Self {
        let state =
            UserState { tokens: 0, seed: plan.seed, records: BTreeMap::new(), ids: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, UserState> {
        self.state.lock().unwrap()
    }

    /// Returns content that was never written before.
    pub fn token(&self) -> String {
        let state = &mut *self.state();
        state.tokens += 1;
        format!("t{}", state.tokens)
    }

    /// Returns the ids of all records so far.
    pub fn record_ids(&self) -> Vec<String> {
        self.state().ids.clone()
    }

    /// Returns `None` for a call that cannot be made now.
    pub fn prepare(&self, call: Call, actor: Actor) -> Option<Prepared> {
        let token = self.token();
        let mut prepared = Prepared {
            call,
            id: String::new(),
            user_id: String::new(),
            token: String::new(),
            root: usize::MAX,
            record: None,
            actor,
        };
        match call {
            Call::Create { id, user, .. } => {
                (prepared.id, prepared.user_id) = (session_id(id), user_id(user));
                prepared.token = token;
            }
            Call::Update { id, .. } => (prepared.id, prepared.token) = (session_id(id), token),
            Call::Get { id } | Call::SetTtl { id, .. } | Call::Delete { id } => {
                prepared.id = session_id(id);
            }
            Call::List { user } | Call::LogOut { user } => prepared.user_id = user_id(user),
            Call::Evict | Call::Flush => {}
            Call::LogIn { user, .. } => {
                let id = self.new_id();
                let data =
                    [("user_id", user_id(user)), ("token", token.clone()), ("born", token.clone())];
                let data = data.map(|(name, value)| (name.to_owned(), value.into()));
                let record = Record { id, data: data.into_iter().collect(), expiry_date: end() };
                (prepared.id, prepared.user_id) = (id.to_string(), user_id(user));
                (prepared.token, prepared.record) = (token, Some(record));
            }
            Call::Load { record } => {
                let (known, _, _) = self.state().records.get(&record)?.clone();
                prepared.id = known.id.to_string();
            }
            Call::Cycle { record } => {
                let (mut known, loaded_by, root) = self.state().records.get(&record)?.clone();
                if loaded_by != actor {
                    // The request ended with its process.
                    return None;
                }
                known.id = self.new_id();
                known.data.insert("token".to_owned(), token.clone().into());
                prepared.id = known.id.to_string();
                prepared.user_id = known.data.get("user_id")?.as_str()?.to_owned();
                (prepared.token, prepared.root) = (token, root);
                prepared.record = Some(known);
            }
        }
        Some(prepared)
    }

    fn new_id(&self) -> Id {
        let state = &mut *self.state();
        let id = Id((i128::from(state.seed) << 32) + state.ids.len() as i128 + 1);
        state.ids.push(id.to_string());
        id
    }

    fn keep(&self, number: usize, record: Record, actor: Actor, root: usize) {
        self.state().records.insert(number, (record, actor, root));
    }
}

/// Returns an end far from now, by any clock.
fn end() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(4_000_000_000).unwrap()
}

/// Makes the call with this number.
pub async fn call(place: Place, prepared: Prepared, users: Users, number: usize) -> Answer {
    match &place {
        Place::Manager(manager, clock) => {
            on_manager(manager, clock, &place, prepared, &users, number).await
        }
        Place::Store(store) => on_store(store.as_ref(), prepared).await,
    }
}

async fn on_manager(
    manager: &SessionManager,
    clock: &Clock,
    place: &Place,
    prepared: Prepared,
    users: &Users,
    number: usize,
) -> Answer {
    let Prepared { call, id, user_id, token, record, actor, root } = prepared;
    let at = |ttl: u64| clock.utc_now() + TimeDelta::milliseconds(i64::try_from(ttl).unwrap());
    let tower = || TowerStore::over_manager(manager.clone());
    match call {
        Call::Create { ttl, .. } => {
            let new =
                NewSession::new(user_id, "").id(id).with("token", &token).with("born", &token);
            let new = match ttl {
                Some(ttl) => new.expires_at(at(ttl)),
                None => new,
            };
            answer(manager.create_session_with(new).await.map(|created| created.durability))
        }
        Call::Update { ttl, .. } => {
            let mut session = match manager.get_session(&id).await {
                Ok(session) => session,
                Err(error) => return failed(&error),
            };
            session.metadata.insert("token", &token).unwrap();
            answer(match ttl {
                Some(ttl) => manager.update_session_until(&session, at(ttl)).await,
                None => manager.update_session(&session).await,
            })
        }
        Call::Get { .. } => get(place, &id).await,
        Call::List { .. } => match manager.list_sessions(&user_id).await {
            Ok(list) => {
                let found = |session: &Session| (session.id.clone(), content(session, 0));
                Answer::Listed(list.sessions.iter().map(found).collect())
            }
            Err(error) => failed(&error),
        },
        Call::SetTtl { ttl, .. } => answer(manager.set_ttl(&id, Duration::from_millis(ttl)).await),
        Call::Delete { .. } => match manager.cleanup_session(&id).await {
            Ok(ended) => Answer::Ended(Box::new(durability(ended.durability)), ended.existed),
            Err(error) => failed(&error),
        },
        Call::LogOut { .. } => match manager.delete_user_sessions(&user_id).await {
            Ok(ended) => Answer::Ended(Box::new(durability(ended.durability)), ended.sessions > 0),
            Err(error) => failed(&error),
        },
        Call::Evict => {
            manager.cleanup_inactive_sessions(Duration::ZERO);
            Answer::Skipped
        }
        Call::Flush => {
            let _ = manager.flush().await;
            Answer::Skipped
        }
        Call::LogIn { record: slot, .. } => {
            let mut record = record.unwrap();
            let wanted = record.id;
            let created = tower().create(&mut record).await;
            if created.is_ok() && record.id == wanted {
                users.keep(slot, record, actor, number);
            }
            // The result does not tell whether it is pending, or whether the user was logged out.
            if created.is_ok() { Answer::Pending } else { Answer::Unknown("log-in".to_owned()) }
        }
        Call::Load { record: slot } => {
            let root = users.state().records[&slot].2;
            match tower().load(&id.parse().unwrap()).await {
                Ok(Some(record)) => {
                    users.keep(slot, record.clone(), actor, root);
                    let text = |name: &str| record.data[name].as_str().unwrap().to_owned();
                    let token = text("token");
                    let born = text("born");
                    let user_id = text("user_id");
                    Answer::Found(Content { token, born, user_id, left: 0 })
                }
                Ok(None) => Answer::Absent,
                Err(_) => Answer::Unavailable,
            }
        }
        Call::Cycle { record: slot } => {
            let mut record = record.unwrap();
            let wanted = record.id;
            let created = tower().create(&mut record).await;
            if created.is_ok() && record.id == wanted {
                users.keep(slot, record, actor, root);
            }
            if created.is_ok() { Answer::Pending } else { Answer::Unknown("cycle".to_owned()) }
        }
    }
}

async fn on_store(store: &dyn SessionStore, prepared: Prepared) -> Answer {
    let Prepared { call, id, user_id, token, .. } = prepared;
    match call {
        Call::Create { .. } => {
            let mut session = Session::new(user_id).id(id);
            session.metadata.insert("token", &token).unwrap();
            session.metadata.insert("born", &token).unwrap();
            done(store.store_session(&session).await)
        }
        Call::Update { .. } => {
            let mut session = match store.retrieve_session(&id).await {
                Ok(session) => session,
                Err(error) => return failed(&error),
            };
            session.metadata.insert("token", &token).unwrap();
            done(store.update_session(&session).await)
        }
        Call::Delete { .. } => match store.delete_session(&id).await {
            Ok(existed) => Answer::Ended(Box::new(Answer::Durable), existed),
            Err(error) => failed(&error),
        },
        Call::LogOut { .. } => match store.delete_user_sessions(&user_id).await {
            Ok(_) => Answer::Ended(Box::new(Answer::Durable), true),
            Err(error) => failed(&error),
        },
        _ => Answer::Skipped,
    }
}

pub async fn get(place: &Place, id: &str) -> Answer {
    let Place::Manager(manager, _) = place else { return Answer::Skipped };
    match manager.get_session(id).await {
        Ok(session) => Answer::Found(content(&session, 0)),
        Err(error) => failed(&error),
    }
}

fn done<T>(result: Result<T, SessionError>) -> Answer {
    result.map_or_else(|error| failed(&error), |_| Answer::Durable)
}

fn answer(result: Result<Durability, SessionError>) -> Answer {
    result.map_or_else(|error| failed(&error), durability)
}

fn durability(durability: Durability) -> Answer {
    match durability {
        Durability::Durable => Answer::Durable,
        Durability::Pending => Answer::Pending,
        Durability::MaybeApplied => Answer::Maybe,
        Durability::Superseded => Answer::Superseded,
        _ => Answer::Unknown("another durability".to_owned()),
    }
}

fn failed(error: &SessionError) -> Answer {
    match error {
        _ if error.maybe_applied() => Answer::Unknown(error.to_string()),
        SessionError::NotFound => Answer::Absent,
        SessionError::Unavailable(_) => Answer::Unavailable,
        SessionError::Conflict(conflict) => Answer::Conflict(format!("{conflict:?}")),
        error => Answer::Refused(error.to_string()),
    }
}
