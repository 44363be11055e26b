//! The metrics: names, units, labels. A test compares the documentation's table with this one.

use ::metrics::{KeyName, SharedString, Unit, with_recorder};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instrument {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric of this crate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub instrument: Instrument,
    /// Its unit, by UCUM: `s`, `By`, or what is counted in braces.
    pub unit: &'static str,
    /// The labels that it may have.
    pub labels: &'static [&'static str],
    /// The thing that it counts or measures.
    pub about: &'static str,
    /// For a histogram: suitable boundaries. For times those that OpenTelemetry recommends.
    pub buckets: &'static [f64],
}

pub(super) const DURATION: &str = "db.client.operation.duration";
pub(super) const CALLS: &str = "redis_rest.client.calls";
pub(super) const ATTEMPT: &str = "redis_rest.client.attempt.duration";
pub(super) const CONNECT: &str = "redis_rest.client.connection.failures";
pub(super) const RETRIES: &str = "redis_rest.client.retries";
pub(super) const REFUSED: &str = "redis_rest.client.retries.refused";
pub(super) const BATCH: &str = "redis_rest.client.batch.size";
pub(super) const IN_FLIGHT: &str = "redis_rest.client.requests.in_flight";
pub(super) const BREAKERS: &str = "redis_rest.breaker.instances";
pub(super) const TRANSITIONS: &str = "redis_rest.breaker.transitions";
pub(super) const CREATED: &str = "redis_rest.session.created";
pub(super) const RETRIEVAL: &str = "redis_rest.session.retrieval.duration";
pub(super) const EXPIRED: &str = "redis_rest.session.expired";
pub(super) const HELD: &str = "redis_rest.session.held";
pub(super) const PENDING: &str = "redis_rest.session.pending";
pub(super) const ENTRIES: &str = "redis_rest.session.memory.entries";
pub(super) const BYTES: &str = "redis_rest.session.memory.usage";
pub(super) const REDIS_MEMORY: &str = "redis_rest.session.redis.memory";

const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
const COMMANDS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { name, instrument: Instrument::Counter, unit, labels, about, buckets: &[] }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { name, instrument: Instrument::Gauge, unit, labels, about, buckets: &[] }
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    let buckets = if matches!(unit.as_bytes(), b"s") { SECONDS } else { COMMANDS };
    Metric { name, instrument: Instrument::Histogram, unit, labels, about, buckets }
}

/// Every metric that this crate records, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    histogram(
        DURATION,
        "s",
        &["db.system.name", "db.operation.name", "error.type"],
        "Time of a call with all its attempts",
    ),
    counter(CALLS, "{call}", &["db.operation.name", "outcome"], "Calls that ended"),
    histogram(ATTEMPT, "s", &["error.type"], "Time of one HTTP request"),
    counter(CONNECT, "{failure}", &[], "HTTP requests for which there was no connection"),
    counter(RETRIES, "{retry}", &["error.type"], "Requests sent again, by why"),
    counter(REFUSED, "{retry}", &[], "Retries that the budget did not allow"),
    histogram(BATCH, "{command}", &["kind"], "Commands in a request that carries several"),
    gauge(IN_FLIGHT, "{request}", &[], "HTTP requests on their way"),
    gauge(BREAKERS, "{breaker}", &["breaker", "state"], "Circuit breakers in a state"),
    counter(
        TRANSITIONS,
        "{transition}",
        &["breaker", "state"],
        "Changes of a circuit breaker into a state",
    ),
    counter(CREATED, "{session}", &["durability"], "Sessions created by managers"),
    histogram(RETRIEVAL, "s", &["place", "outcome"], "Time to find a session by its id"),
    counter(
        EXPIRED,
        "{session}",
        &["place"],
        "Sessions found to be gone without having been deleted here",
    ),
    gauge(HELD, "{session}", &[], "Sessions that managers hold in memory"),
    gauge(PENDING, "{entry}", &["kind"], "What the stores of managers have not been told yet"),
    gauge(ENTRIES, "{session}", &[], "Sessions in in-memory stores"),
    gauge(BYTES, "By", &[], "Memory that in-memory stores take, about"),
    gauge(REDIS_MEMORY, "By", &[], "Memory that the store of a manager takes, when last asked"),
];

/// Sends units and descriptions of all metrics to the recorder. Call it once, after the recorder
/// was installed; exporters that put the unit into the name need it.
pub fn describe() {
    with_recorder(|recorder| {
        for metric in METRICS {
            let unit = match metric.unit {
                "s" => Unit::Seconds,
                "By" => Unit::Bytes,
                _ => Unit::Count,
            };
            let (name, about) =
                (KeyName::from_const_str(metric.name), SharedString::const_str(metric.about));
            match metric.instrument {
                Instrument::Counter => recorder.describe_counter(name, Some(unit), about),
                Instrument::Gauge => recorder.describe_gauge(name, Some(unit), about),
                Instrument::Histogram => recorder.describe_histogram(name, Some(unit), about),
            }
        }
    });
}
