//! Composition of batches, and service of every waiting caller.

use super::{Asked, Call, busy, get, held, settle};
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
async fn flights_share_what_waits() {
    let (client, mut asked) = held(|config| config);
    let calls = |range: std::ops::Range<u32>| -> Vec<Call> {
        range.map(|number| get(&client, &number.to_string())).collect()
    };
    async fn next(asked: &mut mpsc::UnboundedReceiver<Asked>, keys: usize) -> Asked {
        let request = asked.recv().await.unwrap();
        assert_eq!(request.keys().len(), keys);
        request
    }
    let (alone, flight) = busy(&client, &mut asked).await;
    let mut all = calls(0..100);
    settle().await;
    // Half of 100; the other half goes when the next of the two requests has returned.
    flight.echoes();
    let first = next(&mut asked, 50).await;
    alone.echoes();
    let second = next(&mut asked, 50).await;
    // Half of 60 and the 50 already in flight.
    all.extend(calls(100..160));
    settle().await;
    second.echoes();
    let third = next(&mut asked, 55).await;
    first.echoes();
    next(&mut asked, 5).await.echoes();
    third.echoes();
    // A small batch is not split.
    let (alone, flight) = busy(&client, &mut asked).await;
    all.extend(calls(160..190));
    settle().await;
    flight.echoes();
    next(&mut asked, 30).await.echoes();
    alone.echoes();
    for call in all {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn calls_of_several_threads_travel_together() {
    let (client, mut asked) = held(|config| config);
    let (alone, flight) = busy(&client, &mut asked).await;
    let runtime = Handle::current();
    // Started on separate threads, and awaited here.
    let begun = ["a", "b", "c", "d"].map(|key| {
        let (client, runtime) = (client.clone(), runtime.clone());
        std::thread::spawn(move || begin(&runtime, client.get::<String>(key))).join().unwrap()
    });
    flight.echoes();
    let batch = asked.recv().await.unwrap();
    let mut keys = batch.keys();
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b", "c", "d"]);
    batch.echoes();
    for (call, key) in begun.into_iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(call.await.unwrap(), key);
    }
    alone.echoes();
}

/// Replies nil, after a varying delay.
struct Nils;

impl Transport for Nils {
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
                .transport(Nils)
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
fn a_flight_that_ends_with_its_runtime_before_it_leaves_lets_all_others_go() {
    for in_flight in [1, 2] {
        let (client, mut asked) = held(|config| config.auto_batch_in_flight(in_flight));
        let [mine, other] = two_runtimes();
        let lone = begin(other.handle(), client.get::<String>("lone"));
        let request = asked.try_recv().unwrap();
        let waits = begin(other.handle(), client.get::<String>("waits"));
        let refused = begin(other.handle(), client.set("refused", "value"));
        other.shutdown_background();
        mine.block_on(async {
            let (waits, refused) = (tokio::spawn(waits), tokio::spawn(refused));
            for _ in 0..2 {
                let request = tokio::time::timeout(Duration::from_secs(5), asked.recv())
                    .await
                    .expect("it waits for the lone call")
                    .unwrap();
                if request.body[1] == "waits" {
                    request.echoes()
                } else {
                    request.says(400, &json!({ "error": "ERR not now" }))
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
    let (client, mut asked) = held(|config| config);
    let [mine, other] = two_runtimes();
    let lone = begin(other.handle(), client.get::<String>("lone"));
    let held_up = asked.try_recv().unwrap();
    let call = begin(other.handle(), client.set("key", "value"));
    let sent = other.block_on(asked.recv()).unwrap();
    drop(other);
    let error = mine.block_on(async {
        let call = tokio::spawn(call);
        asked.recv().await.unwrap().says(400, &json!({ "error": "ERR not now" }));
        call.await.unwrap().unwrap_err()
    });
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    drop((lone, held_up, sent));
}
