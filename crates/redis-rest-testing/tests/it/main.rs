//! The testing kit from its users' view.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

/// An application function and its tests.
mod counter;
/// The fake Redis: data, formats, faults before it, sessions.
mod fake;
/// Requests that each matcher selects and rejects.
mod matchers;
/// The recipes of the documentation.
mod recipes;
/// Replies of each responder, on the wire and to a client.
mod responders;

use serde_json::json;
use wiremock::Request;

pub(crate) fn request(path: &str, body: impl Into<Vec<u8>>) -> Request {
    let url = format!("http://localhost{path}").parse().unwrap();
    Request { url, method: http::Method::POST, headers: http::HeaderMap::new(), body: body.into() }
}

pub(crate) fn alone(parts: &[&str]) -> Request {
    request("/", json!(parts).to_string())
}

pub(crate) fn batch(path: &str, entries: &[&[&str]]) -> Request {
    request(path, json!(entries).to_string())
}
