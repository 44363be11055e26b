//! Redis over HTTP: a client that says whether your command ran, and sessions that survive an
//! outage.
//!
//! ```no_run
//! # #[tokio::main]
//! # async fn main() -> redis_rest::Result<()> {
//! use redis_rest::{Client, cmd};
//! use std::time::Duration;
//!
//! let client = Client::from_env()?; // REDIS_REST_URL, REDIS_REST_TOKEN
//! client.set("name", "Ada").ex(Duration::from_secs(60)).await?;
//! let name: Option<String> = client.get("name").await?;
//!
//! let mut pipe = client.pipeline(); // one request
//! let visits = pipe.add(cmd::incr("visits"));
//! let visits: i64 = pipe.send().await?.take(visits)?;
//!
//! match client.incr("orders").await {
//!     Ok(orders) => println!("{name:?} {visits} {orders}"),
//!     Err(error) if error.maybe_applied() => println!("the reply was lost: look before you count again"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(()) }
//! ```
//!
//! # Map
//!
//! | you want | look at |
//! |---|---|
//! | a book, from the quick start on | [`guide`], or your question in [`guide::how_do_i`] |
//! | commands, typed | [`Client`], by Redis's groups; the same as data: [`mod@cmd`], [`Command`] |
//! | arguments and replies | [`ToArgs`], [`FromValue`], [`Json`], [`Fields`], [`Value`] |
//! | several commands at once | [`Client::pipeline`], [`Client::transaction`], [`Script`] |
//! | all keys, or what is published | [`Client::scan`], [`Client::subscribe`] |
//! | settings | [`Config`], [`RetryPolicy`] |
//! | what went wrong, and whether it ran | [`Error`], [`Outcome`], [`ErrorKind`] |
//! | sessions | [`session::SessionManager`], [`session::RedisSessionStore`] |
//! | TCP, two protocols, a backend of your own | [`backend`] |
//! | spans and metrics | [`observe`] |
//!
//! ![The crates, and the way of a call][architecture.svg]
//!
//! # Features
//!
//! Every feature only adds.
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `rustls` | TLS for `https://`, and for `rediss://` with `native` | yes |
//! | `webpki-roots` | [`Config`]`::webpki_roots`: Mozilla's root certificates in the program, instead of the platform's | |
//! | `reqwest` | `backend::rest::ReqwestTransport`: a client of the `reqwest` crate with settings of your own (SOCKS, client certificates) | |
//! | `native` | `backend::native`: Redis over TCP, with TLS, Sentinel and Cluster; `Client::redis_rs`: the commands of the `redis` crate over a client | |
//! | `conformance` | `conformance`: the cases that hold for every backend and every session store | |
//! | `metrics` | counts, latencies and levels through the `metrics` facade; see [`observe`] | |
//! | `backoff` | accepts a `backoff::ExponentialBackoff` as the retry policy (that crate is unmaintained) | |
//!
//! # Other crates
//!
//! | crate | what it is |
//! |---|---|
//! | `redis-rest-tower` | the session store of tower-sessions, for axum: [`guide::axum`] |
//! | `redis-rest-testing` | a fake Redis, matchers and responders for `wiremock`: [`guide::testing`] |
//! | `redis-rest-server` | the REST protocol in front of any backend, and an embedded engine with real Lua 5.1 |
//! | `redis-rest-cli` | the tool `redis-rest`: `serve`, `doctor`, `exec`, `repl`, `sessions` …: [`guide::tool`] |
//!
#![cfg_attr(doc, doc = include_str!("../docs/pictures/rustdoc/architecture.svg.md"))]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Its page begins with these methods; the commands follow.
mod client;

pub mod backend;
mod clock;
mod command;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod glob;
pub mod guide;
#[doc(hidden)]
pub mod internal;
pub mod observe;
mod platform;
mod retry;
mod secret;
pub mod session;
mod value;

pub use backend::rest::{Config, Encoding};
pub use backend::{Event, Message, SubscriptionTarget};
#[cfg(feature = "native")]
pub use client::RedisRs;
pub use client::{
    Bound, Client, Pipeline, Replies, ReplyHandle, ReplyHandles, ScanStream, Subscription,
    Transaction,
};
pub use command::{
    ArgWriter, Args, Call, CallOptions, Command, Count, Element, ExactlyOne, Group, Idempotency,
    Many, One, Script, ScriptCall, ToArg, ToArgs, Unbound, UnboundCall, UnixTime, cmd,
};
pub use error::{Error, ErrorKind, Outcome, Result, ServerError, ServerErrorClass};
pub use platform::{BoxFuture, BoxStream, MaybeSend};
pub use retry::RetryPolicy;
pub use retry::breaker::{BreakerPolicy, BreakerState};
pub use value::{ConvertError, Fields, FromValue, Json, Lossy, Value};

/// The names that most programs use: `use redis_rest::prelude::*`. None of them is also one of
/// axum, of tower-sessions or of the standard prelude: [`Json`], [`Result`] and
/// [`session::Session`] are left out.
pub mod prelude {
    pub use crate::session::SessionStoreExt as _;
    pub use crate::{Args, Client, Config, ErrorKind, Fields, Outcome, Script, UnixTime, cmd};
}

/// Typed commands to put into a pipeline or a transaction, and the markers of their options.
pub mod cmd {
    pub use crate::command::groups::*;
    #[doc(hidden)]
    pub use crate::command::table::{Flags, Keys, Row, find, named};
}
