//! Streams: entries with an id and fields, read by position or by groups of consumers.
//!
//! ```
//! use redis_rest::cmd::{Trim, xadd, xreadgroup};
//! let add = xadd("orders", "*", [("item", "tea"), ("price", "3")]).trim(Trim::max_len(10_000).roughly());
//! let next = xreadgroup::<std::collections::HashMap<String, String>>("packers", "anna", &[("orders", ">")]).count(10);
//! # let _ = (add, next);
//! ```

use super::expiry::whole_millis;
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, Command, Many, One, ToArg, ToArgs};
use crate::value::{ConvertError, FromValue, Value};
use std::time::Duration;

mod replies;
pub use replies::{
    AutoClaimed, Claimed, ClaimedIds, ConsumerInfo, GroupInfo, PendingEntry, PendingSummary,
    StreamEntry, StreamInfo,
};

calls! {
    /// The options of `XADD`: [`no_mkstream`](XAdd::no_mkstream), [`trim`](XAdd::trim),
    /// [`references`](XAdd::references).
    XAdd = Option<String>;
    /// The options of `XTRIM`: [`references`](XTrim::references).
    XTrim = u64;
    /// The option of `XRANGE` and `XREVRANGE`: [`count`](XRange::count).
    XRange;
    /// The option of `XREAD`: [`count`](XRead::count).
    XRead;
    /// The options of `XREADGROUP`: [`count`](XReadGroup::count), [`no_ack`](XReadGroup::no_ack).
    XReadGroup;
    /// The options of `XCLAIM`: [`idle`](XClaim::idle), [`retry_count`](XClaim::retry_count),
    /// [`force`](XClaim::force), [`just_ids`](XClaim::just_ids).
    XClaim;
    /// The options of `XAUTOCLAIM`: [`count`](XAutoClaim::count),
    /// [`just_ids`](XAutoClaim::just_ids).
    XAutoClaim;
    /// The option of `XPENDING` with a range: [`of_consumer`](XPending::of_consumer),
    /// [`idle`](XPending::idle).
    XPending = Vec<PendingEntry>;
    /// The option of `XGROUP CREATE`: [`mkstream`](XGroupCreate::mkstream),
    /// [`entries_read`](XGroupCreate::entries_read).
    XGroupCreate = ();
    /// The option of `XGROUP SETID`: [`entries_read`](XGroupSetId::entries_read).
    XGroupSetId = ();
    /// The option of `XDELEX` and `XACKDEL`: [`references`](XDelEx::references).
    XDelEx = Vec<Removal>;
    /// The option of `XINFO STREAM`: [`full`](XInfoStream::full).
    XInfoStream = StreamInfo;
}

/// The part of a stream that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trim {
    args: Vec<String>,
}

impl Trim {
    /// Keeps the last `count` entries.
    pub fn max_len(count: u64) -> Self {
        Self { args: vec!["MAXLEN".into(), "=".into(), count.to_string()] }
    }

    /// Keeps entries from this id on.
    pub fn min_id(id: impl Into<String>) -> Self {
        Self { args: vec!["MINID".into(), "=".into(), id.into()] }
    }

    /// Allows a few more entries to be kept if that is cheaper.
    #[must_use]
    pub fn roughly(mut self) -> Self {
        self.args[1] = "~".into();
        self
    }

    /// Removes at most this many entries at once; only with [`roughly`](Self::roughly).
    #[must_use]
    pub fn limit(mut self, count: u64) -> Self {
        self.args.extend(["LIMIT".into(), count.to_string()]);
        self
    }
}

impl ToArgs for Trim {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.args(&self.args);
    }
}

/// The treatment of references that groups of consumers hold to removed entries (Redis 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum References {
    /// Groups keep their references (the default).
    Keep,
    /// References are removed too.
    Delete,
    /// Removes only entries that all groups have acknowledged.
    Acknowledged,
}

impl References {
    fn name(self) -> &'static str {
        match self {
            Self::Keep => "KEEPREF",
            Self::Delete => "DELREF",
            Self::Acknowledged => "ACKED",
        }
    }
}

