//! An axum server whose log-ins survive an outage of Redis; see the README.

mod app;
mod attempts;
mod failure;
mod pages;

use attempts::Attempts;
use redis_rest::session::{ManagerOptions, RedisSessionStore, SessionManager};
use redis_rest::{Client, Config};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error>;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listen = match std::env::var("LISTEN") {
        Ok(text) => text
            .parse::<SocketAddr>()
            .map_err(|_| "LISTEN must be an address and a port, such as 127.0.0.1:3000")?,
        Err(_) => ([127, 0, 0, 1], 3000).into(),
    };
    // Limits the wait of the first request that finds Redis unavailable. Later requests do not
    // wait.
    let client = Config::from_env()?.for_web_requests().build()?;
    let manager = manager(&client).await?;
    // Sends pending changes to Redis even if there are no calls, and drops copies that were unused
    // for a day.
    tokio::spawn(manager.maintenance(Duration::from_secs(30), DAY));

    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let stop = stop()?;
    println!("listening on http://{address}");
    // Browsers send no `Secure` cookie over plain HTTP, which is used on loopback only; elsewhere a
    // TLS proxy stands in front.
    let app = app::router(manager.clone(), Attempts::new(client), !address.ip().is_loopback());
    // Behind a proxy every visitor has the proxy's address: there, use the header that the proxy
    // sets.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    manager.shutdown(Duration::from_secs(2)).await?;
    Ok(())
}

/// Creates a manager in front of Redis. If Redis is unavailable the manager starts in memory, and
/// connects once Redis works.
async fn manager(client: &Client) -> Result<SessionManager, Failure> {
    // A log-out on another server takes effect here after at most a second.
    let options = ManagerOptions::default().max_staleness(Duration::from_secs(1));
    let manager = SessionManager::with_options("", 0, options);
    let redis = RedisSessionStore::new(client.clone(), app::EXPIRY);
    if let Err(error) = manager.set_session_store(Arc::new(redis), true).await {
        eprintln!("Redis is unavailable, going on in memory: {error}");
    }
    Ok(manager)
}

/// Returns the signal that ends the server. Registered before the line that says the server is
/// ready.
#[cfg(unix)]
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
