//! `FakeRedis`: a working Redis, and faults in front of it.

use super::{alone, request};
use redis_rest::session::{
    ChangeId, Delete, RedisSessionStore, Session, SessionError, SessionStore as _,
    SessionStoreExt as _, When,
};
use redis_rest::{Client, Encoding, ErrorKind, Event, Value, cmd};
use redis_rest_testing::{FakeRedis, command, html_502, with_key};
use std::time::Duration;
use wiremock::{Mock, Respond, ResponseTemplate};

#[tokio::test]
async fn a_fake_redis_works_in_every_format() {
    let redis = FakeRedis::start().await;
    for format in [Encoding::Base64, Encoding::Resp2, Encoding::Text] {
        let client = redis.config().encoding(format).build().unwrap();
        client.set("name", "Ada").await.unwrap();
        assert_eq!(client.get::<String>("name").await.unwrap(), "Ada");
        let mut transaction = client.transaction();
        let (push, wrong) =
            (transaction.add(cmd::rpush("list", ["a"])), transaction.add(cmd::incr("name")));
        let mut replies = transaction.send().await.unwrap();
        assert!(replies.take(push).is_ok() && replies.take(wrong).is_err());
        client
            .run::<Value>(
                cmd("EVAL").arg("return redis.call('SET', KEYS[1], 1)").arg(1).arg("script"),
            )
            .await
            .unwrap();
    }
    let client = redis.client();
    client.set("bytes", &b"\xff\0"[..]).await.unwrap();
    assert_eq!(client.get::<Vec<u8>>("bytes").await.unwrap(), b"\xff\0");
    assert_eq!(client.get::<Option<String>>("none").await.unwrap(), None);
    assert_eq!(client.incr("name").await.unwrap_err().redis_code(), Some("ERR"));
    assert!(redis.commands().await.contains(&vec!["SET".into(), "name".into(), "Ada".into()]));
    assert_eq!(redis.count("eval").await, 3);
    assert_eq!(redis.requests().await.len(), 16);

    // The same data, past the mocks.
    let direct = Client::from_backend(redis.engine().clone());
    assert_eq!(direct.llen("list").await.unwrap(), 3);
    let wrong = redis.config().token("wrong").build().unwrap();
    assert_eq!(wrong.ping().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    let right = redis_rest::Client::new(redis.url(), redis.token()).unwrap();
    right.ping().await.unwrap();
}

#[tokio::test]
async fn fake_redis_serves_long_pipelines_and_many_callers() {
    let redis = FakeRedis::start().await;
    let client = redis.client();
    let mut pipe = client.pipeline();
    let slots: Vec<_> = (0..1000).map(|_| pipe.add(cmd::incr("n"))).collect();
    let mut replies = pipe.send().await.unwrap();
    for (n, slot) in (1..).zip(slots) {
        assert_eq!(replies.take(slot).unwrap(), n);
    }
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.incr("m").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(client.get::<u32>("m").await.unwrap(), 50);
}

#[tokio::test]
async fn command_with_a_late_reply_ran() {
    let redis = FakeRedis::start().await;
    Mock::given(command("INCR"))
        .respond_with(redis.reply().after(Duration::from_secs(600)))
        .mount(redis.server())
        .await;
    let direct = Client::from_backend(redis.engine().clone());
    let mut commands = direct.monitor();
    assert!(matches!(commands.next().await, Some(Ok(Event::Subscribed(_)))));
    let client = redis
        .config()
        .timeout(Duration::from_secs(300))
        .deadline(Duration::from_secs(300))
        .build()
        .unwrap();
    let ran = async {
        while let Some(event) = commands.next().await {
            if matches!(event.unwrap(), Event::Command(line) if String::from_utf8_lossy(&line).contains("INCR"))
            {
                return;
            }
        }
    };
    tokio::select! {
        _ = client.incr("n") => panic!("it was answered"),
        () = ran => {}
    }
    assert_eq!(direct.get::<u32>("n").await.unwrap(), 1);
    let late = redis.reply().after(Duration::from_secs(600)).respond(&alone(&["PING"]));
    assert!(format!("{late:?}").contains("delay: Some(600s)"));
}

#[tokio::test]
async fn faults_of_any_priority_precede_the_engine() {
    let redis = FakeRedis::start().await;
    let client = redis.config().no_retry().build().unwrap();
    for priority in [1, 5, 254] {
        let fault = Mock::given(with_key("k"))
            .respond_with(html_502())
            .with_priority(priority)
            .up_to_n_times(1);
        fault.mount(redis.server()).await;
        assert_eq!(client.incr("k").await.unwrap_err().status(), Some(502));
        client.incr("other").await.unwrap();
    }
    assert_eq!(client.incr("k").await.unwrap(), 1);
}

#[tokio::test]
async fn sessions_are_stored_and_listed_and_survive_an_outage() {
    let redis = FakeRedis::start().await;
    let store = RedisSessionStore::new(redis.client(), Duration::from_secs(3600));
    let (first, second) = (Session::new("user").org_id("org"), Session::new("user").org_id("org"));
    store.store_session(&first).await.unwrap();
    store.store_session(&second).await.unwrap();
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 2);

    // The read survives one scripted 503.
    let before = redis.requests().await.len();
    let once = Mock::given(with_key(format!("session:{}", first.id)))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(1)
        .expect(1);
    once.mount(redis.server()).await;
    assert_eq!(store.retrieve_session(&first.id).await.unwrap(), first);
    assert_eq!(redis.requests().await.len(), before + 2);

    // Unavailable for longer than the caller waits.
    let impatient = redis.config().no_retry().build().unwrap();
    let impatient = RedisSessionStore::new(impatient, Duration::from_secs(3600));
    redis.go_down(ResponseTemplate::new(503));
    assert!(matches!(
        impatient.retrieve_session(&first.id).await,
        Err(SessionError::Unavailable(_))
    ));
    let delete = Delete {
        id: ChangeId::new(),
        session: &second.id,
        user_id: Some("user"),
        mark_for: Duration::ZERO,
        when: When::Always,
    };
    let results = impatient.delete(&[delete]).await;
    assert!(matches!(results.as_slice(), [Err(SessionError::MaybeApplied(_))]));
    redis.come_back();
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 2, "nothing ran");
    assert!(store.delete_session(&second.id).await.unwrap());
    assert_eq!(store.list_sessions("user").await.unwrap().sessions.len(), 1);
}

