//! The server as a whole: stopping, and a Redis behind it that stops and restarts.

use redis_rest::backend::native::NativeBackend;
use redis_rest::backend::{Backend, Reply};
use redis_rest::{
    BoxFuture, CallOptions, Client, Command, Error, ErrorKind, Outcome, Result, Value, cmd,
};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{Server, ServerConfig};
use redis_rest_test_support::raw;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// A backend that replies when released.
#[derive(Clone, Default)]
struct Slow {
    asked: Arc<Notify>,
    go: Arc<Notify>,
}

impl Backend for Slow {
    fn execute<'a>(&'a self, command: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            if command.is("COMMAND") {
                return Ok(Value::Nil);
            }
            self.asked.notify_one();
            self.go.notified().await;
            Ok(Value::Okay)
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move { commands.iter().map(|_| Ok(Value::Okay)).collect() })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move { Ok(commands.iter().map(|_| Ok(Value::Okay)).collect()) })
    }
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_ends_idle_connections() {
    let backend = Slow::default();
    let server = rest::serve(backend.clone()).await;
    let addr = server.local_addr();
    let client = rest::config(&server).no_retry().build().unwrap();
    // A connection is idle in the client's pool, another has sent nothing yet, a third waits for
    // its reply.
    let mut pipe = client.pipeline();
    let _ = pipe.add(cmd::set("k", "v"));
    pipe.send().await.unwrap().all::<Value>().unwrap();
    let _silent = tokio::net::TcpStream::connect(addr).await.unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.set("k", "v").await }
    });
    backend.asked.notified().await;
    let stopping = tokio::spawn(server.shutdown());
    // The server no longer listens, but the request is still in flight.
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished() && !stopping.is_finished());
    backend.go.notify_one();
    call.await.unwrap().unwrap();
    stopping.await.unwrap();
    let error = client.set("k", "v").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotApplied));
}

#[tokio::test]
async fn dropping_the_handle_stops_at_once() {
    let server = rest::serve(Slow::default()).await;
    let addr = server.local_addr();
    drop(server);
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn addresses_that_cannot_be_listened_on() {
    let server = rest::serve(Slow::default()).await;
    let taken =
        Server::bind(Arc::new(Slow::default()), ServerConfig::new().listen(server.local_addr()))
            .await
            .unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Config);
    let everyone = ServerConfig::new().listen(([0, 0, 0, 0], 0).into());
    let error = Server::bind(Arc::new(Slow::default()), everyone.clone()).await.unwrap_err();
    assert!(error.to_string().contains("default token"), "{error}");
    assert!(Server::bind(Arc::new(Slow::default()), everyone.token("another")).await.is_ok());
}

#[tokio::test]
async fn redis_outage_and_recovery() {
    let mut redis = redis_test!();
    let native = redis.backend().await;
    let server = rest::serve(native.clone()).await;
    let (direct, client) =
        (Client::from_backend(native), rest::config(&server).no_retry().build().unwrap());
    client.set("k", "v").await.unwrap();

    redis.stop();
    // The first call may still find the old connection; later ones fail to connect.
    let _ = direct.get::<Value>("k").await;
    let error = direct.incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Connect, Outcome::NotApplied));
    assert_eq!(
        raw::request(server.local_addr(), "POST", "/", "[\"GET\",\"k\"]").await,
        (503, "{\"error\":\"DB connection refused\"}".to_owned())
    );
    assert_eq!(
        raw::request(
            server.local_addr(),
            "POST",
            "/pipeline",
            "[[\"GET\",\"k\"],[\"INCR\",\"n\"]]"
        )
        .await
        .0,
        503
    );
    assert_eq!(
        raw::request(server.local_addr(), "POST", "/multi-exec", "[[\"GET\",\"k\"]]").await.0,
        503
    );

    redis.restart();
    assert_eq!(client.incr("n").await.unwrap(), 1);
    assert_eq!(direct.incr("n").await.unwrap(), 2);
    // An idle connection that broke is detected before the next call, which then does not fail.
    redis.restart();
    let mut replies = 0;
    while replies == 0 {
        match direct.incr("n").await {
            Ok(n) => replies = n,
            Err(error) => assert!(error.maybe_applied(), "{error:?}"),
        }
    }
    assert_eq!(replies, 1);
}

/// A backend that replies to two slices of a pipeline, and becomes unavailable in the third.
#[derive(Clone, Default)]
struct Failing(Arc<Mutex<Vec<usize>>>);

impl Backend for Failing {
    fn execute<'a>(&'a self, _: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        Box::pin(async { Ok(Value::Nil) })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        let slices = {
            let mut slices = self.0.lock().unwrap();
            slices.push(commands.len());
            slices.len()
        };
        let reply = move || match slices {
            ..3 => Ok(Value::Okay),
            _ => Err(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "lost")),
        };
        Box::pin(async move { commands.iter().map(|_| reply()).collect() })
    }

    fn transaction<'a>(
        &'a self,
        _: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::test]
