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
            "the proxy requires a user name and a password",
            "set them in HTTPS_PROXY: http://user:password@host:port",
        ),
        ErrorKind::Connect if error.to_string().contains("the proxy") => {
            Finding::new(error.to_string(), PROXY)
        }
        ErrorKind::Connect => connect(&causes(error)),
        ErrorKind::Timeout => Finding::new(
            "the connection is accepted, but no response arrives in time",
            "check that this is a REST server and that it is not hanging; if it is slow, set a longer --timeout",
        ),
        ErrorKind::Io if error.to_string().contains("does not answer in HTTP") => Finding::new(
            "the server does not speak HTTP: it may be a Redis, but is no REST server",
            "put `redis-rest serve --redis redis://HOST:PORT` in front of it, and use that address",
        ),
        ErrorKind::Io => Finding::new(
            "the connection broke before a response; a Redis (port 6379) closes HTTP connections like this",
            "put `redis-rest serve --redis redis://HOST:PORT` in front of a Redis; otherwise try https://",
        ),
        ErrorKind::Unauthorized if error.server_class() == Some(Class::Forbidden) => Finding::new(
            "the token may not do this",
            "use a token with more rights where you need it",
        ),
        // Some login pages use status 401 too.
        _ if seen.html => page(seen),
        ErrorKind::Unauthorized if seen.status == Some(403) => Finding::new(
            format!("the server or a firewall refuses the request: {}", said(error)),
            "read its text; the token may lack a permission, or the firewall a rule",
        ),
        ErrorKind::Unauthorized => Finding::new(
            "the server does not accept the token",
            "copy the token again, from the same page as the address",
        ),
        ErrorKind::RateLimited => Finding::new(
            "the server limits the request rate",
            "wait; then check the limits of your plan",
        ),
        _ => answered(error, seen),
    }
}

fn page(seen: &LastResponse) -> Finding {
    Finding::new(
        format!(
            "the response is a web page (HTTP {}), not a REST reply",
            seen.status.unwrap_or_default()
        ),
        "this is the address of a site or console: use the one labelled REST URL",
    )
}

/// Diagnoses a response that is not a usable reply.
fn answered(error: &Error, seen: &LastResponse) -> Finding {
    match (error.server_class(), seen.status.unwrap_or_default()) {
        (_, status @ 300..=399) => {
            let to = seen.location.as_deref().unwrap_or("the address that it redirects to");
            Finding::new(
                format!(
                    "the server redirects (HTTP {status}); redirects are not followed, to protect the token"
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
            "give Redis more memory or disk space",
        ),
        _ if behind(error, seen) => Finding::new(
            format!(
                "the REST server responds, but the Redis behind it does not (HTTP {})",
                seen.status.unwrap_or_default()
            ),
            "start Redis, or correct its address in the REST server's settings",
        ),
        (Some(_), _) if is_stray_path(error, seen) => Finding::new(
            "the server takes a part of the address for a command",
            "remove the path from the address: a REST server is at /, or at the path that its page shows",
        ),
        (Some(_), _) => Finding::new(
            format!("Redis returns an error: {}", said(error)),
            "read the error's text",
        ),
        (None, 404) => Finding::new(
            "there is no REST server at this address (HTTP 404)",
            "check the path of the address",
        ),
        (None, 405) => Finding::new(
            "the server does not accept POST (HTTP 405)",
            "check that this is the REST address, with the right path",
        ),
        (None, 200..=299) => Finding::new(
            "the response is not in the REST protocol",
            "check that this is the REST address, not that of another service",
        ),
        (None, status) => Finding::new(
            format!("{error}"),
            format!("check the logs of the server and its proxies for status {status}"),
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
fn behind(error: &Error, seen: &LastResponse) -> bool {
    matches!(error.server_class(), Some(Class::NoConnection | Class::CallerGone))
        || matches!(seen.status, Some(502..=504)) && !seen.html
}

fn connect(causes: &str) -> Finding {
    let small = causes.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| small.contains(word));
    if any(&["dns", "lookup", "resolve"]) {
        Finding::new("the host name cannot be found", "check its spelling and the network")
    } else if any(&["certificate"]) {
        Finding::new(
            format!("the server's certificate is not accepted ({causes})"),
            "check that the certificate is for this host name, has not expired, and comes from an issuer that this system trusts",
        )
    } else if any(&["refused"]) {
        Finding::new(
            "no server listens at this address (connection refused)",
            "check host and port; to start a local server: redis-rest serve",
        )
    } else if is_tls(causes) {
        Finding::new(
            "TLS does not work with this server",
            "if it speaks plain HTTP, use an http:// address",
        )
    } else if any(&["timed out", "timeout", "deadline"]) {
        Finding::new(
            "no connection in time",
            "check that the host is up and that no firewall blocks it",
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
