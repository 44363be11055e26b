use redis_rest::backend::native::NativeConfig;
use redis_rest::session::{RedisSessionStore, Session, SessionStoreExt as _};
use redis_rest::{Client, Outcome, Value, cmd};
use redis_rest_server::RunningServer;
use redis_rest_test_support::connection::{LONG, connect, full_request, read_to_end, send};
use redis_rest_test_support::raw::parse;
use redis_rest_test_support::redis::Redis;
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest;
use std::time::Duration;

const ENDLESS: &str = "while true do end";

/// Starts a Redis that reports itself busy soon.
fn impatient() -> Option<Redis> {
    let redis = Redis::start()?;
    redis.control("CONFIG SET busy-reply-threshold 50");
    Some(redis)
}

async fn serve(url: &str, script_timeout: Duration) -> RunningServer {
    let config = NativeConfig::new(url).script_timeout(script_timeout).timeout(LONG);
    rest::serve(config.connect().await.unwrap()).await
}

fn client(server: &RunningServer) -> Client {
    rest::config(server).no_retry().no_auto_batch().timeout(LONG).build().unwrap()
}

/// All of them wait for the script, on the same connection.
async fn others_succeed(client: &Client) {
    let gets = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.get::<Option<String>>("k").await })
    });
    for get in gets.collect::<Vec<_>>() {
        assert_eq!(get.await.unwrap().unwrap(), None);
    }
}

#[tokio::test]
async fn endless_scripts_of_redis_are_ended() {
    let redis = redis_test!(impatient());
    let server = serve(&redis.url(), Duration::from_millis(200)).await;
    let client = client(&server);
    let library =
        "#!lua name=endless\nredis.register_function('endless', function() while true do end end)";
    client.run::<Value>(cmd("FUNCTION LOAD").arg(library)).await.unwrap();
    for (name, script) in [("EVAL", ENDLESS), ("FCALL", "endless"), ("EVAL_RO", ENDLESS)] {
        let command = cmd(name).arg(script).arg(0);
        let script = tokio::spawn({
            let client = client.clone();
            async move { client.run::<Value>(command).await }
        });
        others_succeed(&client).await;
        let error = script.await.unwrap().unwrap_err();
        let text = error.server_message().unwrap_or_default();
        assert!(text.contains("killed by user"), "{name}: {text}");
        let read_only = name == "EVAL_RO";
        let outcome = if read_only { Outcome::NotApplied } else { Outcome::MaybeApplied };
        assert_eq!(error.outcome(), outcome, "{name}");
    }
    // In a pipeline its neighbours run.
    let mut pipeline = client.pipeline();
    let before = pipeline.add(redis_rest::cmd::incr("n"));
    let script = pipeline.add_raw::<Value>(cmd("EVAL").arg(ENDLESS).arg(0));
    let after = pipeline.add(redis_rest::cmd::incr("n"));
    let mut replies = pipeline.send().await.unwrap();
    assert_eq!((replies.take(before).unwrap(), replies.take(after).unwrap()), (1, 2));
    assert!(replies.take(script).is_err());
}

#[tokio::test]
async fn script_of_a_cancelled_caller_is_ended() {
    let redis = redis_test!(impatient());
    let server = serve(&redis.url(), Duration::from_millis(200)).await;
    let mut stream = connect(server.local_addr()).await;
    send(&mut stream, full_request(&format!("[\"EVAL\",\"{ENDLESS}\",\"0\"]"))).await;
    drop(stream);
    others_succeed(&client(&server)).await;
    client(&server).ping().await.unwrap();
}

#[tokio::test]
async fn a_script_that_has_written_is_reported_at_once() {
    let redis = redis_test!(impatient());
    // The limit of a call, which would end it with another error.
    let limit = Duration::from_secs(2);
    let config = NativeConfig::new(redis.url()).script_timeout(Duration::from_millis(200));
    let server = rest::serve(config.timeout(limit).connect().await.unwrap()).await;
    let script = format!("redis.call('SET', 'written', '1') {ENDLESS}");
    let error = client(&server).eval::<Value>(&script, (), ()).await.unwrap_err();
    assert_eq!((error.outcome(), error.redis_code()), (Outcome::MaybeApplied, Some("UNKILLABLE")));
    // Only the end of Redis ends it. Other calls learn that nothing of theirs ran.
    let error = client(&server).incr("n").await.unwrap_err();
    assert_eq!((error.outcome(), error.redis_code()), (Outcome::NotApplied, Some("BUSY")));
}

