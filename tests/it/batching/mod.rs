mod composition;
#[cfg(feature = "reqwest")]
mod runtimes;

use bytes::Bytes;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{BoxFuture, Client, Config, Error, ErrorKind, Outcome, Result};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A request that waits for its response.
struct PausedRequest {
    path: String,
    body: Json,
    answer: oneshot::Sender<Result<HttpResponse>>,
}

impl PausedRequest {
    fn respond(self, status: u16, body: &Json) {
        let body = Bytes::from(body.to_string());
        let _ = self.answer.send(Ok(HttpResponse::new(status, http::HeaderMap::new(), body)));
    }

    fn fail(self) {
        let _ = self.answer.send(Err(Error::custom(
            ErrorKind::Io,
            Outcome::MaybeApplied,
            "the connection broke",
        )));
    }

    /// Replies to each command with its key.
    fn echo(self) {
        let reply = |command: &Json| json!({ "result": command[1] });
        let body = match self.path.as_str() {
            "/" => reply(&self.body),
            _ => self.body.as_array().unwrap().iter().map(reply).collect(),
        };
        self.respond(200, &body);
    }

    fn keys(&self) -> Vec<&str> {
        match self.path.as_str() {
            "/" => vec![self.body[1].as_str().unwrap()],
            _ => self
                .body
                .as_array()
                .unwrap()
                .iter()
                .map(|command| command[1].as_str().unwrap())
                .collect(),
        }
    }
}

struct PausedTransport(mpsc::UnboundedSender<PausedRequest>);

impl Transport for PausedTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        let (answer, answered) = oneshot::channel();
        let body = serde_json::from_slice(&request.body).unwrap();
        let _ = self.0.send(PausedRequest { path: request.url.path().to_owned(), body, answer });
        Box::pin(async {
            answered.await.unwrap_or_else(|_| {
                Err(Error::custom(
                    ErrorKind::Connect,
                    Outcome::NotApplied,
                    "the test dropped the request",
                ))
            })
        })
    }
}

/// Returns a client, and the receiver of its requests.
fn paused_client(
    settings: impl FnOnce(Config) -> Config,
) -> (Client, mpsc::UnboundedReceiver<PausedRequest>) {
    let (sender, requests) = mpsc::unbounded_channel();
    let config = Client::builder()
        .url("http://localhost:1")
        .token("t")
        .encoding(redis_rest::Encoding::Text)
        .transport(PausedTransport(sender));
    (settings(config).build().unwrap(), requests)
}

type Call = JoinHandle<Result<String>>;

fn get(client: &Client, key: &str) -> Call {
    tokio::spawn(client.get::<String>(key))
}

fn getdel(client: &Client, key: &str) -> Call {
    tokio::spawn(client.getdel::<String>(key))
}

/// Puts two requests in flight, so that further calls wait.
async fn busy(
    client: &Client,
    requests: &mut mpsc::UnboundedReceiver<PausedRequest>,
) -> (PausedRequest, PausedRequest) {
    get(client, "busy:1");
    let first = requests.recv().await.unwrap();
    get(client, "busy:2");
    (first, requests.recv().await.unwrap())
}

/// Runs every task until it waits.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn sequential_calls_are_not_batched() {
    let (client, mut requests) = paused_client(|config| config);
    for key in ["a", "b"] {
        let call = get(&client, key);
        let request = requests.recv().await.unwrap();
        assert_eq!((request.path.as_str(), &request.body), ("/", &json!(["GET", key])));
        request.echo();
        assert_eq!(call.await.unwrap().unwrap(), key);
    }
}

