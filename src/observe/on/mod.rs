//! With feature `metrics`: recording through the facade.
//!
//! Keys are static or created once, so that a call allocates nothing. Handles are not kept: they
//! belong to the recorder installed at their creation, and a program may install its own later.

mod levels;
mod names;

pub(crate) use levels::{BreakerWatch, CacheLevel, HeldLevel, PendingLevel};
pub(super) use names::Name;

use super::{Batch, Place, Retrieved, name_of, table};
use crate::clock::{self, Instant};
use crate::error::{Error, ErrorKind};
use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, with_recorder};
use std::sync::LazyLock;

static METADATA: Metadata<'static> = Metadata::new("redis_rest", Level::INFO, None);

fn counter(key: &Key) -> Counter {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA))
}

fn gauge(key: &Key) -> Gauge {
    with_recorder(|recorder| recorder.register_gauge(key, &METADATA))
}

fn histogram(key: &Key) -> Histogram {
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA))
}

/// A key with fixed labels.
macro_rules! key {
    ($name:expr) => {
        ::metrics::Key::from_static_name($name)
    };
    ($name:expr, $($label:literal => $value:literal),+) => {{
        static LABELS: &[::metrics::Label] = &[$(::metrics::Label::from_static_parts($label, $value)),+];
        ::metrics::Key::from_static_parts($name, LABELS)
    }};
}
use key;

/// A key for each kind of error.
type ByKind = [Key; ErrorKind::EACH.len()];

fn by_kind(name: &'static str) -> ByKind {
    ErrorKind::EACH.map(|kind| {
        Key::from_parts(name, vec![Label::from_static_parts("error.type", name_of(kind))])
    })
}

/// Returns the position of a kind in [`ErrorKind::ALL`].
const fn place_of(kind: ErrorKind) -> usize {
    kind as usize
}

pub(super) struct Call {
    name: Name,
    began: Instant,
}

impl Call {
    pub(super) fn begin(name: Name, now: Instant) -> Self {
        Self { name, began: now }
    }

    pub(super) fn end(self, error: Option<&Error>) {
        counter(self.name.calls(error.map(Error::outcome))).increment(1);
        histogram(self.name.duration(error.map(Error::kind))).record(self.began.elapsed());
    }
}

pub(super) struct Attempt {
    began: Instant,
    _in_flight: InFlight,
}

impl Attempt {
    pub(super) fn begin() -> Self {
        Self { began: clock::now(), _in_flight: InFlight::begin() }
    }

    pub(super) fn end(self, error: Option<&Error>) {
        static WENT_WELL: Key = key!(table::ATTEMPT);
        static FAILED: LazyLock<ByKind> = LazyLock::new(|| by_kind(table::ATTEMPT));
        static NO_CONNECTION: Key = key!(table::CONNECT);
        let key = error.map_or(&WENT_WELL, |error| &FAILED[place_of(error.kind())]);
        histogram(key).record(self.began.elapsed());
        if error.is_some_and(|error| error.kind() == ErrorKind::Connect) {
            counter(&NO_CONNECTION).increment(1);
        }
    }
}

/// A request in flight. The handle is kept, so that the same recorder receives its beginning and
/// its end.
struct InFlight(Gauge);

impl InFlight {
    fn begin() -> Self {
        static KEY: Key = key!(table::IN_FLIGHT);
        let level = gauge(&KEY);
        level.increment(1.0);
        Self(level)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

pub(crate) struct Retrieval {
    place: Place,
    began: Instant,
}

impl Retrieval {
    pub(crate) fn begin(place: Place) -> Self {
        Self { place, began: clock::now() }
    }

    pub(crate) fn end(self, retrieved: Retrieved) {
        static MANAGER: [Key; 3] = [
            key!(table::RETRIEVAL, "place" => "manager", "outcome" => "found"),
            key!(table::RETRIEVAL, "place" => "manager", "outcome" => "not_found"),
            key!(table::RETRIEVAL, "place" => "manager", "outcome" => "failed"),
        ];
        static REDIS: [Key; 3] = [
            key!(table::RETRIEVAL, "place" => "redis", "outcome" => "found"),
            key!(table::RETRIEVAL, "place" => "redis", "outcome" => "not_found"),
            key!(table::RETRIEVAL, "place" => "redis", "outcome" => "failed"),
        ];
        let [found, not_found, failed] = match self.place {
            Place::Manager => &MANAGER,
            Place::Redis => &REDIS,
            // A lookup in a map: not worth a clock.
            Place::Memory => return,
        };
        let key = match retrieved {
            Retrieved::Found => found,
            Retrieved::NotFound => not_found,
            Retrieved::Failed => failed,
        };
        histogram(key).record(self.began.elapsed());
    }
}

pub(crate) fn retried(kind: ErrorKind) {
    static KEYS: LazyLock<ByKind> = LazyLock::new(|| by_kind(table::RETRIES));
    counter(&KEYS[place_of(kind)]).increment(1);
}

pub(crate) fn retry_refused() {
    static KEY: Key = key!(table::REFUSED);
    counter(&KEY).increment(1);
}

pub(crate) fn commands_sent(batch: Batch, count: usize) {
    static AUTO: Key = key!(table::BATCH, "kind" => "auto");
    static PIPELINE: Key = key!(table::BATCH, "kind" => "pipeline");
    static TRANSACTION: Key = key!(table::BATCH, "kind" => "transaction");
    let key = match batch {
        Batch::Auto => &AUTO,
        Batch::Pipeline => &PIPELINE,
        Batch::Transaction => &TRANSACTION,
    };
    histogram(key).record(count as f64);
}

pub(crate) fn session_created(durability: &'static str) {
    let label = Label::from_static_parts("durability", durability);
    counter(&Key::from_parts(table::CREATED, vec![label])).increment(1);
}

pub(crate) fn sessions_expired(place: Place, count: usize) {
    static MANAGER: Key = key!(table::EXPIRED, "place" => "manager");
    static MEMORY: Key = key!(table::EXPIRED, "place" => "memory");
    static REDIS: Key = key!(table::EXPIRED, "place" => "redis");
    if count == 0 {
        return;
    }
    let key = match place {
        Place::Manager => &MANAGER,
        Place::Memory => &MEMORY,
        Place::Redis => &REDIS,
    };
    counter(key).increment(count as u64);
}

pub(crate) fn redis_memory(bytes: Option<u64>) {
    static KEY: Key = key!(table::REDIS_MEMORY);
    if let Some(bytes) = bytes {
        gauge(&KEY).set(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_own_place_and_name() {
        for (place, kind) in ErrorKind::EACH.into_iter().enumerate() {
            assert_eq!(place_of(kind), place);
        }
        let names: std::collections::HashSet<_> =
            ErrorKind::EACH.into_iter().map(name_of).collect();
        assert_eq!(names.len(), ErrorKind::EACH.len());
    }
}
