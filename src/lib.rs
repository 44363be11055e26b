//! Redis over HTTP.

pub mod backend;
mod client;
mod clock;
mod command;
mod config;
mod error;
mod pipeline;
mod platform;
mod retry;
mod script;
pub mod session;
mod value;

pub use client::Client;
pub use command::{ArgWriter, CallOptions, Command, Detached, Plain, ReplaySafety, Row, ToArg, ToArgs, Typed, cmd};
pub use config::Config;
pub use error::{Error, ErrorKind, Outcome, Result, ServerError};
pub use pipeline::{Pipeline, Replies, Slot, Transaction};
pub use platform::{BoxFuture, MaybeSend};
pub use retry::RetryPolicy;
pub use script::{Call as ScriptCall, Script};
pub use value::{ConvertError, FromValue, Json, Value};

/// Typed commands to put into a pipeline or a transaction, and the markers of their options.
pub mod cmd {
    pub use crate::command::groups::*;
}