#[tokio::test]
async fn busy_redis_is_a_503_with_retry_after() {
    let redis = redis_test!(impatient());
    let server = rest::serve(redis.backend().await).await;
    let mut endless = connect(([127, 0, 0, 1], redis.port()).into()).await;
    send(&mut endless, format!("EVAL \"{ENDLESS}\" 0\r\n")).await;
    for (target, body) in [
        ("/", "[\"GET\",\"k\"]"),
        ("/pipeline", "[[\"GET\",\"k\"],[\"SET\",\"k\",\"v\"]]"),
        ("/multi-exec", "[[\"SET\",\"k\",\"v\"]]"),
    ] {
        let head = format!("POST {target} HTTP/1.1\r\nConnection: close\r\n");
        let request = full_request(body).replacen("POST / HTTP/1.1\r\n", &head, 1);
        // Until Redis is busy, it replies.
        loop {
            let mut stream = connect(server.local_addr()).await;
            send(&mut stream, &request).await;
            let answer = read_to_end(&mut stream).await;
            if parse(&answer).0 == 200 {
                continue;
            }
            assert_eq!(parse(&answer).0, 503, "{answer}");
            assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"), "{answer}");
            assert!(parse(&answer).1.contains("BUSY"), "{answer}");
            break;
        }
    }
    let error = client(&server).incr("n").await.unwrap_err();
    assert_eq!((error.outcome(), error.redis_code()), (Outcome::NotApplied, Some("BUSY")));
    redis.control("SCRIPT KILL");
    // The script ends a moment later, and no refused call ran.
    let first = loop {
        match client(&server).incr("n").await {
            Err(error) if error.redis_code() == Some("BUSY") => {}
            ended => break ended.unwrap(),
        }
    };
    assert_eq!(first, 1);
}

/// The lists of SECURITY.md, and its user.
#[tokio::test]
async fn documented_user_restricts_scripts() {
    let redis = redis_test!(impatient());
    let document = include_str!("../../../../../SECURITY.md");
    let line = document.lines().find(|line| line.starts_with("ACL SETUSER rest ")).unwrap();
    redis.control(line);
    let url = redis.url().replace("//", "//rest:PASSWORD@");
    let server = serve(&url, Duration::from_millis(200)).await;
    let client = client(&server);
    let admin = Client::from_backend(redis.backend().await);
    admin.set("k", "v").await.unwrap();
    for call in [
        "'MIGRATE', '127.0.0.1', '1', 'k', '0', '10'",
        "'SELECT', '1'",
        "'RESTORE-ASKING', 'r', '0', 'x'",
        "'PFDEBUG', 'ENCODING', 'k'",
        "'PFSELFTEST'",
        "'SLOWLOG', 'GET'",
        "'SLOWLOG', 'RESET'",
        "'MEMORY', 'PURGE'",
        "'INFO'",
        "'FLUSHALL'",
        "'KEYS', '*'",
        "'SORT', 'k'",
    ] {
        let script = format!("return redis.call({call})");
        let error = client.eval::<Value>(&script, (), ()).await.unwrap_err();
        let text = error.server_message().unwrap_or_default();
        assert!(
            text.contains("The user executing the script can't run this command"),
            "{call}: {text}"
        );
        // The default user of Redis may call nearly all of them.
        if matches!(call, "'SELECT', '1'" | "'SLOWLOG', 'GET'" | "'INFO'") {
            assert!(admin.eval::<Value>(&script, (), ()).await.is_ok(), "{call}");
        }
    }
    // The user can serve requests, keep sessions, and end scripts.
    client.set("own", "1").await.unwrap();
    assert_eq!(
        client.eval::<i64>("return redis.call('INCR', KEYS[1])", ["own"], ()).await.unwrap(),
        2
    );
    let store = RedisSessionStore::new(client.clone(), LONG);
    let session = Session::new("user").org_id("org");
    store.store_session(&session).await.unwrap();
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 1);
    let error = client.eval::<Value>(ENDLESS, (), ()).await.unwrap_err();
    assert!(error.server_message().unwrap_or_default().contains("killed by user"), "{error:?}");
}
