//! Interprets HTTP responses as replies or errors.

use super::transport::HttpResponse;
use super::wire;
use crate::clock;
use crate::error::{Error, ErrorKind, Outcome, Result, ServerErrorClass};
use crate::retry::is_refused;
use bytes::Bytes;
use chrono::DateTime;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use std::time::Duration;

/// Interprets the body first, then the status: a 200 can hold an error, a 502 a page of HTML.
/// `early`: the server responded before it had the whole request.
pub(super) fn interpret<T>(
    response: &HttpResponse,
    early: bool,
    read: impl Fn(&Bytes) -> Result<Result<T>, wire::Unreadable>,
) -> Result<T> {
    let status = response.status;
    let success = (200..300).contains(&status);
    let error = match read(&response.body) {
        // Some servers respond to a failed command with a 4xx, and the reply.
        Ok(Ok(reply)) if success || (400..500).contains(&status) => return Ok(reply),
        Ok(Err(error)) => {
            let kind = status_kind(status);
            match kind {
                // A proxy's 5xx may carry the error of a server behind it that had started.
                ErrorKind::Http if status >= 500 && !is_refused(&error) => {
                    error.with_outcome(Outcome::MaybeApplied)
                }
                ErrorKind::RateLimited | ErrorKind::Unauthorized => error.with_kind(kind),
                _ => error,
            }
        }
        Err(unreadable) if success => {
            let (kind, message) = match unreadable.is_too_much() {
                true => (ErrorKind::ReplyTooLarge, "the reply holds more than is allowed"),
                false if is_encoded(&response.headers) => (ErrorKind::Decode, COMPRESSED),
                false => (ErrorKind::Decode, "the reply cannot be read"),
            };
            let error = Error::new(kind, message);
            let error = if unreadable.ends_early() { error } else { error.lasting() };
            error.with_source(unreadable)
        }
        Ok(Ok(_)) | Err(_) => {
            // A request may have arrived complete, and its response been late, even if the status
            // is 408.
            let late = ((status >= 500 && status != 501) || status == 408) && !early;
            let maybe = late || success;
            let outcome = if maybe { Outcome::MaybeApplied } else { Outcome::NotApplied };
            Error::new(status_kind(status), status_text(status)).with_outcome(outcome)
        }
    };
    Err(error.with_status(status).with_retry_after(retry_after(&response.headers)))
}

pub(super) const COMPRESSED: &str = "the reply is compressed, which it was not asked to be";

/// Returns true if the body is compressed.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Returns true if the body has a media type, whose name is case-insensitive.
pub(super) fn is_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    let found = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..wanted.len()));
    found.is_some_and(|found| found.eq_ignore_ascii_case(wanted.as_bytes()))
}

const fn status_kind(status: u16) -> ErrorKind {
    match status {
        429 => ErrorKind::RateLimited,
        401 | 403 => ErrorKind::Unauthorized,
        _ => ErrorKind::Http,
    }
}

const fn status_text(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "the server redirects, which is not followed because the token would travel: set the final address"
        }
        401 => "the server does not accept the token",
        403 => "the server, or a firewall before it, refuses the request",
        404 => "there is no REST server at this address",
        405 => "the server at this address does not take POST",
        407 => "the proxy wants a user name and a password",
        413 => "the request is too large for the server",
        429 => "the server asks to slow down",
        _ => "the server, or something before it, did not answer with a reply",
    }
}

/// Reads `Retry-After`: seconds, or a date ([RFC
/// 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)), by the server's clock if the
/// response shows it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
    };
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok();
    seconds.map(Duration::from_secs).or_else(|| {
        let now = date(DATE).unwrap_or_else(clock::utc_now);
        Some((date(RETRY_AFTER)? - now).to_std().unwrap_or_default())
    })
}

/// Reads the longest time for idle connections from `Keep-Alive: timeout=n`: a second less, so that
/// no request meets a connection that is being closed.
#[cfg_attr(target_family = "wasm", allow(dead_code))]
pub(super) fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| value.trim().parse::<u64>().ok())?
    })?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}

/// Returns true if an error means that the server has no such endpoint (`pipeline` or
/// `multi-exec`): by its status, or because it treated the path as a command.
pub(super) fn lacks(error: &Error, endpoint: &str) -> bool {
    let taken_for_a_command = |message: &str| {
        let text = message.to_ascii_lowercase();
        text.starts_with("err unknown command") && text.contains(endpoint)
    };
    match error.server_error() {
        Some(server) => taken_for_a_command(server.message()),
        None => error.kind() == ErrorKind::Http && matches!(error.status(), Some(404 | 405 | 501)),
    }
}

/// Converts the error of a whole transaction. Some servers send its commands one by one, and return
/// the error of one for all, although others have run.
pub(super) fn of_transaction(error: Error) -> Error {
    if lacks(&error, "multi-exec") {
        return Error::new(ErrorKind::Unsupported, "this server has no transactions")
            .with_outcome(Outcome::NotApplied)
            .with_status(error.status().unwrap_or_default());
    }
    let Some(server) = error.server_error() else { return error };
    match (error.kind(), server.class()) {
        (ErrorKind::Discarded | ErrorKind::RateLimited, _) => error,
        (ErrorKind::Unauthorized, class) if class != ServerErrorClass::Forbidden => error,
        (_, ServerErrorClass::RequestQuota) => error,
        _ if error.status() == Some(413)
            || server.message().starts_with("ERR max request size") =>
        {
            error
        }
        _ if server.message().to_ascii_lowercase().contains("transaction discarded") => {
            error.with_kind(ErrorKind::Discarded)
        }
        _ => error.with_outcome(Outcome::MaybeApplied),
    }
}

/// Returns true if an error is the server's reply to this command. Temporary failures, and those
/// that every other call meets too, are not: no reply, a temporary refusal, a wrong token.
pub(super) fn is_final(error: &Error) -> bool {
    let answered = match error.status() {
        None | Some(401 | 408 | 429) => false,
        Some(status) => status < 500 || status == 501,
    };
    answered
        && error.server_class() != Some(ServerErrorClass::Unauthenticated)
        && !is_refused(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |retry_after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
            headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
            super::retry_after(&headers)
        };
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(" 3 ", None), Some(Duration::from_secs(3)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:40 GMT", now), Some(Duration::from_secs(3)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:30 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:40 GMT", None), Some(Duration::ZERO), "long ago");
        for junk in ["", "-1", "soon", "Sun, 99 Nov 1994 08:49:40 GMT"] {
            assert_eq!(wait(junk, now), None, "{junk}");
        }
    }
}
