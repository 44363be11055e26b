//! Subscriptions over TCP, each on a connection of its own.

use super::lines::Utf8Lines;
use super::{CONNECT_TIMEOUT, NativeBackend, Shared};
use crate::backend::EventStream;
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, Received};
use crate::subscribe::{Event, Listen, Message};
use futures_core::Stream;
use redis::aio::PubSub;
use std::future::poll_fn;
use std::pin::pin;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// How many events wait for the reader; a subscription that is further behind is cut off, since the crate's own queue has no bound.
const WAITING: usize = 1024;

impl NativeBackend {
    pub(super) async fn open(&self, what: &Listen) -> Result<EventStream> {
        let opening = async {
            match what {
                Listen::Channel(name) => {
                    let mut connection = self.0.subscriber().await?;
                    connection.subscribe(&name[..]).await.map_err(|error| refused(&error))?;
                    Ok(forward(connection.into_on_message(), Event::Subscribed(name.clone()), |message| Event::Message(read(&message))))
                }
                Listen::Pattern(name) => {
                    let mut connection = self.0.subscriber().await?;
                    connection.psubscribe(&name[..]).await.map_err(|error| refused(&error))?;
                    Ok(forward(connection.into_on_message(), Event::Subscribed(name.clone()), |message| Event::Message(read(&message))))
                }
                Listen::Monitor => {
                    let monitor = self.0.client.get_async_monitor().await.map_err(|error| refused(&error))?;
                    let lines = monitor.into_on_message::<String>();
                    Ok(forward(lines, Event::Subscribed(bytes::Bytes::new()), |line| Event::Command(line.into())))
                }
            }
        };
        let late = || Err(Error::new(ErrorKind::Connect, "no connection to Redis within the time allowed"));
        platform::timeout(CONNECT_TIMEOUT, opening).await.unwrap_or_else(late)
    }
}

impl Shared {
    async fn subscriber(&self) -> Result<PubSub> {
        let failed = |error: std::io::Error| Error::new(ErrorKind::Connect, "no connection to Redis").with_source(error);
        match &self.address {
            redis::ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                PubSub::new(&self.login, Utf8Lines::new(stream)).await.map_err(|error| refused(&error))
            }
            #[cfg(unix)]
            redis::ConnectionAddr::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(failed)?;
                PubSub::new(&self.login, Utf8Lines::new(stream)).await.map_err(|error| refused(&error))
            }
            _ => Err(Error::new(ErrorKind::Config, "the native backend cannot use this kind of address")),
        }
    }
}

/// The crate's text may quote data, so it is not passed on.
fn refused(error: &redis::RedisError) -> Error {
    match error.code() {
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => Error::new(ErrorKind::Unauthorized, "Redis does not accept the password"),
        _ => Error::new(ErrorKind::Connect, "no connection to Redis"),
    }
}

fn read(message: &redis::Msg) -> Message {
    let pattern = message.get_pattern::<Option<Vec<u8>>>().ok().flatten();
    let channel = message.get_channel::<Vec<u8>>().unwrap_or_default();
    Message::new(pattern.map(Into::into), channel.into(), message.get_payload_bytes().to_vec().into())
}

/// Moves events into a queue with a bound, until nobody reads it or it is full.
fn forward<T: Send + 'static>(events: impl Stream<Item = T> + Send + 'static, first: Event, event: fn(T) -> Event) -> EventStream {
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
