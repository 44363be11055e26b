//! Sessions from beginning to end, with every request and reply shown.
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! Uses the server of `REDIS_REST_URL` and `REDIS_REST_TOKEN` (or the other names that
//! `Config::from_env` knows) if they are set, and otherwise starts one with an embedded engine.

use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt as _};
use redis_rest::{BoxFuture, Config, Encoding};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer, Server, ServerConfig};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (config, server) = address().await?;
    // Plain replies instead of base64, readable below. Real programs keep the default, which
    // carries any bytes.
    let transport = Shown(HttpTransport::new(Duration::from_secs(3))?);
    let client = config.transport(transport).encoding(Encoding::Text).build()?;

    println!("\n# Commands\n");
    client.set("quickstart:greeting", "hello").ex(Duration::from_secs(60)).await?;
    let greeting: Option<String> = client.get("quickstart:greeting").await?;
    println!("the greeting is {greeting:?}");

    println!(
        "\n# Sessions: a script goes by its hash; where the server does not have it yet (NOSCRIPT), its text follows\n"
    );
    let store = RedisSessionStore::new(client.clone(), Duration::from_secs(24 * 3600));
    let mut first = Session::new("quickstart-user").org_id("org-456");
    first.system_prompt = "You are a helpful assistant".into();
    store.store_session(&first).await?;
    let second = Session::new("quickstart-user").org_id("org-456");
    store.store_session(&second).await?;
    println!("stored two sessions");

    println!("\n# Read, update, list\n");
    let mut session = store.retrieve_session(&first.id).await?;
    println!("read back: {:?}", session.system_prompt);
    session.metadata.insert("plan", "pro")?;
    store.update_session(&session).await?;
    let sessions = store.list_sessions("quickstart-user").await?.sessions;
    println!("the user has {} sessions; their plans:", sessions.len());
    for session in sessions {
        println!("  {}: {:?}", session.id, session.metadata.get::<String>("plan")?);
    }

    println!("\n# Delete\n");
    store.delete_session(&first.id).await?;
    store.delete_session(&second.id).await?;
    match store.retrieve_session(&first.id).await {
        Err(SessionError::NotFound) => println!("gone, and an update would not bring it back"),
        other => println!("unexpected: {other:?}"),
    }
    client.del(["quickstart:greeting"]).await?;

    if let Some(server) = server {
        server.shutdown().await;
    }
    println!("\nDone. A server that stays: cargo run --features cli -- serve");
    Ok(())
}

/// Returns the server of the environment, or starts one.
async fn address() -> Result<(Config, Option<RunningServer>), redis_rest::Error> {
    if ["REDIS_REST_URL", "UPSTASH_REDIS_REST_URL", "KV_REST_API_URL"]
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|url| !url.is_empty()))
    {
        println!("using the server of the environment");
        return Ok((Config::from_env()?, None));
    }
    let listen = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(Arc::new(MemoryBackend::new()), ServerConfig::new().listen(listen))
        .await?
        .spawn();
    println!(
        "REDIS_REST_URL is not set: started a server with an embedded engine at {}",
        server.url()
    );
    Ok((Config::new().url(server.url()).token(DEFAULT_TOKEN), Some(server)))
}

/// Prints the requests and responses of the built-in transport, without headers, which contain the
/// token.
struct Shown(HttpTransport);

impl Transport for Shown {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, redis_rest::Result<HttpResponse>> {
        println!("→ POST {}  {}", request.url.path(), readable(&request.body));
        Box::pin(async move {
            let response = self.0.send(request).await?;
            println!("← {}  {}", response.status, readable(&response.body));
            Ok(response)
        })
    }
}

/// Returns JSON on one line, with long strings and long lines cut.
fn readable(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(json) => start(&cut(json).to_string(), 150),
        Err(_) => format!("({} bytes that are not JSON)", body.len()),
    }
}

fn cut(json: Value) -> Value {
    match json {
        Value::String(text) => {
            start(&text.split_whitespace().collect::<Vec<_>>().join(" "), 28).into()
        }
        Value::Array(items) => items.into_iter().map(cut).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, cut(member))).collect()
        }
        other => other,
    }
}

fn start(text: &str, most: usize) -> String {
    let start: String = text.chars().take(most).collect();
    if start.len() < text.len() { start + "…" } else { start }
}