#[tokio::test]
async fn fake_redis_refuses_commands_like_servers() {
    let redis = FakeRedis::start_with(redis_rest_server::MemoryBackend::new()).await;
    let respond = |method: &str, path: &str, token: &'static str, body: &str| {
        let mut request = request(path, body);
        request.method = method.parse().unwrap();
        request.headers.insert("authorization", http::HeaderValue::from_static(token));
        format!("{:?}", redis.reply().respond(&request))
    };
    let right = "Bearer fake-token";
    for (method, path, token, body, status) in [
        ("POST", "/", right, "[\"PING\"]", 200),
        ("GET", "/get/k", right, "", 200),
        ("POST", "/", right, "PING", 400),
        ("POST", "/", right, "[\"SHUTDOWN\"]", 400),
        ("POST", "/", "Bearer x", "[\"PING\"]", 401),
        ("POST", "/pipeline/x", right, "[]", 404),
        ("DELETE", "/", right, "[\"PING\"]", 405),
        ("POST", "/subscribe/news", right, "", 501),
    ] {
        let shown = respond(method, path, token, body);
        assert!(shown.contains(&format!("status_code: {status}")), "{method} {path}: {shown}");
    }
    assert!(!format!("{redis:?} {:?}", redis.reply()).contains("fake-token"));
}
