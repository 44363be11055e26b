//! Channels, and who listens to them.

use super::args::{Argv, Outcome, len, wrong_arity};
use super::db::Db;
use super::table::{OTHER, Spec, container, row};
use bytes::Bytes;
use redis_rest::internal::glob_matches;
use redis_rest::{Event, Message, SubscriptionTarget, Value};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("publish", OTHER, publish),
    container("pubsub"),
    row("pubsub|channels", OTHER, channels),
    row("pubsub|numsub", OTHER, numsub),
    row("pubsub|numpat", OTHER, numpat),
];

/// How many events wait for a listener; one that is further behind is cut off.
const WAITING: usize = 1024;

/// Who listens.
#[derive(Default)]
pub(super) struct Hub {
    listeners: Vec<(SubscriptionTarget, mpsc::Sender<Event>)>,
}

impl Hub {
    pub(super) fn listen(&mut self, what: &SubscriptionTarget) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let name = match what {
            SubscriptionTarget::Channel(name) | SubscriptionTarget::Pattern(name) => name.clone(),
            _ => Bytes::new(),
        };
        // The queue is empty, so there is room.
        let _ = sender.try_send(Event::Subscribed(name));
        self.listeners.push((what.clone(), sender));
        receiver
    }

    /// Sends `event` to those for whom `event` makes one; answers to how many.
    fn send(&mut self, event: impl Fn(&SubscriptionTarget) -> Option<Event>) -> usize {
        let mut reached = 0;
        self.listeners.retain(|(what, sender)| match event(what) {
            Some(event) => {
                let sent = sender.try_send(event).is_ok();
                reached += usize::from(sent);
                sent
            }
            None => !sender.is_closed(),
        });
        reached
    }

    fn publish(&mut self, channel: &[u8], payload: &[u8]) -> usize {
        let (channel, payload) = (Bytes::copy_from_slice(channel), Bytes::copy_from_slice(payload));
        let message =
            |pattern| Event::Message(Message::new(pattern, channel.clone(), payload.clone()));
        self.send(|what| match what {
            SubscriptionTarget::Channel(name) if *name == channel => Some(message(None)),
            SubscriptionTarget::Pattern(pattern) if glob_matches(pattern, &channel) => {
                Some(message(Some(pattern.clone())))
            }
            _ => None,
        })
    }

    /// Tells those who watch all commands.
    pub(super) fn ran(&mut self, now: i64, argv: Argv) {
        if !self.listeners.iter().any(|(what, _)| *what == SubscriptionTarget::Monitor) {
            return;
        }
        let mut line = format!("{}.{:06} [0 127.0.0.1:0]", now / 1000, now % 1000 * 1000);
        for part in argv {
            line += &format!(" \"{}\"", part.escape_ascii().to_string().replace("\\'", "'"));
        }
        let line = Bytes::from(line);
        self.send(|what| {
            (*what == SubscriptionTarget::Monitor).then(|| Event::Command(line.clone()))
        });
    }

    fn live(&mut self) -> impl Iterator<Item = &SubscriptionTarget> {
        self.listeners.retain(|(_, sender)| !sender.is_closed());
        self.listeners.iter().map(|(what, _)| what)
    }

    fn channels(&mut self) -> BTreeMap<Bytes, usize> {
        let mut channels = BTreeMap::new();
        for what in self.live() {
            if let SubscriptionTarget::Channel(name) = what {
                *channels.entry(name.clone()).or_default() += 1;
            }
        }
        channels
    }
}

pub(super) fn publish(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.hub.publish(argv[1], argv[2])))
}

fn channels(db: &mut Db, argv: Argv) -> Outcome {
    if argv.len() > 3 {
        return Err(wrong_arity("pubsub|channels"));
    }
    let wanted = |name: &Bytes| argv.get(2).is_none_or(|pattern| glob_matches(pattern, name));
    let channels = db.hub.channels().into_keys().filter(wanted);
    Ok(Value::Array(channels.map(Value::Bytes).collect()))
}

fn numsub(db: &mut Db, argv: Argv) -> Outcome {
    let channels = db.hub.channels();
    let counts = argv[2..].iter().flat_map(|name| {
        [Value::bytes(name.to_vec()), len(channels.get(*name).copied().unwrap_or(0))]
    });
    Ok(Value::Array(counts.collect()))
}

fn numpat(db: &mut Db, _: Argv) -> Outcome {
    let patterns: std::collections::BTreeSet<_> = db
        .hub
        .live()
        .filter_map(|what| match what {
            SubscriptionTarget::Pattern(pattern) => Some(pattern),
            _ => None,
        })
        .collect();
    Ok(len(patterns.len()))
}
