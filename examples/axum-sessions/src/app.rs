//! The routes: every change is a POST that ends in a redirect.

use crate::attempts::Attempts;
use crate::failure::Failure;
use crate::pages::{self, Device};
use axum::Router;
use axum::extract::{ConnectInfo, Form, FromRef, State};
use axum::http::{HeaderMap, StatusCode, header::USER_AGENT};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use redis_rest::session::SessionManager;
use redis_rest_tower::{TowerStore, USER_KEY};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, Session, SessionManagerLayer};

/// Lifetime of a log-in after the last change of its session.
pub const EXPIRY: Duration = Duration::from_secs(14 * 24 * 3600);

/// Session entry with the browser that logged in.
const AGENT: &str = "user_agent";

#[derive(Clone)]
struct App {
    manager: SessionManager,
    attempts: Attempts,
}

impl FromRef<App> for SessionManager {
    fn from_ref(app: &App) -> Self {
        app.manager.clone()
    }
}

impl FromRef<App> for Attempts {
    fn from_ref(app: &App) -> Self {
        app.attempts.clone()
    }
}

/// Creates the server's routes. `secure` restricts the cookie to HTTPS.
pub fn router(manager: SessionManager, attempts: Attempts, secure: bool) -> Router {
    let days = tower_sessions::cookie::time::Duration::seconds(EXPIRY.as_secs().cast_signed());
    let sessions = SessionManagerLayer::new(TowerStore::over_manager(manager.clone()))
        .with_expiry(Expiry::OnInactivity(days))
        // Sent if a user follows a link to this site, but not with a POST from another site.
        .with_same_site(SameSite::Lax)
        .with_secure(secure);
    Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/logout-everywhere", post(log_out_everywhere))
        .layer(sessions)
        .with_state(App { manager, attempts })
}

async fn home(
    State(manager): State<SessionManager>,
    session: Session,
) -> Result<Html<String>, Failure> {
    let Some(user) = session.get::<String>(USER_KEY).await? else {
        return Ok(Html(pages::log_in(None)));
    };
    let own = session.id().map(|id| id.to_string());
    let list = manager.list_sessions(&user).await?;
    let complete = !list.partial;
    let mut devices: Vec<Device> = list
        .into_iter()
        .map(|device| Device {
            agent: device.metadata.get(AGENT).ok().flatten().unwrap_or_default(),
            last_seen: device.last_active_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            own: own.as_ref() == Some(&device.id),
        })
        .collect();
    devices.sort_by(|one, other| {
        other.own.cmp(&one.own).then_with(|| other.last_seen.cmp(&one.last_seen))
    });
    Ok(Html(pages::home(&user, &devices, complete, manager.is_using_redis())))
}

#[derive(Deserialize)]
struct LogIn {
    user: String,
}

async fn log_in(
    State(attempts): State<Attempts>,
    ConnectInfo(visitor): ConnectInfo<SocketAddr>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<LogIn>,
) -> Result<Response, Failure> {
    match attempts.count(visitor.ip()).await {
        Ok(None) => {}
        Ok(Some(wait)) => return Err(Failure::Slower(wait)),
        // Without Redis log-ins continue, uncounted.
        Err(error) if error.is_transient() => eprintln!("attempts are not counted: {error}"),
        Err(error) => return Err(error.into()),
    }
    let user = form.user.trim();
    if !(1..=64).contains(&user.chars().count()) {
        return Ok((
            StatusCode::UNPROCESSABLE_ENTITY,
            Html(pages::log_in(Some("A name has 1 to 64 characters."))),
        )
            .into_response());
    }
    let agent = headers
        .get(USER_AGENT)
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()))
        .unwrap_or_default();
    // A log-in starts with an empty session and a new id: an id that was planted in the browser is
    // worthless.
    session.clear().await;
    session.cycle_id().await?;
    session.insert(USER_KEY, user).await?;
    session.insert(AGENT, agent.chars().take(200).collect::<String>()).await?;
    Ok(Redirect::to("/").into_response())
}

async fn log_out(session: Session) -> Result<Redirect, Failure> {
    session.flush().await?;
    Ok(Redirect::to("/"))
}

async fn log_out_everywhere(
    State(manager): State<SessionManager>,
    session: Session,
) -> Result<Redirect, Failure> {
    // Last: if an error occurs before, the user is still logged in, and can try again.
    if let Some(user) = session.get::<String>(USER_KEY).await? {
        manager.delete_user_sessions(&user).await?;
    }
    session.flush().await?;
    Ok(Redirect::to("/"))
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
