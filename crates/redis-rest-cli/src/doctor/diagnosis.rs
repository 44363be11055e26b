//! Diagnoses of errors: the problem, and its fix. Quotes the server's text, never the request.

use super::Finding;
use super::watch::LastResponse;
use crate::connection::{ALLOW_HTTP, Address};
use crate::output::{causes, is_tls};
use redis_rest::{Error, ErrorKind, ServerErrorClass as Class};

/// Diagnoses an address that cannot work.
pub(super) fn address(address: &Address, error: &Error) -> Finding {
    let url = &address.url;
    if address.needs_allow_http() {
        return Finding::new("http:// would send the token in the clear", ALLOW_HTTP);
    }
    let fix = if url.starts_with("redis://") || url.starts_with("rediss://") {
        "take the REST address from the provider's page, or put `redis-rest serve --redis` in front of this Redis"
    } else if url.contains(['"', '\'']) {
        "remove the quotation marks"
    } else {
        "write it as https://host.example.com"
    };
    Finding::new(error.to_string(), fix)
}

/// Fix for a proxy that cannot work.
pub(super) const PROXY: &str =
    "set HTTPS_PROXY to http://host:port, or name the host of the address in NO_PROXY";

/// Returns the check that an error of the first request belongs to, and the diagnosis.
pub(super) fn first(error: &Error, seen: &LastResponse) -> (&'static str, Finding) {
    let check = match error.kind() {
        _ if seen.html => "reach",
        ErrorKind::Unauthorized => "token",
        ErrorKind::Connect if error.to_string().contains("the proxy") => "proxy",
        ErrorKind::Connect if causes(error).contains("certificate") => "tls",
        ErrorKind::Redis if is_stray_path(error, seen) => "reach",
        ErrorKind::Redis => "redis",
        ErrorKind::Http if behind(error, seen) => "redis",
        _ => "reach",
    };
    (check, any(error, seen))
}

/// Diagnoses an error of any request.
pub(super) fn any(error: &Error, seen: &LastResponse) -> Finding {
    match error.kind() {
        ErrorKind::Connect if error.to_string().contains("user name") => Finding::new(
            "the proxy wants a user name and a password",
            "write them into HTTPS_PROXY: http://user:password@host:port",
        ),
        ErrorKind::Connect if error.to_string().contains("the proxy") => {
            Finding::new(error.to_string(), PROXY)
        }
        ErrorKind::Connect => connect(&causes(error)),
        ErrorKind::Timeout => Finding::new(
            "something accepts the connection, but no answer comes in time",
            "is that a REST server, and does it hang? a longer --timeout helps where it is only slow",
        ),
        ErrorKind::Io if error.to_string().contains("does not answer in HTTP") => Finding::new(
            "a Redis answers there, or something else that does not speak HTTP: no REST server",
            "put one in front of it, `redis-rest serve --redis redis://HOST:PORT`, and take its address",
        ),
        ErrorKind::Io => Finding::new(
            "the connection broke before an answer, as a Redis (port 6379) ends one that speaks HTTP",
            "for a Redis put `redis-rest serve --redis redis://HOST:PORT` in front of it; otherwise: does it want https://?",
        ),
        ErrorKind::Unauthorized if error.server_class() == Some(Class::Forbidden) => Finding::new(
            "the token may not do this",
            "use a token with more rights where you need it",
        ),
        // Some login pages use status 401 too.
        _ if seen.html => page(seen),
        ErrorKind::Unauthorized if seen.status == Some(403) => Finding::new(
            format!("the server, or a firewall before it, refuses the request: {}", said(error)),
            "see what it says; the token may lack a right, or the firewall a rule",
        ),
        ErrorKind::Unauthorized => Finding::new(
            "the server does not accept the token",
            "copy it again, from the same page as the address",
        ),
        ErrorKind::RateLimited => Finding::new(
            "the server asks to slow down",
            "wait a little; then look at the limits of the plan",
        ),
        _ => answered(error, seen),
    }
}

fn page(seen: &LastResponse) -> Finding {
    Finding::new(
        format!("a web page answers (HTTP {}), not a REST server", seen.status.unwrap_or_default()),
        "this is the address of a site or console: use the one that is called REST URL",
    )
}

