//! Subscriptions over TCP, each on a connection of its own.

use super::NativeBackend;
use super::connect::{Connector, refused};
use crate::backend::EventStream;
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, Received};
use crate::subscribe::{Event, Listen, Message};
use futures_core::Stream;
use redis::IntoConnectionInfo as _;
use redis::aio::Monitor;
use std::future::poll_fn;
use std::pin::pin;
use tokio::sync::mpsc;

/// How many events wait for the reader; a subscription that is further behind is cut off, since the crate's own queue has no bound.
const WAITING: usize = 1024;

impl NativeBackend {
    pub(super) async fn open(&self, what: &Listen) -> Result<EventStream> {
        platform::in_runtime()?;
        let opening = async {
            match what {
                Listen::Channel(name) => {
                    let mut connection = self.0.connector.subscriber().await?;
                    connection.subscribe(&name[..]).await.map_err(|error| refused(&error))?;
                    Ok(forward(
                        connection.into_on_message(),
                        Event::Subscribed(name.clone()),
                        |message| Event::Message(read(&message)),
                    ))
                }
                Listen::Pattern(name) => {
                    let mut connection = self.0.connector.subscriber().await?;
                    connection.psubscribe(&name[..]).await.map_err(|error| refused(&error))?;
                    Ok(forward(
                        connection.into_on_message(),
                        Event::Subscribed(name.clone()),
                        |message| Event::Message(read(&message)),
                    ))
                }
                Listen::Monitor => {
                    let monitor = monitor(&self.0.connector).await?;
                    let lines = monitor.into_on_message::<String>();
                    Ok(forward(lines, Event::Subscribed(bytes::Bytes::new()), |line| {
                        Event::Command(line.into())
                    }))
                }
            }
        };
        let late = || {
            Err(Error::new(ErrorKind::Connect, "no connection to Redis within the time allowed"))
        };
        platform::timeout(self.0.connector.timeout, opening).await.unwrap_or_else(late)
    }
}

/// The crate makes such a connection by itself only.
async fn monitor(connector: &Connector) -> Result<Monitor> {
    let (endpoint, _) = connector.endpoint().await?;
    if endpoint.tls {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the native backend has no MONITOR over TLS",
        ));
    }
    let info = endpoint
        .address
        .into_connection_info()
        .map_err(|error| refused(&error))?
        .set_redis_settings(endpoint.login);
    let client = redis::Client::open(info).map_err(|error| refused(&error))?;
    client.get_async_monitor().await.map_err(|error| refused(&error))
}

fn read(message: &redis::Msg) -> Message {
    let pattern = message.get_pattern::<Option<Vec<u8>>>().ok().flatten();
    let channel = message.get_channel::<Vec<u8>>().unwrap_or_default();
    Message::new(
        pattern.map(Into::into),
        channel.into(),
        message.get_payload_bytes().to_vec().into(),
    )
}

/// Moves events into a queue with a bound, until nobody reads it or it is full.
fn forward<T: Send + 'static>(
    events: impl Stream<Item = T> + Send + 'static,
    first: Event,
    event: fn(T) -> Event,
) -> EventStream {
    let (sender, receiver) = mpsc::channel(WAITING);
    let _ = sender.try_send(Ok(first));
    tokio::spawn(async move {
        let mut events = pin!(events);
        loop {
            let next = tokio::select! {
                () = sender.closed() => return,
                next = poll_fn(|context| events.as_mut().poll_next(context)) => next,
            };
            if next.is_none_or(|next| sender.try_send(Ok(event(next))).is_err()) {
                return;
            }
        }
    });
    Box::pin(Received(receiver))
}
