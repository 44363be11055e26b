//! Event streams of a REST server.

use super::paths::Name;
use super::response::{COMPRESSED, interpret, is_encoded, is_media_type};
use super::sse::{EVENTS_HEADER, IN_BASE64, Parser, Sse};
use super::transport::{HttpChunks, HttpRequest};
use super::wire::json::decode_base64;
use super::wire::{Form, Format, Unreadable};
use super::{KEPT, Rest, wire};
use crate::backend::{Event, Message, SubscriptionTarget};
use crate::backend::{EventStream, Reply};
use crate::error::{Error, ErrorKind, Result};
use crate::glob;
use crate::platform;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::header::{ACCEPT, HeaderValue};
use percent_encoding::percent_encode;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Rest {
    /// Opens an event stream.
    pub(super) async fn open(&self, what: &SubscriptionTarget) -> Result<EventStream> {
        let (form, name) = match what {
            SubscriptionTarget::Channel(name) => ("subscribe", Some(name)),
            SubscriptionTarget::Pattern(name) => ("psubscribe", Some(name)),
            SubscriptionTarget::Monitor => ("monitor", None),
        };
        let mut path = format!("{}/{form}", self.endpoints.command.path().trim_end_matches('/'));
        if let Some(name) = name {
            match Name::of(name)? {
                Name::Plain => {}
                Name::Changeable => self.paths_arrive_now().await?,
            }
            path.push('/');
            path.extend(percent_encode(name, KEPT));
        }
        let mut url = self.endpoints.command.clone();
        url.set_path(&path);
        let mut headers = self.json_headers();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if platform::MAY_ADD_HEADERS {
            headers.insert(EVENTS_HEADER, IN_BASE64);
        }
        let request = HttpRequest::new(url, headers, Bytes::new(), self.max_reply_bytes);
        platform::in_runtime()?;
        let opening = platform::timeout(self.timeout, self.transport.open(request));
        let opened = opening.await.ok_or_else(|| {
            Error::new(ErrorKind::Timeout, "no reply within the attempt's timeout")
        })??;
        let is_stream = is_media_type(&opened.response.headers, "text/event-stream");
        match opened.chunks {
            Some(_) if is_stream && is_encoded(&opened.response.headers) => {
                Err(Error::new(ErrorKind::Unsupported, COMPRESSED))
            }
            Some(chunks) if is_stream && opened.response.status == 200 => {
                let events = Events {
                    chunks,
                    parser: Parser::new(self.max_event_bytes),
                    what: what.clone(),
                    in_base64: opened.response.headers.get(EVENTS_HEADER) == Some(&IN_BASE64),
                    too_large: false,
                };
                Ok(Box::pin(events))
            }
            chunks => {
                let mut response = opened.response;
                if let Some(chunks) = chunks {
                    response.body = self.answer(chunks).await;
                }
                let refused = interpret(&response, false, |body| self.read_answer(body));
                // Anything but a refusal may be a command's reply, which another attempt would run
                // again.
                let refused = refused.err().filter(|error| error.kind() != ErrorKind::Decode);
                Err(refused.unwrap_or_else(not_a_stream))
            }
        }
    }

    fn read_answer(&self, body: &Bytes) -> Result<Reply, Unreadable> {
        let form = Form { format: Format::Plain, limits: self.reply_limits };
        wire::decode_one(body, form)
    }

    /// Reads a body that is no event stream: until it ends or is a reply, at most
    /// [`MOST_OF_ANSWER`] bytes of it and for the time of an attempt. A server may keep the
    /// connection open.
    async fn answer(&self, mut chunks: HttpChunks) -> Bytes {
        let mut body = BytesMut::new();
        let reading = async {
            while let Some(Ok(chunk)) = poll_fn(|context| chunks.as_mut().poll_next(context)).await
            {
                let room = MOST_OF_ANSWER - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() >= room {
                    return;
                }
                if self.read_answer(&Bytes::copy_from_slice(&body)).is_ok() {
                    return;
                }
            }
        };
        platform::timeout(self.timeout, reading).await;
        body.freeze()
    }
}

