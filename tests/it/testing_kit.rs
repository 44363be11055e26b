//! The testing kit, as its users use it.

use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStore};
use redis_rest::testing::{
    FakeRedis, any_pipeline, any_transaction, bearer, broken_connection, command, commands, config_for, html_502, lost_reply, pipeline_of,
    rate_limited, redis_error, result, results, transaction_of, unauthorized, with_args, with_key, with_key_prefix,
};
use redis_rest::{Client, ErrorKind, Event, Outcome, ReplyFormat, Value, cmd};
use serde_json::json;
use std::time::Duration;
use wiremock::{Match, Mock, MockServer, Request, Respond, ResponseTemplate};

mod recipes {
    use super::*;

    #[tokio::test]
    async fn my_code_stores_a_session() {
        let redis = FakeRedis::start().await;
        let store = RedisSessionStore::new(redis.client(), Duration::from_secs(3600));
        let session = Session::new("user-1", "org-1");
        store.store_session(&session).await.unwrap();
        assert_eq!(store.list_sessions("user-1").await.unwrap().len(), 1);
        redis.engine().advance(Duration::from_secs(3601));
        assert!(matches!(store.retrieve_session(&session.id).await, Err(SessionError::NotFound)));
    }

    #[tokio::test]
    async fn redis_is_rate_limited_once() {
        let redis = FakeRedis::start().await;
        let limited = Mock::given(command("SET").with_key("name")).respond_with(rate_limited(Duration::ZERO));
        limited.up_to_n_times(1).expect(1).mount(redis.server()).await;
        redis.client().set("name", "Ada").await.unwrap();
        assert_eq!(redis.commands().await, [["SET", "name", "Ada"]; 2]);
    }

    #[tokio::test]
    async fn the_reply_is_lost_and_the_caller_sees_maybe_applied() {
        let redis = FakeRedis::start().await;
        let lost = Mock::given(command("INCR")).respond_with(redis.reply().lost());
        lost.up_to_n_times(1).mount(redis.server()).await;
        let client = redis.client();
        let error = client.incr("visits").await.unwrap_err();
        assert!(error.maybe_applied());
        assert_eq!(redis.count("incr").await, 1);
        assert_eq!(client.get::<i64>("visits").await.unwrap(), 1);
    }
}

fn request(path: &str, body: impl Into<Vec<u8>>) -> Request {
    let url = format!("http://localhost{path}").parse().unwrap();
    Request { url, method: http::Method::POST, headers: http::HeaderMap::new(), body: body.into() }
}

fn alone(parts: &[&str]) -> Request {
    request("/", json!(parts).to_string())
}

fn batch(path: &str, entries: &[&[&str]]) -> Request {
    request(path, json!(entries).to_string())
}

#[test]
fn a_command_is_matched_by_name_however_it_is_sent() {
    assert!(command("SET").matches(&alone(&["set", "k", "v"])));
    assert!(command("set").matches(&request("/SET/k?EX=1", "v")));
    assert!(command("SCRIPT LOAD").matches(&alone(&["script", "load", "return 1"])));
    for other in [alone(&["GET", "SET"]), alone(&["SETEX", "k", "1", "v"]), request("/get/set", ""), request("/", "SET"), request("/", "")]
    {
        assert!(!command("SET").matches(&other), "{:?}", other.body);
    }
    assert!(!command("SCRIPT LOAD").matches(&alone(&["SCRIPT", "EXISTS", "x"])));
    assert!(!command("SCRIPT LOAD").matches(&alone(&["SCRIPT"])));
    assert!(!command("SUBSCRIBE").matches(&request("/subscribe/news", "")));
}

#[test]
fn keys_are_those_of_the_command_and_no_other_arguments() {
    assert!(with_key("k").matches(&alone(&["GET", "k"])));
    assert!(with_key("b").matches(&alone(&["MGET", "a", "b"])));
    assert!(with_key("a b").matches(&request("/get/a%20b", "")));
    assert!(with_key("s:1").matches(&alone(&["EVALSHA", "abc", "1", "s:1", "x"])));
    assert!(with_key(&b"\xff"[..]).matches(&request("/get", b"\xff")));
    assert!(with_key("k").matches(&alone(&["NO.SUCH", "x", "k"])), "any argument of an unknown command");
    assert!(with_key("a").with_key("b").matches(&alone(&["MGET", "a", "b"])));
    assert!(!with_key("a").with_key("c").matches(&alone(&["MGET", "a", "b"])));
    for other in [alone(&["GET", "k2"]), alone(&["SET", "x", "k"]), alone(&["EVALSHA", "abc", "1", "x", "k"]), alone(&["ECHO", "k"])] {
        assert!(!with_key("k").matches(&other));
        assert!(!with_key_prefix("k").with_key("k").matches(&other));
    }
    assert!(with_key_prefix("session:").matches(&alone(&["GET", "session:1"])));
    assert!(!with_key_prefix("session:").matches(&alone(&["GET", "my:session:1"])));
    assert!(!command("SET").with_key("k").matches(&alone(&["GET", "k"])));
}

