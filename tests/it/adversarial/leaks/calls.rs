//! Failing settings, calls, pipelines, transactions, scripts, subscriptions, batches and retries.

use super::secrets::{KEY, KEY_LIKE_A_CODE, TOKEN, VALUE};
use super::{failed, fails, said, shown};
use redis_rest::backend::native::NativeBackend;
use redis_rest::{
    Client, Config, Encoding, Error, ErrorKind, Fields, Json, Outcome, Script, Value, cmd,
};
use redis_rest_server::MemoryBackend;
use redis_rest_server::RunningServer;
use redis_rest_test_support::rest;
use redis_rest_test_support::scripted::{
    Scripted, ScriptedResponse, redis_error, respond, respond_retry_after,
};
use std::time::Duration;

pub async fn drive() {
    settings().await;
    let server = rest::serve_with(MemoryBackend::new(), |config| config.token(TOKEN)).await;
    for format in [Encoding::Base64, Encoding::Resp2, Encoding::Text] {
        let client = config(&server).encoding(format).build().unwrap();
        calls(&client).await;
        batches(&client).await;
    }
    refusals(&server).await;
    subscriptions(&server).await;
    answers().await;
}

fn config(server: &RunningServer) -> Config {
    Client::builder().url(server.url()).token(TOKEN).deadline(Duration::from_secs(5))
}

async fn settings() {
    for url in [
        "",
        TOKEN,
        &format!("https://{TOKEN}@example.com"),
        &format!("https://user:{TOKEN}@example.com"),
        &format!("https://example.com?_token={TOKEN}"),
        &format!("https://example.com#{TOKEN}"),
        &format!("redis://:{TOKEN}@example.com"),
        &format!("https://[{TOKEN}]"),
        &format!("https://example.com:{TOKEN}"),
        &format!("http://{TOKEN}.example"),
        &format!("{TOKEN}://example.com"),
    ] {
        fails(ErrorKind::Config, Client::new(url, TOKEN));
        fails(
            ErrorKind::Config,
            Config::from_lookup(|name| (name == "REDIS_REST_URL").then(|| url.into())),
        );
    }
    for token in [
        format!("{TOKEN}\r\n"),
        format!("\"{TOKEN}\""),
        format!("{TOKEN} {TOKEN}"),
        format!("{TOKEN}ü"),
    ] {
        fails(ErrorKind::Config, Client::new("https://example.com", token));
    }
    fails(
        ErrorKind::Config,
        Client::builder()
            .url("https://example.com")
            .token(TOKEN)
            .root_certificate_pem(TOKEN)
            .build(),
    );
    for url in [
        TOKEN.to_owned(),
        format!("redis://:{TOKEN}@"),
        format!("redis://127.0.0.1:1/{TOKEN}"),
        format!("redis://h:{TOKEN}"),
    ] {
        if let Err(error) = NativeBackend::lazy(&url) {
            said(&error);
        }
    }
    let native = NativeBackend::lazy(&format!("redis://{TOKEN}:{TOKEN}@127.0.0.1:1")).unwrap();
    shown(&native);
    fails(ErrorKind::Connect, Client::from_backend(native).set(KEY, VALUE).await);
}

