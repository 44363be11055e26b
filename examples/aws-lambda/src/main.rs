//! Counts a visitor's visits in a session: an AWS Lambda function behind an HTTP API or a function
//! URL.

use lambda_http::http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use redis_rest::Config;
use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt as _};
use std::time::Duration;

const COOKIE_NAME: &str = "session";
const TTL: Duration = Duration::from_secs(24 * 3600);

// Lambda sends one event at a time: more threads would only slow down the start.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // Created once, outside of the handler: later events reuse the connection. Nothing is sent yet.
    let config = Config::from_env()?;
    // A visitor is waiting: "later" after two seconds is better than a gateway's timeout.
    let config = config
        .connect_timeout(Duration::from_secs(1))
        .timeout(Duration::from_secs(1))
        .deadline(Duration::from_secs(2));
    let store = RedisSessionStore::new(config.build()?, TTL);
    run(service_fn(|request| handle(&store, request))).await
}

async fn handle(store: &RedisSessionStore, request: Request) -> Result<Response<Body>, Error> {
    match visit(store, session_id(&request)).await {
        Ok((session, visits)) => {
            let cookie = format!(
                "{COOKIE_NAME}={}; Path=/; Max-Age={}; HttpOnly; Secure; SameSite=Lax",
                session.id,
                TTL.as_secs()
            );
            Ok(Response::builder()
                .header(SET_COOKIE, cookie)
                .body(format!("visit {visits}\n").into())?)
        }
        // The cookie stays: during an outage it is unknown whether its session exists.
        Err(error) if error.is_unavailable() => {
            eprintln!("sessions are unavailable: {error}");
            Ok(Response::builder()
                .status(503)
                .header(RETRY_AFTER, 2)
                .body("sessions are unavailable, please come back\n".into())?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the session with this visit counted, and the number of visits.
async fn visit(
    store: &RedisSessionStore,
    id: Option<&str>,
) -> Result<(Session, u64), SessionError> {
    if let Some(id) = id {
        match store.modify(id, count).await {
            // An expired session or an invalid id: a new visitor.
            Err(SessionError::NotFound | SessionError::InvalidId) => {}
            changed => return changed.map(counted),
        }
    }
    let mut session = Session::new("").org_id("visitors");
    // Nobody has logged in. A separate user for each visitor keeps the list of a user's sessions
    // short.
    session.user_id.clone_from(&session.id);
    count(&mut session);
    store.create_session(&session).await?;
    Ok(counted(session))
}

fn counted(session: Session) -> (Session, u64) {
    let visits = visits(&session);
    (session, visits)
}

fn visits(session: &Session) -> u64 {
    session.metadata.get("visits").ok().flatten().unwrap_or(0)
}

fn count(session: &mut Session) {
    let visits = visits(session).saturating_add(1);
    // A number is always valid metadata.
    let _ = session.metadata.insert("visits", visits);
}

/// Lambda joins several cookies into one header.
fn session_id(request: &Request) -> Option<&str> {
    let cookies =
        request.headers().get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}
