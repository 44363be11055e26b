//! `sessions`: list, show, update, delete.

use crate::args::Sessions;
use crate::connection::Connection;
use crate::output::{Failure, note, one_line, print_line};
use redis_rest::session::{RedisSessionStore, Session, SessionError, SessionStoreExt as _};
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// The store requires a time to live; nothing here creates a session, and an update keeps the
/// existing one.
const UNUSED_TTL: Duration = Duration::from_secs(24 * 3600);

/// Runs an action. A REST server does not report that it is in front of a cluster; a refusal does,
/// before anything was changed.
pub(crate) async fn run(action: Sessions, connection: &Connection) -> Result<(), Failure> {
    let store = RedisSessionStore::new(connection.client()?, UNUSED_TTL);
    match action {
        Sessions::List { user, json } => {
            let list = match store.list_sessions(&user).await {
                Err(SessionError::CrossSlot) => store.cluster().list_sessions(&user).await?,
                list => list?,
            };
            if list.corrupt > 0 {
                note(&format!(
                    "unreadable records in this user's index, left unchanged: {}",
                    list.corrupt
                ));
            }
            if json {
                print_as_json(&list.sessions)
            } else if list.sessions.is_empty() {
                print_line("no sessions")
            } else {
                let lines: Vec<_> = list.sessions.iter().map(summary).collect();
                print_line(&lines.join("\n"))
            }
        }
        Sessions::Show { id, json: true } => print_as_json(&store.retrieve_session(&id).await?),
        Sessions::Show { id, json: false } => {
            let stored = store.retrieve_stored(&id).await?;
            let expires = match stored.ttl {
                Some(left) => time(chrono::Utc::now() + left),
                None => "never".to_owned(),
            };
            print_line(&format!("{}\nexpires      {expires}", lines(&stored.session)))
        }
        Sessions::Update { id, metadata, json } => {
            let stored = store.retrieve_stored(&id).await?;
            let mut session = stored.session;
            for (key, value) in metadata {
                session
                    .metadata
                    .insert(key, value)
                    .map_err(|error| Failure::usage(error.to_string()))?;
            }
            // Fails if another client wrote between the two requests.
            match store.compare_and_update(&session, &stored.version).await {
                Err(SessionError::CrossSlot) => {
                    store.cluster().compare_and_update(&session, &stored.version).await?
                }
                version => version?,
            };
            if json { print_as_json(&session) } else { print_line(&lines(&session)) }
        }
        Sessions::Delete { id, json } => {
            let was_there = match store.delete_session(&id).await {
                Err(SessionError::CrossSlot) => store.cluster().delete_session(&id).await?,
                was_there => was_there?,
            };
            if !was_there {
                return Err(SessionError::NotFound.into());
            }
            if json {
                print_as_json(&serde_json::json!({ "deleted": true }))
            } else {
                print_line("deleted")
            }
        }
    }
}

/// Prints with serde's writer instead of `serde_json::Value`, which would round large numbers.
fn print_as_json(value: &impl Serialize) -> Result<(), Failure> {
    print_line(&serde_json::to_string(value).map_err(|error| Failure::usage(error.to_string()))?)
}

fn summary(session: &Session) -> String {
    format!(
        "{}  last active {}  created {}",
        one_line(&session.id),
        time(session.last_active_at),
        time(session.created_at)
    )
}

fn lines(session: &Session) -> String {
    let mut text = format!("session      {}", one_line(&session.id));
    for (name, value) in [
        ("user", &session.user_id),
        ("organisation", &session.org_id),
        ("workspace", &session.workspace_path),
        ("mcp clients", &session.mcp_client_ids.join(", ")),
        ("prompt", &session.system_prompt),
        ("created", &time(session.created_at)),
        ("last active", &time(session.last_active_at)),
    ] {
        let _ = write!(text, "\n{name:<12} {}", one_line(value));
    }
    for (name, value) in session.metadata.iter() {
        let _ = write!(text, "\nmetadata     {} = {}", one_line(name), one_line(value));
    }
    text
}

fn time(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unavailable(error)
            | SessionError::MaybeApplied(error)
            | SessionError::Config(error)
            | SessionError::Refused(error) => error.into(),
            SessionError::NotFound => Failure::redis("session not found").hint(
                "it may have expired; to list a user's sessions: redis-rest sessions list USER",
            ),
            SessionError::Conflict(_) => Failure::redis(error.to_string())
                .hint("show the session again, then repeat the change"),
            SessionError::InvalidId => Failure::usage(error.to_string()),
            _ => Failure::redis(error.to_string()),
        }
    }
}
