//! A transport that records properties of the last response which the library does not expose.

use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::{BoxFuture, Error};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub(super) struct LastResponse {
    pub(super) status: Option<u16>,
    /// A page for people, not a reply.
    pub(super) html: bool,
    pub(super) resp2: bool,
    /// Target of a redirect, without its query, which may contain secrets.
    pub(super) location: Option<String>,
    /// The address has a path.
    pub(super) has_path: bool,
    /// The path of the request.
    pub(super) path: String,
    /// The reply is the status `OK`, in base64.
    pub(super) encoded_okay: bool,
}

#[derive(Clone)]
pub(super) struct Watch {
    inner: HttpTransport,
    last: Arc<Mutex<LastResponse>>,
}

impl Watch {
    pub(super) fn new(inner: HttpTransport) -> Self {
        Self { inner, last: Arc::default() }
    }

    /// Returns the properties of the last response; the default if there was none.
    pub(super) fn last(&self) -> LastResponse {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, seen: LastResponse) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl LastResponse {
    fn of(response: &HttpResponse) -> Self {
        let header = |name: &str| {
            response.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let kind = header("content-type").to_ascii_lowercase();
        let location = header("location").split(['?', '#']).next().unwrap_or_default();
        Self {
            status: Some(response.status),
            html: kind.starts_with("text/html")
                || response.body.trim_ascii_start().starts_with(b"<"),
            resp2: kind.starts_with("application/octet-stream"),
            location: Some(location.to_owned())
                .filter(|location| !location.is_empty() && !location.contains('@')),
            encoded_okay: response.body.windows(6).any(|part| part == b"\"T0s=\""),
            ..Self::default()
        }
    }
}

impl Transport for Watch {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            let path = request.url.path().to_owned();
            let has_path = !matches!(path.as_str(), "/" | "/pipeline" | "/multi-exec");
            self.note(LastResponse { has_path, path: path.clone(), ..LastResponse::default() });
            let response = self.inner.send(request).await?;
            self.note(LastResponse { has_path, path, ..LastResponse::of(&response) });
            Ok(response)
        })
    }
}
