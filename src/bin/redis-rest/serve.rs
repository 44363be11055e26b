//! `serve`: the REST protocol in front of an embedded engine or a real Redis, until a signal ends it.

use crate::args::{Limits, Serve};
use crate::connection::Connection;
use crate::output::{Failure, note, print_line};
use crate::signals::Signals;
use redis_rest::backend::Backend;
use redis_rest::backend::memory::MemoryBackend;
use redis_rest::backend::native::NativeBackend;
use redis_rest::server::{DEFAULT_TOKEN, Server, ServerConfig};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn run(args: Serve, connection: &Connection) -> Result<(), Failure> {
    connection.refuse_for_server()?;
    // Before the line that says the server is ready: whoever waits for it may send the signal at once.
    let stop = Signals::listen()?;
    let backend: Arc<dyn Backend> = match &args.redis {
        Some(url) => Arc::new(NativeBackend::connect(url).await.map_err(|error| {
            let failure = Failure::from(error);
            failure.hint("is that Redis running, and is its address like redis://127.0.0.1:6379?")
        })?),
        None => {
            let engine = MemoryBackend::builder()
                .script_time(Duration::from_secs_f64(args.limits.script_timeout));
            Arc::new(engine.script_memory(args.limits.script_memory_bytes).build())
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
        // Only listening has a cause of the system's behind it; wrong settings say themselves what to change.
        let in_use = std::error::Error::source(&error).is_some();
        let failure = Failure::from(error);
        if in_use {
            failure.hint("choose another address by --listen; port 0 picks a free one")
        } else {
            failure
        }
    })?;
    print_line(&format!("listening on http://{}", server.local_addr()))?;
    note(match &args.redis {
        Some(_) => "serving that Redis",
        None => "serving an embedded engine: it starts empty and forgets everything at the end",
    });
    match &connection.token {
        Some(_) => note("clients need the token given by --token"),
        // Known to everyone who reads the documentation, so it may be shown.
        None => {
            note(&format!("clients need the token {DEFAULT_TOKEN} (choose another by --token)"))
        }
    }
    server.run_until(stop.first()).await;
    Ok(())
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
}
