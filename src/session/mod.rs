//! Sessions on top of Redis.

mod batch;
mod duration;
mod error;
mod id;
mod index;
mod metadata;
mod record;
mod redis;
mod scripts;
mod store;

pub use error::{Conflict, SessionError};
pub use index::IndexLayout;
pub use metadata::Metadata;
pub use record::Session;
pub use redis::{DEFAULT_TTL, RedisSessionStore};
pub use store::{BatchOutcome, SessionList, SessionStore, StoreFuture, Touched};
