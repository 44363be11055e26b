use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpStream, HttpTransport, Transport};
use redis_rest::{
    BoxFuture, Client, Config, Encoding, Error, ErrorKind, Event, Outcome, Result, RetryPolicy,
};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest;
use redis_rest_test_support::scripted::{
    Scripted, ScriptedResponse, redis_error, respond, respond_retry_after,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The path of the probe.
const ECHO: &str = "/echo/x%3F%23%25%5C%3B%20%2F%2Fy%2F..%2F..%2Fping";

/// The built-in transport, which records the path of each request.
#[derive(Clone)]
struct PathRecorder(HttpTransport, Arc<Mutex<Vec<String>>>);

impl PathRecorder {
    fn new() -> Self {
        Self(HttpTransport::new(Duration::from_secs(3)).unwrap(), Arc::default())
    }

    fn note(&self, request: &HttpRequest) {
        self.1.lock().unwrap().push(request.url.path().to_owned());
    }

    /// Returns the numbers of probes and of other requests since the last call.
    fn sent(&self) -> (usize, usize) {
        let paths = std::mem::take(&mut *self.1.lock().unwrap());
        let probes = paths.iter().filter(|path| *path == ECHO).count();
        (probes, paths.len() - probes)
    }
}

impl Transport for PathRecorder {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        self.note(&request);
        self.0.send(request)
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream>> {
        self.note(&request);
        self.0.open(request)
    }
}

/// A call whose path contains an encoded slash.
fn push(client: &Client) -> impl Future<Output = Result<u64>> + use<> {
    let client = client.clone();
    async move { client.rpush("list/a", [b"\xff"]).await }
}

async fn first(client: &Client, channel: &'static str) -> Result<Event> {
    client.subscribe([channel]).next().await.unwrap()
}

#[tokio::test]
async fn path_probe_is_sent_once_and_only_if_needed() {
    let server = rest::serve(MemoryBackend::new()).await;
    let watched = PathRecorder::new();
    let config = rest::config(&server).no_auto_batch().encoding(Encoding::Base64);
    let config = config.transport(watched.clone());
    let client = config.clone().build().unwrap();
    // Bodies may contain anything; paths without a delimiter arrive everywhere.
    client.set("a/../b?#%", "c/../d").await.unwrap();
    client.set("a:b", b"\xff").await.unwrap();
    first(&client, "a:b*[c]").await.unwrap();
    assert_eq!(watched.sent(), (0, 3));
    // Concurrent calls share a probe, whatever their commands.
    let calls = (0..50).map(|_| tokio::spawn(push(&client)));
    let streams = ["a/b", "a//b", "a b", "a?"].map(|name| {
        let client = client.clone();
        tokio::spawn(async move { first(&client, name).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    for stream in streams {
        stream.await.unwrap().unwrap();
    }
    assert_eq!(watched.sent(), (1, 54));
    // Clones share its result; another client of the same address probes for itself.
    push(&client.with_prefix("p/")).await.unwrap();
    assert_eq!(watched.sent(), (0, 1));
    push(&config.clone().build().unwrap()).await.unwrap();
    assert_eq!(watched.sent(), (1, 1));
    // The setting replaces the probe.
    let told = config.paths_arrive_as_sent().build().unwrap();
    push(&told).await.unwrap();
    first(&told, "a//b").await.unwrap();
    assert_eq!(watched.sent(), (0, 2));
}

/// Returns the correct response to the probe, which has no body, and an integer to every other
/// request.
fn right(body: &[u8]) -> ScriptedResponse {
    match body {
        b"" => respond(200, r#"{"result":"x?#%\\; //y/../../ping"}"#),
        _ => respond(200, r#"{"result":1}"#),
    }
}

/// Returns a client over a script; the clock may be paused.
fn client(scripted: &Scripted, settings: impl FnOnce(Config) -> Config) -> Client {
    settings(scripted.config().no_auto_batch()).build().unwrap()
}

fn connect() -> ScriptedResponse {
    ScriptedResponse::Fail(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "refused"))
}

fn lost() -> ScriptedResponse {
    ScriptedResponse::Fail(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "lost"))
}

#[tokio::test(start_paused = true)]
async fn only_the_probes_text_proves_that_paths_arrive() {
    for answer in [
        respond(404, ""),
        respond(405, "<html>"),
        respond(400, ""),
        respond(403, "<html>blocked</html>"),
        respond(301, ""),
        respond(501, ""),
        respond(200, "<html>"),
        respond(200, ""),
        respond(200, r#"{"result":"ping"}"#),
        respond(200, r#"{"result":"PONG"}"#),
        respond(200, r#"{"result":null}"#),
        redis_error(400, "ERR wrong number of arguments for 'echo' command"),
        redis_error(200, "ERR wrong number of arguments for 'echo' command"),
        redis_error(404, "ERR unknown address: use /, /pipeline or /multi-exec"),
        redis_error(403, "NOPERM this user has no permissions to run the 'echo' command"),
    ] {
        let mends = answer.clone();
        let scripted =
            Scripted::new(move |n, body| if n == 0 { mends.clone() } else { right(body) });
        let client = client(&scripted, |config| config);
        for _ in 0..3 {
            let error = push(&client).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert_eq!(error.attempts(), 0);
            let text = error.to_string();
            assert!(text.contains("proxy_pass") && text.contains("paths_arrive_as_sent"), "{text}");
            let error = first(&client, "a/b").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(scripted.count(), 1, "it is remembered, and nothing else was sent");
        // A repaired proxy is detected.
        tokio::time::advance(Duration::from_secs(31)).await;
        push(&client).await.unwrap();
        assert_eq!(scripted.count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_probe_is_retried_and_then_fails_the_call() {
    for answer in [
        connect(),
        lost(),
        respond(502, "<html>"),
        respond(503, ""),
        respond_retry_after(429, "1", ""),
        redis_error(200, "LOADING Redis is loading the dataset in memory"),
    ] {
        let fails = answer.clone();
        let scripted =
            Scripted::new(move |n, body| if n < 3 { fails.clone() } else { right(body) });
        let client = client(&scripted, |config| config);
        // The push itself is sent once.
        assert_eq!(push(&client).await.unwrap(), 1);
        assert_eq!(scripted.count(), 5);
        push(&client).await.unwrap();
        assert_eq!(scripted.count(), 6, "what was found is remembered");

        let fails = answer.clone();
        let scripted =
            Scripted::new(move |n, body| if n < 2 { fails.clone() } else { right(body) });
        let client = self::client(&scripted, Config::no_retry);
        let error = push(&client).await.unwrap_err();
        assert_eq!((error.outcome(), error.attempts()), (Outcome::NotApplied, 1), "{error}");
        assert_ne!(error.kind(), ErrorKind::Unsupported, "{error}");
        // A subscription reconnects by itself.
        let ended = timeout(Duration::from_secs(10), first(&client, "a/b")).await.unwrap();
        assert_eq!(ended.unwrap_err().to_string(), "this transport has no event streams");
        push(&client).await.unwrap();
        assert_eq!(scripted.count(), 4, "the failures are not remembered, and nothing else is");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_token_is_reported_and_not_remembered() {
    let scripted = Scripted::new(|n, body| match n {
        0 => respond(401, ""),
        1 => redis_error(400, "WRONGPASS invalid or missing auth token"),
        2 => respond(408, ""),
        _ => right(body),
    });
    let client = client(&scripted, |config| config.no_retry());
    for kind in [ErrorKind::Unauthorized, ErrorKind::Unauthorized, ErrorKind::Http] {
        let error = push(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::NotApplied));
    }
    push(&client).await.unwrap();
    assert_eq!(scripted.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_probe_share_its_failure() {
    let scripted = Scripted::new(|n, body| match n {
        0 => ScriptedResponse::Never,
        _ => right(body),
    });
    let client = client(&scripted, |config| config.no_retry().timeout(Duration::from_secs(5)));
    let begun = Instant::now();
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(push(&client))).collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotApplied));
    }
    assert_eq!((begun.elapsed().as_secs(), scripted.count()), (5, 1));
    push(&client).await.unwrap();
    assert_eq!(scripted.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn probe_of_a_cancelled_call_passes_to_the_next() {
    let scripted = Scripted::new(|n, body| match n {
        0 => ScriptedResponse::Never,
        _ => right(body),
    });
    let client = client(&scripted, |config| config);
    let dropped = tokio::spawn(push(&client));
    while scripted.count() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = tokio::spawn(push(&client));
    tokio::task::yield_now().await;
    dropped.abort();
    let begun = Instant::now();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    assert_eq!((begun.elapsed(), scripted.count()), (Duration::ZERO, 3));
}

/// The probe is a part of the call.
#[tokio::test(start_paused = true)]
async fn deadline_holds_for_probe_and_call_together() {
    let seconds = Duration::from_secs;
    let never = Scripted::sequence([ScriptedResponse::Never]);
    let never = client(&never, |config| config.deadline(seconds(12)));
    let begun = Instant::now();
    let error = push(&never).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotApplied));
    assert_eq!(begun.elapsed().as_secs(), 12);
    // The two attempts of the probe take more than 5 of the 12 seconds, and the call gets the rest.
    let scripted = Scripted::new(|n, body| match (n, body) {
        (1, b"") => right(body),
        _ => ScriptedResponse::Never,
    });
    let client = client(&scripted, |config| {
        config.deadline(seconds(12)).timeout(seconds(5)).retry(RetryPolicy::default())
    });
    let begun = Instant::now();
    let call = client.set("a/b", b"\xff");
    let error = call.await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::MaybeApplied));
    assert_eq!(begun.elapsed().as_secs(), 12);
}
