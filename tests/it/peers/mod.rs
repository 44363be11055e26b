//! Independent server implementations and their deviations: scripted responses, recorded from them.

mod redis_rest_proxy;
mod serverless_elysia;
mod serverless_redis;
mod srh;
mod upstash_redis_local;
mod upstash_redis_local_server;
mod upstashdis;

use redis_rest::{Client, Config};
use redis_rest_test_support::scripted::{Scripted, ScriptedResponse};

/// Responds to each request by its path and body.
fn server(answer: impl Fn(&str, &str) -> ScriptedResponse + Send + Sync + 'static) -> Scripted {
    Scripted::with_paths(move |path, body| answer(path, &String::from_utf8_lossy(body)))
}

/// Returns a user's settings: replies in base64, and batches.
fn config(server: &Scripted) -> Config {
    Client::builder().url("http://localhost:1").token("t").transport(server.clone())
}

fn client(server: &Scripted) -> Client {
    config(server).build().unwrap()
}
