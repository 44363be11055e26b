//! [`Subscription`]: what is published, as a stream that outlives connections.

use crate::backend::{Backend, Event, EventStream, Message, SubscriptionTarget};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, BoxFuture};
use crate::retry::is_refused;
use bytes::Bytes;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// A stream of events that reconnects by itself. Made by [`Client::subscribe`] and its sisters; a [`Stream`].
///
/// A subscription connects when it is first polled, and again whenever the connection is lost, after 50 ms and then longer up to 2 s, with
/// jitter. [`Event::Gap`] comes after each reconnection. It ends with an error when the server refuses (token, permission) or
/// listens to another name than was asked for (because a proxy changes paths), and when it was never
/// reached in ten attempts. Once it has run, a 403, a 404 or an answer that is no event stream ends it only if ten attempts in
/// a row get one: a proxy may say so while the server behind it is renewed. Dropping it closes the connections.
#[must_use = "a stream does nothing until it is polled"]
pub struct Subscription {
    backend: Arc<dyn Backend>,
    /// Targets, until the first poll.
    wanted: Vec<SubscriptionTarget>,
    idle: Option<Duration>,
    /// A future for each connection.
    running: Vec<BoxFuture<'static, ()>>,
    sender: Option<mpsc::Sender<Result<Event>>>,
    events: mpsc::Receiver<Result<Event>>,
}

/// Most events that wait for the reader before the connections are no longer read.
const WAITING: usize = 256;

impl Client {
    /// Subscribes to what is published on channels, from now on. One connection for each channel. Over REST the
    /// names are in paths: see [`Config::paths_arrive_as_sent`](crate::Config::paths_arrive_as_sent).
    ///
    /// ```
    /// # use redis_rest::{Client, Event};
    /// # use redis_rest_server::MemoryBackend;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> redis_rest::Result<()> {
    /// # let client = Client::from_backend(MemoryBackend::new());
    /// let mut news = client.subscribe(["news"]);
    /// assert!(matches!(news.next().await.unwrap()?, Event::Subscribed(_)));
    /// assert_eq!(client.publish("news", "hello").await?, 1);
    /// let Event::Message(message) = news.next().await.unwrap()? else { panic!() };
    /// assert_eq!(message.text(), "hello");
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self, channels: impl IntoIterator<Item = impl Into<Bytes>>) -> Subscription {
        self.listen(channels.into_iter().map(|name| SubscriptionTarget::Channel(name.into())))
    }

    /// Subscribes to what is published on channels that match glob patterns. One connection for each pattern.
    pub fn psubscribe(&self, patterns: impl IntoIterator<Item = impl Into<Bytes>>) -> Subscription {
        self.listen(patterns.into_iter().map(|name| SubscriptionTarget::Pattern(name.into())))
    }

    /// Subscribes to all commands that the server runs, keys and values included: for debugging.
    pub fn monitor(&self) -> Subscription {
        self.listen([SubscriptionTarget::Monitor])
    }

    fn listen(&self, what: impl IntoIterator<Item = SubscriptionTarget>) -> Subscription {
        let (sender, events) = mpsc::channel(WAITING);
        Subscription {
            backend: Arc::clone(self.backend()),
            wanted: what.into_iter().collect(),
            idle: None,
            running: Vec::new(),
            sender: Some(sender),
            events,
        }
    }
}

impl Subscription {
    /// Treats a connection without data for `limit` as lost. By default a connection counts as lost
    /// when regular keep-alives stop: after three times their interval, at least 5 s.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }

