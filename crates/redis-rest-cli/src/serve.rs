//! `serve`: the REST protocol in front of an embedded engine or a real Redis, until a signal ends
//! it.

use crate::args::{Limits, Serve};
use crate::connection::Connection;
use crate::output::{Failure, note, print_line};
use crate::signals::Signals;
use redis_rest::backend::Backend;
use redis_rest::backend::native::{NativeBackend, NativeConfig};
use redis_rest::{Client, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, Server, ServerConfig};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn run(args: Serve, connection: &Connection) -> Result<(), Failure> {
    connection.refuse_for_server()?;
    // Before the line that says the server is ready: a signal may follow that line at once.
    let stop = Signals::listen()?;
    let backend: Arc<dyn Backend> = match &args.redis {
        Some(url) => {
            let beyond_loopback = !args.listen.ip().is_loopback();
            Arc::new(connect(url, &args.limits, beyond_loopback).await?)
        }
        None => {
            let limits = &args.limits;
            let mut engine = MemoryBackend::builder().script_memory(limits.script_memory_bytes);
            engine = match limits.script_timeout {
                0.0 => engine.script_time(Duration::MAX),
                limit => engine.script_time(Duration::from_secs_f64(limit)),
            };
            Arc::new(engine.build())
        }
    };
    let mut config = limited(ServerConfig::new().listen(args.listen), &args.limits);
    if let Some(token) = &connection.token {
        config = config.token(token);
    }
    if let Some(token) = &args.read_only_token {
        config = config.read_only_token(token);
    }
    for origin in &args.cors {
        config = config.cors(origin);
    }
    for host in &args.host {
        config = config.host(host);
    }
    let server = Server::bind(backend, config).await.map_err(|error| {
        // Only a failure to listen has a cause from the system; wrong settings explain themselves.
        let in_use = std::error::Error::source(&error).is_some();
        let failure = Failure::from(error);
        if in_use {
            failure.hint("choose another address with --listen; port 0 picks a free one")
        } else {
            failure
        }
    })?;
    print_line(&format!("listening on http://{}", server.local_addr()))?;
    note(match &args.redis {
        Some(_) => "serving the given Redis",
        None => "serving an embedded engine: it starts empty and stores nothing on disk",
    });
    match &connection.token {
        Some(_) => note("clients need the token given by --token"),
        // The default token is public, so it may be shown.
        None => {
            note(&format!("clients need the token {DEFAULT_TOKEN} (choose another with --token)"))
        }
    }
    server.run_until(stop.first()).await;
    Ok(())
}

/// Additional time for a call to Redis beyond its script: ending the script, and the commands that
/// waited for it.
const AFTER_A_SCRIPT: Duration = Duration::from_secs(3);
/// The `busy-reply-threshold` of a Redis that does not report it.
const DEFAULT_BUSY_THRESHOLD: Duration = Duration::from_secs(5);

/// Connects to the Redis to serve, such that a call outlasts the script that it waits for.
async fn connect(
    url: &str,
    limits: &Limits,
    beyond_loopback: bool,
) -> Result<NativeBackend, Failure> {
    let unreachable = |error: redis_rest::Error| {
        let failure = Failure::from(error);
        failure.hint(
            "check that Redis is running and that its address looks like redis://127.0.0.1:6379",
        )
    };
    let first = Client::from_backend(NativeBackend::connect(url).await.map_err(unreachable)?);
    // The name that all versions know. A user without the right to ask is no administrator.
    let settings =
        first.run::<HashMap<String, String>>(cmd("CONFIG GET").arg("lua-time-limit")).await;
    if beyond_loopback && settings.is_ok() {
        note(
            "the Redis user has all permissions: scripts of clients can move keys to other hosts, change the database and read other clients' commands; restrict the user as in SECURITY.md",
        );
    }
    let threshold = settings.ok().and_then(|settings| settings.values().next()?.parse().ok());
    if threshold == Some(0) && limits.script_timeout > 0.0 {
        note(
            "Redis accepts no SCRIPT KILL (busy-reply-threshold 0), so --script-timeout has no effect: set a threshold",
        );
    }
    let threshold = threshold.map_or(DEFAULT_BUSY_THRESHOLD, Duration::from_millis);
    let script_timeout = Duration::from_secs_f64(limits.script_timeout);
    let config = NativeConfig::new(url)
        .max_reply_bytes(limits.max_reply_bytes.get())
        .script_timeout(script_timeout);
    config
        .timeout(script_timeout.max(threshold) + AFTER_A_SCRIPT)
        .connect()
        .await
        .map_err(unreachable)
}

fn limited(config: ServerConfig, limits: &Limits) -> ServerConfig {
    config
        .max_connections(limits.max_connections.get())
        .header_timeout(Duration::from_secs_f64(limits.header_timeout))
        .body_timeout(Duration::from_secs_f64(limits.body_timeout))
        .write_timeout(Duration::from_secs_f64(limits.write_timeout))
        .max_header_bytes(limits.max_header_bytes)
        .max_request_bytes(limits.max_request_bytes.get())
        .max_reply_bytes(limits.max_reply_bytes.get())
        .max_backlog_bytes(limits.max_backlog_bytes.get())
        .max_memory(limits.max_memory.get())
}
