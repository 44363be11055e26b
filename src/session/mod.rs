//! Sessions on top of Redis.

mod batch;
mod duration;
mod error;
mod events;
mod id;
mod index;
mod lru;
mod manager;
mod memory;
mod metadata;
mod reconcile;
mod record;
mod redis;
mod scripts;
mod store;
mod workspace;

pub use error::{Conflict, SessionError};
pub use events::{Event, EventKind, Events};
pub use index::IndexLayout;
pub use manager::{Flushed, ManagerOptions, NewSession, Pending, Recovery, SessionManager, SyncMode};
pub use memory::InMemorySessionStore;
pub use metadata::Metadata;
pub use reconcile::{PendingPut, Reconciled, TtlRule};
pub use record::Session;
pub use redis::{DEFAULT_TTL, RedisSessionStore};
pub use store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