    /// Returns the next event; `None` when the subscription has ended.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns the next message, and whether some may have been lost before it; `None` when the
    /// subscription has ended.
    ///
    /// # Errors
    /// Fails with the error that ended the subscription.
    pub async fn next_message(&mut self) -> Option<Result<(Message, bool)>> {
        let mut gap = false;
        loop {
            match self.next().await? {
                Ok(Event::Message(message)) => return Some(Ok((message, gap))),
                Ok(Event::Gap) => gap = true,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(sender) = this.sender.take() {
            for what in this.wanted.drain(..) {
                let one = Connection {
                    backend: Arc::clone(&this.backend),
                    what,
                    idle: this.idle,
                    events: sender.clone(),
                };
                this.running.push(Box::pin(one.run()));
            }
        }
        // Pending events come first; then the connections, which may add more.
        for _ in 0..2 {
            if let Poll::Ready(event) = this.events.poll_recv(context) {
                if event.as_ref().is_some_and(Result::is_err) {
                    // An error is the last event.
                    this.running.clear();
                    this.events.close();
                }
                return Poll::Ready(event);
            }
            this.running.retain_mut(|connection| connection.as_mut().poll(context).is_pending());
        }
        Poll::Pending
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

/// A target, over successive connections.
struct Connection {
    backend: Arc<dyn Backend>,
    what: SubscriptionTarget,
    idle: Option<Duration>,
    events: mpsc::Sender<Result<Event>>,
}

impl Connection {
    async fn run(self) {
        let mut connected = false;
        let (mut failures, mut refusals) = (0, 0);
        loop {
            let lost = match self.backend.listen(&self.what).await {
                Ok(stream) => match self.pass_on(stream, connected).await {
                    Ok(told) => {
                        // A server that accepts and closes at once is tried less and less often.
                        failures = if told { 0 } else { failures };
                        connected |= told;
                        None
                    }
                    Err(Gone) => return,
                },
                Err(error) => Some(error),
            };
            failures += 1;
            refusals = match &lost {
                Some(error) if is_final(error) => refusals + 1,
                _ => 0,
            };
            if let Some(error) = lost
                && ends(&error, connected, failures, refusals)
            {
                // A dropped reader needs no error.
                let _ = self.events.send(Err(error)).await;
                return;
            }
            platform::sleep(pause(failures)).await;
        }
    }

    /// Passes events on until the connection is lost. Returns whether there were any.
    async fn pass_on(&self, mut stream: EventStream, again: bool) -> Result<bool, Gone> {
        let (mut told, mut alive) = (false, KeepAlives::default());
        loop {
            let next = poll_fn(|context| stream.as_mut().poll_next(context));
            let next = match self.idle.or_else(|| alive.patience()) {
                Some(limit) => platform::timeout(limit, next).await.flatten(),
                None => next.await,
            };
            let event = match next {
                Some(Ok(event)) => event,
                Some(Err(error)) if is_final(&error) => {
                    let _ = self.events.send(Err(error)).await;
                    return Err(Gone);
                }
                Some(Err(_)) | None => return Ok(told),
            };
            if event == Event::KeepAlive {
                alive.note();
                continue;
            }
            if again && !told {
                self.tell(Event::Gap).await?;
            }
            told = true;
            self.tell(event).await?;
        }
    }

    async fn tell(&self, event: Event) -> Result<(), Gone> {
        self.events.send(Ok(event)).await.map_err(|_| Gone)
    }
}

/// The subscription was dropped, or has ended with an error.
struct Gone;

/// Most attempts to reach a server that was never reached, or that newly refuses.
const MOST_FAILURES: u32 = 10;

/// Returns a pause from 50 ms to 2 s, each about twice as long as the previous.
fn pause(failures: u32) -> Duration {
    let longest =
        Duration::from_millis(50).saturating_mul(1 << failures.min(10)).min(Duration::from_secs(2));
    longest.mul_f64(0.5 + platform::random() / 2.0)
}

/// Returns true if a connection error ends the subscription, by the numbers of failures and of
/// consecutive refusals.
fn ends(error: &Error, connected: bool, failures: u32, refusals: u32) -> bool {
    if !is_final(error) {
        return !connected && failures >= MOST_FAILURES;
    }
    !connected || !may_pass(error) || refusals >= MOST_FAILURES
}

/// Returns true if a refusal may be that of a proxy whose server is being renewed.
fn may_pass(error: &Error) -> bool {
    matches!(error.status(), Some(403 | 404))
        || matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Redis)
}

/// Returns true if the server refuses this subscription permanently.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized
            | ErrorKind::Unsupported
            | ErrorKind::Config
            | ErrorKind::InvalidCommand
            | ErrorKind::Closed
    ) || error
        .status()
        .is_some_and(|status| (400..500).contains(&status) && status != 429 && status != 408)
        || (error.kind() == ErrorKind::Redis && !is_refused(error))
}

/// Interval of keep-alives.
#[derive(Default)]
struct KeepAlives {
    last: Option<crate::clock::Instant>,
    longest: Option<Duration>,
}

impl KeepAlives {
    fn note(&mut self) {
        let now = crate::clock::now();
        if let Some(last) = self.last.replace(now) {
            let interval = now.duration_since(last);
            self.longest = Some(self.longest.map_or(interval, |longest| longest.max(interval)));
        }
    }

    /// Returns how long to wait for the next, once there were two.
    fn patience(&self) -> Option<Duration> {
        Some(self.longest?.saturating_mul(3).max(Duration::from_secs(5)))
    }
}
