//! A login and a counter of visits, both kept in sessions over REST.

use redis_rest::Client;
use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt as _};
use std::time::Duration;
use worker::{Context, Env, FormEntry, Headers, Method, Request, Response, Result, event};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[event(fetch)]
async fn fetch(mut request: Request, env: Env, _context: Context) -> Result<Response> {
    match answer(&mut request, &env).await {
        // The store is unavailable, or its settings are wrong. The error contains no key and no
        // token.
        Ok(Err(error)) => {
            worker::console_error!("sessions: {error}");
            Response::error("Sessions are unavailable, please try again.", 503)
        }
        Ok(Ok(response)) => Ok(response),
        Err(error) => Err(error),
    }
}

async fn answer(request: &mut Request, env: &Env) -> Result<Result<Response, SessionError>> {
    let (url, token) =
        (env.var("REDIS_REST_URL")?.to_string(), env.secret("REDIS_REST_TOKEN")?.to_string());
    let store = match store(&url, &token) {
        Ok(store) => store,
        Err(error) => return Ok(Err(error)),
    };
    let session = match current(request, &store).await {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match (request.method(), request.path().as_str()) {
        (Method::Get, "/") => visit(&store, session).await,
        (Method::Post, "/login") => {
            let name = match request.form_data().await?.get("name") {
                Some(FormEntry::Field(name)) if !name.trim().is_empty() && name.len() <= 100 => {
                    name.trim().to_owned()
                }
                _ => return Ok(Ok(Response::error("A name, please.", 400)?)),
            };
            login(&store, session, &name).await
        }
        (Method::Post, "/logout") => logout(&store, session).await,
        _ => Ok(Response::error("There is nothing here.", 404)?),
    })
}

/// Creates a store for each request: a Worker must not wait in one request for I/O of another, as
/// batched calls of a shared client would. It costs no I/O; the host pools connections.
fn store(url: &str, token: &str) -> Result<RedisSessionStore, SessionError> {
    let client = Client::builder()
        .url(url)
        .token(token)
        .timeout(Duration::from_secs(2))
        .deadline(Duration::from_secs(5))
        .build()?;
    Ok(RedisSessionStore::new(client, DAY))
}

/// Returns the session that the cookie names.
async fn current(
    request: &Request,
    store: &RedisSessionStore,
) -> Result<Option<Session>, SessionError> {
    let cookies = request.headers().get("cookie").ok().flatten().unwrap_or_default();
    let Some(id) = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("session="))
    else {
        return Ok(None);
    };
    match store.retrieve_session(id).await {
        Ok(session) => Ok(Some(session)),
        Err(SessionError::NotFound | SessionError::InvalidId) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn visit(
    store: &RedisSessionStore,
    session: Option<Session>,
) -> Result<Response, SessionError> {
    let Some(mut session) = session else {
        let page = "<form method=post action=/login><input name=name placeholder=Name required> <button>Log in</button></form>";
        return Ok(html(page));
    };
    let visits = session.metadata.get::<u64>("visits").ok().flatten().unwrap_or(0) + 1;
    // A number is always valid JSON.
    let _ = session.metadata.insert("visits", visits);
    match store.update_session(&session).await {
        // Logged out elsewhere meanwhile.
        Err(SessionError::NotFound) => return Ok(to_start("session=; Max-Age=0")),
        result => result?,
    }
    store.touch(&session.id).await?;
    let name = escape(&session.user_id);
    Ok(html(&format!(
        "<p>Hello {name}, visit {visits}.</p><form method=post action=/logout><button>Log out</button></form>"
    )))
}

/// Creates a new session for every login: an id from before must not gain rights.
async fn login(
    store: &RedisSessionStore,
    before: Option<Session>,
    name: &str,
) -> Result<Response, SessionError> {
    if let Some(before) = before {
        store.delete_session(&before.id).await?;
    }
    let session = Session::new(name).org_id("example");
    store.create_session(&session).await?;
    Ok(to_start(&format!("session={}; Max-Age={}", session.id, DAY.as_secs())))
}

async fn logout(
    store: &RedisSessionStore,
    session: Option<Session>,
) -> Result<Response, SessionError> {
    if let Some(session) = session {
        store.delete_session(&session.id).await?;
    }
    Ok(to_start("session=; Max-Age=0"))
}

fn html(body: &str) -> Response {
    Response::builder()
        .with_headers(headers("content-type", "text/html; charset=utf-8"))
        .fixed(format!("<!doctype html>{body}").into())
}

fn to_start(cookie: &str) -> Response {
    let headers = headers("location", "/");
    // Fixed text and a UUID are valid in a header.
    let _ = headers.set("set-cookie", &format!("{cookie}; Path=/; HttpOnly; Secure; SameSite=Lax"));
    Response::builder().with_status(303).with_headers(headers).empty()
}

fn headers(name: &str, value: &str) -> Headers {
    let headers = Headers::new();
    let _ = headers.set(name, value);
    headers
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
