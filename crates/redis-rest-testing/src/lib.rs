//! Test support for code that uses `redis-rest`: a fake Redis, and mocks for [`wiremock`].
//!
//! ```toml
//! [dev-dependencies]
//! redis-rest-testing = "0.1"
//! tokio = { version = "1", features = ["macros", "rt"] }
//! wiremock = "0.6"
//! ```
//!
//! * [`FakeRedis`] is a working Redis over HTTP in a [`wiremock::MockServer`], which keeps its
//!   data. Mocks in front of it simulate faults.
//! * Matchers select the requests of a mock: [`command`], [`with_key`], [`with_key_prefix`],
//!   [`with_args`], [`pipeline_of`], [`transaction_of`], [`any_pipeline`], [`any_transaction`],
//!   [`bearer`]. They combine with those of wiremock.
//! * Responders reply like a server, in base64, RESP2 or plain JSON as the request asks:
//!   [`result`], [`results`], [`redis_error`]. Faults are [`rate_limited`], [`lost_reply`],
//!   [`broken_connection`], [`html_502`], [`unauthorized`], and any other
//!   [`wiremock::ResponseTemplate`].
//!
//! Cases for a [`Backend`](redis_rest::backend::Backend) or a
//! [`SessionStore`](redis_rest::session::SessionStore) of your own are in
//! `redis_rest::conformance`, behind the feature `conformance` of that crate.
//!
//! # My code stores a session
//!
//! Scripts write sessions, so a mock would have to know what the scripts do. A [`FakeRedis`] runs
//! them, and its clock can be moved.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt};
//! use redis_rest_testing::FakeRedis;
//! use std::time::Duration;
//!
//! let redis = FakeRedis::start().await;
//! let store = RedisSessionStore::new(redis.client(), Duration::from_secs(3600)); // into the code under test
//!
//! let session = Session::new("user-1").org_id("org-1");
//! store.store_session(&session).await?;
//! assert_eq!(store.list_sessions("user-1").await?.sessions.len(), 1);
//!
//! redis.engine().advance(Duration::from_secs(3601));
//! assert!(matches!(store.retrieve_session(&session.id).await, Err(SessionError::NotFound)));
//! # Ok(()) }
//! ```
//!
//! # Redis is rate limited once
//!
//! A mock in front that responds to one request and then steps aside.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! use redis_rest_testing::{FakeRedis, command, rate_limited};
//! use std::time::Duration;
//! use wiremock::Mock;
//!
//! let redis = FakeRedis::start().await;
//! let limited = Mock::given(command("SET").with_key("name"))
//!     .respond_with(rate_limited(Duration::ZERO)) // the client waits for `Retry-After`
//!     .up_to_n_times(1);
//! redis.mount(limited).await; // the test fails if it never matches
//!
//! redis.client().set("name", "Ada").await?;
//! assert_eq!(redis.count("SET").await, 2);
//! # Ok(()) }
//! ```
//!
//! # The reply is lost, and the caller sees that it may have run
//!
//! [`FakeReply::lost`] runs the command and loses the reply. [`lost_reply`] and
//! [`broken_connection`] run nothing; the caller cannot tell the difference.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! use redis_rest_testing::{FakeRedis, command};
//! use wiremock::Mock;
//!
//! let redis = FakeRedis::start().await;
//! redis.mount(Mock::given(command("INCR")).respond_with(redis.reply().lost()).up_to_n_times(1)).await;
//!
//! let client = redis.client();
//! let error = client.incr("visits").await.unwrap_err();
//! assert!(error.maybe_applied());
//! assert_eq!(redis.count("INCR").await, 1); // it may not run twice, so it is not sent again
//! assert_eq!(client.get::<i64>("visits").await?, 1); // it had run
//! # Ok(()) }
//! ```
//!
//! # Redis is away for a while
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! use redis_rest_testing::{FakeRedis, html_502};
//!
//! let redis = FakeRedis::start().await;
//! let client = redis.client(); // its retries wait a millisecond or two
//! redis.go_down(html_502());
//! assert!(client.get::<String>("name").await.unwrap_err().is_transient());
//! redis.come_back();
//! assert_eq!(client.get::<Option<String>>("name").await?, None);
//! # Ok(()) }
//! ```
//!
//! # Commands that travel together
//!
//! A client sends commands that arrive while others are in flight as one `/pipeline`. The client of
//! a [`FakeRedis`] does so only if batching is enabled; for other clients see [`CommandMatch`].

mod fake;
mod matchers;
mod responders;
mod sent;
mod values;

pub use fake::{FakeRedis, FakeReply, TOKEN, config_for};
pub use matchers::{
    BatchMatch, BearerMatch, CommandMatch, any_pipeline, any_transaction, bearer, command,
    pipeline_of, transaction_of, with_args, with_key, with_key_prefix,
};
pub use responders::{
    RedisReplies, RedisReply, broken_connection, html_502, lost_reply, rate_limited, redis_error,
    result, results, unauthorized,
};
pub use sent::commands;
pub use values::ToValue;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
