//! [`Failover`]: two ways to the same Redis, of which the second is used while the first is down.

use crate::backend::SubscriptionTarget;
use crate::backend::{Backend, EventStream, Reply};
use crate::command::{CallOptions, Command, Idempotency};
use crate::error::{Error, Outcome, Result};
use crate::observe::Guarded;
use crate::platform::BoxFuture;
use crate::retry::breaker::{Admission, Breaker, BreakerPolicy, BreakerState, Probe, Signal};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Two backends in front of the **same** data: native first and REST as its fallback, or the
/// reverse.
///
/// Not sticky: the first backend is used again once a call to it succeeds; one call at a time
/// probes it while its breaker is half-open. Only unreachability switches, never a command's own
/// error. A command that may have run on one side is not sent to the other unless it may run twice
/// ([`Idempotency`]). A subscription follows the rule for read-only commands, and keeps its side
/// until that connection is lost.
///
/// A backend taken from a client comes [without](crate::Client::backend) that client's prefix: the
/// client in front needs its own.
///
/// ```
/// # fn run(rest: redis_rest::Client, native: redis_rest::Client) {
/// use redis_rest::{Client, backend::Failover};
/// let client = Client::from_backend(Failover::new(native.backend().clone(), rest.backend().clone())).with_prefix("app:");
/// # }
/// ```
pub struct Failover {
    first: Arc<dyn Backend>,
    second: Arc<dyn Backend>,
    breaker: Breaker,
}

impl Failover {
    /// Creates a failover that uses `second` while `first` is unavailable.
    pub fn new(first: Arc<dyn Backend>, second: Arc<dyn Backend>) -> Self {
        Self::with_policy(first, second, BreakerPolicy::default())
    }

    /// Makes a failover as [`Failover::new`] does, with another policy of when the first is down.
    pub fn with_policy(
        first: Arc<dyn Backend>,
        second: Arc<dyn Backend>,
        policy: BreakerPolicy,
    ) -> Self {
        Self { first, second, breaker: Breaker::new(policy, Guarded::Failover) }
    }

    /// Returns whether the first backend is in use.
    pub fn state(&self) -> BreakerState {
        self.breaker.state().0
    }

    /// Runs a call on the first backend, if that is not known to be unavailable; returns `None` if
    /// the second should run it.
    async fn on_first<T>(
        &self,
        safety: Idempotency,
        call: impl Future<Output = Result<T>>,
    ) -> Option<Result<T>> {
        let probe = match self.breaker.admit() {
            Admission::Reject => return None,
            Admission::Probe => Some(Probe::new(&self.breaker)),
            Admission::Pass => None,
        };
        let result = call.await;
        let signal = result.as_ref().err().map_or(Signal::Works, Signal::of);
        match probe {
            Some(probe) => probe.ended(signal),
            None => drop(self.breaker.record(signal)),
        }
        match &result {
            Err(error) if may_switch(error, safety) => None,
            _ => Some(result),
        }
    }
}

/// Returns true if the backend was unreachable and the command is safe to run on the other side.
fn may_switch(error: &Error, safety: Idempotency) -> bool {
    let unreachable = Signal::of(error) == Signal::Down && error.redis_code().is_none();
    unreachable && (error.outcome() == Outcome::NotApplied || safety != Idempotency::NonIdempotent)
}

fn worst(commands: &[Command]) -> Idempotency {
    commands.iter().map(Command::idempotency).max().unwrap_or(Idempotency::ReadOnly)
}

impl Backend for Failover {
    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            match self
                .on_first(command.idempotency(), async {
                    self.first.execute(command, options).await
                })
                .await
            {
                Some(reply) => reply,
                None => self.second.execute(command, options).await,
            }
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move {
            // The same failure for all entries is the connection's; anything else is a reply.
            let call = async {
                let replies = self.first.pipeline(commands, options).await;
                match replies.iter().find_map(|reply| {
                    reply.as_ref().err().filter(|error| error.redis_code().is_none())
                }) {
                    Some(error) if replies.iter().all(Result::is_err) => {
                        Err((error.clone(), replies))
                    }
                    _ => Ok(replies),
                }
            };
            let mut kept = None;
            let call =
                async { call.await.map_err(|(error, replies)| (kept = Some(replies), error).1) };
            match self.on_first(worst(commands), call).await {
                Some(Ok(replies)) => replies,
                Some(Err(_)) => kept.unwrap_or_default(),
                None => self.second.pipeline(commands, options).await,
            }
        })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            match self
                .on_first(worst(commands), async {
                    self.first.transaction(commands, options).await
                })
                .await
            {
                Some(replies) => replies,
                None => self.second.transaction(commands, options).await,
            }
        })
    }

    fn listen<'a>(&'a self, what: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
        Box::pin(async move {
            match self
                .on_first(Idempotency::ReadOnly, async { self.first.listen(what).await })
                .await
            {
                Some(events) => events,
                None => self.second.listen(what).await,
            }
        })
    }

    fn is_cluster(&self) -> bool {
        self.first.is_cluster() || self.second.is_cluster()
    }

    /// The sum of both deadlines: one after the other.
    fn deadline(&self, options: &CallOptions) -> Option<Duration> {
        match (self.first.deadline(options), self.second.deadline(options)) {
            (Some(first), Some(second)) => Some(first.saturating_add(second)),
            (one, other) => one.or(other),
        }
    }

    fn sync_token(&self) -> Option<String> {
        self.first.sync_token().or_else(|| self.second.sync_token())
    }

    fn set_sync_token(&self, token: &str) -> Result<()> {
        self.first.set_sync_token(token)?;
        self.second.set_sync_token(token)
    }
}

