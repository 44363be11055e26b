//! Without feature `metrics`: the same functions, empty, so that callers need no condition.

use super::{Batch, Guarded, Place, Retrieved};
use crate::clock::Instant;
use crate::command::Command;
use crate::error::{Error, ErrorKind};

#[derive(Clone, Copy)]
pub(super) struct Name;

impl Name {
    #[inline]
    pub(super) fn of(_: &Command) -> Self {
        Self
    }

    #[inline]
    pub(super) fn pipeline() -> Self {
        Self
    }

    #[inline]
    pub(super) fn transaction() -> Self {
        Self
    }
}

pub(super) struct Call;

impl Call {
    #[inline]
    pub(super) fn begin(_: Name, _: Instant) -> Self {
        Self
    }

    #[inline]
    pub(super) fn end(self, _: Option<&Error>) {}
}

pub(super) struct Attempt;

impl Attempt {
    #[inline]
    pub(super) fn begin() -> Self {
        Self
    }

    #[inline]
    pub(super) fn end(self, _: Option<&Error>) {}
}

pub(crate) struct Retrieval;

impl Retrieval {
    #[inline]
    pub(crate) fn begin(_: Place) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn end(self, _: Retrieved) {}
}

#[derive(Debug)]
pub(crate) struct BreakerWatch;

impl BreakerWatch {
    #[inline]
    pub(crate) fn new(_: Guarded) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn moves_to(&self, _: u8) {}
}

#[derive(Default)]
pub(crate) struct CacheLevel;

impl CacheLevel {
    #[inline]
    pub(crate) fn set(&mut self, _entries: usize, _bytes: usize) {}
}

#[derive(Default)]
pub(crate) struct HeldLevel;

impl HeldLevel {
    #[inline]
    pub(crate) fn set(&mut self, _sessions: usize) {}
}

#[derive(Default)]
pub(crate) struct PendingLevel;

impl PendingLevel {
    #[inline]
    pub(crate) fn set(&mut self, _sessions: usize, _deletions: usize, _revocations: usize) {}
}

#[inline]
pub(crate) fn retried(_: ErrorKind) {}

#[inline]
pub(crate) fn retry_refused() {}

#[inline]
pub(crate) fn commands_sent(_: Batch, _count: usize) {}

#[inline]
pub(crate) fn session_created(_: &'static str) {}

#[inline]
pub(crate) fn sessions_expired(_: Place, _count: usize) {}

#[inline]
pub(crate) fn redis_memory(_: Option<u64>) {}
