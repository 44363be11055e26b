//! Subscriptions on every backend, over lost connections, and at their end.

use redis_rest::backend::{Backend, EventStream, Reply};
use redis_rest::{
    BoxFuture, CallOptions, Client, Command, Error, ErrorKind, Event, Outcome, Subscription,
    SubscriptionTarget,
};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, Server, ServerConfig};
use redis_rest_test_support::nginx::Nginx;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LONG: Duration = Duration::from_secs(20);

async fn next(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(LONG, subscription.next())
        .await
        .expect("something comes")
        .expect("it goes on")
        .unwrap()
}

async fn message(subscription: &mut Subscription) -> (String, Option<String>, String) {
    match next(subscription).await {
        Event::Message(message) => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(&message.channel), message.pattern.as_deref().map(text), message.text().into())
        }
        other => panic!("{other:?}"),
    }
}

/// Publishes until there is no receiver.
async fn wait_for_no_subscriber(client: &Client, channel: &str) {
    let gone = async {
        while client.publish(channel, "anybody?").await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("dropping ends it");
}

async fn published_messages_arrive(client: Client) {
    let mut named = client.subscribe(["news,today/ü"]);
    assert_eq!(next(&mut named).await, Event::Subscribed("news,today/ü".into()));
    let mut matched = client.psubscribe(["news,*"]);
    assert_eq!(next(&mut matched).await, Event::Subscribed("news,*".into()));
    for payload in ["hello", "a,b", "two\nlines", "", "data: x\n\ndata: y", "ü", "\r\n\r", "\r"] {
        assert_eq!(client.publish("news,today/ü", payload).await.unwrap(), 2);
        assert_eq!(message(&mut named).await, ("news,today/ü".into(), None, payload.into()));
        let matching = ("news,today/ü".into(), Some("news,*".into()), payload.into());
        assert_eq!(message(&mut matched).await, matching);
    }
    client.publish("news,today/ü", b"\xff\r\0").await.unwrap();
    let Event::Message(bytes) = next(&mut named).await else { panic!("no message") };
    assert_eq!(&bytes.payload[..], b"\xff\r\0");
    next(&mut matched).await;
    assert_eq!(client.pubsub_channels().pattern("news*").await.unwrap(), ["news,today/ü"]);
    assert_eq!(
        client.pubsub_numsub(["news,today/ü", "none"]).await.unwrap(),
        [("news,today/ü".into(), 1), ("none".into(), 0)]
    );
    assert_eq!(client.pubsub_numpat().await.unwrap(), 1);
    drop((named, matched));
    wait_for_no_subscriber(&client, "news,today/ü").await;

    let mut both = client.subscribe(["a", "b"]);
    let first = [next(&mut both).await, next(&mut both).await];
    assert!(
        first.contains(&Event::Subscribed("a".into()))
            && first.contains(&Event::Subscribed("b".into()))
    );
    client.publish("b", "1").await.unwrap();
    assert_eq!(message(&mut both).await.0, "b");

    let mut monitor = client.monitor();
    assert_eq!(next(&mut monitor).await, Event::Subscribed("".into()));
    client.set("watched key", "v").await.unwrap();
    // The server in between looks up commands.
    loop {
        let Event::Command(line) = next(&mut monitor).await else { panic!("no command") };
        let line = String::from_utf8(line.to_vec()).unwrap().to_lowercase();
        if line.contains("\"set\" \"watched key\" \"v\"") {
            break;
        }
        assert!(line.contains("\"command\""), "{line}");
    }
}

#[tokio::test]
async fn published_messages_arrive_in_memory() {
    published_messages_arrive(Client::from_backend(MemoryBackend::new())).await;
}

#[tokio::test]
async fn published_messages_arrive_over_rest() {
    let server = rest::serve(MemoryBackend::new()).await;
    published_messages_arrive(rest::client(&server)).await;
}

#[cfg(feature = "native")]
#[tokio::test]
async fn published_messages_arrive_natively() {
    let redis = redis_test!();
    published_messages_arrive(Client::from_backend(redis.backend().await)).await;
}

#[cfg(feature = "native")]
#[tokio::test]
async fn published_messages_arrive_over_rest_from_redis() {
    let redis = redis_test!();
    let server = rest::serve(redis.backend().await).await;
    published_messages_arrive(rest::client(&server)).await;
}

#[tokio::test]
async fn subscriber_survives_a_restart_and_reports_the_gap() {
    let engine = MemoryBackend::new();
    let server = rest::serve(engine.clone()).await;
    let address = server.local_addr();
    let client = rest::client(&server);
    let mut subscription = client.subscribe(["c"]);
    assert_eq!(next(&mut subscription).await, Event::Subscribed("c".into()));
    client.publish("c", "before").await.unwrap();
    assert_eq!(message(&mut subscription).await.2, "before");
    server.shutdown().await;
    let direct = Client::from_backend(engine.clone());
    wait_for_no_subscriber(&direct, "c").await;
    let config = ServerConfig::new().listen(address);
    let _server = Server::bind(Arc::new(engine), config).await.unwrap().spawn();
    assert_eq!(next(&mut subscription).await, Event::Gap);
    assert_eq!(next(&mut subscription).await, Event::Subscribed("c".into()));
    assert_eq!(direct.publish("c", "after").await.unwrap(), 1);
    assert_eq!(message(&mut subscription).await.2, "after");
}

#[tokio::test]
async fn slow_reader_is_disconnected_and_reports_the_gap() {
    let client = Client::from_backend(MemoryBackend::new());
    let mut subscription = client.subscribe(["c"]);
    assert_eq!(next(&mut subscription).await, Event::Subscribed("c".into()));
    for number in 0..5000 {
        client.publish("c", number).await.unwrap();
    }
    assert_eq!(client.publish("c", "anybody?").await.unwrap(), 0, "its queue has a bound");
    let mut messages = 0;
    while let Event::Message(_) = next(&mut subscription).await {
        messages += 1;
    }
    assert!((1..5000).contains(&messages), "{messages}");
    assert_eq!(
        next(&mut subscription).await,
        Event::Subscribed("c".into()),
        "the one before was the gap"
    );
    client.publish("c", "on again").await.unwrap();
    assert_eq!(message(&mut subscription).await.2, "on again");
}

#[tokio::test]
async fn refusal_ends_a_subscription_with_an_error() {
    let server = rest::serve(MemoryBackend::new()).await;
    let error = |token: &'static str, listen: fn(&Client) -> Subscription| {
        let client = Client::new(server.url(), token).unwrap();
        async move {
            let mut subscription = listen(&client);
            let error = subscription.next().await.unwrap().unwrap_err();
            assert!(subscription.next().await.is_none(), "it has ended");
            error.kind()
        }
    };
    assert_eq!(error("wrong", |client| client.subscribe(["c"])).await, ErrorKind::Unauthorized);
    assert_eq!(error(rest::READ_ONLY_TOKEN, Client::monitor).await, ErrorKind::Unauthorized);
    assert_eq!(
        error(DEFAULT_TOKEN, |client| client.subscribe([".."])).await,
        ErrorKind::InvalidCommand
    );
    let page = wiremock::MockServer::start().await;
    let mut subscription = Client::new(page.uri(), "t").unwrap().subscribe(["c"]);
    assert_eq!(subscription.next().await.unwrap().unwrap_err().kind(), ErrorKind::Http);
}

