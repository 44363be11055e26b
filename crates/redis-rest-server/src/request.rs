//! Parses request bodies and paths into commands.

use percent_encoding::percent_decode;
use redis_rest::Command;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reason why a request is no command. The text is constant: it contains no part of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRequest(pub(crate) &'static str);

/// Most commands in one request. A body of the largest size could hold millions of empty ones, each
/// of which costs far more memory than its three bytes.
const MOST_COMMANDS: usize = 100_000;

/// Most parts of one command: Redis 6 accepts no more, and each may cost ten times its bytes here.
const MOST_PARTS: usize = 1024 * 1024;

pub(super) const NO_COMMAND: BadRequest =
    BadRequest("ERR empty command: send a name and its arguments");

/// Parses one command: a JSON array.
pub fn command(body: &[u8]) -> Result<Command, BadRequest> {
    let parts = serde_json::from_slice(body).map_err(|_| {
        BadRequest("ERR invalid body: send a JSON array of a command and its arguments")
    })?;
    build(parts)
}

/// Parses many commands: a JSON array of arrays.
pub fn commands(body: &[u8]) -> Result<Vec<Command>, BadRequest> {
    let entries: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| {
        BadRequest("ERR invalid body: send a JSON array of commands, each a JSON array")
    })?;
    if entries.is_empty() {
        return Err(BadRequest("ERR empty body: send at least one command"));
    }
    if entries.len() > MOST_COMMANDS {
        return Err(BadRequest("ERR too many commands in one request: send at most 100000"));
    }
    entries.into_iter().map(|entry| command(entry.get().as_bytes())).collect()
}

fn build(parts: Vec<&RawValue>) -> Result<Command, BadRequest> {
    if parts.len() > MOST_PARTS {
        return Err(BadRequest("ERR too many arguments in one command: send at most 1048576"));
    }
    let parts = parts.into_iter().map(argument).collect::<Result<Vec<_>, _>>()?;
    match parts.first() {
        Some(name) if !name.is_empty() => {
            Ok(Command::from_parts(parts.iter().map(|part| part.as_bytes())))
        }
        _ => Err(NO_COMMAND),
    }
}

/// Returns a string, or a number or boolean as it is written: a number too large for any type is
/// unchanged.
fn argument(raw: &RawValue) -> Result<Cow<'_, str>, BadRequest> {
    /// Borrows if the text has no escapes.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    match raw.get().as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Text<'_>>(raw.get()) {
            Ok(Text(text)) => Ok(text),
            Err(_) => Err(BadRequest("ERR invalid argument: it is no valid text")),
        },
        Some(b'-' | b'0'..=b'9' | b't' | b'f') => Ok(Cow::Borrowed(raw.get())),
        _ => Err(BadRequest("ERR invalid argument: send a string, a number or a boolean")),
    }
}

/// Returns true for a path that no proxy normalises to another one: without segments `.` or `..`,
/// encoded or not, and without empty ones except at the beginning and the end.
pub(crate) fn is_normal(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let normal = |segment: &str| {
        let decoded = percent_decode(segment.as_bytes());
        !segment.is_empty() && !decoded.clone().eq(*b".") && !decoded.eq(*b"..")
    };
    path.is_empty() || path.strip_suffix('/').unwrap_or(path).split('/').all(normal)
}

/// The path form: `/set/key?EX=100` with the value as the body. A slash at the end adds no
/// argument, nor does an empty body. `_token` is no argument. The path must be normal: see
/// `is_normal`.
pub fn path(path: &str, query: Option<&str>, body: &[u8]) -> Result<Command, BadRequest> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut parts =
        path.split('/').map(|segment| decode(segment.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    if parts.first().is_none_or(|name| name.is_empty()) {
        return Err(NO_COMMAND);
    }
    if !body.is_empty() {
        parts.push(body.to_vec());
    }
    for pair in pairs(query) {
        let (name, value) = pair?;
        if name == b"_token" {
            continue;
        }
        parts.push(name);
        parts.extend(value);
    }
    Ok(Command::from_parts(parts.iter().map(Vec::as_slice)))
}

/// Returns the token in the query.
pub(crate) fn query_token(query: Option<&str>) -> Option<Vec<u8>> {
    pairs(query).flatten().find_map(|(name, value)| value.filter(|_| name == b"_token"))
}

type Pair = (Vec<u8>, Option<Vec<u8>>);

/// Returns the pairs of a query; `?NX` has no value.
fn pairs(query: Option<&str>) -> impl Iterator<Item = Result<Pair, BadRequest>> {
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let plus = |text: &str| decode(text.replace('+', " ").as_bytes());
        Ok(match pair.split_once('=') {
            Some((name, value)) => (plus(name)?, Some(plus(value)?)),
            None => (plus(pair)?, None),
        })
    })
}

fn decode(text: &[u8]) -> Result<Vec<u8>, BadRequest> {
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let broken = |at: usize| !hex(text.get(at + 1)) || !hex(text.get(at + 2));
    if text.iter().enumerate().any(|(at, &byte)| byte == b'%' && broken(at)) {
        return Err(BadRequest("ERR invalid address: a percent sign needs two hex digits"));
    }
    Ok(percent_decode(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(command: &Command) -> Vec<String> {
        command.parts().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn arguments_are_unchanged() {
        let command = command(
            r#" ["SET", "a\u00e9\"", 1e400, -0, 12345678901234567890123, true, "", "a b"] "#
                .as_bytes(),
        )
        .unwrap();
        assert_eq!(
            parts(&command),
            ["SET", "aé\"", "1e400", "-0", "12345678901234567890123", "true", "", "a b"]
        );
        // A name with a space is one name.
        assert_eq!(super::command(b"[\"GET k\"]").unwrap().name(), b"GET k");
    }

    #[test]
    fn requests_without_a_command_are_refused() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "{",
            "[",
            "[]",
            "[\"\"]",
            "[\"GET\",null]",
            "[\"GET\",[\"a\"]]",
            "[\"GET\",{}]",
            "\"GET\"",
            "null",
            "[\"\\ud800\"]",
            "1",
        ] {
            assert!(command(body.as_bytes()).is_err(), "{body}");
            assert!(commands(format!("[{body}]").as_bytes()).is_err(), "{body}");
        }
        for body in [&b"[\"GET\",\"\xff\"]"[..], b"[\"GET\"] x", deep.as_bytes()] {
            assert!(command(body).is_err());
            assert!(commands(body).is_err());
        }
        assert!(commands(b"[]").is_err());
        assert!(
            commands(format!("[{}[\"a\"]]", "[\"a\"],".repeat(MOST_COMMANDS)).as_bytes()).is_err()
        );
    }

    #[test]
    fn the_path_form() {
        let set = path("/set/a%2Fb/", Some("EX=100&NX&_token=s3cret&x=a+b%2B"), b"\xffv").unwrap();
        let wanted = [&b"set"[..], b"a/b", b"\xffv", b"EX", b"100", b"NX", b"x", b"a b+"];
        assert_eq!(set.parts().collect::<Vec<_>>(), wanted);
        for bad in ["", "/", "//", "/get/%", "/get/%zz", "/%f"] {
            assert!(path(bad, None, b"").is_err(), "{bad}");
        }
        assert_eq!(query_token(Some("a=1&_token=x%20y")).as_deref(), Some(&b"x y"[..]));
        assert_eq!(query_token(Some("_token")), None);
    }
}
