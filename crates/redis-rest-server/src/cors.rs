//! Cross-origin requests: browser pages may use this server if their origin is allowed.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, VARY,
};
use http::{Method, Request};

/// Origins whose pages are allowed.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors(Vec<HeaderValue>);

impl Cors {
    /// Adds an origin, such as `http://localhost:3000`; `*` for every origin. Returns false if it
    /// is not an origin.
    pub(super) fn allow(&mut self, origin: &str) -> bool {
        let is_origin =
            |url: url::Url| url.origin().is_tuple() && url.origin().ascii_serialization() == origin;
        let sound = origin == "*" || url::Url::parse(origin).is_ok_and(is_origin);
        match HeaderValue::from_str(origin) {
            Ok(value) if sound => self.0.push(value),
            _ => return false,
        }
        true
    }

    pub(super) fn allows_every_origin(&self) -> bool {
        self.0.iter().any(|allowed| allowed == "*")
    }

    /// Returns the headers of a reply to a page of this origin, or `None` if the origin is not
    /// allowed. `null`, the origin of sandboxed and local pages, is not allowed even under `*`.
    pub(super) fn admit<B>(&self, request: &Request<B>, origin: &HeaderValue) -> Option<HeaderMap> {
        let named =
            |allowed: &HeaderValue| allowed == origin || (allowed == "*" && origin != "null");
        self.0.iter().find(|allowed| named(allowed))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("upstash-sync-token, retry-after"),
        );
        headers.insert(VARY, HeaderValue::from_static("origin"));
        if is_preflight(request) {
            // Every header may be sent: the token protects the server.
            if let Some(wanted) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT"),
            );
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
        Some(headers)
    }
}

/// Returns true for a preflight request, which carries no token.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