/// Errors of Redis, and failures to decode its replies.
async fn calls(client: &Client) {
    client.set(KEY, VALUE).await.unwrap();
    client.set(KEY_LIKE_A_CODE, VALUE).await.unwrap();
    fails(ErrorKind::Redis, client.incr(KEY).await);
    fails(ErrorKind::Conversion, client.get::<u64>(KEY).await);
    fails(ErrorKind::Conversion, client.get::<Json<u64>>(KEY).await);
    client.del([KEY]).await.unwrap();
    client.hset(KEY, [(KEY, VALUE)]).await.unwrap();
    fails(
        ErrorKind::Conversion,
        client.run::<Fields<std::collections::HashMap<String, u64>>>(cmd("HGETALL").arg(KEY)).await,
    );
    fails(ErrorKind::Redis, client.get::<Value>(KEY).await);
    client.del([KEY]).await.unwrap();
    failed(client.run::<Value>(cmd("SET").arg(KEY).arg(VALUE).arg(VALUE)).await);
    failed(client.run::<Value>(cmd(&format!("{KEY}:ÿ")).arg(VALUE)).await);
    failed(client.run::<Value>(cmd("OBJECT").arg(VALUE).arg(KEY)).await);
    for text in [
        "return redis.error_reply(KEYS[1] .. ' ' .. ARGV[1])",
        "return redis.call('INCR', KEYS[1], ARGV[1])",
        "error(ARGV[1])",
        "error({err = ARGV[1]})",
        "redis.log(redis.LOG_WARNING, ARGV[1]) return redis.call('NONE', ARGV[1])",
        &format!("return {VALUE}()"),
        &format!("this is not Lua {VALUE}"),
    ] {
        failed(Script::new(text).key(KEY_LIKE_A_CODE).arg(VALUE).call::<i64>().on(client).await);
    }
    client.set(KEY, (1_u64 << 53).to_string()).await.unwrap();
    fails(ErrorKind::Inexact, client.incr(KEY).exactly_once().await);
    client.del([KEY]).await.unwrap();
    // Bytes that are not text put the key into the address.
    client.set(KEY, &b"\xff"[..]).await.unwrap();
    client.del([KEY]).await.unwrap();
}

async fn batches(client: &Client) {
    let mut pipe = client.pipeline();
    let set = pipe.add(cmd::set(KEY, VALUE));
    let incr = pipe.add(cmd::incr(KEY));
    let read = pipe.add(cmd::get::<u64>(KEY));
    shown(&pipe);
    let mut replies = pipe.send().await.unwrap();
    shown(&replies);
    replies.take(set).unwrap();
    failed(replies.take(incr));
    failed(replies.take(read));
    let mut transaction = client.transaction();
    let _ =
        (transaction.add_raw::<Value>(cmd("SET").arg(KEY)), transaction.add(cmd::set(KEY, VALUE)));
    shown(&transaction);
    fails(ErrorKind::Discarded, transaction.send().await);
    let mut pipe = client.pipeline();
    let _ = pipe.add(cmd::set(KEY, &b"\xff"[..]));
    fails(ErrorKind::InvalidCommand, pipe.send().await);
    // Batched automatically.
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.incr(KEY).await })
    });
    for call in calls.collect::<Vec<_>>() {
        failed(call.await.unwrap());
    }
}

async fn refusals(server: &RunningServer) {
    let client = config(server).build().unwrap();
    fails(ErrorKind::Unsupported, client.read_only().set(KEY, VALUE).await);
    fails(ErrorKind::Unsupported, client.with_prefix(KEY).run::<Value>(cmd("FLUSHDB")).await);
    fails(ErrorKind::Unsupported, client.run::<Value>(cmd("SUBSCRIBE").arg(KEY)).await);
    fails(ErrorKind::InvalidCommand, client.incr(KEY).hedge_after(Duration::from_secs(1)).await);
    fails(
        ErrorKind::InvalidCommand,
        config(server).max_request_bytes(10).build().unwrap().set(KEY, VALUE).await,
    );
    fails(ErrorKind::Config, client.set_sync_token(&format!("{VALUE}\n")));
    for wrong in [rest::config(server), rest::config(server).token(format!("{TOKEN}x"))] {
        fails(ErrorKind::Unauthorized, wrong.build().unwrap().set(KEY, VALUE).await);
    }
    let reader = rest::config(server).token(rest::READ_ONLY_TOKEN).build().unwrap();
    failed(reader.set(KEY, VALUE).await);
}

async fn subscriptions(server: &RunningServer) {
    let client = config(server).build().unwrap();
    let mut monitor = client.monitor();
    shown(&monitor.next().await.unwrap().unwrap());
    let mut all = [client.subscribe([KEY]), client.psubscribe([format!("{KEY}*")])];
    for events in &mut all {
        shown(&events.next().await.unwrap().unwrap());
    }
    client.publish(KEY, VALUE).await.unwrap();
    for events in all.iter_mut().chain([&mut monitor]) {
        shown(&events.next().await.unwrap().unwrap());
        shown(events);
    }
    let wrong = rest::config(server).token(format!("{TOKEN}x")).build().unwrap();
    fails(ErrorKind::Unauthorized, wrong.subscribe([KEY]).next().await.unwrap());
    fails(ErrorKind::InvalidCommand, client.subscribe([".."]).next().await.unwrap());
}

