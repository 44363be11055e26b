//! Runtimes that share a client do not wait for each other.

use super::{Call, PausedRequest, get, getdel, paused_client, settle};
use redis_rest::backend::rest::ReqwestTransport;
use redis_rest::{Client, ErrorKind, Outcome, Value};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::rest;
use redis_rest_test_support::tls::Tls;
use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc as blocking;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_millis(300);
/// Far beyond every deadline: a call that takes so long waits for the other runtime.
const WATCHDOG: Duration = Duration::from_secs(20);
const CALLERS: u32 = 64;

#[derive(Clone, Copy, Debug)]
enum Standstill {
    /// A task keeps the only thread.
    Blocked,
    /// No thread drives it.
    Idle,
}

const BOTH: [Standstill; 2] = [Standstill::Blocked, Standstill::Idle];

/// A runtime on a separate thread that stands still until this is dropped.
struct StalledRuntime {
    release: Option<blocking::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StalledRuntime {
    /// Creates a runtime that has run `begin` to its end, and returns its output.
    fn after<F: Future<Output: Send + 'static>>(
        how: Standstill,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> (Self, F::Output) {
        let (release, released) = blocking::channel::<()>();
        let (begun, begins) = blocking::channel();
        let thread = std::thread::spawn(move || {
            let stand_still = |output| {
                begun.send(output).unwrap();
                // An error: the sender was dropped.
                let _ = released.recv();
            };
            let runtime = current_thread();
            match how {
                Standstill::Blocked => runtime.block_on(async { stand_still(begin().await) }),
                Standstill::Idle => stand_still(runtime.block_on(begin())),
            }
        });
        let output = begins.recv().unwrap();
        (Self { release: Some(release), thread: Some(thread) }, output)
    }
}

impl Drop for StalledRuntime {
    fn drop(&mut self) {
        drop(self.release.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Returns a client with requests in flight and a waiting command, all of another runtime that
/// stands still.
fn shared(
    how: Standstill,
    in_flight: usize,
) -> (StalledRuntime, Client, Vec<PausedRequest>, mpsc::UnboundedReceiver<PausedRequest>) {
    let (client, mut requests) = paused_client(|config| {
        config.deadline(DEADLINE).timeout(Duration::from_secs(60)).auto_batch_in_flight(in_flight)
    });
    let other = client.clone();
    let (stuck, (unanswered, requests)) = StalledRuntime::after(how, async move || {
        let mut unanswered = Vec::new();
        for key in ["lone", "batched", "waits"] {
            get(&other, key);
            settle().await;
            unanswered.extend(requests.try_recv());
        }
        assert_eq!(unanswered.len(), in_flight);
        (unanswered, requests)
    });
    (stuck, client, unanswered, requests)
}

/// Returns the result of a call that must not wait for the other runtime.
async fn ended<T>(call: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, call).await.expect("it waits for another runtime")
}

async fn deadlines_hold() {
    for how in BOTH {
        for in_flight in [1, 2] {
            let (stuck, client, unanswered, mut requests) = shared(how, in_flight);
            let calls: Vec<(String, Call, Call)> = (0..CALLERS)
                .map(|number| {
                    let (read, write) = (format!("read:{number}"), format!("write:{number}"));
                    let calls = (get(&client, &read), getdel(&client, &write));
                    (write, calls.0, calls.1)
                })
                .collect();
            let mut outcomes = Vec::new();
            for (write, reading, writing) in calls {
                let error = ended(reading).await.unwrap().unwrap_err();
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::Timeout, Outcome::NotApplied),
                    "{how:?}, {in_flight} in flight: {error:?}"
                );
                let error = ended(writing).await.unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
                outcomes.push((write, error.outcome()));
            }
            let sent: Vec<PausedRequest> =
                std::iter::from_fn(|| requests.try_recv().ok()).collect();
            let sent: HashSet<&str> = sent.iter().flat_map(PausedRequest::keys).collect();
            for (write, outcome) in &outcomes {
                let expected = if sent.contains(write.as_str()) {
                    Outcome::MaybeApplied
                } else {
                    Outcome::NotApplied
                };
                assert_eq!(*outcome, expected, "{write}");
            }
            drop((stuck, unanswered));
        }
    }
}

#[tokio::test]
async fn deadlines_hold_while_another_runtime_stands_still() {
    deadlines_hold().await;
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_a_paused_clock_hold_while_another_runtime_stands_still() {
    deadlines_hold().await;
}

#[tokio::test]
async fn calls_succeed_while_another_runtime_stands_still() {
    for how in BOTH {
        for in_flight in [1, 2] {
            let (stuck, client, unanswered, mut requests) = shared(how, in_flight);
            let answering = tokio::spawn(async move {
                while let Some(request) = requests.recv().await {
                    request.echo();
                }
            });
            assert_eq!(ended(client.get::<String>("first")).await.unwrap(), "first");
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let client = client.clone();
                    tokio::spawn(async move {
                        for round in 0..10 {
                            let key = format!("{caller}:{round}");
                            assert_eq!(client.getdel::<String>(&key).await.unwrap(), key);
                        }
                    })
                })
                .collect();
            for caller in callers {
                ended(caller).await.unwrap();
            }
            drop((stuck, unanswered));
            answering.abort();
        }
    }
}

