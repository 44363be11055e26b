use crate::support::{Gate, Way, client, config, config_below, pass, unique};
use futures_util::future::{join, try_join_all};
use redis_rest::{
    Client, Encoding, ErrorKind, Event, Outcome, RetryPolicy, Subscription, Value, cmd,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use wasm_bindgen_test::wasm_bindgen_test;

const QUICK: Duration = Duration::from_millis(1);

#[wasm_bindgen_test]
async fn callers_at_once_share_requests() {
    let gate = Gate::new();
    let client = config().transport(gate.clone()).build().unwrap();
    let key = unique("counter");
    let seen = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..50 {
        let (call, seen) = (client.incr(&key), Rc::clone(&seen));
        wasm_bindgen_futures::spawn_local(async move {
            let n: i64 = call.await.unwrap();
            seen.borrow_mut().push(n);
        });
    }
    while seen.borrow().len() < 50 {
        pass(QUICK).await;
    }
    seen.borrow_mut().sort_unstable();
    assert_eq!(*seen.borrow(), (1..=50).collect::<Vec<i64>>());
    assert!(gate.sent() < 10, "{} requests", gate.sent());
}

#[wasm_bindgen_test]
async fn calls_can_be_joined() {
    let client = client();
    let key = unique("counter");
    let mut counts: Vec<i64> = try_join_all((0..4).map(|_| client.incr(&key))).await.unwrap();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4]);
    let (text, missing) =
        join(client.get::<String>(&key), client.get::<Option<String>>(unique("none"))).await;
    assert_eq!(text.unwrap(), "4");
    assert_eq!(missing.unwrap(), None);
}

#[wasm_bindgen_test]
async fn server_that_ignores_base64_is_found_out() {
    let gate = Gate::new();
    gate.set(Way::Plain);
    let client = config().transport(gate.clone()).build().unwrap();
    let key = unique("text");
    client.set(&key, "abcd").await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.get::<String>(&key).await.unwrap(), "abcd");
    }
    assert_eq!(gate.sent(), 4, "one question");
}

#[wasm_bindgen_test]
async fn commands_that_may_have_run_are_not_sent_again() {
    let gate = Gate::new();
    let client = config()
        .transport(gate.clone())
        .retry(RetryPolicy::default().backoff(QUICK, QUICK))
        .build()
        .unwrap();
    let key = unique("counter");
    gate.set(Way::Lost);
    let error = client.incr(&key).await.unwrap_err();
    assert_eq!((error.outcome(), gate.sent()), (Outcome::MaybeApplied, 1));
    assert_eq!(
        client.get::<i64>(&key).no_retry().await.unwrap_err().outcome(),
        Outcome::NotApplied
    );
    gate.set(Way::Open);
    assert_eq!(client.get::<i64>(&key).await.unwrap(), 1);
    assert_eq!(client.incr(&key).exactly_once().await.unwrap(), 2);
}

#[wasm_bindgen_test]
async fn refused_connection_looks_like_a_lost_reply() {
    // The discard port: no server listens there, and browsers do not even try.
    let nobody = Client::builder()
        .url("http://127.0.0.1:9")
        .token("t")
        .retry(RetryPolicy::default().backoff(QUICK, QUICK))
        .build()
        .unwrap();
    let error = nobody.incr("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
    assert_eq!(error.attempts(), 1);
    let error = nobody.get::<Value>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.attempts(), 10);
    // The host would include more: a stack trace with addresses.
    assert!(!format!("{error} {error:?}").contains("http"), "{error:?}");
}

#[wasm_bindgen_test]
async fn an_attempt_that_takes_too_long_is_given_up() {
    let busy = cmd("EVAL").arg("local n = 0 for i = 1, 3e7 do n = n + i end return n").arg(0);
    let error = client().run::<Value>(busy).timeout(Duration::from_millis(30)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::MaybeApplied));
}

#[wasm_bindgen_test]
async fn wrong_tokens_and_large_replies() {
    let wrong = config().token("wrong").build().unwrap();
    let error = wrong.get::<Value>("k").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, Outcome::NotApplied));
    let small = config().max_reply_bytes(1000).build().unwrap();
    let key = unique("large");
    small.set(&key, "x".repeat(2000)).await.unwrap();
    assert_eq!(small.get::<String>(&key).await.unwrap_err().kind(), ErrorKind::ReplyTooLarge);
}

async fn next(subscription: &mut Subscription) -> Event {
    subscription.next().await.expect("it goes on").unwrap()
}

#[wasm_bindgen_test]
async fn subscriptions() {
    let (client, channel) = (client(), unique("news"));
    let mut news = client.subscribe([channel.clone()]);
    assert_eq!(next(&mut news).await, Event::Subscribed(channel.clone().into()));
    for payload in ["hello", "", "two\nlines", "ü"] {
        assert_eq!(client.publish(&channel, payload).await.unwrap(), 1);
        let (message, gap) = news.next_message().await.expect("it goes on").unwrap();
        assert_eq!((message.text().as_ref(), gap), (payload, false));
    }
    drop(news);
    while client.publish(&channel, "anybody?").await.unwrap() > 0 {
        pass(QUICK).await;
    }
}

#[wasm_bindgen_test]
async fn sync_tokens_are_kept() {
    let client = client();
    assert_eq!(client.sync_token(), None);
    client.ping().await.unwrap();
    assert!(client.sync_token().is_some());
}

/// The host's `URL` resolves dot segments, encoded or not. Dots within a segment stay.
#[wasm_bindgen_test]
async fn names_in_paths_arrive_after_one_probe() {
    let gate = Gate::new();
    let config = config().no_auto_batch().encoding(Encoding::Base64);
    let client = config.transport(gate.clone()).build().unwrap();
    let list = unique("list/a//b?c#d%2F;e f\\g");
    assert_eq!(client.rpush(&list, [b"\xff"]).await.unwrap(), 1);
    assert_eq!(gate.sent(), 2);
    assert_eq!(client.rpush(&list, [b"\xfe"]).await.unwrap(), 2);
    assert_eq!((client.llen(&list).await.unwrap(), gate.sent()), (2, 4));
    let mut news = client.subscribe([list.clone()]);
    assert_eq!(next(&mut news).await, Event::Subscribed(list.clone().into()));
    for name in ["../flushall", "a/..", ".", "a/%2e/../b"] {
        let error = client.rpush(name, [b"\xff"]).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::InvalidCommand, Outcome::NotApplied)
        );
        let error = client.subscribe([name]).next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand);
    }
    // Below this base the probe is the key of a `GET`, and one argument too many.
    let elsewhere = config_below("/get").build().unwrap();
    let error = elsewhere.rpush(&list, [b"\xff"]).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unsupported, Outcome::NotApplied));
}