impl fmt::Debug for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failover(first is {:?})", self.state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, ErrorKind, Event, Value, cmd};
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll};

    /// Replies with its name or a given error, and counts its calls.
    #[derive(Default)]
    struct Side {
        name: &'static str,
        error: Mutex<Option<Error>>,
        calls: Mutex<usize>,
    }

    impl Side {
        fn new(name: &'static str) -> Arc<Self> {
            Arc::new(Self { name, ..Self::default() })
        }

        fn fails(&self, error: Option<Error>) {
            *self.error.lock().unwrap() = error;
        }

        fn answer(&self) -> Reply {
            *self.calls.lock().unwrap() += 1;
            self.error.lock().unwrap().clone().map_or(Ok(Value::bytes(self.name)), Err)
        }
    }

    impl Backend for Side {
        fn execute<'a>(&'a self, _: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
            Box::pin(std::future::ready(self.answer()))
        }
        fn pipeline<'a>(
            &'a self,
            commands: &'a [Command],
            _: &'a CallOptions,
        ) -> BoxFuture<'a, Vec<Reply>> {
            Box::pin(std::future::ready(commands.iter().map(|_| self.answer()).collect()))
        }
        fn transaction<'a>(
            &'a self,
            commands: &'a [Command],
            _: &'a CallOptions,
        ) -> BoxFuture<'a, Result<Vec<Reply>>> {
            Box::pin(std::future::ready(commands.iter().map(|_| self.answer().map(Ok)).collect()))
        }
        /// Returns its name, and breaks the connection.
        fn listen<'a>(&'a self, _: &'a SubscriptionTarget) -> BoxFuture<'a, Result<EventStream>> {
            let events = self.answer().map(|_| -> EventStream {
                Box::pin(Once(Some(Ok(Event::Subscribed(self.name.into())))))
            });
            Box::pin(std::future::ready(events))
        }
    }

    struct Once(Option<Result<Event>>);

    impl futures_core::Stream for Once {
        type Item = Result<Event>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.take())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_goes_where_commands_go() {
        let (first, second) = (Side::new("first"), Side::new("second"));
        let client = Client::from_backend(Failover::new(first.clone(), second.clone()));
        let mut news = client.subscribe(["news"]);
        let mut told = async || loop {
            if let Event::Subscribed(name) = news.next().await.unwrap().unwrap() {
                return name;
            }
        };
        assert_eq!(told().await, "first");
        first.fails(Some(Error::new(ErrorKind::Io, "")));
        assert_eq!(told().await, "second");
        first.fails(None);
        assert_eq!(told().await, "first");
    }

    async fn who(client: &Client) -> Result<String> {
        client.get("k").await
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_serves_while_the_first_is_down_and_the_first_comes_back() {
        let (first, second) = (Side::new("first"), Side::new("second"));
        let policy = BreakerPolicy::default()
            .min_calls(2)
            .open_for(Duration::from_secs(1), Duration::from_secs(1));
        let client =
            Client::from_backend(Failover::with_policy(first.clone(), second.clone(), policy));
        assert_eq!(who(&client).await.unwrap(), "first");
        first.fails(Some(Error::new(ErrorKind::Connect, "")));
        for _ in 0..5 {
            assert_eq!(who(&client).await.unwrap(), "second");
            let mut pipe = client.pipeline();
            let slot = pipe.add(cmd::get::<String>("k"));
            assert_eq!(pipe.send().await.unwrap().take(slot).unwrap(), "second");
        }
        assert!(*first.calls.lock().unwrap() < 5, "it is not asked while its breaker is open");
        first.fails(None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(who(&client).await.unwrap(), "first");
    }

    #[tokio::test]
    async fn failover_does_not_repeat_what_may_have_run() {
        let (first, second) = (Side::new("first"), Side::new("second"));
        let client = Client::from_backend(Failover::new(first.clone(), second.clone()));
        first.fails(Some(Error::new(ErrorKind::Timeout, "")));
        assert!(client.incr("n").await.unwrap_err().maybe_applied());
        assert_eq!(*second.calls.lock().unwrap(), 0);
        client.set("k", "v").reading::<Value>().await.unwrap();
        assert_eq!(*second.calls.lock().unwrap(), 1);
        // A command's own error is its reply.
        first.fails(Some(Error::redis(crate::ServerError::new("WRONGTYPE x"))));
        assert!(client.get::<Value>("k").await.is_err());
        assert_eq!(*second.calls.lock().unwrap(), 1);
    }
}