#[tokio::test]
async fn calls_made_during_a_request_share_the_next() {
    let (client, mut requests) = paused_client(|config| config);
    let alone = get(&client, "alone");
    let first = requests.recv().await.unwrap();
    // A further request may be in flight: all waiting calls share it.
    let reads: Vec<Call> = ["a", "b", "c"].map(|key| get(&client, key)).into();
    let second = requests.recv().await.unwrap();
    assert_eq!((second.path.as_str(), second.keys()), ("/pipeline", vec!["a", "b", "c"]));
    // Now two are in flight, and all other calls wait. Non-retry-safe commands travel separately.
    let mixed: Vec<Call> =
        vec![get(&client, "d"), getdel(&client, "x"), get(&client, "e"), getdel(&client, "y")];
    settle().await;
    assert!(requests.try_recv().is_err());
    first.echo();
    assert_eq!(alone.await.unwrap().unwrap(), "alone");
    let third = requests.recv().await.unwrap();
    assert_eq!(third.keys(), ["d", "e"]);
    second.echo();
    let fourth = requests.recv().await.unwrap();
    assert_eq!(fourth.keys(), ["x", "y"]);
    fourth.echo();
    third.echo();
    for (call, key) in reads.into_iter().chain(mixed).zip(["a", "b", "c", "d", "x", "e", "y"]) {
        assert_eq!(call.await.unwrap().unwrap(), key);
    }
    settle().await;
    get(&client, "after");
    assert_eq!(requests.recv().await.unwrap().path, "/");
}

#[tokio::test]
async fn without_batching_calls_are_sent_at_once() {
    let (client, mut requests) = paused_client(Config::no_auto_batch);
    for key in ["a", "b", "c", "d"] {
        get(&client, key);
        assert_eq!(requests.recv().await.unwrap().keys(), [key]);
    }
}

#[tokio::test]
async fn large_commands_and_calls_with_options_go_alone() {
    let (client, mut requests) = paused_client(|config| config);
    let _busy = busy(&client, &mut requests).await;
    tokio::spawn(client.set("large", "x".repeat(70_000)));
    assert_eq!(requests.recv().await.unwrap().keys(), ["large"]);
    tokio::spawn(client.get::<String>("patient").timeout(Duration::from_secs(9)));
    assert_eq!(requests.recv().await.unwrap().keys(), ["patient"]);
    tokio::spawn(client.incr("once").exactly_once());
    assert_eq!(requests.recv().await.unwrap().path, "/");
}