/// Starts a server that sends one message on each connection, and then stays silent.
#[tokio::test]
async fn silent_connection_is_lost() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: subscribe,c,1\n\n").await.unwrap();
            held.push(stream);
        }
    });
    let mut subscription =
        Client::new(url, "t").unwrap().subscribe(["c"]).idle_timeout(Duration::from_millis(50));
    assert_eq!(next(&mut subscription).await, Event::Subscribed("c".into()));
    assert_eq!(next(&mut subscription).await, Event::Gap);
    assert_eq!(next(&mut subscription).await, Event::Subscribed("c".into()));
    server.abort();
}

/// Without stream settings, nginx buffers responses.
#[tokio::test]
async fn stream_passes_an_nginx_with_default_settings() {
    let server = rest::serve(MemoryBackend::new()).await;
    let proxied = format!("location / {{ proxy_pass http://{}; }}", server.local_addr());
    let nginx = redis_test!(Nginx::start(&proxied));
    let client = Client::new(nginx.url(), DEFAULT_TOKEN).unwrap();
    let mut subscription = client.subscribe(["c"]);
    assert_eq!(next(&mut subscription).await, Event::Subscribed("c".into()));
    client.publish("c", "hello").await.unwrap();
    assert_eq!(message(&mut subscription).await.2, "hello");
}