impl ToArgs for References {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(self.name().as_bytes());
    }
}

/// The result of removing an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// There is no such entry.
    Missing,
    /// The entry was removed.
    Removed,
    /// The entry stays, since not all groups have acknowledged it.
    Kept,
}

impl FromValue for Removal {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        match i64::from_value(value)? {
            -1 => Ok(Self::Missing),
            1 => Ok(Self::Removed),
            2 => Ok(Self::Kept),
            _ => Err(ConvertError::new("-1, 1 or 2", "another integer")),
        }
    }
}

/// Keys, followed by the id of each after which to read.
struct Positions<'a>(&'a [(&'a str, &'a str)]);

impl ToArgs for Positions<'_> {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        self.0.iter().for_each(|(key, _)| out.arg(key));
        self.0.iter().for_each(|(_, id)| out.arg(id));
    }
}

/// The reply to reading several streams: each key with its entries. `None` if there is nothing new.
pub type StreamReads<R> = Option<Vec<(String, Vec<StreamEntry<R>>)>>;

commands! { "stream", "Streams";
    /// Adds an entry with this id (`*`: the next one) and fields, given as pairs; returns its id, nil if there is no stream and
    /// none is to be made.
    fn xadd(key: impl ToArg, id: impl ToArg, fields: impl ToArgs) -> Option<String> as XAdd = "XADD" [key, id, (even fields)], NonIdempotent, "5.0.0";
    /// Removes old entries; returns how many.
    fn xtrim(key: impl ToArg, keep: Trim) -> u64 as XTrim = "XTRIM" [key, ..keep], EffectIdempotent, "5.0.0" @ -4;
    /// Removes entries; returns how many there were.
    fn xdel(key: impl ToArg, ids: impl ToArgs) -> u64 = "XDEL" [key, ..ids], EffectIdempotent, "5.0.0";
    /// Removes entries; returns what became of each.
    fn xdelex(key: impl ToArg, ids: impl ToArgs) -> Vec<Removal> as XDelEx = "XDELEX" [key, "IDS", (count ids)], EffectIdempotent, "8.2.0";
    /// Counts the entries.
    fn xlen(key: impl ToArg) -> u64 = "XLEN" [key], ReadOnly, "5.0.0";
    /// Returns the entries from `start` to `end`, both included (`-` and `+` are the ends, `(`
    /// before an id leaves it out).
    fn xrange<R>(key: impl ToArg, start: impl ToArg, end: impl ToArg) -> Vec<StreamEntry<R>> as XRange
        = "XRANGE" [key, start, end], ReadOnly, "5.0.0";
    /// Returns the entries from `end` back to `start`, both included.
    fn xrevrange<R>(key: impl ToArg, end: impl ToArg, start: impl ToArg) -> Vec<StreamEntry<R>> as XRange
        = "XREVRANGE" [key, end, start], ReadOnly, "5.0.0";
    /// Returns the entries of streams after an id, given as pairs of key and id.
    fn xread<R>(after: &[(&str, &str)]) -> StreamReads<R> as XRead = "XREAD" ["STREAMS", ..Positions(after)], ReadOnly, "5.0.0" @ -4, MAY_BLOCK;
    /// Returns new entries of streams for a consumer of a group (`>`), or those it has not acknowledged (after an id).
    fn xreadgroup<R>(group: impl ToArg, consumer: impl ToArg, after: &[(&str, &str)]) -> StreamReads<R> as XReadGroup
        = "XREADGROUP" ["GROUP", group, consumer, "STREAMS", ..Positions(after)], NonIdempotent, "5.0.0" @ -7, MAY_BLOCK;
    /// Acknowledges entries; returns how many were pending.
    fn xack(key: impl ToArg, group: impl ToArg, ids: impl ToArgs) -> u64 = "XACK" [key, group, ..ids], EffectIdempotent, "5.0.0";
    /// Acknowledges entries and removes them; returns what became of each.
    fn xackdel(key: impl ToArg, group: impl ToArg, ids: impl ToArgs) -> Vec<Removal> as XDelEx
        = "XACKDEL" [key, group, "IDS", (count ids)], EffectIdempotent, "8.2.0";
    /// Summarises the entries that a group has not acknowledged.
    fn xpending(key: impl ToArg, group: impl ToArg) -> PendingSummary = "XPENDING" [key, group], ReadOnly, "5.0.0" @ -3;
    /// Returns the entries that a group has not acknowledged, from `start` to `end`, at most `count`.
    fn xpending_range(key: impl ToArg, group: impl ToArg, start: impl ToArg, end: impl ToArg, count: u64) -> Vec<PendingEntry> as XPending
        = "XPENDING" [key, group, start, end, count], ReadOnly, "5.0.0" @ -3;
    /// Transfers entries that were idle for at least `idle` to `consumer`, and returns them.
    fn xclaim<R>(key: impl ToArg, group: impl ToArg, consumer: impl ToArg, idle: Duration, ids: impl ToArgs) -> Claimed<R> as XClaim
        = "XCLAIM" [key, group, consumer, whole_millis(idle), ..ids], NonIdempotent, "5.0.0";
    /// Makes the entries from `start` on that were idle for so long a consumer's own; returns them, and where to go on.
    fn xautoclaim<R>(key: impl ToArg, group: impl ToArg, consumer: impl ToArg, idle: Duration, start: impl ToArg) -> AutoClaimed<R> as XAutoClaim
        = "XAUTOCLAIM" [key, group, consumer, whole_millis(idle), start], NonIdempotent, "6.2.0";
    /// Creates a group that begins after an id (`$`: the last, `0`: the beginning).
    fn xgroup_create(key: impl ToArg, group: impl ToArg, id: impl ToArg) -> () as XGroupCreate
        = "XGROUP CREATE" [key, group, id], EffectIdempotent, "5.0.0";
    /// Makes a consumer; true if there was none.
    fn xgroup_createconsumer(key: impl ToArg, group: impl ToArg, consumer: impl ToArg) -> bool
        = "XGROUP CREATECONSUMER" [key, group, consumer], EffectIdempotent, "6.2.0";
    /// Removes a consumer; returns how many entries it had not acknowledged.
    fn xgroup_delconsumer(key: impl ToArg, group: impl ToArg, consumer: impl ToArg) -> u64
        = "XGROUP DELCONSUMER" [key, group, consumer], EffectIdempotent, "5.0.0";
    /// Removes a group; true if there was one.
    fn xgroup_destroy(key: impl ToArg, group: impl ToArg) -> bool = "XGROUP DESTROY" [key, group], EffectIdempotent, "5.0.0";
    /// Makes a group continue after another id.
    fn xgroup_setid(key: impl ToArg, group: impl ToArg, id: impl ToArg) -> () as XGroupSetId
        = "XGROUP SETID" [key, group, id], ByArguments, "5.0.0";
    /// Sets the id after which the next entry is added.
    fn xsetid(key: impl ToArg, id: impl ToArg) -> () = "XSETID" [key, id], Idempotent, "5.0.0" @ -3;
    /// Returns facts about a stream.
    fn xinfo_stream(key: impl ToArg) -> StreamInfo as XInfoStream = "XINFO STREAM" [key], ReadOnly, "5.0.0";
    /// Returns the groups of a stream.
    fn xinfo_groups(key: impl ToArg) -> Vec<GroupInfo> = "XINFO GROUPS" [key], ReadOnly, "5.0.0";
    /// Returns the consumers of a group.
    fn xinfo_consumers(key: impl ToArg, group: impl ToArg) -> Vec<ConsumerInfo> = "XINFO CONSUMERS" [key, group], ReadOnly, "5.0.0";
}

