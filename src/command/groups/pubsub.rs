//! Channels. [`Client::subscribe`](crate::Client::subscribe) receives what is published.
//!
//! ```
//! # use redis_rest::Client;
//! # use redis_rest_server::MemoryBackend;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> redis_rest::Result<()> {
//! # let client = Client::from_backend(MemoryBackend::new());
//! assert_eq!(client.publish("news", "hello").await?, 0); // nobody listens
//! # Ok(()) }
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ToArg, ToArgs};

calls! {
    /// The option of `PUBSUB CHANNELS`: [`pattern`](PubSubChannels::pattern).
    PubSubChannels = Vec<String>;
}

commands! { "pubsub", "Publishing";
    /// Sends a message; returns how many receive it now.
    fn publish(channel: impl ToArg, message: impl ToArg) -> u64 = "PUBLISH" [channel, message], NonIdempotent, "2.0.0";
    /// Sends a message to a channel of a shard; returns how many receive it now.
    fn spublish(channel: impl ToArg, message: impl ToArg) -> u64 = "SPUBLISH" [channel, message], NonIdempotent, "7.0.0";
    /// Returns the channels with subscribers, without subscriptions by pattern.
    fn pubsub_channels() -> Vec<String> as PubSubChannels = "PUBSUB CHANNELS" [], ReadOnly, "2.8.0";
    /// Counts the subscribers of each channel, those by pattern aside.
    fn pubsub_numsub(channels: impl ToArgs) -> Vec<(String, u64)> = "PUBSUB NUMSUB" [..channels], ReadOnly, "2.8.0" @ -2;
    /// Counts the patterns that have subscribers.
    fn pubsub_numpat() -> u64 = "PUBSUB NUMPAT" [], ReadOnly, "2.8.0";
    /// Returns the channels of shards with subscribers.
    fn pubsub_shardchannels() -> Vec<String> as PubSubChannels = "PUBSUB SHARDCHANNELS" [], ReadOnly, "7.0.0";
    /// Counts the subscribers of each channel of a shard.
    fn pubsub_shardnumsub(channels: impl ToArgs) -> Vec<(String, u64)> = "PUBSUB SHARDNUMSUB" [..channels], ReadOnly, "7.0.0" @ -2;
}

options! { PubSubChannels on Vec<String>;
    /// Restricts to names that match this glob pattern.
    fn pattern(pattern: impl ToArg) -> Vec<String> = [pattern];
}

finish! { PubSubChannels }
