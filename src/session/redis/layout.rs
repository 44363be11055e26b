//! [`Layout`]: how the requests of a store become scripts; and what both layouts make of a write and of a delete.

use super::{RedisSessionStore, cluster, single_node};
use crate::command::{Call, ScriptCall, Unbound, cmd};
use crate::error::{Error, ErrorKind};
use crate::session::error::SessionError;
use crate::session::marks::Marks;
use crate::session::record::Original;
use crate::session::scripts;
use crate::session::store::{Delete, Mode, TtlRule, When, Write, Written};
use crate::session::version::{Hash, Version};
use crate::value::{FromValue as _, Value};
use bytes::Bytes;
use std::time::Duration;

/// The layout of sessions over keys and slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// All keys are on one server.
    SingleNode,
    /// Keys are on many servers: each script keeps to one hash slot.
    Cluster,
}

impl RedisSessionStore {
    /// Reads sessions in one request, without a script.
    pub(super) async fn read_keys(&self, ids: &[&str]) -> Vec<Result<Found, SessionError>> {
        match self.layout {
            Layout::SingleNode => single_node::read(self, ids).await,
            Layout::Cluster => cluster::read(self, ids).await,
        }
    }

    /// Reads records alone in one request. A key of another type counts as absent.
    pub(super) async fn read_texts(
        &self,
        ids: &[&str],
    ) -> Vec<Result<Option<Bytes>, SessionError>> {
        match self.layout {
            Layout::SingleNode => single_node::texts(self, ids).await,
            Layout::Cluster => cluster::texts(self, ids).await,
        }
    }

    /// Writes sessions in one batch. The reply of the script function `write` for each.
    pub(super) async fn write_batch(
        &self,
        writes: &[&StagedWrite<'_>],
    ) -> Vec<Result<Value, SessionError>> {
        match self.layout {
            Layout::SingleNode => single_node::write(self, writes).await,
            Layout::Cluster => cluster::write(self, writes).await,
        }
    }

    /// Deletes sessions in one batch; true for those that were there.
    pub(super) async fn delete_batch(
        &self,
        deletes: &[&Delete<'_>],
    ) -> Vec<Result<bool, SessionError>> {
        match self.layout {
            Layout::SingleNode => single_node::delete(self, deletes).await,
            Layout::Cluster => cluster::delete(self, deletes).await,
        }
    }

    /// Removes those of a user's ids that have no session; with `twice`, also the second of an id
    /// that is there twice.
    pub(super) async fn prune_ids(
        &self,
        user_id: &str,
        ids: &[&str],
        twice: bool,
    ) -> Result<usize, SessionError> {
        match self.layout {
            Layout::SingleNode => single_node::prune(self, user_id, ids, twice).await,
            Layout::Cluster => cluster::prune(self, user_id, ids).await,
        }
    }
}

/// The contents of a session's keys.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) record: Option<Bytes>,
    pub(super) meta: Option<Bytes>,
    /// The reply of `PTTL`.
    pub(super) left: i64,
}

/// The milliseconds that a key has left: -1 for one without an end, -2 for none.
pub(super) fn pttl(key: Vec<u8>) -> Call<i64, Unbound> {
    Call::new(cmd("PTTL").arg(key))
}

/// The effect of a write on the record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    Written,
    /// Fails unless the record is already as written.
    Same,
    /// Leaves the record alone, also if others wrote it since this crate did.
    Ignored,
}

/// A write as the scripts take it.
pub(super) struct StagedWrite<'a> {
    pub(super) write: &'a Write<'a>,
    /// The record, if it is written.
    text: String,
    record: Record,
    /// The size of the record, also if it is not sent: a refusal may return as much.
    pub(super) size: usize,
    /// The version that is there if the session is written.
    version: Version,
    rule: &'static str,
    /// In milliseconds.
    pub(super) ttl: u64,
}

