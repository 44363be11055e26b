//! A Redis over HTTP for tests: the embedded engine behind a mock server.

use super::matchers::{is_named, words};
use super::responders::{lost_reply, template};
use super::sent::commands;
use redis_rest::internal::Secret;
use redis_rest::{Client, Config, Encoding, RetryPolicy};
use redis_rest_server::MemoryBackend;
use redis_rest_server::internal::{self, Service};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// Token that a [`FakeRedis`] accepts.
pub const TOKEN: &str = "fake-token";

/// Largest request, the limit of common plans.
const MAX_REQUEST_BYTES: usize = 10_000_000;
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// Lowest priority.
const LAST: u8 = u8::MAX;

/// Returns the settings of a client for a mock server: its address, [`TOKEN`], replies in base64
/// without asking the server for it, and every command in a separate request, so that
/// [`command`](super::command) sees each.
pub fn config_for(server: &MockServer) -> Config {
    Client::builder().url(server.uri()).token(TOKEN).encoding(Encoding::Base64).no_auto_batch()
}

/// A working Redis over HTTP, in a [`MockServer`]: requests that no other mock matches go to an
/// [embedded engine](redis_rest_server::MemoryBackend), with the token checked and in every format
/// that [`redis_rest_server`](redis_rest_server) supports.
///
/// Mocks of a test precede it, with any [priority](Mock::with_priority) but 255, which is its own.
/// With [`up_to_n_times`](Mock::up_to_n_times) they step aside again:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> redis_rest::Result<()> {
/// use redis_rest_testing::{FakeRedis, command};
/// use wiremock::{Mock, ResponseTemplate};
///
/// let redis = FakeRedis::start().await;
/// redis.mount(Mock::given(command("GET")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1)).await;
///
/// let client = redis.client();
/// client.set("name", "Ada").await?;
/// assert_eq!(client.get::<String>("name").await?, "Ada"); // the second attempt
/// assert_eq!(redis.count("GET").await, 2);
/// # Ok(()) }
/// ```
///
/// Limits:
///
/// * Requests are processed one after another; a script of five seconds blocks all of them.
/// * No event streams: subscriptions need [`redis_rest_server`](redis_rest_server).
/// * [`MockServer::reset`] removes the engine too. Do not use [`Mock::mount_as_scoped`] either:
///   wiremock 0.6 numbers its mocks before it sorts them by priority, so that the end of a scope
///   can remove another mock, such as the engine. [`go_down`](Self::go_down) and
///   [`come_back`](Self::come_back) simulate an outage with a beginning and an end.
pub struct FakeRedis {
    server: MockServer,
    engine: MemoryBackend,
    reply: FakeReply,
}

impl FakeRedis {
    /// Starts an empty server on a free port of this machine. It ends when it is dropped, which
    /// also checks the expectations of its mocks.
    pub async fn start() -> Self {
        Self::start_with(MemoryBackend::new()).await
    }

    /// Starts a server with this engine, which others may share.
    pub async fn start_with(engine: MemoryBackend) -> Self {
        let service = Arc::new(Service::new(
            Arc::new(engine.clone()),
            Secret::new(TOKEN),
            None,
            MAX_REQUEST_BYTES,
            MAX_REPLY_BYTES,
            usize::MAX,
        ));
        let reply = FakeReply { service, instead: Arc::default(), lost: false, delay: None };
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(reply.clone())
            .with_priority(LAST)
            .named("the engine")
            .mount(&server)
            .await;
        Self { server, engine, reply }
    }

    /// Returns the address for clients.
    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// Returns the token for clients: [`TOKEN`].
    #[allow(clippy::unused_self, reason = "stands beside the address")]
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Returns the settings of a client: this address and token, every command in a separate
    /// request, so that [`command`](super::command) sees each, replies in base64 without asking for
    /// it, and retries after a millisecond or two, so that an outage costs a test no time. All
    /// other settings have their defaults; [`auto_batch_in_flight`](Config::auto_batch_in_flight)
    /// enables batching.
    pub fn config(&self) -> Config {
        let millis = Duration::from_millis;
        let retry = RetryPolicy::default().backoff(millis(1), millis(2));
        config_for(&self.server).retry(retry)
    }