#[tokio::test]
async fn batches_are_bounded() {
    let (client, mut requests) = paused_client(|config| config.max_pipeline_commands(2));
    let (first, _second) = busy(&client, &mut requests).await;
    let calls = ["a", "b", "c"].map(|key| get(&client, key));
    settle().await;
    first.echo();
    let batch = requests.recv().await.unwrap();
    assert_eq!(batch.keys(), ["a", "b"]);
    batch.echo();
    let batch = requests.recv().await.unwrap();
    assert_eq!((batch.path.as_str(), batch.keys()), ("/", vec!["c"]));
    batch.echo();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn batches_respect_the_request_limit() {
    let (client, mut requests) = paused_client(|config| config.max_request_bytes(100));
    let (first, _second) = busy(&client, &mut requests).await;
    let calls: Vec<Call> =
        (0..10).map(|number| get(&client, &format!("a-key-of-some-length-{number}"))).collect();
    settle().await;
    first.echo();
    let mut commands = 0;
    while commands < calls.len() {
        let request = requests.recv().await.unwrap();
        assert!(request.body.to_string().len() <= 100);
        commands += request.keys().len();
        request.echo();
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn error_affects_its_command_only() {
    let (client, mut requests) = paused_client(|config| config);
    let (first, _second) = busy(&client, &mut requests).await;
    let calls = ["a", "b"].map(|key| get(&client, key));
    settle().await;
    first.echo();
    requests
        .recv()
        .await
        .unwrap()
        .respond(200, &json!([{ "error": "WRONGTYPE Operation" }, { "result": "b" }]));
    let [a, b] = calls;
    assert_eq!(a.await.unwrap().unwrap_err().redis_code(), Some("WRONGTYPE"));
    assert_eq!(b.await.unwrap().unwrap(), "b");
}

#[tokio::test]
async fn cancelled_caller_does_not_affect_batch() {
    let (client, mut requests) = paused_client(|config| config);
    let (first, second) = busy(&client, &mut requests).await;
    let [a, b, c] = ["a", "b", "c"].map(|key| get(&client, key));
    settle().await;
    a.abort();
    assert!(a.await.is_err());
    first.echo();
    // A call cancelled before its request is not sent.
    let batch = requests.recv().await.unwrap();
    assert_eq!(batch.keys(), ["b", "c"]);
    b.abort();
    assert!(b.await.is_err());
    batch.echo();
    assert_eq!(c.await.unwrap().unwrap(), "c");
    second.echo();
}

#[tokio::test]
async fn cancelled_lone_call_frees_its_permit() {
    let (client, mut requests) = paused_client(|config| config.auto_batch_in_flight(1));
    let alone = get(&client, "alone");
    let _never = requests.recv().await.unwrap();
    let waiting = get(&client, "waiting");
    settle().await;
    alone.abort();
    requests.recv().await.unwrap().echo();
    assert_eq!(waiting.await.unwrap().unwrap(), "waiting");
}

#[tokio::test(start_paused = true)]
async fn commands_with_lost_replies_are_retried_if_safe() {
    let (client, mut requests) = paused_client(|config| config);
    let (first, second) = busy(&client, &mut requests).await;
    let reads = ["a", "b"].map(|key| get(&client, key));
    let writes = ["x", "y"].map(|key| getdel(&client, key));
    settle().await;
    first.echo();
    second.echo();
    let (batch, other) = (requests.recv().await.unwrap(), requests.recv().await.unwrap());
    assert_eq!((batch.keys(), other.keys()), (vec!["a", "b"], vec!["x", "y"]));
    batch.fail();
    other.fail();
    for write in writes {
        let error = write.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.maybe_applied());
        assert_eq!(error.attempts(), 1);
    }
    let again = requests.recv().await.unwrap();
    assert_eq!(again.keys(), ["a", "b"]);
    again.respond(200, &json!([{ "error": "LOADING Redis is loading" }, { "result": "b" }]));
    // A temporarily refused batch is retried separately.
    let third = requests.recv().await.unwrap();
    assert_eq!((third.path.as_str(), third.keys()), ("/", vec!["a"]));
    third.echo();
    for (read, key) in reads.into_iter().zip(["a", "b"]) {
        assert_eq!(read.await.unwrap().unwrap(), key);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_do_not_block_other_batches() {
    let (client, mut requests) = paused_client(|config| config.auto_batch_in_flight(1));
    let first = get(&client, "first");
    let held_up = requests.recv().await.unwrap();
    let second = get(&client, "second");
    settle().await;
    held_up.echo();
    first.await.unwrap().unwrap();
    requests.recv().await.unwrap().fail();
    settle().await;
    // The batch with "second" waits for its next attempt: no call is queued behind it.
    let third = get(&client, "third");
    let (one, other) = (requests.recv().await.unwrap(), requests.recv().await.unwrap());
    let mut keys = [one.keys()[0].to_owned(), other.keys()[0].to_owned()];
    keys.sort();
    assert_eq!(keys, ["second", "third"]);
    one.echo();
    other.echo();
    assert!(second.await.unwrap().is_ok() && third.await.unwrap().is_ok());
}

#[tokio::test]
async fn command_that_fails_its_batch_is_found() {
    let (client, mut requests) = paused_client(|config| config);
    let (first, second) = busy(&client, &mut requests).await;
    let calls = ["a", "b", "bad", "d"].map(|key| get(&client, key));
    settle().await;
    first.echo();
    second.echo();
    // The server refuses every request that contains it.
    while calls.iter().any(|call| !call.is_finished()) {
        tokio::select! {
            request = requests.recv() => match request.unwrap() {
                request if request.keys().contains(&"bad") => request.respond(400, &json!({ "error": "ERR max request size exceeded" })),
                request => request.echo(),
            },
            () = settle() => {}
        }
    }
    let [a, b, bad, d] = calls;
    assert!(
        bad.await
            .unwrap()
            .unwrap_err()
            .server_message()
            .is_some_and(|text| text.contains("max request size"))
    );
    for (call, key) in [a, b, d].into_iter().zip(["a", "b", "d"]) {
        assert_eq!(call.await.unwrap().unwrap(), key);
    }
}

#[tokio::test]
async fn a_server_without_pipelines_gets_single_commands() {
    let (client, mut requests) = paused_client(|config| config);
    let (first, second) = busy(&client, &mut requests).await;
    let calls = ["a", "b"].map(|key| get(&client, key));
    settle().await;
    first.echo();
    second.echo();
    requests.recv().await.unwrap().respond(404, &json!("not found"));
    for _ in 0..2 {
        let request = requests.recv().await.unwrap();
        assert_eq!(request.path, "/");
        request.echo();
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let _busy = busy(&client, &mut requests).await;
    get(&client, "third");
    assert_eq!(requests.recv().await.unwrap().keys(), ["third"], "nothing waits any more");
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_in_the_queue_and_in_flight() {
    let (client, mut requests) = paused_client(|config| {
        config
            .deadline(Duration::from_secs(2))
            .timeout(Duration::from_secs(60))
            .auto_batch_in_flight(1)
    });
    let alone = tokio::spawn(client.get::<String>("alone").deadline(Duration::from_secs(60)));
    // Calls with options of their own do not count: the next request is the one in flight.
    let _unanswered = requests.recv().await.unwrap();
    let first = get(&client, "first");
    let _first = requests.recv().await.unwrap();
    let (read, write) = (get(&client, "read"), getdel(&client, "write"));
    let started = tokio::time::Instant::now();
    for call in [first, read] {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotApplied));
    }
    let error = write.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::NotApplied),
        "it never left"
    );
    assert!(started.elapsed() <= Duration::from_secs(3));
    alone.abort();

    let (first, write) = (get(&client, "first"), getdel(&client, "write"));
    requests.recv().await.unwrap().echo();
    let _left = requests.recv().await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(write.await.unwrap().unwrap_err().outcome(), Outcome::MaybeApplied);
}

#[test]
fn a_client_outlives_the_runtime_that_carried_its_requests() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, mut requests) = paused_client(|config| config.auto_batch_in_flight(1));
    let (reading, writing, waiting, _requests) = runtime().block_on(async {
        let alone = get(&client, "alone");
        let first = requests.recv().await.unwrap();
        let mut calls = Vec::new();
        for (index, write) in [false, true, false].into_iter().enumerate() {
            let (done, result) = oneshot::channel();
            let call = if write {
                client.getdel::<String>("write")
            } else {
                client.get::<String>(format!("read:{index}"))
            };
            // On the other runtime: it is not dropped with this one.
            let mut call = Box::pin(async move { done.send(call.await).map_err(|_| ()) });
            assert!(
                std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context)))
                    .await
                    .is_pending()
            );
            calls.push((call, result));
        }
        first.echo();
        alone.await.unwrap().unwrap();
        let flight = requests.recv().await.unwrap();
        let [first, second, third] = <[_; 3]>::try_from(calls).ok().unwrap();
        (first, second, third, flight)
    });
    runtime().block_on(async {
        // Reads are retried; the write was never sent, or may have run.
        let again = tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                request.echo();
            }
        });
        for (call, result) in [reading, waiting] {
            call.await.unwrap();
            assert!(result.await.unwrap().is_ok());
        }
        let (call, result) = writing;
        call.await.unwrap();
        assert_eq!(result.await.unwrap().unwrap(), "write", "it was waiting, so it goes now");
        again.abort();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_caller_sees_its_own_order() {
    let server = rest::serve(MemoryBackend::new()).await;
    let client = rest::client(&server);
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                let key = format!("caller:{caller}");
                for round in 1..=50 {
                    assert_eq!(client.incr(&key).await.unwrap(), round);
                    assert_eq!(client.get::<i64>(&key).await.unwrap(), round);
                    assert!(
                        client
                            .lpush(&key, ["x"])
                            .await
                            .is_err_and(|error| error.redis_code() == Some("WRONGTYPE"))
                    );
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}
