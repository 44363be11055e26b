//! Exactly once, hedged reads, read your writes, and a lock that does not guess: as seen on the
//! wire.

use redis_rest::backend::Failover;
use redis_rest::backend::native::NativeBackend;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::{BoxFuture, Client, Error, ErrorKind, Outcome, RetryPolicy, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Executes every request, and loses the reply of each one that `lose` selects by its number.
struct LossyTransport<F> {
    inner: HttpTransport,
    sent: Arc<AtomicUsize>,
    lose: F,
}

impl<F: Fn(usize) -> bool + Send + Sync + 'static> Transport for LossyTransport<F> {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let response = self.inner.send(request).await?;
            if (self.lose)(number) {
                Err(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "the reply was lost"))
            } else {
                Ok(response)
            }
        })
    }
}

fn losing(
    url: &str,
    lose: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> (Client, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let transport = LossyTransport {
        inner: HttpTransport::new(Duration::from_secs(3)).unwrap(),
        sent: Arc::clone(&sent),
        lose,
    };
    let retry = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    let client = Client::builder()
        .url(url)
        .token(redis_rest_server::DEFAULT_TOKEN)
        .retry(retry)
        .transport(transport)
        .build()
        .unwrap();
    (client, sent)
}

/// Returns true for an irregular fifth of all numbers.
fn a_fifth(number: usize) -> bool {
    number.wrapping_mul(2_654_435_761) % 1000 < 200
}

async fn counts_exactly(url: &str) {
    let (client, sent) = losing(url, a_fifth);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    client.incr("single").exactly_once().await.unwrap();
                    let mut pipe = client.pipeline().exactly_once();
                    let (one, two) =
                        (pipe.add(cmd::incr("piped")), pipe.add(cmd::incrby("piped", 2)));
                    let mut replies = pipe.send().await.unwrap();
                    assert!(replies.take(one).unwrap() < replies.take(two).unwrap());
                    let mut tx = client.transaction().exactly_once();
                    let (one, two) = (tx.add(cmd::incr("moved")), tx.add(cmd::incr("moved")));
                    let mut replies = tx.send().await.unwrap();
                    assert_eq!(
                        replies.take(one).unwrap() + 1,
                        replies.take(two).unwrap(),
                        "nothing comes between"
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let counters: Vec<Option<i64>> = client.mget(["single", "piped", "moved"]).await.unwrap();
    assert_eq!(counters, [Some(400), Some(1200), Some(800)]);
    assert!(sent.load(Ordering::Relaxed) > 1300, "replies were lost and requests repeated");
}

#[tokio::test]
async fn with_lost_replies_every_increment_counts_once_on_redis() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    counts_exactly(&server.url()).await;
}

#[tokio::test]
async fn with_lost_replies_every_increment_counts_once_on_the_engine() {
    let server = rest::serve(MemoryBackend::new()).await;
    counts_exactly(&server.url()).await;
}

#[tokio::test]
async fn stored_replies_equal_the_commands_reply() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    // Every first reply is lost, so each reply below is a stored one.
    let (client, _) = losing(&server.url(), |number| number.is_multiple_of(2));
    let once = |command| client.run::<Value>(command).exactly_once();
    client.script_flush().idempotent().await.unwrap();
    let raw = &b"\xff\0"[..];
    assert!(once(cmd("SET").arg("raw").arg(raw)).await.unwrap() == Value::Okay);
    assert!(once(cmd("GET").arg("raw")).await.unwrap() == Value::bytes(raw));
    assert!(once(cmd("SET").arg("k").arg("1234567890123456")).await.unwrap() == Value::Okay);
    assert!(once(cmd("GET").arg("k")).await.unwrap() == Value::bytes("1234567890123456"));
    assert!(once(cmd("GET").arg("none")).await.unwrap() == Value::Nil);
    assert!(once(cmd("RPUSH").args(["l", "a", "b"])).await.unwrap() == Value::Int(2));
    let wanted = Value::Array(vec![Value::bytes("a"), Value::Nil, Value::Int(7)]);
    let error = once(cmd("INCR").arg("l")).await.unwrap_err();
    assert_eq!((error.redis_code(), error.outcome()), (Some("WRONGTYPE"), Outcome::NotApplied));
    assert!(
        once(cmd("LRANGE").args(["none", "0", "-1"])).await.unwrap() == Value::Array(Vec::new())
    );
    let mut tx = client.transaction().exactly_once();
    let head = tx.add(cmd::lpop::<Value>("l"));
    let missing = tx.add(cmd::get::<Value>("none"));
    let length = tx.add(cmd::append("k", "x"));
    let mut replies = tx.send().await.unwrap();
    let got = Value::Array(vec![
        replies.take(head).unwrap(),
        replies.take(missing).unwrap(),
        Value::Int(7),
    ]);
    assert_eq!(replies.take(length).unwrap(), 17);
    assert!(got == wanted);
    // Beyond Lua's range: an error instead of rounding.
    once(cmd("SET").arg("n").arg(i64::from(1_u32 << 31) << 22)).await.unwrap();
    let error = once(cmd("INCR").arg("n")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Inexact, Outcome::Applied));
    assert_eq!(client.get::<i64>("n").await.unwrap(), (1 << 53) + 1, "it ran once all the same");
    let kept: Vec<String> = client.keys("redis_rest:once:*").await.unwrap();
    for key in kept {
        assert!(
            matches!(client.ttl(key).await.unwrap(), cmd::Ttl::Expires(left) if left <= Duration::from_secs(600))
        );
    }
}

