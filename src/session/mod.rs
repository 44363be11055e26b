//! Sessions: durable in Redis, cached in memory, and at work through outages.
//!
//! * [`Session`]: the record, one JSON object at `session:{id}`. What nobody changed goes back as it came.
//! * [`SessionStore`]: what a place for sessions can do. [`RedisSessionStore`] keeps them in Redis over any backend,
//!   [`InMemorySessionStore`] in this process, with the same behaviour.
//! * `tower` (feature `tower-sessions`): the session store of tower-sessions, for axum and whatever else is built on tower.
//! * [`SessionManager`]: creates and finds sessions, keeps them in memory, writes them to a store where one is set, and goes on in
//!   memory while that cannot be reached.
//!
//! # In Redis
//!
//! | key | what |
//! |---|---|
//! | `session:{id}` | the record, as JSON, with its time to live |
//! | `user_sessions:{user}` | the ids of a user's sessions: a JSON array, or by choice a sorted set ([`IndexLayout`]) |
//! | `session_gone:{id}` | for a minute after a delete: a late copy of an earlier store finds it and writes nothing |
//! | `session_pinned:{id}` | the time to live is an explicit one, which automatic touches leave alone |
//! | `session_probe:{random}` | for ten seconds: a probe whether the server can be written |
//!
//! Record and index change in one script, both or neither. On Redis Cluster these keys live in different slots, and Redis refuses
//! the scripts (`CROSSSLOT`): clusters are not supported yet.
//!
//! # Requests
//!
//! Servers over REST bill by the request: store, create, retrieve, update and exists are 1; delete, touch and `set_ttl` are 2 by id
//! and 1 with the session in hand (`…_loaded`); list is 2; batches are one for each 100 sessions or 500 kB, and a batch of deletes
//! one more, which finds the users. A server that does not know a script yet costs one more, once.
//!
//! A manager's create, update and `set_ttl` are 1, a delete 1 for a session that it holds and 2 for others. A read is 1 when the
//! copy is older than allowed and 0 otherwise; a touch is 1, at most once per `touch_interval`. After an outage what is pending
//! goes out in batches of the same size.
//!
//! # Settings
//!
//! [`RedisSessionStore::from_env`] reads the REST address and token, and `SESSION_TTL`. `REDIS_URL`, an address of the native
//! protocol, is not looked at: where both are set REST is used, and the native backend only when a program asks for it.
//!
#![doc = include_str!("../../docs/sessions.md")]

mod batch;
mod duration;
mod error;
mod events;
mod id;
mod index;
mod journal;
mod log_name;
mod lru;
mod manager;
mod memory;
mod metadata;
mod reconcile;
mod record;
mod redis;
mod scripts;
mod store;
// Its futures must be `Send`, which those of a browser are not.
#[cfg(all(feature = "tower-sessions", not(target_family = "wasm")))]
pub mod tower;
mod workspace;

pub use error::{Conflict, SessionError};
pub use events::{Event, EventKind, Events};
pub use index::IndexLayout;
pub use log_name::log_name;
pub use manager::{
    Durability, Flushed, Health, ManagerOptions, NewSession, Pending, ReadPolicy, Recovery, Saved, SessionManager, SyncMode, WritePolicy,
};
pub use memory::InMemorySessionStore;
pub use metadata::Metadata;
pub use reconcile::{PendingPut, Reconciled, TtlRule};
pub use record::Session;
pub use redis::{DEFAULT_TTL, RedisSessionStore};
pub use store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