#[test]
fn arguments_are_all_of_them_in_order() {
    let set = with_args(["k", "v"]);
    assert!(set.matches(&alone(&["SET", "k", "v"])));
    assert!(set.matches(&request("/set/k", "v")));
    assert!(command("PING").with_args(()).matches(&alone(&["PING"])));
    assert!(command("MSET").with_args([("a", 1), ("b", 2)]).matches(&request("/", r#"["MSET","a",1,"b",2]"#)));
    for other in [alone(&["SET", "v", "k"]), alone(&["SET", "k", "v", "NX"]), alone(&["SET", "k"]), alone(&["SET", "k", "V"])] {
        assert!(!set.matches(&other));
    }
    assert!(!command("PING").with_args(()).matches(&alone(&["PING", "x"])));
}

#[test]
fn batches_are_matched_by_their_names_in_order() {
    let pipeline = batch("/pipeline", &[&["SET", "k", "v"], &["get", "k"]]);
    let transaction = batch("/multi-exec", &[&["SET", "k", "v"], &["get", "k"]]);
    assert!(pipeline_of(["set", "GET"]).matches(&pipeline) && any_pipeline().matches(&pipeline));
    assert!(transaction_of(["set", "GET"]).matches(&transaction) && any_transaction().matches(&transaction));
    assert!(!pipeline_of(["SET", "GET"]).matches(&transaction) && !any_pipeline().matches(&transaction));
    assert!(!transaction_of(["SET", "GET"]).matches(&pipeline) && !any_transaction().matches(&pipeline));
    for names in [&["GET", "SET"][..], &["SET"], &["SET", "GET", "GET"], &[]] {
        assert!(!pipeline_of(names.iter().copied()).matches(&pipeline), "{names:?}");
        assert!(!transaction_of(names.iter().copied()).matches(&transaction), "{names:?}");
    }
    assert!(!any_pipeline().matches(&alone(&["SET", "k", "v"])));
    assert!(!any_pipeline().matches(&request("/pipeline", "[[")));
    assert_eq!(commands(&pipeline).len(), 2);
    assert!(commands(&request("/pipeline", "[[")).is_empty());
}

#[test]
fn commands_in_batches_are_seen_when_told() {
    let sets = batch("/pipeline", &[&["SET", "a", "1"], &["SET", "b", "2"]]);
    let mixed = batch("/pipeline", &[&["SET", "a", "1"], &["GET", "b"]]);
    let transaction = batch("/multi-exec", &[&["SET", "a", "1"], &["SET", "b", "2"]]);
    for request in [&sets, &mixed, &transaction] {
        assert!(!command("SET").matches(request));
        assert!(command("SET").anywhere().matches(request));
        assert!(!command("DEL").anywhere().matches(request));
        // Of one command, not of two.
        assert!(!command("SET").with_key("a").with_args(["b", "2"]).anywhere().matches(request));
    }
    assert!(command("SET").or_batched().matches(&sets));
    assert!(!command("SET").or_batched().matches(&mixed));
    assert!(!command("SET").or_batched().matches(&transaction));
    assert!(!command("SET").with_key("a").or_batched().matches(&sets));
    assert!(command("SET").or_batched().matches(&alone(&["SET", "a", "1"])));
    assert!(command("SET").anywhere().matches(&alone(&["SET", "a", "1"])));
}

#[test]
fn a_token_is_matched_whole() {
    let with = |header: &'static str| {
        let mut request = alone(&["PING"]);
        request.headers.insert("authorization", http::HeaderValue::from_static(header));
        request
    };
    assert!(bearer("s3cret").matches(&with("Bearer s3cret")));
    assert!(bearer("s3cret").matches(&with("bearer  s3cret")));
    for header in ["Bearer s3cret2", "Bearer s3cre", "Basic s3cret", "s3cret", "Bearer", ""] {
        assert!(!bearer("s3cret").matches(&with(header)), "{header}");
    }
    assert!(!bearer("s3cret").matches(&alone(&["PING"])));
    assert!(!format!("{:?}", bearer("s3cret")).contains("s3cret"));
}

/// A server with one answer to everything, and its settings.
async fn answering(responder: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(responder).mount(&server).await;
    server
}

async fn once(responder: impl Respond + 'static) -> redis_rest::Error {
    let server = answering(responder).await;
    let error = config_for(&server).no_retry().build().unwrap().incr("k").await.unwrap_err();
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    error
}

#[tokio::test]
async fn values_arrive_in_every_format() {
    let text = json!(["OK", "x", 7, null, true, 1.5, {"a": [1]}, 18_446_744_073_709_551_615_u64]);
    let wanted = Value::Array(vec![
        Value::Okay,
        Value::bytes("x"),
        Value::Int(7),
        Value::Nil,
        Value::Int(1),
        Value::bytes("1.5"),
        Value::Array(vec![Value::bytes("a"), Value::Array(vec![Value::Int(1)])]),
        Value::bytes("18446744073709551615"),
    ]);
    for format in [ReplyFormat::Base64, ReplyFormat::Resp2, ReplyFormat::Text] {
        let server = answering(result(text.clone())).await;
        let client = config_for(&server).reply_format(format).build().unwrap();
        assert!(client.run::<Value>(cmd("X")).await.unwrap() == wanted, "{format:?}");
        let request = server.received_requests().await.unwrap().pop().unwrap();
        let headers = |name| request.headers.contains_key(name);
        let asked = (headers("upstash-encoding"), headers("upstash-response-format"));
        assert_eq!(asked, (format == ReplyFormat::Base64, format == ReplyFormat::Resp2));
    }
    for format in [ReplyFormat::Base64, ReplyFormat::Resp2] {
        let server = answering(result((Some(b"OK"), vec![vec![0xff_u8, 0]], [(); 1]))).await;
        let client = config_for(&server).reply_format(format).build().unwrap();
        let wanted = vec![Value::bytes("OK"), Value::Array(vec![Value::bytes(&b"\xff\0"[..])]), Value::Array(vec![Value::Nil])];
        assert!(client.run::<Value>(cmd("X")).await.unwrap() == Value::Array(wanted), "{format:?}");
    }
}

#[test]
fn replies_on_the_wire() {
    let body = |responder: &dyn Respond, headers: &[(&'static str, &'static str)], path: &str| {
        let entries = if path == "/" { alone(&["GET", "k"]).body } else { batch(path, &[&["GET", "k"], &["GET", "l"]]).body };
        let mut request = request(path, entries);
        for (name, value) in headers {
            request.headers.insert(*name, http::HeaderValue::from_static(value));
        }
        // wiremock keeps the body to itself, except for this.
        format!("{:?}", responder.respond(&request))
    };
    let holds = |shown: &str, body: &str| shown.contains(&format!("{:?}", body.as_bytes()));
    let (base64, resp2) = (("upstash-encoding", "base64"), ("upstash-response-format", "resp2"));
    let x = result("x");
    assert!(holds(&body(&x, &[], "/"), r#"{"result":"x"}"#));
    assert!(holds(&body(&x, &[base64], "/"), r#"{"result":"eA=="}"#));
    assert!(holds(&body(&x, &[resp2], "/"), "$1\r\nx\r\n"));
    assert!(holds(&body(&x, &[base64], "/pipeline"), r#"[{"result":"eA=="},{"result":"eA=="}]"#));
    assert!(holds(&body(&x, &[resp2], "/pipeline"), "*2\r\n$1\r\nx\r\n$1\r\nx\r\n"));
    assert!(holds(&body(&x, &[resp2], "/multi-exec"), r#"[{"result":"x"},{"result":"x"}]"#), "transactions stay JSON");
    assert!(holds(&body(&result("OK"), &[base64], "/"), r#"{"result":"OK"}"#));
    assert!(holds(&body(&result(b"OK"), &[base64], "/"), r#"{"result":"T0s="}"#));
    let both = body(&x, &[base64, resp2], "/");
    assert!(both.contains("400") && !holds(&both, r#"{"result":"eA=="}"#));
    let error = redis_error("ERR no");
    assert!(holds(&body(&error, &[base64], "/pipeline"), r#"[{"error":"ERR no"},{"error":"ERR no"}]"#));
    assert!(holds(&body(&error, &[resp2], "/"), "-ERR no\r\n"));
    assert!(holds(&body(&error, &[], "/multi-exec"), r#"{"error":"ERR no"}"#));
}

#[tokio::test]
async fn errors_of_redis_alone_and_in_batches() {
    let error = once(redis_error("WRONGTYPE Operation against a key")).await;
    assert_eq!((error.kind(), error.outcome(), error.status()), (ErrorKind::Redis, Outcome::NotApplied, Some(400)));
    assert_eq!(error.redis_code(), Some("WRONGTYPE"));

    for format in [ReplyFormat::Base64, ReplyFormat::Resp2] {
        let server = MockServer::start().await;
        let entries = || results([result("x"), redis_error("ERR no"), result(2)]);
        Mock::given(pipeline_of(["GET", "GET", "INCR"])).respond_with(entries()).expect(1).mount(&server).await;
        Mock::given(transaction_of(["GET", "GET", "INCR"])).respond_with(entries()).expect(1).mount(&server).await;
        let client = config_for(&server).reply_format(format).build().unwrap();
        let mut pipe = client.pipeline();
        let slots = (pipe.add(cmd::get::<String>("a")), pipe.add(cmd::get::<String>("b")), pipe.add(cmd::incr("c")));
        let mut replies = pipe.send().await.unwrap();
        assert_eq!(replies.take(slots.0).unwrap(), "x");
        assert_eq!(replies.take(slots.1).unwrap_err().redis_code(), Some("ERR"));
        assert_eq!(replies.take(slots.2).unwrap(), 2);
        let mut transaction = client.transaction();
        let slots = (transaction.add(cmd::get::<String>("a")), transaction.add(cmd::get::<String>("b")), transaction.add(cmd::incr("c")));
        let mut replies = transaction.send().await.unwrap();
        assert_eq!(replies.take(slots.0).unwrap(), "x");
        assert!(replies.take(slots.1).is_err());
    }

    let server = answering(redis_error("EXECABORT Transaction discarded")).await;
    let mut transaction = config_for(&server).build().unwrap().transaction();
    let _ = transaction.add(cmd::incr("c"));
    assert_eq!(transaction.send().await.unwrap_err().kind(), ErrorKind::Discarded);

    // Too few.
    let server = answering(results([result(1)])).await;
    let mut pipe = config_for(&server).no_retry().build().unwrap().pipeline();
    let (first, _) = (pipe.add(cmd::incr("a")), pipe.add(cmd::incr("b")));
    let error = pipe.send().await.and_then(|mut replies| replies.take(first)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn faults_are_what_they_say() {
    let seen = |error: &redis_rest::Error| (error.kind(), error.outcome(), error.status());
    let error = once(rate_limited(Duration::from_millis(1200))).await;
    assert_eq!(seen(&error), (ErrorKind::RateLimited, Outcome::NotApplied, Some(429)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    assert_eq!(once(rate_limited(Duration::ZERO)).await.retry_after(), Some(Duration::ZERO));
    assert_eq!(seen(&once(lost_reply()).await), (ErrorKind::Http, Outcome::MaybeApplied, Some(500)));
    assert_eq!(seen(&once(html_502()).await), (ErrorKind::Http, Outcome::MaybeApplied, Some(502)));
    let error = once(unauthorized()).await;
    assert_eq!(seen(&error), (ErrorKind::Unauthorized, Outcome::NotApplied, Some(401)));
    assert_eq!(error.redis_code(), Some("WRONGPASS"));

    let server = answering(result(1).after(Duration::from_secs(600))).await;
    let client = config_for(&server).no_retry().timeout(Duration::from_millis(50)).build().unwrap();
    assert_eq!(seen(&client.incr("k").await.unwrap_err()), (ErrorKind::Timeout, Outcome::MaybeApplied, None));
}

#[tokio::test]
async fn a_broken_connection_is_none_that_was_refused() {
    let server = MockServer::start().await;
    Mock::given(command("INCR")).respond_with_err(broken_connection()).mount(&server).await;
    Mock::given(command("GET")).respond_with_err(broken_connection()).up_to_n_times(1).mount(&server).await;
    Mock::given(command("GET")).respond_with(result("x")).mount(&server).await;
    let client = config_for(&server).build().unwrap();
    assert_eq!(client.get::<String>("k").await.unwrap(), "x", "a read goes again");
    // Over the connection that is there, too.
    let error = client.incr("k").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome(), error.attempts()), (ErrorKind::Io, Outcome::MaybeApplied, 1));
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

/// How many commands each request of twenty callers at once had.
async fn twenty_at_once(client: &Client, server: &MockServer) -> Vec<usize> {
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.get::<String>(format!("k{n}")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "x");
    }
    server.received_requests().await.unwrap().iter().map(|request| commands(request).len()).collect()
}

#[tokio::test]
async fn automatic_batches_of_one_command_get_one_answer_each() {
    let server = MockServer::start().await;
    Mock::given(command("GET").or_batched()).respond_with(result("x")).mount(&server).await;
    let client = config_for(&server).auto_batch_in_flight(1).build().unwrap();
    assert!(twenty_at_once(&client, &server).await.iter().any(|count| *count > 1), "they were batched");
}

#[tokio::test]
async fn clients_for_mocks_send_every_command_alone() {
    let server = MockServer::start().await;
    Mock::given(command("GET")).respond_with(result("x")).mount(&server).await;
    assert_eq!(twenty_at_once(&config_for(&server).build().unwrap(), &server).await, [1; 20]);
}

#[tokio::test]
async fn a_fake_redis_works_in_every_format() {
    let redis = FakeRedis::start().await;
    for format in [ReplyFormat::Base64, ReplyFormat::Resp2, ReplyFormat::Text] {
        let client = redis.config().reply_format(format).build().unwrap();
        client.set("name", "Ada").await.unwrap();
        assert_eq!(client.get::<String>("name").await.unwrap(), "Ada");
        let mut transaction = client.transaction();
        let (push, wrong) = (transaction.add(cmd::rpush("list", ["a"])), transaction.add(cmd::incr("name")));
        let mut replies = transaction.send().await.unwrap();
        assert!(replies.take(push).is_ok() && replies.take(wrong).is_err());
        client.run::<Value>(cmd("EVAL").arg("return redis.call('SET', KEYS[1], 1)").arg(1).arg("script")).await.unwrap();
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
async fn a_fake_redis_answers_long_pipelines_and_many_callers() {
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
async fn a_late_reply_is_of_a_command_that_ran() {
    let redis = FakeRedis::start().await;
    Mock::given(command("INCR")).respond_with(redis.reply().after(Duration::from_secs(600))).mount(redis.server()).await;
    let direct = Client::from_backend(redis.engine().clone());
    let mut commands = direct.monitor();
    assert!(matches!(commands.next().await, Some(Ok(Event::Subscribed(_)))));
    let client = redis.config().timeout(Duration::from_secs(300)).deadline(Duration::from_secs(300)).build().unwrap();
    let ran = async {
        while let Some(event) = commands.next().await {
            if matches!(event.unwrap(), Event::Command(line) if String::from_utf8_lossy(&line).contains("INCR")) {
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
async fn a_fault_of_any_priority_stands_before_the_engine() {
    let redis = FakeRedis::start().await;
    let client = redis.config().no_retry().build().unwrap();
    for priority in [1, 5, 254] {
        let fault = Mock::given(with_key("k")).respond_with(html_502()).with_priority(priority).up_to_n_times(1);
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
    let (first, second) = (Session::new("user", "org"), Session::new("user", "org"));
    store.store_session(&first).await.unwrap();
    store.store_session(&second).await.unwrap();
    assert_eq!(store.list_sessions("user").await.unwrap().len(), 2);

    // One scripted 503 to what reads this session: it is read all the same.
    let key = format!("session:{}", first.id);
    let before = redis.requests().await.len();
    let once = Mock::given(with_key(key.as_str())).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).expect(1);
    once.mount(redis.server()).await;
    assert_eq!(store.retrieve_session(&first.id).await.unwrap(), first);
    assert_eq!(redis.requests().await.len(), before + 2);

    // Away for longer than the caller waits.
    let impatient = redis.config().no_retry().build().unwrap();
    let impatient = RedisSessionStore::new(impatient, Duration::from_secs(3600));
    redis.go_down(ResponseTemplate::new(503));
    assert!(matches!(impatient.retrieve_session(&first.id).await, Err(SessionError::Unavailable(_))));
    assert!(matches!(impatient.delete_loaded(&second).await, Err(SessionError::MaybeApplied(_))));
    redis.come_back();
    assert_eq!(store.list_sessions("user").await.unwrap().len(), 2, "nothing ran");
    assert!(store.delete_session(&second.id).await.unwrap());
    assert_eq!(store.list_sessions("user").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_fake_redis_refuses_what_servers_refuse() {
    let redis = FakeRedis::start_with(redis_rest::backend::memory::MemoryBackend::new()).await;
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
