//! No key, value, token, id or address gets into a label, a span or an event.

use super::Recorded;
use crate::sessions::gate::at_once;
use crate::support::rest;
use crate::support::scripted::{Answer, Scripted, redis_error, says};
use redis_rest::backend::memory::MemoryBackend;
use redis_rest::server::Server;
use redis_rest::session::{InMemorySessionStore, ManagerOptions, NewSession, RedisSessionStore, SessionManager, SessionStore};
use redis_rest::{Client, Error, ErrorKind, Outcome, Script, Value, cmd};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;

/// What all that is secret here contains, in any case.
const MARK: &str = "S3CRET";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Calls that go well, that Redis refuses, that are lost, and that are none.
async fn drive(client: &Client) {
    client.set("s3cret:key", "s3cret-value").await.unwrap();
    client.incr("s3cret:key").await.unwrap_err();
    client.run::<Value>(cmd("s3cret:ÿ").arg("s3cret")).await.unwrap_err();
    client.run::<Value>(cmd("OBJECT").arg("s3cret").arg("s3cret:key")).await.unwrap_err();
    let script = Script::new("return redis.error_reply('S3cret ' .. KEYS[1])");
    script.key("s3cret:key").call::<Value>().on(client).await.unwrap_err();
    let mut pipe = client.pipeline();
    let _ = (pipe.add(cmd::get::<Value>("s3cret:a")), pipe.add_raw::<Value>(cmd("s3cret:ÿ").arg("s3cret")));
    pipe.send().await.unwrap();
    let mut transaction = client.transaction();
    let _ = (transaction.add(cmd::incr("s3cret:n")), transaction.add(cmd::get::<Value>("s3cret:n")));
    transaction.send().await.unwrap();
    client.incr("s3cret:n").exactly_once().await.unwrap();
}

#[tokio::test]
async fn nothing_secret_is_recorded() {
    let recorded = Recorded::here();
    let written = Written::default();
    let writer = written.clone();
    let print = tracing_subscriber::fmt::layer().with_span_events(FmtSpan::FULL).with_writer(move || writer.clone());
    // The HTTP libraries have spans of their own, which are not this crate's.
    let own = Targets::new().with_target("redis_rest", LevelFilter::TRACE);
    let guard = crate::support::spans::seen_by(tracing_subscriber::registry().with(print).with(own));

    let backend = MemoryBackend::new();
    let settings = redis_rest::server::ServerConfig::new().listen(([127, 0, 0, 1], 0).into()).token("s3cret-token");
    let server = Server::bind(Arc::new(backend.clone()), settings).await.unwrap().spawn();
    let client = Client::builder().url(server.url()).token("s3cret-token").deadline(Duration::from_millis(200)).build().unwrap();
    drive(&client).await;
    rest::config(&server).token("s3cret-wrong").build().unwrap().get::<Value>("s3cret").await.unwrap_err();

    let options = ManagerOptions::default().max_staleness(Duration::ZERO).recovery(at_once());
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::new(RedisSessionStore::new(client.clone(), Duration::from_secs(60))), true).await.unwrap();
    let new = || NewSession::new("s3cret-user", "s3cret-org");
    manager.create_session_with(new().id("s3cret-id")).await.unwrap();
    manager.get_session("s3cret-id").await.unwrap();
    manager.get_session("s3cret-unknown").await.unwrap_err();
    let address = server.addr();
    server.shutdown().await;
    manager.create_session_with(new().id("s3cret-id-2")).await.unwrap();
    manager.cleanup_session("s3cret-id").await.unwrap();
    let _ = manager.list_sessions("s3cret-user").await.unwrap();
    client.get::<Value>("s3cret:key").await.unwrap_err();
    let memory = InMemorySessionStore::new(Duration::from_secs(60));
    memory.store_session(&redis_rest::session::Session::new("s3cret-user", "s3cret-org")).await.unwrap();
    let odd = [
        redis_error(400, "WRONGTYPE s3cret"),
        redis_error(500, "s3cret"),
        says(502, "<p>s3cret</p>"),
        Answer::Fails(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "broke")),
    ];
    for answer in odd {
        Scripted::answers([answer]).config().no_retry().build().unwrap().incr("s3cret").await.unwrap_err();
    }

    drop(guard);
    // A name that looks like one is in its span as it was given, but never a label.
    Scripted::answers([redis_error(400, "ERR")]).config().build().unwrap().run::<Value>(cmd("s3cret").arg("s3cret")).await.unwrap_err();
    let metrics = recorded.text();
    let spans = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(metrics.contains(r#"db_operation_name="other""#) && spans.contains("redis.http") && spans.contains("session store"), "{spans}");
    for (text, what) in [(&metrics, "metrics"), (&spans, "spans")] {
        for secret in [MARK, &address.to_string().to_uppercase(), &format!("={}", address.port()), "BEARER"] {
            let found = text.lines().find(|line| line.to_uppercase().contains(secret));
            assert!(found.is_none(), "{secret} in {what}: {found:?}");
        }
    }
}
