//! Redis over HTTP: a client for Upstash-style REST servers, a session store on top of it, and the parts around them.
//!
//! ```
//! # async fn run() -> redis_rest::Result<()> {
//! use redis_rest::Client;
//! let client = Client::from_env()?;
//! client.set("name", "Ada").await?;
//! let name: Option<String> = client.get("name").await?;
//! # Ok(()) }
//! ```
//!
//! # The parts
//!
//! * [`Client`]: typed calls, [pipelines](Client::pipeline), [transactions](Client::transaction), [scripts](Script). Its
//!   settings and their defaults are in [`Config`]. [Scans](ScanStream) and [subscriptions](Subscription) are streams.
//! * [`Command`] and [`mod@cmd`]: commands as data. [`Value`] and [`FromValue`]: replies, and how they become your types.
//! * [`session`]: sessions as JSON records, with an index for each user.
//! * [`Error`]: what went wrong, and by [`Error::outcome`] whether the command ran. [`RetryPolicy`]: when it is tried again.
//! * [`guide`]: a short book, from the quick start to moving from other libraries.
//! * [`backend`]: what executes commands. Over HTTP by default; over TCP and in this process behind features.
//! * [`observe`]: the spans and the metrics that there are.
//!
//! # Features
//!
//! Every feature only adds.
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `rustls` | TLS for `https://`, and for `rediss://` with `native` | yes |
//! | `webpki-roots` | [`Config`]`::webpki_roots`: Mozilla's root certificates in the program, instead of the platform's | |
//! | `reqwest` | `backend::rest::ReqwestTransport`: a client of the `reqwest` crate with settings of your own (proxies, client certificates) | |
//! | `native` | `backend::native`: Redis over TCP, with TLS, Sentinel and Cluster; `Client::redis_rs`: the commands of the `redis` crate over a client | |
//! | `conformance` | `conformance`: the cases that hold for every backend and every session store | |
//! | `metrics` | counts, latencies and levels through the `metrics` facade; see [`observe`] | |
//! | `backoff` | accepts a `backoff::ExponentialBackoff` as the retry policy (that crate is unmaintained) | |
//!
//! # Other crates
//!
//! | crate | what it is |
//! |---|---|
//! | `redis-rest-server` | the REST protocol in front of any backend, and an embedded engine for tests and offline work, with real Lua 5.1 |
//! | `redis-rest-testing` | a fake Redis, matchers and responders for `wiremock` |
//! | `redis-rest-tower` | the session store of tower-sessions, for axum |
//! | `redis-rest-cli` | the tool `redis-rest`: `serve`, `exec`, `repl`, `scan`, `subscribe`, `sessions`, `bench`, `doctor` … |

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

/// The names that most programs use: `use redis_rest::prelude::*`. None of them is also one of axum, of tower-sessions or of the
/// standard prelude: [`Json`], [`Result`] and [`session::Session`] are left out.
pub mod prelude {
    pub use crate::session::SessionStoreExt as _;
    pub use crate::{Args, Client, Config, ErrorKind, Fields, Outcome, Script, UnixTime, cmd};
}

/// Typed commands to put into a pipeline or a transaction, and the markers of their options.
pub mod cmd {
    #[doc(hidden)]
    pub use crate::command::Row;
    pub use crate::command::groups::*;
}

/// The examples of the README compile.
#[cfg(all(doctest, feature = "native"))]
#[doc = include_str!("../README.md")]
struct Readme;