/// Errors of servers are shorter. Each chunk parses the body again, which must stay fast.
const MOST_OF_ANSWER: usize = 16 << 10;

fn not_a_stream() -> Error {
    Error::new(ErrorKind::Unsupported, "this server has no event streams")
}

struct Events {
    chunks: HttpChunks,
    parser: Parser,
    what: SubscriptionTarget,
    /// Negotiated between client and server.
    in_base64: bool,
    /// The next event is larger than allowed; earlier ones are still delivered.
    too_large: bool,
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let this = &mut *self;
            while let Some(sse) = this.parser.next() {
                let event = match sse {
                    Sse::Comment => Ok(Some(Event::KeepAlive)),
                    Sse::Data(data) if this.in_base64 => read_base64(&this.what, &data),
                    Sse::Data(data) => read(&this.what, &data),
                };
                if let Some(event) = event.transpose() {
                    return Poll::Ready(Some(event));
                }
            }
            if this.too_large {
                return Poll::Ready(Some(Err(Error::new(
                    ErrorKind::ReplyTooLarge,
                    "an event is larger than allowed",
                ))));
            }
            match ready!(this.chunks.as_mut().poll_next(context)) {
                Some(Ok(chunk)) => this.too_large = this.parser.feed(&chunk).is_err(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Limit up to which the pattern searches for the comma after the channel: beyond it, each comma
/// would be tried over ever more bytes.
const CHANNEL_WITHIN: usize = 4096;

/// Returns a name in the form that events use, which is text in lines.
fn as_sent(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace("\r\n", "\n").replace('\r', "\n")
}

/// Returns the meaning of an event, or `None` if it is not understood.
///
/// # Errors
/// Fails if the server acknowledges a subscription to another name.
pub(crate) fn read(what: &SubscriptionTarget, data: &Bytes) -> Result<Option<Event>> {
    let (word, name) = match what {
        SubscriptionTarget::Channel(name) => ("subscribe", name),
        SubscriptionTarget::Pattern(pattern) => ("psubscribe", pattern),
        SubscriptionTarget::Monitor => return Ok(message(what, data)),
    };
    if ![&b"subscribe,"[..], b"psubscribe,"].iter().any(|word| data.starts_with(word)) {
        return Ok(message(what, data));
    }
    // The number of the connection's subscriptions comes last.
    let count = data.strip_prefix(format!("{word},{},", as_sent(name)).as_bytes());
    match count {
        Some(count) if !count.is_empty() && count.iter().all(u8::is_ascii_digit) => {
            Ok(Some(Event::Subscribed(name.clone())))
        }
        Some(_) | None => Err(other_name()),
    }
}

/// Returns the meaning of an event whose names and payload are in base64. A monitor's are not.
///
/// # Errors
/// Fails if the server acknowledges a subscription to another name.
pub(crate) fn read_base64(what: &SubscriptionTarget, data: &Bytes) -> Result<Option<Event>> {
    let mut fields = data.split(|byte| *byte == b',');
    let word = fields.next().unwrap_or_default();
    let mut field = || decode_base64(fields.next()?, None);
    match what {
        SubscriptionTarget::Monitor => return Ok(message(what, data)),
        SubscriptionTarget::Channel(name) | SubscriptionTarget::Pattern(name) => match word {
            b"subscribe" | b"psubscribe" => {
                let is_ours = field().is_some_and(|found| found == name);
                return is_ours
                    .then(|| Some(Event::Subscribed(name.clone())))
                    .ok_or_else(other_name);
            }
            b"message" | b"pmessage" => {}
            _ => return Ok(None),
        },
    }
    let mut read = || {
        let pattern = if word == b"pmessage" { Some(field()?) } else { None };
        Some(Event::Message(Message::new(pattern, field()?, field()?)))
    };
    Ok(read())
}

fn other_name() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server listens to another name than was asked for: something between changes paths \
         (in nginx use proxy_pass without a URI: http://host:port, no slash behind it)",
    )
}

fn message(what: &SubscriptionTarget, data: &Bytes) -> Option<Event> {
    let after = |prefix: &[u8]| data.starts_with(prefix).then(|| data.slice(prefix.len()..));
    // Names may contain commas, so they are compared instead of searched.
    let named =
        |word: &[u8], name: &Bytes| after(&[word, b",", as_sent(name).as_bytes(), b","].concat());
    match what {
        SubscriptionTarget::Channel(name) => {
            let payload = named(b"message", name)?;
            Some(Event::Message(Message::new(None, name.clone(), payload)))
        }
        SubscriptionTarget::Pattern(pattern) => {
            let rest = named(b"pmessage", pattern)?;
            // The channel may contain commas too: the shortest match wins.
            let commas =
                rest.iter().enumerate().filter(|(_, byte)| **byte == b',').map(|(place, _)| place);
            let mut near = commas.clone().take_while(|place| *place <= CHANNEL_WITHIN);
            let place = near
                .find(|place| glob::matches(pattern, &rest[..*place]))
                .or_else(|| commas.clone().next())?;
            let message =
                Message::new(Some(pattern.clone()), rest.slice(..place), rest.slice(place + 1..));
            Some(Event::Message(message))
        }
        SubscriptionTarget::Monitor => match &data[..] {
            b"OK" | b"\"OK\"" => Some(Event::Subscribed(Bytes::new())),
            _ => Some(Event::Command(data.clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: &SubscriptionTarget, data: &str) -> Option<Event> {
        read(what, &data.to_owned().into()).unwrap()
    }

    fn message(what: &SubscriptionTarget, data: &str) -> (String, String) {
        match event(what, data) {
            Some(Event::Message(message)) => {
                (String::from_utf8_lossy(&message.channel).into(), message.text().into())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_and_payloads_may_hold_commas() {
        let channel = SubscriptionTarget::Channel("a,b".into());
        assert_eq!(message(&channel, "message,a,b,c,d"), ("a,b".into(), "c,d".into()));
        assert_eq!(event(&channel, "subscribe,a,b,1"), Some(Event::Subscribed("a,b".into())));
        assert_eq!(event(&channel, "message,a"), None);
        let pattern = SubscriptionTarget::Pattern("x,*,z".into());
        assert_eq!(message(&pattern, "pmessage,x,*,z,x,y,z,p,q"), ("x,y,z".into(), "p,q".into()));
        // No channel is found here, and the search ends: over the whole text it would take minutes.
        let commas = ",".repeat(1 << 20);
        assert_eq!(
            message(&SubscriptionTarget::Pattern("*z".into()), &format!("pmessage,*z,{commas}")),
            (String::new(), commas[1..].into())
        );
        // Bytes that an event cannot carry arrive changed.
        let odd = SubscriptionTarget::Channel(b"a\r\nb\xff".to_vec().into());
        assert_eq!(message(&odd, "message,a\nb\u{fffd},x").1, "x");
        assert_eq!(
            event(&odd, "subscribe,a\nb\u{fffd},7"),
            Some(Event::Subscribed(b"a\r\nb\xff".to_vec().into()))
        );
        assert_eq!(
            event(&SubscriptionTarget::Monitor, "\"OK\""),
            Some(Event::Subscribed(Bytes::new()))
        );
    }

    #[test]
    fn acknowledgement_of_another_name_is_an_error() {
        let (channel, pattern) =
            (SubscriptionTarget::Channel("a".into()), SubscriptionTarget::Pattern("a".into()));
        for data in [
            "subscribe,b,1",
            "subscribe,a,b,1",
            "subscribe,a,1,1",
            "subscribe,a,",
            "subscribe,a",
            "subscribe,,1",
            "psubscribe,b,1",
            "psubscribe,a,b,1",
        ] {
            for what in [&channel, &pattern] {
                let error = read(what, &data.to_owned().into()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{data}");
            }
        }
        assert!(read(&channel, &"psubscribe,a,1".into()).is_err());
        assert!(read(&pattern, &"subscribe,a,1".into()).is_err());
        // A command in a monitor's event is no acknowledgement.
        assert_eq!(
            event(&SubscriptionTarget::Monitor, "subscribe,b,1"),
            Some(Event::Command("subscribe,b,1".into()))
        );
    }
}