/// A task of the runtime that opened a connection drives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_a_runtime_that_stands_still_are_not_used_by_others() {
    let http1 = rest::serve(MemoryBackend::new()).await;
    let http2 = Tls::start("h2").await;
    let configs = [
        rest::config(&http1),
        Client::builder().url(http2.url()).token("t").root_certificate_pem(http2.authority.clone()),
    ];
    for config in configs {
        for how in BOTH {
            let client = config.clone().no_auto_batch().no_retry().build().unwrap();
            let other = client.clone();
            let (stuck, ()) = StalledRuntime::after(how, async move || {
                other.warm_up().await.unwrap();
                let calls: Vec<_> =
                    (0..CALLERS).map(|_| tokio::spawn(other.get::<Value>("k"))).collect();
                for call in calls {
                    call.await.unwrap().unwrap();
                }
            });
            for _ in 0..3 {
                // A non-retry-safe command: a lost request would show.
                ended(client.incr("n")).await.unwrap();
            }
            let calls: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(client.incr("n"))).collect();
            for call in calls {
                ended(call).await.unwrap().unwrap();
            }
            drop(stuck);
        }
    }
}

/// All runtimes share the connections of that transport: requests may fail, but not late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_hold_over_connections_of_a_runtime_that_stands_still() {
    let server = rest::serve(MemoryBackend::new()).await;
    for how in BOTH {
        let transport = ReqwestTransport::new(reqwest::Client::builder()).unwrap();
        let config = rest::config(&server).transport(transport).deadline(DEADLINE);
        let client = config.build().unwrap();
        let other = client.clone();
        let (stuck, ()) = StalledRuntime::after(how, async move || other.warm_up().await.unwrap());
        let error = ended(client.incr("n")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Timeout, Outcome::MaybeApplied),
            "{error:?}"
        );
        drop(stuck);
    }
}

#[test]
fn call_outside_a_runtime_joins_no_batch_of_a_runtime() {
    let (stuck, client, _unanswered, _asked) = shared(Standstill::Idle, 2);
    let mut call = client.get::<String>("key");
    match Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(reply) => assert_eq!(reply.unwrap_err().kind(), ErrorKind::Config),
        Poll::Pending => panic!("it waits"),
    }
    drop(stuck);
}

/// A call that was started and is not polled keeps its request in flight.
#[tokio::test(start_paused = true)]
async fn unpolled_lone_call_delays_no_other_past_its_deadline() {
    let (client, mut requests) =
        paused_client(|config| config.deadline(DEADLINE).auto_batch_in_flight(1).no_retry());
    let mut lone = client.get::<String>("lone");
    let begun = poll_fn(|context| Poll::Ready(Pin::new(&mut lone).poll(context))).await;
    assert!(begun.is_pending());
    let held_up = requests.recv().await.unwrap();
    for call in [get(&client, "read"), getdel(&client, "write")] {
        let error = ended(call).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotApplied));
    }
    // The permit that the lone call returns goes to the waiting calls.
    let next = [get(&client, "a"), get(&client, "b")];
    settle().await;
    held_up.echo();
    assert_eq!(lone.await.unwrap(), "lone");
    let batch = ended(requests.recv()).await.unwrap();
    assert_eq!(batch.keys(), ["a", "b"]);
    batch.echo();
    for call in next {
        call.await.unwrap().unwrap();
    }
    get(&client, "after");
    assert_eq!(ended(requests.recv()).await.unwrap().keys(), ["after"]);
}

#[tokio::test]
async fn lone_call_dropped_on_another_runtime_affects_no_other() {
    let patience = 2 * WATCHDOG;
    let (client, mut requests) =
        paused_client(|config| config.deadline(patience).timeout(patience));
    let mut lone = client.get::<String>("lone");
    let begun = poll_fn(|context| Poll::Ready(Pin::new(&mut lone).poll(context))).await;
    assert!(begun.is_pending());
    let _lone = requests.recv().await.unwrap();
    get(&client, "batched");
    let _batched = requests.recv().await.unwrap();
    let waits = get(&client, "waits");
    settle().await;
    let (stuck, ()) = StalledRuntime::after(Standstill::Idle, async move || drop(lone));
    let next = ended(requests.recv()).await.unwrap();
    assert_eq!(next.keys(), ["waits"]);
    next.echo();
    assert_eq!(waits.await.unwrap().unwrap(), "waits");
    drop(stuck);
}

/// Tokio keeps the most recently woken task on the thread that woke it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_that_computes_after_its_call_blocks_no_other() {
    for in_flight in [1, 2] {
        let (client, mut requests) = paused_client(|config| {
            config.deadline(2 * WATCHDOG).timeout(2 * WATCHDOG).auto_batch_in_flight(in_flight)
        });
        let (done, computes) = blocking::channel::<()>();
        let lone = client.get::<String>("lone");
        let computing = tokio::spawn(async move {
            lone.await.unwrap();
            // An error: the sender was dropped.
            let _ = computes.recv();
        });
        let held_up = requests.recv().await.unwrap();
        let mut batched = Vec::new();
        if in_flight == 2 {
            get(&client, "batched");
            batched.push(requests.recv().await.unwrap());
        }
        // Queued at once, because it is polled here.
        let mut waits = client.get::<String>("waits");
        let begun = poll_fn(|context| Poll::Ready(Pin::new(&mut waits).poll(context))).await;
        assert!(begun.is_pending());
        held_up.echo();
        let next = ended(requests.recv()).await.unwrap();
        assert_eq!(next.keys(), ["waits"]);
        next.echo();
        assert_eq!(ended(waits).await.unwrap(), "waits");
        drop(done);
        computing.await.unwrap();
    }
}
