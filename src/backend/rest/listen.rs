//! Event streams of a REST server.

use super::sse::{Parser, Sse};
use super::transport::{HttpChunks, HttpRequest};
use super::wire::{Encoding, Form};
use super::{COMPRESSED, KEPT, Rest, interpret, is_encoded, wire};
use crate::backend::EventStream;
use crate::error::{Error, ErrorKind, Result};
use crate::glob;
use crate::platform;
use crate::subscribe::{Event, Listen, Message};
use bytes::Bytes;
use futures_core::Stream;
use http::header::{ACCEPT, HeaderValue};
use percent_encoding::percent_encode;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl Rest {
    /// Opens an event stream.
    pub(super) async fn open(&self, what: &Listen) -> Result<EventStream> {
        let (form, name) = match what {
            Listen::Channel(name) => ("subscribe", Some(name)),
            Listen::Pattern(name) => ("psubscribe", Some(name)),
            Listen::Monitor => ("monitor", None),
        };
        let mut path = format!("{}/{form}", self.endpoints.command.path().trim_end_matches('/'));
        if let Some(name) = name {
            if matches!(&name[..], b"" | b"." | b"..") {
                return Err(Error::new(
                    ErrorKind::InvalidCommand,
                    "no URL path can hold this channel name",
                ));
            }
            path.push('/');
            path.extend(percent_encode(name, KEPT));
        }
        let mut url = self.endpoints.command.clone();
        url.set_path(&path);
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let request = HttpRequest::new(url, headers, Bytes::new(), self.max_reply_bytes);
        platform::in_runtime()?;
        let opening = platform::timeout(self.timeout, self.transport.open(request));
        let opened = opening.await.ok_or_else(|| {
            Error::new(ErrorKind::Timeout, "no reply within the attempt's timeout")
        })??;
        let is_stream = opened
            .response
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        match opened.chunks {
            Some(_) if is_stream && is_encoded(&opened.response.headers) => {
                Err(Error::new(ErrorKind::Unsupported, COMPRESSED))
            }
            Some(chunks) if is_stream && opened.response.status == 200 => {
                let events = Events {
                    chunks,
                    parser: Parser::new(self.max_event_bytes),
                    what: what.clone(),
                    too_large: false,
                };
                Ok(Box::pin(events))
            }
            _ => Err(interpret(&opened.response, |body| {
                wire::decode_one(
                    body,
                    Form { encoding: Encoding::Plain, limits: self.reply_limits, shelf: None },
                )
            })
            .err()
            .unwrap_or_else(|| {
                Error::new(ErrorKind::Unsupported, "the server does not serve event streams")
            })),
        }
    }
}

struct Events {
    chunks: HttpChunks,
    parser: Parser,
    what: Listen,
    /// What comes next is larger than allowed; what came before it is told all the same.
    too_large: bool,
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let this = &mut *self;
            while let Some(sse) = this.parser.next() {
                let event = match sse {
                    Sse::Comment => Some(Event::KeepAlive),
                    Sse::Data(data) => read(&this.what, &data),
                };
                if let Some(event) = event {
                    return Poll::Ready(Some(Ok(event)));
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

/// How far into an event the comma behind the channel is looked for by the pattern: what does not match there would be tried once
/// for each comma, over ever more bytes.
const CHANNEL_WITHIN: usize = 4096;

/// A name as an event has it, which is text in lines.
fn as_sent(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace("\r\n", "\n").replace('\r', "\n")
}

/// What an event means; `None` for one that is not understood.
pub(crate) fn read(what: &Listen, data: &Bytes) -> Option<Event> {
    let after = |prefix: &[u8]| data.starts_with(prefix).then(|| data.slice(prefix.len()..));
    // Names may hold commas, so they are not looked for: they are known.
    let named =
        |word: &[u8], name: &Bytes| after(&[word, b",", as_sent(name).as_bytes(), b","].concat());
    match what {
        Listen::Channel(name) => match named(b"message", name) {
            Some(payload) => Some(Event::Message(Message::new(None, name.clone(), payload))),
            None => named(b"subscribe", name).map(|_| Event::Subscribed(name.clone())),
        },
        Listen::Pattern(pattern) => match named(b"pmessage", pattern) {
            Some(rest) => {
                // The channel may hold commas too: the shortest that matches is taken.
                let commas = rest
                    .iter()
                    .enumerate()
                    .filter(|(_, byte)| **byte == b',')
                    .map(|(place, _)| place);
                let mut near = commas.clone().take_while(|place| *place <= CHANNEL_WITHIN);
                let place = near
                    .find(|place| glob::matches(pattern, &rest[..*place]))
                    .or_else(|| commas.clone().next())?;
                let message = Message::new(
                    Some(pattern.clone()),
                    rest.slice(..place),
                    rest.slice(place + 1..),
                );
                Some(Event::Message(message))
            }
            None => named(b"psubscribe", pattern).map(|_| Event::Subscribed(pattern.clone())),
        },
        Listen::Monitor => match &data[..] {
            b"OK" | b"\"OK\"" => Some(Event::Subscribed(Bytes::new())),
            _ => Some(Event::Command(data.clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: &Listen, data: &str) -> (String, String) {
        match read(what, &data.to_owned().into()) {
            Some(Event::Message(message)) => {
                (String::from_utf8_lossy(&message.channel).into(), message.text().into())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_and_payloads_may_hold_commas() {
        let channel = Listen::Channel("a,b".into());
        assert_eq!(message(&channel, "message,a,b,c,d"), ("a,b".into(), "c,d".into()));
        assert_eq!(
            read(&channel, &"subscribe,a,b,1".into()),
            Some(Event::Subscribed("a,b".into()))
        );
        assert_eq!(read(&channel, &"message,a".into()), None);
        let pattern = Listen::Pattern("x,*,z".into());
        assert_eq!(message(&pattern, "pmessage,x,*,z,x,y,z,p,q"), ("x,y,z".into(), "p,q".into()));
        // No channel is found in this, and the search ends: over all of it, it would take minutes.
        let commas = ",".repeat(1 << 20);
        assert_eq!(
            message(&Listen::Pattern("*z".into()), &format!("pmessage,*z,{commas}")),
            (String::new(), commas[1..].into())
        );
        // What an event cannot carry comes changed.
        let odd = Listen::Channel(b"a\r\nb\xff".to_vec().into());
        assert!(
            matches!(read(&odd, &"message,a\nb\u{fffd},x".into()), Some(Event::Message(message)) if message.text() == "x")
        );
        assert_eq!(read(&Listen::Monitor, &"\"OK\"".into()), Some(Event::Subscribed(Bytes::new())));
    }
}
