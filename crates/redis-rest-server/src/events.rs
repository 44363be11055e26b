//! Event streams: `/subscribe/{channel}`, `/psubscribe/{pattern}`, `/monitor`.

use super::backlog::Backlog;
use crate::clock;
use bytes::Bytes;
use futures_core::Stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::percent_decode_str;
use redis_rest::{Event, SubscriptionTarget};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

/// Interval of comments, which show proxies and clients that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Returns the subscription that the path of an event stream requests.
pub(crate) fn wanted(path: &str) -> Option<SubscriptionTarget> {
    let (form, name) =
        path.strip_prefix('/')?.split_once('/').unwrap_or((path.strip_prefix('/')?, ""));
    let name: Bytes = percent_decode_str(name).collect::<Vec<u8>>().into();
    match form {
        "subscribe" if !name.is_empty() => Some(SubscriptionTarget::Channel(name)),
        "psubscribe" if !name.is_empty() => Some(SubscriptionTarget::Pattern(name)),
        "monitor" if name.is_empty() => Some(SubscriptionTarget::Monitor),
        _ => None,
    }
}

/// The outgoing event stream. Ends with the backend's stream, or with the server.
pub(super) struct Events {
    what: SubscriptionTarget,
    events: Backlog,
    /// The initial comment was sent, which shows proxies and clients that the stream has begun.
    opened: bool,
    in_base64: bool,
    keep_alive: Interval,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
}

pub(super) type EventBody = StreamBody<Events>;

/// `in_base64`: the client can decode names and payloads in base64.
pub(super) fn body(
    what: SubscriptionTarget,
    events: Backlog,
    in_base64: bool,
    mut closing: watch::Receiver<bool>,
) -> EventBody {
    let mut keep_alive = interval_at(clock::after(KEEP_ALIVE), KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let closing = Box::pin(async move {
        // An error means that the server is gone.
        let _ = closing.wait_for(|closing| *closing).await;
    });
    StreamBody::new(Events { what, events, opened: false, in_base64, keep_alive, closing })
}

impl Stream for Events {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let frame = |bytes: Vec<u8>| Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
        if !std::mem::replace(&mut self.opened, true) {
            return frame(b": connected\n\n".to_vec());
        }
        loop {
            match self.events.poll_next(context) {
                Poll::Ready(Some(event)) => match line(&self.what, &event, self.in_base64) {
                    Some(line) => return frame(line),
                    None => continue,
                },
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            return match self.keep_alive.poll_tick(context) {
                Poll::Ready(_) => frame(b": keep-alive\n\n".to_vec()),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

/// Returns an event as text, with names and payload in base64 if that was agreed. A line break
/// begins another `data:` line, as the format requires.
pub fn line(what: &SubscriptionTarget, event: &Event, in_base64: bool) -> Option<Vec<u8>> {
    let text = |bytes: &Bytes| {
        if in_base64 {
            Bytes::from(base64_simd::STANDARD.encode_to_string(bytes))
        } else {
            bytes.clone()
        }
    };
    let data = match (event, what) {
        (Event::Subscribed(name), SubscriptionTarget::Channel(_)) => {
            [b"subscribe,", &text(name)[..], b",1"].concat()
        }
        (Event::Subscribed(name), SubscriptionTarget::Pattern(_)) => {
            [b"psubscribe,", &text(name)[..], b",1"].concat()
        }
        (Event::Subscribed(_), SubscriptionTarget::Monitor) => b"\"OK\"".to_vec(),
        (Event::Message(message), _) => {
            let (channel, payload) = (text(&message.channel), text(&message.payload));
            match &message.pattern {
                Some(pattern) => {
                    [b"pmessage,", &text(pattern)[..], b",", &channel, b",", &payload].concat()
                }
                None => [b"message,", &channel[..], b",", &payload].concat(),
            }
        }
        (Event::Command(line), _) => line.to_vec(),
        _ => return None,
    };
    // The format is UTF-8: other bytes cannot be carried.
    let text = String::from_utf8_lossy(&data);
    let mut out = Vec::with_capacity(text.len() + 8);
    // Searching by byte is fast. A large message is written for each subscriber.
    if !text.as_bytes().contains(&b'\n') && !text.as_bytes().contains(&b'\r') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\n\n");
        return Some(out);
    }
    for part in text.replace("\r\n", "\n").split(['\n', '\r']) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_rest::Message;

    #[test]
    fn paths_name_channels_patterns_and_monitor() {
        assert_eq!(wanted("/subscribe/a%2Cb%2F"), Some(SubscriptionTarget::Channel("a,b/".into())));
        assert_eq!(wanted("/psubscribe/*"), Some(SubscriptionTarget::Pattern("*".into())));
        assert_eq!(wanted("/monitor"), Some(SubscriptionTarget::Monitor));
        assert_eq!(wanted("/subscribe"), None);
        assert_eq!(wanted("/monitor/x"), None);
    }

    #[test]
    fn line_breaks_in_a_message_create_no_events() {
        let what = SubscriptionTarget::Channel("c".into());
        let message = Event::Message(Message::new(
            None,
            "c".into(),
            "a\n\ndata: message,c,forged\r\n: x".into(),
        ));
        let text = String::from_utf8(line(&what, &message, false).unwrap()).unwrap();
        assert_eq!(text, "data: message,c,a\ndata: \ndata: data: message,c,forged\ndata: : x\n\n");
    }
}
