use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpStream, HttpTransport, Transport};
use redis_rest::{BoxFuture, Client, Config, Error, ErrorKind, Outcome, Result};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Where the server is. It is built in: a browser has no environment.
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

/// The same with an address that has a path.
pub fn config_below(path: &str) -> Config {
    config().url(format!("{URL}{path}"))
}

pub fn client() -> Client {
    config().build().unwrap()
}

/// A key that no other run uses.
pub fn unique(name: &str) -> String {
    format!("web:{name}:{}", redis_rest::session::Session::new("u").org_id("o").id)
}

pub async fn pass(time: Duration) {
    gloo_timers::future::sleep(time).await;
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Open,
    /// It does not get out.
    Cut,
    /// It is executed, and the reply gets lost.
    Lost,
    /// The server does not see that base64 is asked for.
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

    /// How many requests were sent, or tried.
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
