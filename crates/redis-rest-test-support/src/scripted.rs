//! A [`Transport`] in this process with scripted responses: for paused clocks, and for responses
//! that no server gives on demand.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{BoxFuture, Client, Config, Error, ErrorKind, Outcome, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Outcome of one request.
#[derive(Clone)]
pub enum ScriptedResponse {
    Fail(Error),
    Respond {
        status: u16,
        header: Option<(HeaderName, &'static str)>,
        body: Bytes,
    },
    Never,
    /// The request waits for ever, and does not leave.
    NeverLeaves,
    /// The connection breaks before the request has left.
    BreaksEarly,
    /// The response comes before the request has left.
    Early(u16),
}

/// Returns a response with this status and body.
pub fn respond(status: u16, body: impl Into<Bytes>) -> ScriptedResponse {
    ScriptedResponse::Respond { status, header: None, body: body.into() }
}

/// Returns a response with a `Retry-After` header.
pub fn respond_retry_after(
    status: u16,
    retry_after: &'static str,
    body: impl Into<Bytes>,
) -> ScriptedResponse {
    ScriptedResponse::Respond {
        status,
        header: Some((RETRY_AFTER, retry_after)),
        body: body.into(),
    }
}

/// Returns a response with this media type.
pub fn respond_as(media_type: &'static str, body: impl Into<Bytes>) -> ScriptedResponse {
    ScriptedResponse::Respond {
        status: 200,
        header: Some((CONTENT_TYPE, media_type)),
        body: body.into(),
    }
}

/// Returns a server's response to a Redis error.
pub fn redis_error(status: u16, text: &str) -> ScriptedResponse {
    respond(status, serde_json::json!({ "error": text }).to_string())
}

type Script = dyn Fn(usize, &str, &[u8]) -> ScriptedResponse + Send + Sync;

/// A transport whose response to request `n`, counted from 0, is a function of `n` and the body.
#[derive(Clone)]
pub struct Scripted {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Bytes>>>,
    dropped: Arc<AtomicUsize>,
}

impl Scripted {
    pub fn new(script: impl Fn(usize, &[u8]) -> ScriptedResponse + Send + Sync + 'static) -> Self {
        Self::of(Arc::new(move |n, _, body| script(n, body)))
    }

    /// Creates a transport whose responses depend on the path and the body.
    pub fn with_paths(
        script: impl Fn(&str, &[u8]) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        Self::of(Arc::new(move |_, path, body| script(path, body)))
    }

    fn of(script: Arc<Script>) -> Self {
        Self { script, seen: Arc::default(), dropped: Arc::default() }
    }

    /// Creates a transport that returns these responses in order, and then repeats the last one.
    pub fn sequence(answers: impl Into<Vec<ScriptedResponse>>) -> Self {
        let answers = answers.into();
        Self::new(move |n, _| answers[n.min(answers.len() - 1)].clone())
    }

    /// Returns the settings of a client over this transport.
    pub fn config(&self) -> Config {
        Client::builder()
            .url("http://localhost:1")
            .token("t")
            .encoding(redis_rest::Encoding::Text)
            .transport(self.clone())
    }

    /// Returns the number of requests received.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Returns the commands of each request to a pipeline or transaction, as text.
    pub fn batches(&self) -> Vec<Vec<String>> {
        let read =
            |body: &Bytes| -> Vec<Vec<String>> { serde_json::from_slice(body).expect("a batch") };
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|body| read(body).iter().map(|entry| entry.join(" ")).collect())
            .collect()
    }

    /// Returns the number of requests abandoned before a response.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// Counts a future that is dropped before it is done.
struct Unfinished(Arc<AtomicUsize>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Transport for Scripted {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        Box::pin(async move {
            let n = {
                let mut seen = self.seen.lock().unwrap();
                seen.push(request.body.clone());
                seen.len() - 1
            };
            let answer = (self.script)(n, request.url.path(), &request.body);
            if matches!(
                answer,
                ScriptedResponse::NeverLeaves
                    | ScriptedResponse::BreaksEarly
                    | ScriptedResponse::Early(_)
            ) {
                request.progress().waits();
            }
            match answer {
                ScriptedResponse::BreaksEarly => {
                    Err(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "the connection broke"))
                }
                ScriptedResponse::Fail(error) => Err(error),
                ScriptedResponse::Respond { status, header, body } => {
                    let mut headers = http::HeaderMap::new();
                    headers.extend(
                        header.map(|(name, value)| (name, http::HeaderValue::from_static(value))),
                    );
                    Ok(HttpResponse::new(status, headers, body))
                }
                ScriptedResponse::Early(status) => {
                    Ok(HttpResponse::new(status, http::HeaderMap::new(), ""))
                }
                ScriptedResponse::Never | ScriptedResponse::NeverLeaves => {
                    let _unfinished = Unfinished(Arc::clone(&self.dropped));
                    std::future::pending().await
                }
            }
        })
    }
}
