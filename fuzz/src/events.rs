//! Event streams, cut into pieces of any length.

use super::input::Input;
use bytes::Bytes;
use redis_rest::internal::fuzzing::{parse_events as parse, read_event, read_event_base64};
use redis_rest::internal::glob_matches;
use redis_rest::{Event, Message, SubscriptionTarget};
use redis_rest_server::internal::event_line as line;

/// Returns the events by the wording of the standard, without pieces or limits: `None` for a
/// comment.
fn reference(bytes: &[u8]) -> Vec<Option<Bytes>> {
    let (mut events, mut data) = (Vec::new(), None::<Vec<u8>>);
    let mut rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let line = &rest[..end];
        rest = rest[end..].strip_prefix(b"\r\n").unwrap_or(&rest[end + 1..]);
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let (field, value) = (parts.next().unwrap_or_default(), parts.next());
        match (field, value) {
            (b"", None) => events.extend(data.take().map(|data| Some(data.into()))),
            (b"", Some(_)) => events.push(None),
            (b"data", value) => {
                let value = value.unwrap_or_default();
                let value = value.strip_prefix(b" ").unwrap_or(value);
                data = Some(
                    data.map_or_else(|| value.to_vec(), |data| [&data[..], value].join(&b'\n')),
                );
            }
            _ => {}
        }
    }
    events
}

/// Checks a stream of any bytes, and messages as this crate's server sends them.
pub fn event_stream(data: &[u8]) {
    let mut input = Input::new(data);
    let limit = 8 << input.below(8);
    let cuts = [input.byte(), input.byte(), input.byte(), input.byte()];
    let message = (input.below(3), input.text(), input.text(), input.text());
    let bytes = input.rest();

    let wanted = reference(bytes);
    let (events, fits) = parse(bytes, &cuts, limit);
    assert!((events.clone(), fits) == parse(bytes, &[], limit), "cuts change nothing");
    if fits {
        assert!(events == wanted);
    } else {
        assert!(bytes.len() > limit && wanted.starts_with(&events));
    }
    assert!(events.iter().flatten().all(|data| data.len() <= limit));
    assert!(parse(bytes, &cuts, bytes.len()).1, "nothing is larger than all");

    understood(bytes);
    sent_and_read(message, &cuts);
}

/// Checks that a message is a part of its event.
fn understood(data: &[u8]) {
    for what in [SubscriptionTarget::Channel("c".into()), SubscriptionTarget::Pattern("p*".into())]
    {
        if let Ok(Some(Event::Message(message))) = read_event(&what, &Bytes::copy_from_slice(data))
        {
            let parts = match &message.pattern {
                None => vec![&b"message"[..], &message.channel, &message.payload],
                Some(pattern) => {
                    vec![&b"pmessage"[..], pattern, &message.channel, &message.payload]
                }
            };
            assert!(parts.join(&b',') == data);
        }
    }
}

/// Checks that a published message arrives, with any content, and nothing else does.
fn sent_and_read((form, name, channel, payload): (usize, String, String, String), cuts: &[u8]) {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let (what, event) = match form {
        0 => (
            SubscriptionTarget::Channel(bytes(&name)),
            Message::new(None, bytes(&name), bytes(&payload)),
        ),
        _ => {
            // The comma after the channel is located by the pattern, which must match the received
            // channel.
            if !glob_matches(name.as_bytes(), channel.as_bytes()) {
                return;
            }
            (
                SubscriptionTarget::Pattern(bytes(&name)),
                Message::new(Some(bytes(&name)), bytes(&channel), bytes(&payload)),
            )
        }
    };
    let lines =
        |text: &[u8]| String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n");
    let encoded = line(&what, &Event::Message(event.clone()), true).unwrap();
    let (events, _) = parse(&encoded, cuts, encoded.len());
    let [Some(data)] = &events[..] else { panic!("one event, not {}", events.len()) };
    assert!(read_event_base64(&what, data).unwrap() == Some(Event::Message(event.clone())));
    // Earlier commas would be mistaken for the one after the channel.
    if form > 0 && channel.contains([',', '\r']) {
        return;
    }
    let sent = line(&what, &Event::Message(event.clone()), false).unwrap();
    let (events, fits) = parse(&sent, cuts, sent.len());
    let [Some(data)] = &events[..] else { panic!("one event, not {}", events.len()) };
    match read_event(&what, data) {
        Ok(Some(Event::Message(read))) => {
            assert!(fits && read.pattern == event.pattern);
            assert!(
                lines(&event.channel) == lines(&read.channel)
                    && lines(&event.payload).as_bytes() == &read.payload[..]
            );
        }
        _ => panic!("the message is not understood"),
    }
}