    /// Returns a client with the settings of [`config`](Self::config).
    #[allow(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "address and token are of this file and always fit"
    )]
    pub fn client(&self) -> Client {
        self.config().build().expect("a loopback address and a token")
    }

    /// Returns the mock server, to mount mocks on.
    pub fn server(&self) -> &MockServer {
        &self.server
    }

    /// Mounts a mock in front of the engine. A mock that never matches fails the test when the
    /// server ends, unless the test is failing already: a fault that did not happen was not tested.
    /// Mount a mock that need not match, or that has its own expectation, on the
    /// [server](Self::server).
    pub async fn mount(&self, mock: Mock) {
        mock.expect(1..).mount(&self.server).await;
    }

    /// Returns the engine, to move its clock ([`MemoryBackend::advance`]), or to prepare and check
    /// data past all mocks: `Client::from_backend(redis.engine().clone())`.
    pub fn engine(&self) -> &MemoryBackend {
        &self.engine
    }

    /// Returns a responder that modifies the engine's response: `redis.reply().lost()`,
    /// `redis.reply().after(…)`.
    pub fn reply(&self) -> FakeReply {
        self.reply.clone()
    }

    /// Responds with `answer` to every request that no mock of the test matches, and executes
    /// nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redis_rest::Result<()> {
    /// # use redis_rest_testing::{FakeRedis, html_502};
    /// let redis = FakeRedis::start().await;
    /// let client = redis.client();
    /// redis.go_down(html_502());
    /// assert_eq!(client.ping().await.unwrap_err().status(), Some(502));
    /// redis.come_back();
    /// client.ping().await?;
    /// # Ok(()) }
    /// ```
    pub fn go_down(&self, answer: impl Respond + 'static) {
        *self.reply.instead.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(answer));
    }

    /// Ends [`go_down`](Self::go_down). The data is unchanged.
    pub fn come_back(&self) {
        *self.reply.instead.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns all requests so far, including those that a mock of the test matched.
    pub async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap_or_default()
    }

    /// Returns the commands of all requests so far, in the order of their arrival, each a name and
    /// its arguments as text. A retried command is listed once per attempt.
    pub async fn commands(&self) -> Vec<Vec<String>> {
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        let requests = self.requests().await;
        requests
            .iter()
            .flat_map(commands)
            .map(|command| command.parts().map(text).collect())
            .collect()
    }

    /// Counts the commands of this name, in any case, that have been sent so far, also within
    /// pipelines and transactions. The name may be that of the client's method too, as for
    /// [`command`](super::command).
    pub async fn count(&self, name: &str) -> usize {
        let (requests, name) = (self.requests().await, words(name));
        requests.iter().flat_map(commands).filter(|command| is_named(command, &name)).count()
    }
}

/// Shows the address only.
impl fmt::Debug for FakeRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRedis").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// Responds like the engine of a [`FakeRedis`]: see [`FakeRedis::reply`].
#[derive(Clone)]
#[must_use]
pub struct FakeReply {
    service: Arc<Service>,
    instead: Arc<Mutex<Option<Arc<dyn Respond>>>>,
    lost: bool,
    delay: Option<Duration>,
}

impl FakeReply {
    /// Runs the request, and then responds like [`lost_reply`](super::lost_reply).
    pub fn lost(mut self) -> Self {
        self.lost = true;
        self
    }

    /// Runs the request, and delays the response by `delay`. Past the client's
    /// [`timeout`](redis_rest::Config::timeout) the reply is lost.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        let target = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut head =
            match http::Request::builder().method(request.method.clone()).uri(target).body(()) {
                Ok(request) => request.into_parts().0,
                Err(_) => {
                    return template(internal::failure(
                        http::StatusCode::BAD_REQUEST,
                        "ERR invalid address",
                    ));
                }
            };
        head.headers.clone_from(&request.headers);
        template(match self.service.admit(&head) {
            Ok(admitted) if admitted.is_stream() => internal::failure(
                http::StatusCode::NOT_IMPLEMENTED,
                "ERR a fake Redis has no event streams: use redis_rest_server",
            ),
            Ok(admitted) => {
                let body = request.body.clone().into();
                drive(self.service.perform(&head, &admitted, body, self.service.reserve()))
            }
            Err(refusal) => *refusal,
        })
    }
}

impl Respond for FakeReply {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let instead = self.instead.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = match instead {
            Some(instead) => instead.respond(request),
            None => self.answer(request),
        };
        let answer = if self.lost { lost_reply() } else { answer };
        match self.delay {
            Some(delay) => answer.set_delay(delay),
            None => answer,
        }
    }
}

impl fmt::Debug for FakeReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeReply")
            .field("lost", &self.lost)
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}

/// Runs the engine's future to its end on this thread. wiremock calls its responders without
/// `async`, on a thread of the server; the engine's lock and its script thread make progress
/// elsewhere.
fn drive<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    // This runs within a tokio task, whose budget would be spent after a hundred commands: from
    // then on every tokio primitive stays pending until the task yields, which is impossible here.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
