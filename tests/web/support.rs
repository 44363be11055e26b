use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpStream, HttpTransport, Transport};
use redis_rest::{BoxFuture, Client, Config, Error, ErrorKind, Outcome, Result};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Address of the server, built in: a browser has no environment.
const URL: &str = match option_env!("REDIS_REST_TEST_URL") {
    Some(url) => url,
    None => "",
};
const TOKEN: &str = match option_env!("REDIS_REST_TEST_TOKEN") {
    Some(token) => token,
    None => "",
};

pub fn config() -> Config {
    assert!(!URL.is_empty(), "run .ci/wasm, which starts a server and builds its address in");
    Client::builder().url(URL).token(TOKEN)
}

/// Returns settings with an address that has a path.
pub fn config_below(path: &str) -> Config {
    config().url(format!("{URL}{path}"))
}

pub fn client() -> Client {
    config().build().unwrap()
}

/// Returns a key that no other run uses.
pub fn unique(name: &str) -> String {
    format!("web:{name}:{}", redis_rest::session::Session::new("u").org_id("o").id)
}

pub async fn pass(time: Duration) {
    gloo_timers::future::sleep(time).await;
}

/// Fate of a request.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Open,
    /// The request is not sent.
    Cut,
    /// The request is executed, and the reply is lost.
    Lost,
    /// The server does not see the wish for base64.
    Plain,
}

/// The built-in transport behind a gate.
#[derive(Clone)]
pub struct Gate {
    inner: HttpTransport,
    way: Rc<Cell<Way>>,
    sent: Rc<Cell<usize>>,
}

impl Gate {
    pub fn new() -> Self {
        let inner = HttpTransport::new(Duration::from_secs(3)).unwrap();
        Self { inner, way: Rc::new(Cell::new(Way::Open)), sent: Rc::default() }
    }

    pub fn set(&self, way: Way) {
        self.way.set(way);
    }

    /// Returns the number of requests sent or attempted.
    pub fn sent(&self) -> usize {
        self.sent.get()
    }
}

impl Transport for Gate {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        Box::pin(async move {
            self.sent.set(self.sent.get() + 1);
            if self.way.get() == Way::Cut {
                return Err(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "cut"));
            }
            let mut request = request;
            if self.way.get() == Way::Plain {
                request.headers.remove("upstash-encoding");
            }
            let reply = self.inner.send(request).await;
            match self.way.get() {
                Way::Lost => Err(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "lost")),
                _ => reply,
            }
        })
    }

    fn open(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpStream>> {
        self.inner.open(request)
    }
}
