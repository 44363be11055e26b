//! Clients that only read, and spans.

use redis_rest::{Client, ErrorKind, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest::{self, Counting};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn read_only_client_sends_no_write() {
    let server = rest::serve(MemoryBackend::new()).await;
    rest::client(&server).set("k", "v").await.unwrap();
    let sent = Counting::new();
    let reader = rest::config(&server)
        .read_only_token(rest::READ_ONLY_TOKEN)
        .transport(sent.clone())
        .build()
        .unwrap();
    assert_eq!(reader.get::<String>("k").await.unwrap(), "v");
    let before = sent.sent();
    for write in [
        cmd::del(["k"]).into_command(),
        cmd("SET").arg("k").arg("w").idempotent(),
        cmd("EVAL").arg("return 1").arg(0),
    ] {
        let error = reader.run::<Value>(write.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Unsupported, false));
        let mut pipe = reader.pipeline();
        let _ = pipe.add_raw::<Value>(write);
        assert_eq!(pipe.send().await.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(sent.sent(), before);
}

/// The fields of every span, as text.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, String>>>);

struct Visit<'a>(&'a mut String);

impl tracing::field::Visit for Visit<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(
        &self,
        span: &tracing::span::Attributes<'_>,
        id: &tracing::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut text = span.metadata().name().to_owned();
        span.record(&mut Visit(&mut text));
        self.0.lock().unwrap().insert(id.into_u64(), text);
    }

    fn on_record(
        &self,
        id: &tracing::Id,
        values: &tracing::span::Record<'_>,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        values.record(&mut Visit(self.0.lock().unwrap().get_mut(&id.into_u64()).unwrap()));
    }
}

#[tokio::test]
async fn each_call_is_a_span_without_secrets() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let client = Client::from_backend(MemoryBackend::new());
    let spans = Spans::default();
    let guard = redis_rest_test_support::spans::collect_spans(
        tracing_subscriber::registry().with(spans.clone()),
    );
    client.set("s3cret", "s3cret").await.unwrap();
    client.incr("s3cret").await.unwrap_err();
    let mut pipe = client.pipeline();
    let _ = (pipe.add(cmd::get::<Value>("s3cret")), pipe.add(cmd::get::<Value>("s3cret")));
    pipe.send().await.unwrap().all::<Value>().unwrap();
    drop(guard);
    let texts: Vec<String> = spans.0.lock().unwrap().values().cloned().collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    let has = |text: &str| texts.iter().any(|span| span.contains(text));
    assert!(has("db.system.name=\"redis\" db.operation.name=\"SET\""), "{texts:?}");
    assert!(
        has("db.operation.name=\"INCR\"")
            && has("db.response.status_code=\"ERR\"")
            && has("error.type=\"ERR\""),
        "{texts:?}"
    );
    assert!(has("db.operation.name=\"PIPELINE GET\" db.operation.batch.size=2"), "{texts:?}");
    assert!(!has("s3cret"), "{texts:?}");
}
