//! Subscriptions over TCP, each on a separate connection.

use super::NativeBackend;
use super::connect::{Connector, Endpoint, refused};
use super::connection::Wire;
use super::pack;
use super::resp::Received;
use crate::backend::EventStream;
use crate::backend::{Event, Message, SubscriptionTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, Received as Events};
use crate::value::Value;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Events pending for the reader; a subscription further behind is disconnected.
const WAITING: usize = 1024;

impl NativeBackend {
    pub(super) async fn open(&self, what: &SubscriptionTarget) -> Result<EventStream> {
        platform::in_runtime()?;
        let connector = &self.0.connector;
        let opening = async {
            let (endpoint, _) = connector.endpoint().await?;
            let (verb, name) = match what {
                SubscriptionTarget::Channel(name) => ("SUBSCRIBE", name.clone()),
                SubscriptionTarget::Pattern(name) => ("PSUBSCRIBE", name.clone()),
                SubscriptionTarget::Monitor => ("MONITOR", Bytes::new()),
            };
            let wire = subscribe(connector, &endpoint, verb, &name).await?;
            Ok(forward(wire, Event::Subscribed(name)))
        };
        let late = || {
            Err(Error::new(ErrorKind::Connect, "no connection to Redis within the time allowed"))
        };
        platform::timeout(connector.timeout, opening).await.unwrap_or_else(late)
    }
}

/// Opens a connection that subscribes by `verb` and `name`. `MONITOR` has no name.
pub(super) async fn subscribe(
    connector: &Connector,
    endpoint: &Endpoint,
    verb: &str,
    name: &[u8],
) -> Result<Wire> {
    let mut wire = connector.wire(endpoint).await?;
    let mut question = Vec::new();
    let name = Some(name).filter(|_| verb != "MONITOR");
    pack::parts([verb.as_bytes()].into_iter().chain(name), &mut question);
    wire.send(&question).await.map_err(|_| refused(None))?;
    match wire.receive().await.map_err(|_| refused(None))? {
        Received::Whole(Ok(Value::Error(error))) => Err(refused(Some(&error))),
        _ => Ok(wire),
    }
}

/// Returns a published message, or `None` for anything else that a subscription receives.
pub(super) fn message(received: Received) -> Option<Message> {
    let Received::Whole(Ok(Value::Array(parts))) = received else { return None };
    let mut parts = parts.into_iter().map(|part| match part {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    });
    let mut next = || parts.next().flatten();
    let kind = next()?;
    let pattern = match &kind[..] {
        b"message" => None,
        b"pmessage" => Some(next()?),
        _ => return None,
    };
    Some(Message::new(pattern, next()?, next()?))
}

/// Converts a push of Redis to an event; returns `None` if it is none.
fn event(received: Received) -> Option<Result<Event>> {
    match received {
        Received::Whole(Ok(Value::Bytes(line))) => Some(Ok(Event::Command(line))),
        Received::Whole(Err(_)) => {
            Some(Err(Error::new(ErrorKind::ReplyTooLarge, "an event is larger than allowed")))
        }
        received => message(received).map(|message| Ok(Event::Message(message))),
    }
}

/// Moves events into a bounded queue, until its reader is gone or it is full.
fn forward(mut wire: Wire, first: Event) -> EventStream {
    let (sender, receiver) = mpsc::channel(WAITING);
    let _ = sender.try_send(Ok(first));
    tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                () = sender.closed() => return,
                received = wire.receive() => received,
            };
            let Ok(received) = received else { return };
            let Some(event) = event(received) else { continue };
            let ended = event.is_err();
            if sender.try_send(event).is_err() || ended {
                return;
            }
        }
    });
    Box::pin(Events(receiver))
}