#[tokio::test]
async fn exactly_once_stays_within_the_prefix() {
    let redis = redis_test!();
    redis.control("ACL SETUSER app on >pw ~app:* +@all");
    let native = NativeBackend::connect(&redis.url().replace("//", "//app:pw@")).await.unwrap();
    let server = rest::serve(native).await;
    let app = rest::client(&server).with_prefix("app:");
    assert_eq!(app.incr("n").exactly_once().await.unwrap(), 1);
    let mut pipe = app.pipeline().exactly_once();
    let piped = pipe.add(cmd::incr("n"));
    assert_eq!(pipe.send().await.unwrap().take(piped).unwrap(), 2);
    let mut tx = app.transaction().exactly_once();
    let moved = tx.add(cmd::incr("n"));
    assert_eq!(tx.send().await.unwrap().take(moved).unwrap(), 3);
}

#[tokio::test]
async fn deadline_beyond_the_stored_reply_is_refused() {
    let sent = Arc::new(AtomicUsize::new(0));
    let with = |minutes: u64| {
        let transport = Scripted(
            |_, _: &HttpRequest| (Duration::ZERO, reply(r#"{"result":1}"#, None)),
            Arc::clone(&sent),
        );
        let config = Client::builder().url("http://127.0.0.1:1").token("t").transport(transport);
        config.deadline(Duration::from_secs(60 * minutes)).build().unwrap()
    };
    let (long, short) = (with(20), with(9));
    let both =
        Client::from_backend(Failover::new(short.backend().clone(), short.backend().clone()));
    for client in [&long, &both] {
        let mut pipe = client.pipeline().exactly_once();
        let _ = pipe.add(cmd::incr("n"));
        let mut tx = client.transaction().exactly_once();
        let _ = tx.add(cmd::incr("n"));
        let errors = [
            client.incr("n").exactly_once().await.err(),
            pipe.send().await.err(),
            tx.send().await.err(),
        ];
        assert_eq!(
            errors.map(|error| error.map(|error| error.kind())),
            [Some(ErrorKind::InvalidCommand); 3]
        );
    }
    assert!(
        short.incr("n").exactly_once().deadline(Duration::from_secs(600)).await.is_err(),
        "the call's own"
    );
    assert_eq!(sent.load(Ordering::Relaxed), 0);
    let answered = |error: Error| error.kind() == ErrorKind::Conversion;
    assert!(
        long.incr("n").exactly_once().deadline(Duration::from_secs(599)).await.is_err_and(answered),
        "it was sent"
    );
    assert!(short.incr("n").exactly_once().await.is_err_and(answered), "it was sent");
}

#[tokio::test]
async fn lock_with_a_lost_reply_is_read_back() {
    let server = rest::serve(MemoryBackend::new()).await;
    let (client, _) = losing(&server.url(), |number| number == 0);
    let lock = |value: &'static str| client.set_if_absent("lock", value, Duration::from_secs(9));
    assert!(lock("mine").await.unwrap(), "the reply of the SET that worked was lost");
    assert!(!lock("yours").await.unwrap());
}

/// Responds by a script that gives the response to request number n, and its delay.
struct Scripted<F>(F, Arc<AtomicUsize>);

impl<F: Fn(usize, &HttpRequest) -> (Duration, HttpResponse) + Send + Sync + 'static> Transport
    for Scripted<F>
{
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        let (delay, response) = (self.0)(self.1.fetch_add(1, Ordering::Relaxed), &request);
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(response)
        })
    }
}