#[tokio::test]
async fn response_that_is_no_stream_ends_it_at_once() {
    let said = |status, body: &str| {
        let body = body.to_owned();
        async move {
            let server = wiremock::MockServer::start().await;
            let answer =
                wiremock::ResponseTemplate::new(status).set_body_raw(body, "Application/JSON");
            let any = wiremock::matchers::any();
            wiremock::Mock::given(any).respond_with(answer).expect(1).mount(&server).await;
            let mut subscription = Client::new(server.uri(), "t").unwrap().subscribe(["c"]);
            subscription.next().await.unwrap().unwrap_err()
        }
    };
    let error = said(200, r#"{"result":["subscribe","c",1]}"#).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("no event streams"), "{error}");
    let error = said(200, r#"{"error":"ERR not here"}"#).await;
    assert_eq!(error.server_message(), Some("ERR not here"));
}

/// Without a bound, the client would wait for the rest of the page until the attempt's timeout.
#[tokio::test]
async fn long_page_that_is_no_stream_is_not_read_to_its_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99999\r\n\r\n",
            )
            .await
            .unwrap();
        stream.write_all(&[b'x'; 20_000]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let timeout = Duration::from_secs(600);
    let client = Client::builder().url(url).token("t").timeout(timeout).build().unwrap();
    let mut subscription = client.subscribe(["c"]);
    let first = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
    assert_eq!(first.unwrap().unwrap().unwrap_err().kind(), ErrorKind::Unsupported);
    server.abort();
}

/// Some proxies forward the head of a response only with the first byte of the body.
#[tokio::test]
async fn stream_opens_with_a_comment() {
    let server = rest::serve(MemoryBackend::new()).await;
    let mut stream = tokio::net::TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!(
        "POST /subscribe/c HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {DEFAULT_TOKEN}\r\naccept: text/event-stream\r\ncontent-length: 0\r\n\r\n",
        server.local_addr()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(6).any(|bytes| bytes == b"data: ") {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0, "it stays open");
        seen.extend_from_slice(&bytes[..length]);
    }
    let seen = String::from_utf8(seen).unwrap();
    let comment = seen.find("\n: ").expect("a comment");
    assert!(comment < seen.find("data: ").unwrap(), "{seen}");
}

/// A backend with scripted connection results, the last of which repeats.
struct Connects(Mutex<Vec<Result<(), Error>>>);

impl Backend for Connects {
    fn execute<'a>(&'a self, _: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        unreachable!("it only listens")
    }

    /// Returns one event, and loses the connection.
    fn listen<'a>(
        &'a self,
        _: &'a SubscriptionTarget,
    ) -> BoxFuture<'a, Result<EventStream, Error>> {
        let mut results = self.0.lock().unwrap();
        let next = if results.len() > 1 { results.remove(0) } else { results[0].clone() };
        Box::pin(async move {
            next?;
            Ok(Box::pin(Once(Some(Event::Subscribed("c".into())))) as EventStream)
        })
    }

    fn pipeline<'a>(&'a self, _: &'a [Command], _: &'a CallOptions) -> BoxFuture<'a, Vec<Reply>> {
        unreachable!("it only listens")
    }

    fn transaction<'a>(
        &'a self,
        _: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>, Error>> {
        unreachable!("it only listens")
    }
}

struct Once(Option<Event>);

impl futures_core::Stream for Once {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

fn refusal(kind: ErrorKind, status: u16) -> Result<(), Error> {
    Err(Error::custom(kind, Outcome::NotApplied, "refused").with_status(status))
}

#[tokio::test(start_paused = true)]
async fn single_refusals_at_a_reconnect_are_retried() {
    let (forbidden, missing) =
        (refusal(ErrorKind::Unauthorized, 403), refusal(ErrorKind::Http, 404));
    let results = vec![Ok(()), forbidden.clone(), missing.clone(), Ok(()), missing.clone()];
    let client = Client::from_backend(Connects(Mutex::new(results)));
    let mut subscription = client.subscribe(["c"]);
    let subscribed = || Event::Subscribed("c".into());
    for event in [subscribed(), Event::Gap, subscribed()] {
        assert_eq!(next(&mut subscription).await, event);
    }
    let error = subscription.next().await.unwrap().unwrap_err();
    assert_eq!(error.status(), Some(404), "after ten of them");
    assert!(subscription.next().await.is_none());
    // A subscription that never ran, and a wrong token, end at once.
    let token = refusal(ErrorKind::Unauthorized, 401);
    for (results, status) in [(vec![missing], 404), (vec![Ok(()), token, Ok(())], 401)] {
        let client = Client::from_backend(Connects(Mutex::new(results)));
        let mut subscription = client.subscribe(["c"]);
        let error = loop {
            if let Err(error) = subscription.next().await.unwrap() {
                break error;
            }
        };
        assert_eq!(error.status(), Some(status));
    }
}