impl<'a> StagedWrite<'a> {
    pub(super) fn new(
        store: &RedisSessionStore,
        write: &'a Write<'a>,
    ) -> Result<Self, SessionError> {
        let session = write.session;
        store.check(&session.id)?;
        let (text, original) = session.encode()?;
        let size = text.len();
        let hash = || original.map_or_else(|| Hash::of(text.as_bytes()), Original::hash);
        let (version, record) = match write.mode {
            Mode::Create { .. } => (Version::created(write).with_hash(hash()), Record::Written),
            Mode::Replace(base)
                if !write.content && original.is_some_and(|read| base.is_of_record(read)) =>
            {
                (base.moved(write), Record::Ignored)
            }
            Mode::Replace(base) => {
                let hash = hash();
                let same = base.hash() == Some(hash);
                let record = if same { Record::Same } else { Record::Written };
                (base.replaced(write).with_hash(hash), record)
            }
        };
        let slides = !matches!(write.mode, Mode::Replace(base) if base.has_explicit_ttl());
        let (rule, ttl) = match write.ttl {
            TtlRule::Slide(ttl) if slides => ("slide", ttl),
            TtlRule::Set(ttl) | TtlRule::Restart(ttl) => ("set", ttl),
            // For a create.
            TtlRule::Slide(ttl) => ("keep", ttl),
            TtlRule::Keep => ("keep", store.default_ttl()),
        };
        let ttl = store.ttl_millis(ttl, session.created_at);
        let text = if record == Record::Written { text.into_owned() } else { String::new() };
        Ok(Self { write, text, record, size, version, rule, ttl })
    }

    pub(super) fn id(&self) -> &'a str {
        &self.write.session.id
    }

    pub(super) fn user_id(&self) -> &'a str {
        &self.write.session.user_id
    }

    pub(super) fn creates(&self) -> bool {
        matches!(self.write.mode, Mode::Create { .. })
    }

    pub(super) fn keeps_end(&self) -> bool {
        !self.creates() && self.rule == "keep"
    }

    /// Whether the result of a second run shows what the first did, whose reply was lost.
    pub(super) fn shows_first_run(&self, again: &Result<Written, SessionError>) -> bool {
        match again {
            // A session that is gone, or was never created.
            Ok(Written::Written { .. } | Written::Gone | Written::LoggedOut(_)) => true,
            Ok(Written::Changed(now) | Written::Exists(now)) => now.version.has(self.write),
            Err(_) => false,
        }
    }

    /// The log-outs that a creator knows.
    pub(super) fn marks(&self) -> String {
        match self.write.mode {
            Mode::Create { marks, .. } => marks.to_string(),
            Mode::Replace(_) => String::new(),
        }
    }

    /// Adds the arguments of the script function `write`, from `mode` on but the last.
    pub(super) fn add_args(&self, call: ScriptCall) -> ScriptCall {
        let (mode, known, hash) = match self.write.mode {
            Mode::Create { reuse: false, .. } => ("create", self.marks(), String::new()),
            Mode::Create { reuse: true, .. } => ("reuse", self.marks(), String::new()),
            Mode::Replace(base) if self.record == Record::Ignored => {
                ("replace", base.write_text(), "any".to_owned())
            }
            Mode::Replace(base) => {
                let hash = base.hash().map(|hash| hash.to_string()).unwrap_or_default();
                ("replace", base.write_text(), hash)
            }
        };
        call.arg(mode)
            .arg(&self.text)
            .arg(known)
            .arg(hash)
            .arg(self.version.meta())
            .arg(self.rule)
            .arg(self.ttl)
    }

    /// The result, from the reply of `write`.
    pub(super) fn written(&self, reply: Value) -> Result<Written, SessionError> {
        let (code, mut parts) = coded(reply)?;
        let mut part = || parts.next().unwrap_or(Value::Nil);
        match code {
            scripts::WRITTEN => {
                let left = i64::from_value(part()).map_err(Error::from)?;
                Ok(Written::Written { version: self.version.clone(), ttl: ttl_of(left) })
            }
            scripts::GONE => Ok(Written::Gone),
            scripts::LOGGED_OUT => {
                let text = String::from_value(part()).map_err(Error::from)?;
                // A caller could not learn what cannot be read.
                Marks::parse(&text)
                    .map(Written::LoggedOut)
                    .ok_or(SessionError::Corrupt { field: "log_outs" })
            }
            scripts::CHANGED | scripts::EXISTS => {
                let record = Bytes::from_value(part()).map_err(Error::from)?;
                let meta = Option::<Bytes>::from_value(part()).map_err(Error::from)?;
                let left = i64::from_value(part()).map_err(Error::from)?;
                let stored = super::read::stored(self.id(), &record, meta.as_deref(), left)?;
                Ok(match code {
                    _ if stored.version.is_of(self.write.id) => {
                        Written::Written { version: stored.version, ttl: stored.ttl }
                    }
                    scripts::EXISTS => Written::Exists(Box::new(stored)),
                    _ => Written::Changed(Box::new(stored)),
                })
            }
            code => Err(scripts::refusal(code)),
        }
    }
}

