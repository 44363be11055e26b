//! Sessions: durable in Redis, cached in memory, and at work through outages.
//!
//! * [`Session`]: the record, one JSON object at `session:{id}`. What nobody changed goes back as
//!   it came.
//! * [`SessionStore`]: what a place for sessions can do. [`RedisSessionStore`] keeps them in Redis
//!   over any backend, [`InMemorySessionStore`] in this process, with the same behaviour.
//! * `tower` (feature `tower-sessions`): the session store of tower-sessions, for axum and whatever
//!   else is built on tower.
//! * [`SessionManager`]: creates and finds sessions, keeps them in memory, writes them to a store
//!   where one is set, and goes on in memory while that cannot be reached.
//!
//! # In Redis
//!
//! | key | what |
//! |---|---|
//! | `session:{id}` | the record, as JSON, with its time to live |
//! | `user_sessions:{user}` | the ids of a user's sessions: a JSON array, or by choice a sorted set ([`IndexLayout`]) |
//! | `session_meta:{session:ID}` | what this crate knows of the session beside its record: see below |
//! | `session_revoked:{user_sessions:USER}` | the last 8 log-outs of the user, for the default time to live and a minute |
//! | `session_probe:{random}` | for ten seconds: a check whether the server can be written |
//!
//! In the third and fourth the braces are part of the key, which makes Redis Cluster keep it where
//! the record or the index is. A prefix of the client stands before the whole and within them.
//! Other services read and write records and indexes; the other keys are this crate's own. They
//! must not be evicted.
//!
//! Record, meta key, index and log-outs change in one script, all or nothing.
//!
//! # Versions
//!
//! Each change has an id of its own ([`ChangeId`]). The meta key is a text of six fields, `v c p s
//! m d`, about 100 bytes:
//!
//! | field | what |
//! |---|---|
//! | `v` | the id of the last write |
//! | `c` | the id of the change that the content is of |
//! | `p` | the id of the change that the time to live is of, empty for the first; after `~` if it is not explicit |
//! | `s` | the SHA-1 of the record as it was left by the last write that wrote it: another service wrote a record that has another. After `@` that write, if later ones moved the end alone |
//! | `m` | the log-outs that the session's creator knew |
//! | `d` | the last delete: its id, its time and whether it found a session |
//!
//! The meta key outlives the record by at least a minute, and its life is never shortened. While it
//! is there and the record is not, the id is remembered, and no create of it is executed. A write
//! replaces exactly one [`Version`], so that a retry, a late copy and a line of a journal take
//! effect at most once.
//!
//! # On Redis Cluster
//!
//! There record and index have hash slots of their own, which no script can change together. The
//! store then works in two steps, each a script on one slot: a write changes the index first and
//! then the record, a delete the record first. It does so by itself over a backend that says that
//! it is a cluster (`NativeCluster`); a REST server in front of a cluster does not say so, and its
//! store needs [`cluster`](RedisSessionStore::cluster). Records and indexes are the same as
//! without, to the letter.
//!
//! Still true: a session is there or not by its record alone, so what a call answers about it is
//! exact. Deletes win, updates bring nothing back, and every session whose store was confirmed is
//! listed, also when clean-ups come between its steps.
//!
//! Weaker promises, and their repair:
//!
//! | what | when | repair |
//! |---|---|---|
//! | an index names a session that is not there, which readers pass over | a create or a delete is under way, or was cut off after its first step | [`prune`](SessionStore::prune); the next create or delete of that session |
//! | an index names a session of another user, counted as corrupt in lists | a create was cut off that the record's owner made a conflict | the same; ending that user's sessions leaves the other's alone |
//! | a session is not listed | its write ended with [`SessionError::MaybeApplied`]; or a master died and took with it what its replica did not have | the next write of it |
//!
//! No request may be held up for more than a minute on its way. A key `session_pruned:{session:ID}`
//! marks for that minute where a clean-up found no session, and
//! `user_sessions_relisted:{user_sessions:USER}` what was listed again after that.
//!
//! All stores of the same sessions must work the same way: in two steps, or not. While a slot
//! moves, changes of its sessions wait, as long as their time allows, and reads go on. How much
//! memory is used is unknown, and a check asks one node of the cluster. A client's prefix may have
//! a whole hash tag (`{app}:`: everything in one slot), but not half of one (`a{b`).
//!
//! # Requests
//!
//! Servers over REST bill by the request. A read, a create and a write of a version in hand are 1.
//! A store remembers the versions of the last 4096 sessions that it wrote. An update of one of those
//! is 1, and else 2; so is a store of a session that is there. `set_ttl` and touch are 2, as they
//! read first; a delete is 1 if the user is known and else 2. A list is 1 for the index and 1 for
//! each 100 sessions. Batches are 1 for each 100 sessions or 500 kB, one of deletes by id 2. A
//! log-out is 1 and a batch of deletes. A server that does not know a script yet costs one more,
//! once.
//!
//! On a cluster each write is 1 more, and a delete is 2; one more if a clean-up came between the
//! steps, and one or two if a create was refused.
//!
//! A manager's create, update and `set_ttl` are 1, a delete 1 for a session that it holds and 2 for
//! others. A read is 1 when the copy is older than allowed and 0 otherwise; a touch is 1, at most
//! once per `touch_interval`. After an outage what is pending goes out in batches of the same size.
//!
//! # Settings
//!
//! [`RedisSessionStore::from_env`] reads the REST address and token, and `SESSION_TTL`;
//! [`from_lookup`](RedisSessionStore::from_lookup) the same names from wherever a platform keeps
//! them. `REDIS_URL`, an address of the native protocol, is not looked at: where both are set REST
//! is used, and the native backend only when a program asks for it.
//!
#![doc = include_str!("../../docs/guide/rustdoc-links.md")]
#![cfg_attr(doc, doc = include_str!("../../docs/pictures/rustdoc/session-life.svg.md"))]
#![doc = include_str!("../../docs/sessions.md")]

mod change;
mod chunks;
mod durability;
mod duration;
mod error;
pub(crate) mod ext;
mod id;
pub(crate) mod index;
mod keys;
mod lru;
mod manager;
mod marks;
mod memory;
mod metadata;
pub(crate) mod record;
mod redacted_id;
mod redis;
mod results;
mod scripts;
mod store;
mod version;

pub use change::{ChangeId, ChangeIds};
pub use durability::Durability;
pub use error::{Conflict, SessionError};
pub use ext::SessionStoreExt;
pub use index::IndexLayout;
pub use manager::{
    Created, Ended, Event, EventKind, Events, Flushed, Health, LoggedOut, ManagerOptions,
    NewSession, Pending, ReadPolicy, Recovery, SessionManager, SyncMode, WritePolicy,
};
#[doc(hidden)]
pub use manager::{Environment, JournalFile, WallClock};
pub use marks::Marks;
pub use memory::InMemorySessionStore;
pub use metadata::Metadata;
pub use record::Session;
pub use redacted_id::redacted_id;
pub use redis::RedisSessionStore;
pub use results::{BatchOutcome, SessionList, Touched};
pub use store::{
    Check, DEFAULT_TTL, Delete, Listed, Mode, REQUEST_LIFETIME, SessionStore, StoreFuture,
    StoreHealth, Stored, TtlRule, When, Write, Written,
};
pub use version::Version;
