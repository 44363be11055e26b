//! The pools of connections: one for each scheme and runtime.

use super::HttpClient;
use super::connect::Connector;
use super::http2::Http2;
use super::proxy::Proxy;
use super::tls::Trust;
use super::trust::{Pool, Watch};
use crate::backend::rest::config::Config;
use crate::backend::rest::config::check::is_loopback;
use crate::error::{Error, Result};
use crate::platform::PerRuntime;
use http::HeaderValue;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

pub(super) struct Pools {
    connect_timeout: Duration,
    max_header_bytes: usize,
    idle: Duration,
    trust: Trust,
    proxy: Option<Proxy>,
    plain: Scheme,
    secure: Scheme,
}

/// The pools of `http://` or of `https://`.
struct Scheme {
    /// Created on first use: TLS costs more than the rest of a start, and `http://` needs none of
    /// it.
    connector: OnceLock<Connector>,
    runtimes: PerRuntime<Connections>,
}

/// The connections of one runtime. A task of the runtime that opened a connection drives it:
/// another runtime would wait for that task while the first one is blocked, or no thread drives it.
pub(super) struct Connections {
    pool: Pool<HttpClient>,
    connector: Connector,
    max_header_bytes: usize,
    /// Longest time for which idle connections are kept, in milliseconds.
    idle: AtomicU64,
    http2: Arc<Http2>,
    tasks: Tasks,
}

impl Pools {
    pub(super) fn new(connect_timeout: Duration, config: &Config, proxy: Option<Proxy>) -> Self {
        Self {
            connect_timeout,
            max_header_bytes: config.max_reply_header_bytes,
            idle: config.pool_idle_timeout,
            trust: config.trust.clone(),
            proxy,
            plain: Scheme::new(),
            secure: Scheme::new(),
        }
    }

    /// Prepares requests to this address. TLS may fail.
    pub(super) fn prepare(&self, url: &Url) -> Result<()> {
        self.connector(url).map(drop)
    }

    fn scheme(&self, url: &Url) -> &Scheme {
        if is_secure(url) { &self.secure } else { &self.plain }
    }

    fn connector(&self, url: &Url) -> Result<&Connector> {
        let place = &self.scheme(url).connector;
        match place.get() {
            Some(connector) => Ok(connector),
            None => {
                let (proxy, secure) = (self.proxy_for(url), is_secure(url));
                let made = Connector::new(self.connect_timeout, &self.trust, proxy, secure)?;
                Ok(place.get_or_init(|| made))
            }
        }
    }

    /// Returns host and port of the proxy.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.proxy.as_ref().map(|proxy| proxy.address.as_str())
    }

    fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| proxy.secure == is_secure(url))
    }

    /// Returns the value of `Proxy-Authorization` for a request that a proxy receives.
    pub(super) fn forward_auth(&self, url: &Url) -> Option<&HeaderValue> {
        let proxy = self.proxy_for(url).filter(|proxy| !proxy.secure && !is_loopback(url))?;
        proxy.auth.as_ref()
    }

    /// Returns the connections of the caller's runtime for this address.
    pub(super) fn of(&self, url: &Url) -> Result<Arc<Connections>> {
        let make = |_| {
            let connector = self.connector(url)?.clone();
            Ok::<_, Error>(Connections::new(connector, self.max_header_bytes, self.idle))
        };
        self.scheme(url).runtimes.with(make, Arc::clone)
    }
}

impl Scheme {
    fn new() -> Self {
        Self { connector: OnceLock::new(), runtimes: PerRuntime::new(Connections::is_spent) }
    }
}

impl Connections {
    fn new(connector: Connector, max_header_bytes: usize, idle: Duration) -> Self {
        let (http2, tasks) = (Arc::<Http2>::default(), Tasks::default());
        let connector = connector.expecting(&http2);
        let pool = Pool::new(client(connector.clone(), max_header_bytes, idle, &tasks));
        let idle = AtomicU64::new(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        Self { pool, connector, max_header_bytes, idle, http2, tasks }
    }

    /// Records a response by this version of HTTP.
    pub(super) fn answered_by(&self, version: http::Version) {
        self.http2.answered_by(version);
    }

    /// Records that the server did not process a request.
    pub(super) fn left_unprocessed(&self) {
        if self.http2.expect() {
            self.pool.renew();
        }
    }

    /// Records that no connection could be opened.
    pub(super) fn unreachable(&self) {
        if self.http2.expect_nothing() {
            self.pool.renew();
        }
    }

    /// Keeps idle connections no longer than this from now on. If that is less than before,
    /// existing ones are dropped.
    pub(super) fn keep_idle_for(&self, idle: Duration) {
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        if idle < self.idle.load(Ordering::Relaxed)
            && idle < self.idle.fetch_min(idle, Ordering::Relaxed)
        {
            self.pool.renew();
        }
    }

    /// Returns true if the last request began a while ago.
    pub(super) fn rested(&self) -> bool {
        self.pool.rested()
    }

    /// Begins a request.
    pub(super) fn begin<T>(&self, send: impl FnOnce(&HttpClient) -> T) -> (Watch, T) {
        let idle = || Duration::from_millis(self.idle.load(Ordering::Relaxed));
        let connector = || self.connector.clone().expecting(&self.http2);
        let renew = || client(connector(), self.max_header_bytes, idle(), &self.tasks);
        self.pool.begin(renew, send)
    }

    /// Returns true if there is no connection, and no request that may open one. The end of the
    /// runtime ends both.
    fn is_spent(&self) -> bool {
        self.tasks.count() == 0 && self.pool.is_unused()
    }
}

fn client(
    connector: Connector,
    max_header_bytes: usize,
    idle: Duration,
    tasks: &Tasks,
) -> HttpClient {
    let mut builder = legacy::Client::builder(tasks.clone());
    if connector.is_only_http2() {
        // Until the server has announced its stream limit: refused streams would be retried.
        builder.http2_only(true).http2_initial_max_send_streams(1);
    }
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(if idle.is_zero() { 0 } else { usize::MAX })
        .http1_max_buf_size(max_header_bytes)
        .http2_max_header_list_size(u32::try_from(max_header_bytes).unwrap_or(u32::MAX))
        .build(connector)
}

fn is_secure(url: &Url) -> bool {
    url.scheme() == "https"
}

/// Starts the tasks that drive connections, and counts those that have not ended.
#[derive(Clone, Default)]
struct Tasks(Arc<AtomicUsize>);

/// A task that has not ended.
struct Running(Arc<AtomicUsize>);

impl Tasks {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.0));
        TokioExecutor::new().execute(async move {
            let _running = running;
            future.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::request_body::RequestBody;
    use super::*;
    use http_body_util::BodyExt as _;
    use std::io::{Read as _, Write as _};

    /// Responds to one request, and keeps the connection until the client closes it.
    fn server() -> Url {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            assert_ne!(stream.read(&mut buffer).unwrap(), 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        url
    }

    #[test]
    fn connections_are_spent_when_their_runtime_has_ended() {
        let pools = Pools::new(Duration::from_secs(5), &Config::new(), None);
        let url = server();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connections = runtime.block_on(async {
            let connections = pools.of(&url).unwrap();
            let body = RequestBody::new(Default::default(), Default::default());
            let request = http::Request::post(url.as_str()).body(body).unwrap();
            let (watch, response) = connections.begin(|client| client.request(request));
            assert!(!connections.is_spent(), "a request is under way");
            response.await.unwrap().into_body().collect().await.unwrap();
            watch.answered();
            connections
        });
        assert!(!connections.is_spent(), "a connection is idle");
        drop(runtime);
        assert!(connections.is_spent());
    }
}
