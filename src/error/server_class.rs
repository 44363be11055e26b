//! [`ServerErrorClass`]: what Redis's error means. Nothing else reads Redis's codes and texts to decide.

use super::{ErrorKind, ServerError, Signal};

/// The meaning of an error of Redis, or of a server in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerErrorClass {
    /// `LOADING`, `MASTERDOWN`, `CLUSTERDOWN`: Redis refuses all work for now.
    NotReady,
    /// `BUSY`: a script runs too long.
    Busy,
    /// `TRYAGAIN`: the keys are moving to another node of the cluster.
    TryAgain,
    /// `READONLY` during an upgrade: temporarily no writes.
    Upgrading,
    /// `DB connection refused`: the server cannot reach Redis.
    NoConnection,
    /// `READONLY`: a replica, which accepts no writes.
    ReadOnly,
    /// `OOM`, `MISCONF`, `NOREPLICAS`: no writes until an operator acts.
    NoWrites,
    /// `max requests limit exceeded` or the daily one: every request is refused.
    RequestQuota,
    /// `DB capacity quota exceeded`: nothing more can be stored.
    StorageQuota,
    /// The request, a key or a record is larger than the server allows.
    TooLarge,
    /// `max response size exceeded`: the command may have run.
    ReplyTooLarge,
    /// `caller gone`: a proxy gave up waiting. The command may have run.
    CallerGone,
    /// `UNKILLABLE`: the script has written.
    Unkillable,
    /// `NOAUTH`, `WRONGPASS`.
    Unauthenticated,
    /// `NOPERM`.
    Forbidden,
    /// `EXECABORT`: the transaction was discarded.
    Discarded,
    /// `CROSSSLOT`: keys in different slots of a cluster.
    CrossSlot,
    /// `MOVED`, `ASK`: another node of the cluster has the key.
    Elsewhere,
    /// `NOSCRIPT`.
    NoScript,
    /// `WRONGTYPE`.
    WrongType,
    /// The command, script or function cannot be started: unknown, wrong number of arguments, not
    /// compiled.
    Malformed,
    /// Any other.
    Other,
}

/// The errors whose code is `ERR`, by the beginning of their texts.
const SENTENCES: [(&str, ServerErrorClass); 14] = [
    ("DB connection refused", ServerErrorClass::NoConnection),
    ("max daily request limit", ServerErrorClass::RequestQuota),
    ("max requests limit", ServerErrorClass::RequestQuota),
    ("DB capacity quota", ServerErrorClass::StorageQuota),
    ("max request size", ServerErrorClass::TooLarge),
    ("max key size", ServerErrorClass::TooLarge),
    ("max single record size", ServerErrorClass::TooLarge),
    ("max response size", ServerErrorClass::ReplyTooLarge),
    ("caller gone", ServerErrorClass::CallerGone),
    ("Error compiling", ServerErrorClass::Malformed),
    ("wrong number of arguments", ServerErrorClass::Malformed),
    ("Number of keys", ServerErrorClass::Malformed),
    ("unknown command", ServerErrorClass::Malformed),
    ("Function not found", ServerErrorClass::Malformed),
];

impl ServerErrorClass {
    pub(super) fn of(error: &ServerError) -> Self {
        match error.code() {
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" => Self::NotReady,
            "BUSY" => Self::Busy,
            "TRYAGAIN" => Self::TryAgain,
            "READONLY" if error.message().contains("upgrade") => Self::Upgrading,
            "READONLY" => Self::ReadOnly,
            "OOM" | "MISCONF" | "NOREPLICAS" => Self::NoWrites,
            "UNKILLABLE" => Self::Unkillable,
            "NOAUTH" | "WRONGPASS" => Self::Unauthenticated,
            "NOPERM" => Self::Forbidden,
            "EXECABORT" => Self::Discarded,
            "CROSSSLOT" => Self::CrossSlot,
            "MOVED" | "ASK" => Self::Elsewhere,
            "NOSCRIPT" => Self::NoScript,
            "WRONGTYPE" => Self::WrongType,
            "ERR" => {
                let sentence = error.sentence();
                let known = SENTENCES.iter().find(|(start, _)| sentence.starts_with(start));
                known.map_or(Self::Other, |(_, class)| *class)
            }
            _ => Self::Other,
        }
    }

    /// Returns the consequences, in one place for all classes.
    #[rustfmt::skip]
    pub(crate) fn facts(self) -> Facts {
        use {ErrorKind as Kind, Signal as To};
        match self {
            Self::NotReady        => Facts::new(Kind::Redis, To::Down, Prospect::Passes).not_started().unavailable(),
            Self::Busy            => Facts::new(Kind::Redis, To::Down, Prospect::Passes).not_started(),
            Self::TryAgain        => Facts::new(Kind::Redis, To::Down, Prospect::Passes),
            Self::Upgrading       => Facts::new(Kind::Redis, To::Down, Prospect::Passes),
            Self::NoConnection    => Facts::new(Kind::Redis, To::Down, Prospect::Passes).unavailable(),
            Self::ReadOnly        => Facts::new(Kind::Redis, To::Down, Prospect::ByStatus),
            Self::NoWrites        => Facts::new(Kind::Redis, To::Down, Prospect::ByStatus),
            Self::RequestQuota    => Facts::new(Kind::Redis, To::Quota, Prospect::Lasts).unavailable(),
            Self::StorageQuota    => Facts::new(Kind::Redis, To::Quota, Prospect::Lasts).unavailable(),
            Self::TooLarge        => Facts::new(Kind::Redis, To::Works, Prospect::Lasts),
            Self::ReplyTooLarge   => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus).may_have_run(),
            Self::CallerGone      => Facts::new(Kind::Redis, To::Down, Prospect::Passes).may_have_run(),
            Self::Unkillable      => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus).may_have_run(),
            Self::Unauthenticated => Facts::new(Kind::Unauthorized, To::Caller, Prospect::ByStatus).not_started(),
            Self::Forbidden       => Facts::new(Kind::Unauthorized, To::Caller, Prospect::ByStatus).not_started(),
            Self::Discarded       => Facts::new(Kind::Discarded, To::Works, Prospect::ByStatus),
            Self::CrossSlot       => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus).not_started(),
            Self::Elsewhere       => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus).not_started(),
            Self::NoScript        => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus).not_started(),
            Self::WrongType       => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus),
            Self::Malformed       => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus).not_started(),
            Self::Other           => Facts::new(Kind::Redis, To::Works, Prospect::ByStatus),
        }
    }
}

/// The consequences of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) kind: ErrorKind,
    /// The evidence about the server.
    pub(crate) signal: Signal,
    pub(crate) prospect: Prospect,
    /// Redis sends it before it starts a command or a script.
    pub(crate) is_before_start: bool,
    /// The command may have run, or a part of it.
    pub(crate) may_have_run: bool,
    /// Everything is refused.
    pub(crate) is_unavailable: bool,
}

/// The expected result of the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// The error passes by itself.
    Passes,
    /// The same error.
    Lasts,
    /// The same, unless the HTTP status shows that the server failed.
    ByStatus,
}

impl Facts {
    fn new(kind: ErrorKind, signal: Signal, prospect: Prospect) -> Self {
        let (is_before_start, may_have_run) = (false, false);
        Self { kind, signal, prospect, is_before_start, may_have_run, is_unavailable: false }
    }

    fn not_started(self) -> Self {
        Self { is_before_start: true, ..self }
    }

    fn may_have_run(self) -> Self {
        Self { may_have_run: true, ..self }
    }

    fn unavailable(self) -> Self {
        Self { is_unavailable: true, ..self }
    }
}