async fn sliced_pipeline_ends_when_the_backend_is_lost() {
    let backend = Failing::default();
    let server = rest::serve(backend.clone()).await;
    let commands = vec![["INCR", "n"]; 200];
    let body = serde_json::to_string(&commands).unwrap();
    let (status, body) = raw::request(server.local_addr(), "POST", "/pipeline", body).await;
    let replies: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
    assert_eq!((status, replies.len()), (200, 200));
    assert_eq!(*backend.0.lock().unwrap(), [16, 32, 64], "nothing is sent after that");
    let said = |text: &str| replies.iter().filter(|reply| reply["error"] == text).count();
    // Entries that may have run, and entries that did not.
    assert_eq!((said("ERR caller gone"), said("DB connection refused")), (64, 200 - 16 - 32 - 64));
    assert!(replies[..48].iter().all(|reply| reply["result"] == "OK"));
}

#[tokio::test]
async fn redis_that_does_not_respond() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let client = Client::from_backend(NativeBackend::lazy(&url).unwrap());
    let error = client.incr("k").timeout(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout), "{error:?}");
    assert!(NativeBackend::connect("redis://127.0.0.1:1").await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_call_that_timed_out_may_have_run_and_the_next_works() {
    let redis = redis_test!();
    let client = Client::from_backend(redis.backend().await);
    let slow = "local t = redis.call('TIME') repeat local u = redis.call('TIME') until (u[1] - t[1]) * 1000000 + u[2] - t[2] > 300000";
    let error =
        client.eval::<Value>(slow, (), ()).timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::MaybeApplied));
    client.set("k", "v").await.unwrap();
    assert_eq!(client.get::<String>("k").await.unwrap(), "v");
}

#[tokio::test]
async fn wrong_password_is_distinguished() {
    let redis = redis_test!();
    let client = Client::from_backend(redis.backend().await);
    // Directly to Redis: nothing here refuses CONFIG.
    client.run::<Value>(cmd("CONFIG SET requirepass s3cret")).await.unwrap();
    let url = redis.url();
    let error = NativeBackend::connect(&url.replace("//", "//:wrong-s3cret@")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, Outcome::NotApplied));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let inside = NativeBackend::connect(&url.replace("//", "//:s3cret@")).await.unwrap();
    Client::from_backend(inside).ping().await.unwrap();
}

/// Tests the preflight that a browser sends for a page of another origin, and the headers that it
/// reads.
#[tokio::test]
async fn pages_of_allowed_origins_are_served() {
    let server =
        rest::serve_with(MemoryBackend::new(), |config| config.cors("http://localhost:3000")).await;
    let asked = |method: &str, headers: &str| {
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\nContent-Length: 0\r\n\r\n"
        );
        let addr = server.local_addr();
        async move { raw::exchange(addr, request).await.to_ascii_lowercase() }
    };
    let preflight = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,upstash-encoding";
    let allowed = asked("OPTIONS", &format!("Origin: http://localhost:3000\r\n{preflight}")).await;
    assert!(allowed.starts_with("http/1.1 204"), "{allowed}");
    for header in [
        "access-control-allow-origin: http://localhost:3000",
        "access-control-allow-headers: authorization,upstash-encoding",
        "access-control-allow-methods: get, head, post, put",
        "vary: origin",
    ] {
        assert!(allowed.contains(header), "{header} in {allowed}");
    }
    // The page can read a response, including a refusal.
    let answer = asked("POST", "Origin: http://localhost:3000").await;
    assert!(
        answer.starts_with("http/1.1 401")
            && answer.contains("access-control-allow-origin: http://localhost:3000"),
        "{answer}"
    );
    assert!(
        answer.contains("access-control-expose-headers: upstash-sync-token, retry-after"),
        "{answer}"
    );
    // Other origins get no such headers, and a preflight is no request.
    for (origin, status) in [
        ("Origin: http://localhost:3001", 403),
        ("Origin: https://localhost:3000", 403),
        ("Origin: null", 403),
        ("X: y", 405),
    ] {
        let refused = asked("OPTIONS", &format!("{origin}\r\n{preflight}")).await;
        assert!(
            refused.starts_with(&format!("http/1.1 {status}"))
                && !refused.contains("access-control-"),
            "{refused}"
        );
    }
    let plain = rest::serve(MemoryBackend::new()).await;
    let head = "Host: localhost\r\nConnection: close\r\nOrigin: http://localhost:3000\r\nAccess-Control-Request-Method: POST";
    let refused =
        raw::exchange(plain.local_addr(), format!("OPTIONS / HTTP/1.1\r\n{head}\r\n\r\n")).await;
    assert!(
        refused.starts_with("HTTP/1.1 403") && !refused.contains("access-control-"),
        "{refused}"
    );
}
