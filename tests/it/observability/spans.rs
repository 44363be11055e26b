//! The spans of calls and of their HTTP attempts.

use redis_rest::{Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest;
use redis_rest_test_support::scripted::{Scripted, redis_error, respond};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::span::{Attributes, Record};
use tracing::{Id, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// A recorded span.
#[derive(Clone, Default, Debug)]
pub struct Seen {
    pub name: &'static str,
    pub parent: Option<u64>,
    pub follows: Vec<u64>,
    pub fields: String,
}

/// All spans of this crate, in the order of their start.
#[derive(Clone, Default)]
pub struct Spans(Arc<Mutex<Vec<(u64, Seen)>>>);

struct Visit<'a>(&'a mut String);

impl tracing::field::Visit for Visit<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Spans {
    /// Records on this thread until the guard is dropped.
    pub fn here() -> (Self, tracing::subscriber::DefaultGuard) {
        let spans = Self::default();
        let guard = redis_rest_test_support::spans::collect_spans(
            tracing_subscriber::registry().with(spans.clone()),
        );
        (spans, guard)
    }

    /// Returns the spans of this name, by their number.
    pub fn named(&self, name: &str) -> BTreeMap<u64, Seen> {
        self.0.lock().unwrap().iter().filter(|(_, seen)| seen.name == name).cloned().collect()
    }

    /// Changes the last span with a number: numbers are reused.
    fn change(&self, id: &Id, change: impl FnOnce(&mut Seen)) {
        let mut spans = self.0.lock().unwrap();
        if let Some((_, seen)) = spans.iter_mut().rev().find(|(number, _)| *number == id.into_u64())
        {
            change(seen);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !span.metadata().target().starts_with("redis_rest") {
            return;
        }
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id().into_u64()));
        let mut seen = Seen { name: span.metadata().name(), parent, ..Seen::default() };
        span.record(&mut Visit(&mut seen.fields));
        self.0.lock().unwrap().push((id.into_u64(), seen));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id, |seen| values.record(&mut Visit(&mut seen.fields)));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        self.change(id, |seen| seen.follows.push(follows.into_u64()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_a_numbered_child_span() {
    let scripted = Scripted::sequence([respond(502, "<html>"), redis_error(200, "WRONGTYPE x")]);
    let client = scripted.config().build().unwrap();
    let (spans, guard) = Spans::here();
    client.get::<String>("k").await.unwrap_err();
    drop(guard);
    let (calls, attempts) = (spans.named("redis"), spans.named("redis.http"));
    let (number, call) = calls.first_key_value().unwrap();
    assert_eq!(
        call.fields,
        " otel.kind=\"client\" otel.name=\"GET\" db.system.name=\"redis\" db.operation.name=\"GET\" error.type=\"WRONGTYPE\" \
         otel.status_code=\"ERROR\" db.response.status_code=\"WRONGTYPE\""
    );
    let attempts: Vec<_> = attempts.values().collect();
    assert!(attempts.iter().all(|attempt| attempt.parent == Some(*number)), "{attempts:?}");
    let fields: Vec<_> = attempts.iter().map(|attempt| attempt.fields.as_str()).collect();
    let post = " otel.kind=\"client\" otel.name=\"POST\" http.request.method=\"POST\"";
    assert!(
        fields.contains(&&*format!(
            "{post} http.response.status_code=502 error.type=\"http\" otel.status_code=\"ERROR\""
        )),
        "{fields:?}"
    );
    let second = format!(
        "{post} http.request.resend_count=1 http.response.status_code=200 error.type=\"WRONGTYPE\" otel.status_code=\"ERROR\""
    );
    assert!(fields.contains(&&*second), "{fields:?}");
}

#[tokio::test]
async fn batch_span_follows_from_its_calls() {
    let server = rest::serve(MemoryBackend::new()).await;
    let client = rest::client(&server);
    client.warm_up().await.unwrap();
    let (spans, guard) = Spans::here();
    let calls = (0..4).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.incr("n").await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    drop(guard);
    let calls = spans.named("redis");
    let attempts: Vec<_> = spans.named("redis.http").into_values().collect();
    assert_eq!((calls.len(), attempts.len()), (4, 2), "the first went alone");
    let alone = attempts.iter().find_map(|attempt| attempt.parent).unwrap();
    let batch = attempts.iter().find(|attempt| attempt.parent.is_none()).unwrap();
    let others: Vec<u64> = calls.into_keys().filter(|number| *number != alone).collect();
    let mut follows = batch.follows.clone();
    follows.sort_unstable();
    assert_eq!(follows, others);
}

#[tokio::test]
async fn pipelines_of_equal_commands_are_named_by_them() {
    let server = rest::serve(MemoryBackend::new()).await;
    let client = rest::client(&server);
    let (spans, guard) = Spans::here();
    let mut pipe = client.pipeline();
    let _ = (pipe.add(cmd::get::<Value>("a")), pipe.add(cmd::get::<Value>("b")));
    pipe.send().await.unwrap().all::<Value>().unwrap();
    let mut pipe = client.pipeline();
    let _ = (pipe.add(cmd::get::<Value>("a")), pipe.add(cmd::incr("b")));
    pipe.send().await.unwrap().all::<Value>().unwrap();
    let mut transaction = client.transaction();
    let _ = transaction.add(cmd::incr("b"));
    transaction.send().await.unwrap().all::<Value>().unwrap();
    drop(guard);
    let fields: String =
        spans.0.lock().unwrap().iter().map(|(_, seen)| seen.fields.clone()).collect();
    for part in [
        "db.operation.name=\"PIPELINE GET\" db.operation.batch.size=2",
        "db.operation.name=\"PIPELINE\" db.operation.batch.size=2",
        "db.operation.name=\"INCR\" otel",
    ] {
        assert!(fields.contains(part), "{part}: {fields}");
    }
}
