//! Targets and events of subscriptions.

use bytes::Bytes;
use std::fmt;

/// The subject of a subscription on one connection.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscriptionTarget {
    /// A channel.
    Channel(Bytes),
    /// All channels that match a glob pattern.
    Pattern(Bytes),
    /// All commands that the server runs.
    Monitor,
}

/// Shows no name.
impl fmt::Debug for SubscriptionTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel(_) => "Channel",
            Self::Pattern(_) => "Pattern",
            Self::Monitor => "Monitor",
        })
    }
}

/// A published message.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Message {
    /// The channel. Over REST, the channel of a subscription by pattern ends at the first comma up
    /// to which it matches the pattern, because the protocol separates channel and payload by a
    /// comma; `redis-rest serve` marks the end for this client.
    pub channel: Bytes,
    /// The matching pattern, for a subscription by pattern.
    pub pattern: Option<Bytes>,
    /// The published bytes. Over REST they are text in lines: the server puts U+FFFD for bytes that
    /// are not UTF-8, and `\n` for `\r` and `\r\n`. Nothing is lost between `redis-rest serve` and
    /// this client, except on `wasm32`.
    pub payload: Bytes,
}

impl Message {
    /// Creates a message on `channel`; with a pattern, for a subscription by it.
    pub fn new(pattern: Option<Bytes>, channel: Bytes, payload: Bytes) -> Self {
        Self { channel, pattern, payload }
    }

    /// Returns the payload as text, with U+FFFD for bytes that are not UTF-8.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }
}

/// Shows lengths only: messages may be secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.payload.len())
    }
}

/// An event of a subscription.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server publishes messages of this name (a channel or a pattern; empty for a monitor)
    /// from now on.
    Subscribed(Bytes),
    /// A message.
    Message(Message),
    /// A command that the server ran, in the server's format: time, database and address, name and
    /// arguments.
    Command(Bytes),
    /// The connection was lost and restored. Messages published in between are lost: Redis keeps
    /// nothing.
    Gap,
    /// The connection is alive. Backends report it; subscriptions do not pass it on.
    KeepAlive,
}

/// Shows no name, and only the length of commands and messages.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribed(_) => f.write_str("Subscribed"),
            Self::Message(message) => message.fmt(f),
            Self::Command(text) => write!(f, "Command({} bytes)", text.len()),
            Self::Gap => f.write_str("Gap"),
            Self::KeepAlive => f.write_str("KeepAlive"),
        }
    }
}
