//! `Debug` of types with data that the other modules do not print.

use super::secrets::{KEY, KEY_LIKE_A_CODE, SESSION, TOKEN, USER, VALUE};
use super::{failed, said, shown, shown_session, written};
use redis_rest::backend::Failover;
use redis_rest::backend::native::NativeConfig;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::cmd::GeoFrom;
use redis_rest::session::{
    BatchOutcome, InMemorySessionStore, RedisSessionStore, Session, SessionError,
};
use redis_rest::{
    BoxFuture, Client, Config, ConvertError, Error, Event, Script, ServerError, SubscriptionTarget,
    Value, cmd,
};
use redis_rest_server::MemoryBackend;
use redis_rest_server::ServerConfig;
use std::sync::Arc;
use std::time::Duration;

pub async fn drive() {
    let config = || Client::builder().url(format!("https://{KEY}.example")).token(TOKEN);
    let client = config().build().unwrap();
    shown(&config());
    shown(&Config::new().read_only_token(TOKEN));
    shown(&client);
    shown(&client.with_prefix(KEY));
    shown(&HttpTransport::for_config(&config()).unwrap());
    shown(&NativeConfig::new(format!("redis://:{TOKEN}@{KEY}.example")).login(USER, TOKEN));
    shown(&ServerConfig::new().token(TOKEN).read_only_token(format!("{TOKEN}x")));
    shown(&Failover::new(client.backend().clone(), Arc::new(MemoryBackend::new())));

    shown(&cmd("SET").arg(KEY).arg(VALUE));
    shown(&client.set(KEY, VALUE).nx());
    shown(&redis_rest::cmd::get::<String>(KEY));
    shown(&client.scan().match_pattern(KEY).stream());
    let script = Script::new(format!("return '{VALUE}'"));
    shown(&script);
    shown(&script.key(KEY).arg(VALUE));
    shown(&client.redis_rs());
    shown(&GeoFrom::Member(VALUE.into()));
    for what in [SubscriptionTarget::Channel(KEY.into()), SubscriptionTarget::Pattern(KEY.into())] {
        shown(&what);
    }
    for event in [
        Event::Subscribed(KEY.into()),
        Event::Command(format!("1.0 [0 127.0.0.1:1] \"SET\" \"{KEY}\" \"{VALUE}\"").into()),
    ] {
        shown(&event);
    }
    shown(&client.subscribe([KEY]));
    let server = ServerError::new(format!("{KEY_LIKE_A_CODE} {VALUE}"));
    written(&server);
    shown(&Value::Error(server.clone()));
    said(&Error::redis(server));
    said(&ConvertError::new("a number", "a string"));
    let headers = http::HeaderMap::from_iter([(
        http::header::LOCATION,
        http::HeaderValue::from_static(VALUE),
    )]);
    shown(&HttpResponse::new(200, headers, VALUE));

    let mut session = Session::new(USER).org_id(USER);
    session.id = SESSION.into();
    session.metadata.insert("name", VALUE).unwrap();
    failed(session.metadata.get::<u32>("name"));
    failed(session.metadata.insert(VALUE, Unwritable));
    shown_session(&session);
    shown(&session.metadata);
    shown(&BatchOutcome::new(vec![(SESSION.into(), Err(SessionError::NotFound))]));
    shown(&RedisSessionStore::new(client, Duration::from_secs(60)));
    shown(&InMemorySessionStore::new(Duration::from_secs(60)));
    let client = Client::builder()
        .url("http://127.0.0.1:1")
        .token(TOKEN)
        .transport(Showing)
        .build()
        .unwrap();
    client.set(KEY, VALUE).await.unwrap();
}

/// A value whose serialization error quotes it.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(VALUE))
    }
}

/// A transport that prints its requests.
struct Showing;

impl Transport for Showing {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        shown(&request);
        // Like the HTTP library: the secret header is marked as sensitive.
        shown(&request.headers);
        Box::pin(async {
            Ok(HttpResponse::new(200, http::HeaderMap::new(), "{\"result\":\"OK\"}"))
        })
    }
}
