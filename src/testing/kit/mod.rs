//! What speaks wiremock.

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