/// The code of a reply, and the rest.
pub(super) fn coded(
    reply: Value,
) -> Result<(i64, impl Iterator<Item = Value> + use<>), SessionError> {
    let mut parts = Vec::<Value>::from_value(reply).map_err(Error::from)?.into_iter();
    match parts.next() {
        Some(Value::Int(code)) => Ok((code, parts)),
        _ => Err(Error::new(ErrorKind::Conversion, "a script returned no code").into()),
    }
}

/// A time to live as `PTTL` returns it.
pub(super) fn ttl_of(left: i64) -> Option<Duration> {
    u64::try_from(left).ok().map(Duration::from_millis)
}

/// Adds the arguments of the script function `delete`, from `id` on. The tombstone lives for at
/// least `mark_for` ms.
pub(super) fn add_delete(call: ScriptCall, delete: &Delete<'_>, mark_for: u64) -> ScriptCall {
    let (when, one, two) = match delete.when {
        When::Always => ("always", String::new(), None),
        When::Unchanged(version) => ("unchanged", version.write_text(), version.hash()),
        When::UnlessKnown(log_out) if delete.user_id.is_some() => {
            ("theirs", log_out.to_string(), None)
        }
        When::UnlessKnown(log_out) => ("unless", log_out.to_string(), None),
        When::Made(create) => ("made", create.to_string(), None),
    };
    let two = two.map(|hash| hash.to_string()).unwrap_or_default();
    call.arg(delete.id.to_string()).arg(mark_for).arg(when).arg(one).arg(two)
}

/// A further argument of the script that deletes a record alone.
#[derive(Clone, Copy)]
pub(super) enum Also {
    Nothing,
    /// Returns the record.
    Text,
    /// Deletes nothing if there is a record.
    Absent,
}

/// The call that deletes the record alone.
pub(super) fn delete_record(
    store: &RedisSessionStore,
    delete: &Delete<'_>,
    mark_for: u64,
    also: Also,
) -> ScriptCall {
    let (record, meta) = (store.keys.record(delete.session), store.keys.meta(delete.session));
    let user_id = delete.user_id.unwrap_or_default();
    let call = scripts::SCRIPTS.delete_record.key(record).key(meta);
    let call = add_delete(call.arg(user_id).arg(store.longest_create()), delete, mark_for);
    call.arg(match also {
        Also::Nothing => "",
        Also::Text => "text",
        Also::Absent => "absent",
    })
}

/// The outcome of a delete.
pub(super) struct Deleted {
    pub(super) existed: bool,
    /// Its id is to leave the index.
    pub(super) unlist: bool,
    /// Nothing was deleted: a record that was not there before is there.
    pub(super) appeared: bool,
    /// The record, if its user was not known.
    pub(super) record: Option<Bytes>,
}

impl Deleted {
    pub(super) fn read(reply: Value) -> Result<Self, SessionError> {
        let (code, mut parts) = coded(reply)?;
        if code < 0 {
            return Err(scripts::refusal(code));
        }
        let unlist = matches!(parts.next(), Some(Value::Int(scripts::DONE)));
        let record = parts.next().map(Option::from_value).transpose().map_err(Error::from)?;
        let (existed, appeared) = (code == scripts::DONE, code == scripts::APPEARED);
        Ok(Self { existed, unlist, appeared, record: record.flatten() })
    }
}