/// Diagnoses a response that is not a usable reply.
fn answered(error: &Error, seen: &Seen) -> Finding {
    match (error.server_class(), seen.status.unwrap_or_default()) {
        (_, status @ 300..=399) => {
            let to = seen.location.as_deref().unwrap_or("the address that it redirects to");
            Finding::new(
                format!(
                    "the server redirects (HTTP {status}), which is not followed because the token would travel"
                ),
                format!("set the address to {to}"),
            )
        }
        (Some(Class::NotReady), _) if error.redis_code() == Some("LOADING") => {
            Finding::new("Redis is loading its data", "wait until it has, then try again")
        }
        (Some(Class::ReadOnly | Class::Upgrading), _) => Finding::new(
            "Redis refuses writes: it is a replica, or being upgraded",
            "put the REST server in front of the primary; during an upgrade wait",
        ),
        (Some(Class::NotReady | Class::Busy | Class::TryAgain), _) => Finding::new(
            format!("Redis cannot answer now: {}", said(error)),
            "look at Redis, then try again",
        ),
        (Some(Class::NoWrites), _) => Finding::new(
            format!("Redis refuses writes: {}", said(error)),
            "give Redis memory or disk",
        ),
        _ if behind(error, seen) => Finding::new(
            format!(
                "the REST server answers, but the Redis behind it does not (HTTP {})",
                seen.status.unwrap_or_default()
            ),
            "start that Redis, or correct its address in the REST server's settings",
        ),
        (Some(_), _) if is_stray_path(error, seen) => Finding::new(
            "the server takes a part of the address for a command",
            "remove the path from the address: a REST server is at /, or at the path that its page shows",
        ),
        (Some(_), _) => Finding::new(
            format!("Redis answers with an error: {}", said(error)),
            "see what it says",
        ),
        (None, 404) => Finding::new(
            "there is no REST server at this address (HTTP 404)",
            "is a part of its path missing, or one too many?",
        ),
        (None, 405) => Finding::new(
            "the server does not take POST (HTTP 405)",
            "is this the REST address, with the right path?",
        ),
        (None, 200..=299) => Finding::new(
            "something answers, but not in the REST protocol",
            "is this the REST address, and not that of another service?",
        ),
        (None, status) => Finding::new(
            format!("{error}"),
            format!("look at the log of the server, or what is before it, for {status}"),
        ),
    }
}

/// Returns true if the path of the address became the name of a command.
fn is_stray_path(error: &Error, seen: &LastResponse) -> bool {
    let unknown = error
        .server_message()
        .is_some_and(|text| text.to_ascii_lowercase().starts_with("err unknown command"));
    unknown && seen.has_path
}

/// Returns true if the REST server, or a proxy, reports that its backend is unavailable.
fn behind(error: &Error, seen: &Seen) -> bool {
    matches!(error.server_class(), Some(Class::NoConnection | Class::CallerGone))
        || matches!(seen.status, Some(502..=504)) && !seen.html
}

fn connect(causes: &str) -> Finding {
    let small = causes.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| small.contains(word));
    if any(&["dns", "lookup", "resolve"]) {
        Finding::new("the name of the host cannot be found", "check its spelling, and the network")
    } else if any(&["certificate"]) {
        Finding::new(
            format!("the server's certificate is not accepted ({causes})"),
            "is the name in the address that of the certificate, is it in date, and is its issuer known to this system?",
        )
    } else if any(&["refused"]) {
        Finding::new(
            "nothing listens at this address (refused)",
            "check host and port; to start a server here: redis-rest serve",
        )
    } else if is_tls(causes) {
        Finding::new(
            "TLS does not work with this server",
            "does it speak plain HTTP? then the address begins with http://",
        )
    } else if any(&["timed out", "timeout", "deadline"]) {
        Finding::new(
            "no connection in time",
            "is the host up, and does a firewall let this through?",
        )
    } else {
        Finding::new(format!("no connection ({causes})"), "check host, port and network")
    }
}

/// Returns the server's own text, or the library's if there is none, cut to fit a line of a list.
pub(super) fn said(error: &Error) -> String {
    match error.server_message() {
        Some(text) => text.chars().take(200).collect(),
        None => error.to_string(),
    }
}