options! { XAdd on Option<String>;
    /// Does not create the stream.
    fn no_mkstream() = "NOMKSTREAM" @ 1;
}

impl<X> XAdd<Option<String>, X> {
    /// Removes old entries at the same time.
    #[doc(alias = "MAXLEN")]
    #[doc(alias = "MINID")]
    pub fn trim(self, keep: Trim) -> Self {
        let add = |command: Command, arg: &String| command.insert_args(1, [arg.as_bytes()]);
        Self(self.0.map(|command| keep.args.iter().rev().fold(command, add)))
    }

    /// Sets the treatment of references that groups hold to removed entries (Redis 8.2).
    #[doc(alias = "KEEPREF")]
    #[doc(alias = "DELREF")]
    #[doc(alias = "ACKED")]
    pub fn references(self, references: References) -> Self {
        Self(self.0.map(|command| command.insert_args(1, [references.name().as_bytes()])))
    }
}

impl<X> XTrim<u64, X> {
    /// Sets the treatment of references that groups hold to removed entries (Redis 8.2).
    #[doc(alias = "KEEPREF")]
    #[doc(alias = "DELREF")]
    #[doc(alias = "ACKED")]
    pub fn references(self, references: References) -> Self {
        Self(self.0.map(|command| command.arg(references)))
    }
}

