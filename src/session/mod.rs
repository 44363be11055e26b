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
//! | `session_gone:{session:ID}` | for a minute after a delete: a late copy of an earlier store finds it and writes nothing |
//! | `session_pinned:{session:ID}` | the time to live is an explicit one, which automatic touches leave alone |
//! | `session_probe:{random}` | for ten seconds: a probe whether the server can be written |
//!
//! In the third and fourth the braces are part of the key, which makes Redis Cluster keep it where the record is. A prefix of the
//! client stands before the whole and within them.
//!
//! Record and index change in one script, both or neither.
//!
//! # On Redis Cluster
//!
//! There record and index have hash slots of their own, which no script can change together. The store then works in two steps, each
//! a script on one slot: a store changes the index first and then the record, a delete the record first. It does so by itself over
//! a backend that says that it is a cluster (`NativeCluster`); a REST server in front of a cluster does not say so, and its store
//! needs [`cluster`](RedisSessionStore::cluster). Records and indexes are the same as without, to the letter.
//!
//! What still holds: a session is there or not by its record alone, so what a call answers about it is exact. Deletes win, updates
//! bring nothing back, and every session whose store was confirmed is listed, also when clean-ups come between its steps.
//!
//! What is weaker, and what repairs it:
//!
//! | what | when | repair |
//! |---|---|---|
//! | an index names a session that is not there, which readers pass over | a store or a delete is under way, or was cut off after its first step | [`cleanup_expired_sessions`](SessionStore::cleanup_expired_sessions); the next store or delete of that session |
//! | an index names a session of another user, counted as corrupt in lists | a store was cut off that the record's owner made a conflict | the same; ending that user's sessions leaves the other's alone |
//! | a session is not listed | its store ended with [`SessionError::MaybeApplied`]; or a master died and took with it what its replica did not have | storing it again, a touch, `set_ttl` |
//!
//! That much rests on no request being held up for more than a minute on its way, as the gone mark does. A key `session_pruned:{session:ID}`
//! marks for that minute where a clean-up found no session, and `user_sessions_relisted:{user_sessions:USER}` what was listed again
//! after that.
//!
//! All stores of the same sessions must work the same way: in two steps, or not. While a slot moves, changes of its sessions wait, as
//! long as their time allows, and reads go on. `memory_used` is unknown, and a [`probe`](SessionStore::probe) asks one node of
//! the cluster. A client's prefix may have a whole hash tag (`{app}:`: everything in one slot), but not half of one (`a{b`).
//!
//! # Requests
//!
//! Servers over REST bill by the request: store, create, retrieve, update and exists are 1; delete, touch and `set_ttl` are 2 by id
//! and 1 with the session in hand (`…_loaded`); list is 2; batches are one for each 100 sessions or 500 kB, and a batch of deletes
//! one more, which finds the users. A server that does not know a script yet costs one more, once.
//!
//! On a cluster store, create, delete, and touch and `set_ttl` with the session in hand are 2, by id 3, batches 2 for each 100
//! sessions; one more where a clean-up came between the steps, and one or two where a store was refused.
//!
//! A manager's create, update and `set_ttl` are 1, a delete 1 for a session that it holds and 2 for others. A read is 1 when the
//! copy is older than allowed and 0 otherwise; a touch is 1, at most once per `touch_interval`. After an outage what is pending
//! goes out in batches of the same size.
//!
//! # Settings
//!
//! [`RedisSessionStore::from_env`] reads the REST address and token, and `SESSION_TTL`; [`from_lookup`](RedisSessionStore::from_lookup)
//! the same names from wherever a platform keeps them. `REDIS_URL`, an address of the native
//! protocol, is not looked at: where both are set REST is used, and the native backend only when a program asks for it.
//!
#![doc = include_str!("../../docs/sessions.md")]

mod duration;
mod error;
mod events;
mod id;
pub(crate) mod index;
mod journal;
mod keys;
mod log_name;
mod lru;
mod manager;
mod memory;
mod metadata;
mod reconcile;
pub(crate) mod record;
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
    Durability, Flushed, Health, ManagerOptions, NewSession, Pending, ReadPolicy, Recovery, Saved,
    SessionManager, SyncMode, WritePolicy,
};
pub use memory::InMemorySessionStore;
pub use metadata::Metadata;
pub use reconcile::{Decision, PendingPut, Reconciled, TtlRule};
pub use record::Session;
pub use redis::{DEFAULT_TTL, RedisSessionStore};
pub use store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