/// Responses that quote the request in every way.
async fn answers() {
    let io = ScriptedResponse::Fail(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "broke"));
    let connect =
        ScriptedResponse::Fail(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "refused"));
    let closed =
        ScriptedResponse::Fail(Error::custom(ErrorKind::Closed, Outcome::NotApplied, "closed"));
    let page = format!("<html>{TOKEN} {KEY} {VALUE}</html>");
    let json = |result: &str| respond(200, format!("{{\"result\":{result}}}"));
    for (kind, answer) in [
        (ErrorKind::Io, io.clone()),
        (ErrorKind::Connect, connect),
        (ErrorKind::Closed, closed),
        (ErrorKind::Http, respond(502, page.clone())),
        (ErrorKind::Http, respond(404, page.clone())),
        (ErrorKind::Http, respond(301, page.clone())),
        (ErrorKind::RateLimited, respond_retry_after(429, "0", page.clone())),
        (ErrorKind::Unauthorized, respond(401, page.clone())),
        (ErrorKind::Unauthorized, redis_error(403, &format!("NOPERM {KEY}"))),
        (ErrorKind::Decode, respond(200, page.clone())),
        (ErrorKind::Decode, respond(200, format!("{{\"result\":{{\"{VALUE}\":1}}}}"))),
        (ErrorKind::Decode, json(&format!("\"{VALUE}"))),
        (ErrorKind::Decode, json("1.5")),
        (ErrorKind::Conversion, json(&format!("\"{VALUE}\""))),
        (
            ErrorKind::ReplyTooLarge,
            json(&format!("{}\"{VALUE}\"{}", "[".repeat(65), "]".repeat(65))),
        ),
        (ErrorKind::Redis, redis_error(400, &format!("{KEY_LIKE_A_CODE} {VALUE}"))),
        (ErrorKind::Redis, redis_error(500, KEY_LIKE_A_CODE)),
        (ErrorKind::Redis, redis_error(200, &format!("ERR syntax error {VALUE}"))),
        (ErrorKind::Redis, redis_error(200, &format!("ERR {VALUE}"))),
        (ErrorKind::Redis, redis_error(200, &format!("MOVED 1 {VALUE}:1"))),
    ] {
        let client =
            Scripted::sequence([answer.clone()]).config().token(TOKEN).no_retry().build().unwrap();
        fails(kind, client.incr(KEY).await);
        let mut pipe = client.pipeline();
        let slot = pipe.add(cmd::set(KEY, VALUE));
        failed(pipe.send().await.and_then(|mut replies| replies.take(slot)));
        let mut transaction = client.transaction();
        let slot = transaction.add(cmd::set(KEY, VALUE));
        failed(transaction.send().await.and_then(|mut replies| replies.take(slot)));
    }
    // An error among the elements of an array.
    let array = json(&format!("[{{\"error\":\"{KEY_LIKE_A_CODE} {VALUE}\"}}]"));
    let client = Scripted::sequence([array]).config().build().unwrap();
    client.run::<Value>(cmd("LRANGE").arg(KEY)).await.unwrap();
    failed(client.run::<Vec<String>>(cmd("LRANGE").arg(KEY)).await);
    // Retried until the time is up.
    let patient = |answer: ScriptedResponse| {
        Scripted::sequence([answer])
            .config()
            .deadline(Duration::from_millis(150))
            .timeout(Duration::from_millis(20))
    };
    failed(patient(io).build().unwrap().get::<Value>(KEY).await);
    failed(patient(respond(502, page)).build().unwrap().get::<Value>(KEY).await);
    fails(
        ErrorKind::Timeout,
        patient(ScriptedResponse::Never).build().unwrap().set(KEY, VALUE).await,
    );
    // A command name that looks like an error code is no label.
    failed(
        Scripted::sequence([redis_error(400, "ERR")])
            .config()
            .build()
            .unwrap()
            .run::<Value>(cmd("made-up").arg(VALUE))
            .await,
    );
}
