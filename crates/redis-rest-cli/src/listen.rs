//! `subscribe` and `monitor`: print events as they arrive.

use crate::args::{EventOptions, Monitor, Subscribe};
use crate::connection::Connection;
use crate::output::{Failure, Stream, bytes_as_json, name, note};
use crate::signals::Signals;
use redis_rest::{Event, Subscription};
use serde_json::{Value, json};

pub(crate) async fn subscribe(args: Subscribe, connection: &Connection) -> Result<(), Failure> {
    let client = connection.client()?;
    let events = if args.pattern {
        client.psubscribe(args.channels)
    } else {
        client.subscribe(args.channels)
    };
    print_all(events, args.events).await
}

pub(crate) async fn monitor(args: Monitor, connection: &Connection) -> Result<(), Failure> {
    print_all(connection.client()?.monitor(), args.events).await
}

/// Prints events until the count is reached, a signal arrives, standard output is closed, or the
/// server refuses.
async fn print_all(mut events: Subscription, args: EventOptions) -> Result<(), Failure> {
    let stop = Signals::listen()?.first();
    tokio::pin!(stop);
    let (mut out, mut left) = (Stream::new(), args.count.map(std::num::NonZeroU64::get));
    while left != Some(0) && out.is_open() {
        let event = tokio::select! {
            biased;
            () = &mut stop => break,
            event = events.next() => match event {
                Some(event) => event?,
                None => break,
            },
        };
        if matches!(event, Event::Message(_) | Event::Command(_)) {
            left = left.map(|left| left - 1);
        }
        if args.json {
            out.write(format!("{}\n", as_json(&event)).as_bytes())?
        } else {
            show(&event, &mut out)?
        }
        // Flushes each event: a reader must not wait for a full buffer.
        out.flush()?;
    }
    Ok(())
}

fn show(event: &Event, out: &mut Stream) -> Result<(), Failure> {
    match event {
        Event::Message(message) => out.write(
            format!("{}\t{}\n", name(&message.channel), name(&message.payload)).as_bytes(),
        )?,
        Event::Command(line) => out.write(format!("{}\n", name(line)).as_bytes())?,
        Event::Subscribed(to) if to.is_empty() => note("listening to all commands"),
        Event::Subscribed(to) => note(&format!("listening to {}", name(to))),
        Event::Gap => note("reconnected after a lost connection: messages may be missing here"),
        _ => {}
    }
    Ok(())
}

fn as_json(event: &Event) -> Value {
    match event {
        Event::Message(message) => {
            let mut object = json!({
                "event": "message",
                "channel": bytes_as_json(&message.channel),
                "payload": bytes_as_json(&message.payload),
            });
            if let Some(pattern) = &message.pattern {
                object["pattern"] = bytes_as_json(pattern);
            }
            object
        }
        Event::Command(line) => json!({ "event": "command", "line": bytes_as_json(line) }),
        Event::Subscribed(to) if to.is_empty() => json!({ "event": "listening" }),
        Event::Subscribed(to) => json!({ "event": "listening", "to": bytes_as_json(to) }),
        Event::Gap => json!({ "event": "gap" }),
        _ => json!({ "event": "other" }),
    }
}