fn scripted(
    answer: impl Fn(usize, &HttpRequest) -> (Duration, HttpResponse) + Send + Sync + 'static,
) -> (Client, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let transport = Scripted(answer, Arc::clone(&sent));
    (
        Client::builder()
            .url("http://127.0.0.1:1")
            .token("t")
            .transport(transport)
            .build()
            .unwrap(),
        sent,
    )
}

fn reply(body: &'static str, token: Option<&str>) -> HttpResponse {
    reply_as(200, body, token)
}

fn reply_as(status: u16, body: &'static str, token: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::new(status, Default::default(), body);
    if let Some(token) = token {
        response.headers.insert("upstash-sync-token", token.parse().unwrap());
    }
    response
}

#[tokio::test(start_paused = true)]
async fn a_slow_read_gets_a_second_copy() {
    let slow_first = |number, _: &HttpRequest| {
        (Duration::from_secs(if number == 0 { 4 } else { 1 }), reply(r#"{"result":7}"#, None))
    };
    let (client, sent) = scripted(slow_first);
    let began = tokio::time::Instant::now();
    let answer: i64 = client.get("k").hedge_after(Duration::from_millis(500)).await.unwrap();
    assert_eq!(answer, 7);
    assert_eq!(began.elapsed(), Duration::from_millis(1500));
    assert_eq!(sent.load(Ordering::Relaxed), 2);
    let _: i64 = client.get("k").hedge_after(Duration::from_secs(2)).await.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 3, "one that answers in time stays alone");
    let error = client.incr("k").hedge_after(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), sent.load(Ordering::Relaxed)), (ErrorKind::InvalidCommand, 3));
}

#[tokio::test(start_paused = true)]
async fn retries_are_counted_for_the_server_only_when_asked() {
    for telemetry in [false, true] {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let transport = Scripted(
            move |number, request: &HttpRequest| {
                let count = request
                    .headers
                    .get("upstash-telemetry-retry")
                    .map(|count| count.to_str().unwrap().to_owned());
                log.lock().unwrap().push(count);
                let status = if number < 2 { 500 } else { 200 };
                (
                    Duration::ZERO,
                    reply_as(status, if number < 2 { "" } else { r#"{"result":1}"# }, None),
                )
            },
            Arc::default(),
        );
        let config = Client::builder().url("http://127.0.0.1:1").token("t").transport(transport);
        let client = if telemetry { config.telemetry() } else { config }.build().unwrap();
        client.get::<i64>("k").await.unwrap();
        let counts = |number: &str| telemetry.then(|| number.to_owned());
        assert_eq!(*seen.lock().unwrap(), [None, counts("1"), counts("2")]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_sync_token_goes_out_with_the_very_next_request() {
    let token_of = |request: &HttpRequest| {
        request.headers.get("upstash-sync-token").map(|token| token.to_str().unwrap().to_owned())
    };
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (client, _) = scripted(move |number, request| {
        log.lock().unwrap().push(token_of(request));
        match number {
            0 => (Duration::ZERO, reply(r#"{"result":1}"#, Some("one"))),
            // Failed commands bring a token too.
            1 => (Duration::ZERO, reply_as(400, r#"{"error":"ERR no"}"#, Some("two"))),
            // Overtaken by the next, and therefore older.
            2 => (Duration::from_secs(2), reply(r#"{"result":1}"#, Some("old"))),
            3 => (Duration::from_secs(1), reply(r#"{"result":1}"#, Some("new"))),
            // A failed attempt, then the retry with the token of the attempt before.
            4 => (Duration::ZERO, reply_as(500, "", Some("late"))),
            _ => (Duration::ZERO, reply(r#"{"result":1}"#, None)),
        }
    });
    let clone = client.clone();
    client.incr("k").await.unwrap();
    assert!(clone.incr("k").await.is_err());
    let (first, second) = tokio::join!(client.incr("k"), clone.incr("k"));
    first.and(second).unwrap();
    client.get::<i64>("k").await.unwrap();
    client.get::<i64>("k").await.unwrap();
    let text = |token: &str| Some(token.to_owned());
    let wanted =
        [None, text("one"), text("two"), text("two"), text("new"), text("late"), text("late")];
    assert_eq!(*seen.lock().unwrap(), wanted);
    let (other, _) = scripted(move |_, request| {
        (Duration::ZERO, reply(r#"{"result":1}"#, token_of(request).as_deref()))
    });
    assert_eq!(other.sync_token(), None);
    other.set_sync_token(&client.sync_token().unwrap()).unwrap();
    other.get::<i64>("k").await.unwrap();
    assert_eq!(other.sync_token(), text("late"));
    assert!(other.set_sync_token("a\nb").is_err());
}