impl<X> XDelEx<Vec<Removal>, X> {
    /// Sets the treatment of references that groups hold to these entries.
    #[doc(alias = "KEEPREF")]
    #[doc(alias = "DELREF")]
    #[doc(alias = "ACKED")]
    pub fn references(self, references: References) -> Self {
        Self(self.0.map(|command| {
            let before_ids = if command.is("XDELEX") { 1 } else { 2 };
            command.insert_args(before_ids, [references.name().as_bytes()])
        }))
    }
}

options! { XRange<R>;
    /// Returns at most `count`.
    fn count(count: u64) = "COUNT" [count];
}

options! { XRead<R> on StreamReads<R>;
    /// Returns at most `count` of each stream.
    fn count(count: u64) = "COUNT" @ 0;
}

options! { XReadGroup<R> on StreamReads<R>;
    /// Returns at most `count` of each stream.
    fn count(count: u64) = "COUNT" @ 3;
    /// Counts the entries as acknowledged.
    fn no_ack() = "NOACK" @ 3;
}

options! { XClaim<R>;
    /// Sets the number of deliveries.
    fn retry_count(count: u64) = "RETRYCOUNT" [count];
    /// Includes entries that are not pending.
    fn force() = "FORCE" [];
    /// Sets the idle time.
    fn idle(idle: Duration) = "IDLE" [whole_millis(idle)];
    /// Returns only their ids, and does not count as a delivery.
    fn just_ids() -> Vec<String> = "JUSTID" [];
}

options! { XAutoClaim<R>;
    /// Examines about this many entries; Redis's default is 100.
    fn count(count: u64) = "COUNT" [count];
    /// Returns only their ids, and does not count as a delivery.
    fn just_ids() -> ClaimedIds = "JUSTID" [];
}

impl<X> XPending<Vec<PendingEntry>, X> {
    /// Restricts to this consumer.
    pub fn of_consumer(self, consumer: impl ToArg) -> Self {
        Self(self.0.map(|command| command.arg(consumer)))
    }

    /// Restricts to entries idle for at least this time (Redis 6.2).
    #[doc(alias = "IDLE")]
    pub fn idle(self, idle: Duration) -> Self {
        let idle = whole_millis(idle).to_string();
        Self(self.0.map(|command| command.insert_args(2, [b"IDLE", idle.as_bytes()])))
    }
}

options! { XGroupCreate on ();
    /// Creates the stream if there is none.
    fn mkstream() = "MKSTREAM" [];
    /// Sets how many entries count as read (Redis 7.0).
    fn entries_read(count: u64) = "ENTRIESREAD" [count];
}

options! { XGroupSetId on ();
    /// Sets how many entries count as read (Redis 7.0).
    fn entries_read(count: u64) = "ENTRIESREAD" [count];
}

options! { XInfoStream on StreamInfo;
    /// Returns everything, with groups, consumers and entries, as Redis lists it (Redis 6.0).
    fn full() -> Value = "FULL" [];
}

finish! { XAdd XTrim XRange XRead XReadGroup XClaim XAutoClaim XPending XGroupCreate XGroupSetId XDelEx XInfoStream }
