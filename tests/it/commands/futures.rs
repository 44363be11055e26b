//! Calls as futures: in joins, streams of futures and tasks, without conversion.

use futures_util::future::{join_all, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt, iter};
use futures_util::{FutureExt, future};
use redis_rest::{Call, Client, Command, ErrorKind, FromValue, Outcome, Result, Unbound, cmd};
use redis_rest_server::MemoryBackend;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

fn client() -> Client {
    Client::from_backend(MemoryBackend::new())
}

/// A helper as users write it, generic over the reply type.
fn all<T: FromValue>(client: &Client, keys: &[&str]) -> impl Future<Output = Result<Vec<T>>> {
    try_join_all(keys.iter().map(|key| client.get(key)))
}

#[tokio::test]
async fn calls_are_joined() {
    let client = client();
    let set = join_all([1, 2, 3].map(|n| client.set(format!("k{n}"), n))).await;
    assert!(set.iter().all(Result::is_ok));
    let read: Vec<i64> = try_join_all((1..=3).map(|n| client.get(format!("k{n}")))).await.unwrap();
    assert_eq!(read, [1, 2, 3]);
    assert_eq!(all::<String>(&client, &["k1", "k2"]).await.unwrap(), ["1", "2"]);
    assert!(all::<i64>(&client, &["k1", "missing"]).await.is_err());
    let (a, b) = futures_util::join!(client.incr("k1"), client.get::<i64>("k3"));
    assert_eq!((a.unwrap(), b.unwrap()), (2, 3));
    let (a, b) = tokio::try_join!(client.incr("k1"), client.set("k4", "v").nx()).unwrap();
    assert_eq!((a, b), (3, true));
}

#[tokio::test]
async fn calls_are_driven_by_streams_of_futures() {
    let client = client();
    let mut pending: FuturesUnordered<_> = (0..4).map(|_| client.incr("n")).collect();
    let mut seen = Vec::new();
    while let Some(n) = pending.next().await {
        seen.push(n.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4]);
    let replies: Vec<_> =
        iter(0..9).map(|n| client.set(n, n).xx()).buffer_unordered(3).collect().await;
    assert_eq!(replies.into_iter().filter(|reply| matches!(reply, Ok(false))).count(), 9);
}

#[tokio::test]
async fn calls_are_tasks() {
    let client = client();
    assert_eq!(tokio::spawn(client.incr("n")).await.unwrap().unwrap(), 1);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..3 {
        set.spawn(client.incr("n"));
    }
    let mut sum = 0;
    while let Some(n) = set.join_next().await {
        sum += n.unwrap().unwrap();
    }
    assert_eq!(sum, 2 + 3 + 4);
    let doubled = client.incr("n").map(|n| n.map(|n| n * 2)).await.unwrap();
    assert_eq!(doubled, 10);
    let in_time = tokio::time::timeout(Duration::from_secs(9), client.incr("n")).await;
    assert_eq!(in_time.unwrap().unwrap(), 6);
    let either = future::select(client.incr("n"), future::pending::<()>()).await;
    assert!(matches!(either, future::Either::Left((Ok(7), _))));
}

#[tokio::test]
async fn a_call_is_awaited_by_reference() {
    let client = client();
    let mut call = client.incr("n");
    assert_eq!((&mut call).await.unwrap(), 1);
}

/// The backend starts at the second poll at the latest; the options are set between the two.
#[tokio::test]
async fn an_option_given_to_a_running_call_is_an_error() {
    let slow = || {
        let client = Client::from_backend(MemoryBackend::new());
        let mut call = client.zadd("z", 1.0, "m");
        let mut context = Context::from_waker(Waker::noop());
        (Pin::new(&mut call).poll(&mut context).is_ready(), call)
    };
    for late in [
        |call: redis_rest::cmd::ZAdd| call.nx(),
        |call: redis_rest::cmd::ZAdd| call.and(2.0, "n"),
        |call: redis_rest::cmd::ZAdd| call.timeout(Duration::from_secs(1)),
        |call: redis_rest::cmd::ZAdd| call.idempotent(),
    ] {
        let (_, call) = slow();
        assert_eq!(call.command().name(), b"", "its parts are taken");
        let error = late(call).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::InvalidCommand, Outcome::MaybeApplied)
        );
    }
    let client = Client::from_backend(MemoryBackend::new());
    let mut scan = client.scan();
    let _ = Pin::new(&mut scan).poll(&mut Context::from_waker(Waker::noop()));
    let error = scan.stream().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidCommand);
}

#[test]
fn calls_cross_threads_and_unbound_ones_are_cloned() {
    fn sent<T: Send + 'static>(_: &T) {}
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let client = client();
    sent(&client.get::<String>("k"));
    sent(&client.set("k", "v"));
    shared(&cmd::set("k", "v"));
    shared(&cmd::get::<String>("k"));
}

#[cfg(target_pointer_width = "64")]
#[test]
fn calls_are_small() {
    assert_eq!(size_of::<Command>(), 64);
    assert_eq!(size_of::<Call<String>>(), 96);
    assert_eq!(size_of::<cmd::Set>(), 96);
    assert_eq!(size_of::<Call<String, Unbound>>(), 80);
    let client = client();
    let one = async { client.get::<String>("k").await };
    let three = async {
        client.get::<String>("k").await?;
        client.get::<i64>("k").await?;
        client.set("k", "v").await
    };
    // The call, its state and the borrowed client; three sequential calls share one place.
    assert_eq!([size_of_val(&one), size_of_val(&three)], [112, 112]);
}
