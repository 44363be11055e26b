//! Composition of batches, and service of every waiting caller.

use super::{Call, PausedRequest, busy, get, paused_client, settle};
use bytes::Bytes;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{BoxFuture, Client, Outcome, Result};
use serde_json::json;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;

#[tokio::test]
async fn batches_share_waiting_calls() {
    let (client, mut requests) = paused_client(|config| config);
    let calls = |range: std::ops::Range<u32>| -> Vec<Call> {
        range.map(|number| get(&client, &number.to_string())).collect()
    };
    async fn next(
        requests: &mut mpsc::UnboundedReceiver<PausedRequest>,
        keys: usize,
    ) -> PausedRequest {
        let request = requests.recv().await.unwrap();
        assert_eq!(request.keys().len(), keys);
        request
    }
    let (alone, flight) = busy(&client, &mut requests).await;
    let mut all = calls(0..100);
    settle().await;
    // Half of 100; the other half goes when the next of the two requests has returned.
    flight.echo();
    let first = next(&mut requests, 50).await;
    alone.echo();
    let second = next(&mut requests, 50).await;
    // Half of 60 and the 50 already in flight.
    all.extend(calls(100..160));
    settle().await;
    second.echo();
    let third = next(&mut requests, 55).await;
    first.echo();
    next(&mut requests, 5).await.echo();
    third.echo();
    // A small batch is not split.
    let (alone, flight) = busy(&client, &mut requests).await;
    all.extend(calls(160..190));
    settle().await;
    flight.echo();
    next(&mut requests, 30).await.echo();
    alone.echo();
    for call in all {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn calls_of_several_threads_share_a_batch() {
    let (client, mut requests) = paused_client(|config| config);
    let (alone, flight) = busy(&client, &mut requests).await;
    let runtime = Handle::current();
    // Started on separate threads, and awaited here.
    let begun = ["a", "b", "c", "d"].map(|key| {
        let (client, runtime) = (client.clone(), runtime.clone());
        std::thread::spawn(move || begin(&runtime, client.get::<String>(key))).join().unwrap()
    });
    flight.echo();
    let batch = requests.recv().await.unwrap();
    let mut keys = batch.keys();
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b", "c", "d"]);
    batch.echo();
    for (call, key) in begun.into_iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(call.await.unwrap(), key);
    }
    alone.echo();
}

/// Replies nil, after a varying delay.
struct NilBackend;

impl Transport for NilBackend {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let commands = request.body.windows(3).filter(|bytes| bytes == b"],[").count() + 1;
            let one = r#"{"result":null}"#;
            let body = match request.url.path() {
                "/" => Bytes::from_static(one.as_bytes()),
                _ => format!("[{}]", vec![one; commands].join(",")).into(),
            };
            Ok(HttpResponse::new(200, http::HeaderMap::new(), body))
        })
    }
}

/// A call queued just when the last worker ends must not be forgotten: a few callers on several
/// threads cause this constantly.
#[test]
fn every_waiting_caller_is_served() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        for callers in [2, 3, 5] {
            let client = Client::builder()
                .url("http://localhost:1")
                .token("t")
                .transport(NilBackend)
                .build()
                .unwrap();
            let callers: Vec<_> = (0..callers)
                .map(|_| {
                    let client = client.clone();
                    tokio::spawn(async move {
                        for _ in 0..5000 {
                            client.get::<Option<String>>("key").await.unwrap();
                        }
                    })
                })
                .collect();
            for caller in callers {
                tokio::time::timeout(Duration::from_secs(20), caller)
                    .await
                    .expect("a call that is forgotten waits for its deadline")
                    .unwrap();
            }
        }
    });
}

/// Starts a call on `runtime`, where its batch worker then runs.
fn begin<F: Future + Unpin>(runtime: &Handle, mut call: F) -> F {
    let _entered = runtime.enter();
    assert!(Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    call
}

fn two_runtimes() -> [Runtime; 2] {
    [(); 2].map(|()| Builder::new_current_thread().enable_all().build().unwrap())
}

#[test]
fn batch_that_ends_unsent_with_its_runtime_releases_all_others() {
    for in_flight in [1, 2] {
        let (client, mut requests) = paused_client(|config| config.auto_batch_in_flight(in_flight));
        let [mine, other] = two_runtimes();
        let lone = begin(other.handle(), client.get::<String>("lone"));
        let request = requests.try_recv().unwrap();
        let waits = begin(other.handle(), client.get::<String>("waits"));
        let refused = begin(other.handle(), client.set("refused", "value"));
        other.shutdown_background();
        mine.block_on(async {
            let (waits, refused) = (tokio::spawn(waits), tokio::spawn(refused));
            for _ in 0..2 {
                let request = tokio::time::timeout(Duration::from_secs(5), requests.recv())
                    .await
                    .expect("it waits for the lone call")
                    .unwrap();
                if request.body[1] == "waits" {
                    request.echo()
                } else {
                    request.respond(400, &json!({ "error": "ERR not now" }))
                }
            }
            assert_eq!(waits.await.unwrap().unwrap(), "waits");
            assert_eq!(refused.await.unwrap().unwrap_err().outcome(), Outcome::NotApplied);
        });
        drop((lone, request));
    }
}

#[test]
fn a_call_whose_request_ended_with_another_runtime_may_have_run() {
    let (client, mut requests) = paused_client(|config| config);
    let [mine, other] = two_runtimes();
    let lone = begin(other.handle(), client.get::<String>("lone"));
    let held_up = requests.try_recv().unwrap();
    let call = begin(other.handle(), client.set("key", "value"));
    let sent = other.block_on(requests.recv()).unwrap();
    drop(other);
    let error = mine.block_on(async {
        let call = tokio::spawn(call);
        requests.recv().await.unwrap().respond(400, &json!({ "error": "ERR not now" }));
        call.await.unwrap().unwrap_err()
    });
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    drop((lone, held_up, sent));
}
