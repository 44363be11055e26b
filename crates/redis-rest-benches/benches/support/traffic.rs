//! Counts the requests of a client, the commands in them, and their bytes.

use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, Transport};
use redis_rest::{BoxFuture, Error};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

/// Requests since the last [`Counted::take`], and the bodies of requests and replies.
#[derive(Clone, Copy, Default)]
pub struct Traffic {
    pub requests: usize,
    /// Number of commands as a provider bills them: a script counts as one.
    pub commands: usize,
    pub sent: usize,
    pub received: usize,
}

/// A transport that counts its traffic.
#[derive(Clone)]
pub struct Counted(HttpTransport, Arc<Mutex<Traffic>>);

impl Counted {
    pub fn new() -> Result<Self, Error> {
        Ok(Self(HttpTransport::new(Duration::from_secs(3))?, Arc::default()))
    }

    /// Returns the traffic since the last call.
    pub fn take(&self) -> Traffic {
        std::mem::take(&mut *self.1.lock().expect("no panic"))
    }
}

impl Transport for Counted {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            let (sent, commands) = (request.body.len(), commands(&request.body));
            let response = self.0.send(request).await?;
            let traffic = &mut *self.1.lock().expect("no panic");
            traffic.requests += 1;
            traffic.commands += commands;
            traffic.sent += sent;
            traffic.received += response.body.len();
            Ok(response)
        })
    }
}

/// Returns the number of commands in a body: an array of them, or a single one.
fn commands(body: &[u8]) -> usize {
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Array(items)) if items.iter().all(serde_json::Value::is_array) => {
            items.len()
        }
        _ => 1,
    }
}
