//! Channels, and who listens to them.

use super::args::{Argv, Outcome, is, len};
use super::db::Db;
use super::server::unknown_subcommand;
use bytes::Bytes;
use redis_rest::internal::glob_matches;
use redis_rest::{Event, Message, SubscriptionTarget, Value};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

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

/// `PUBSUB CHANNELS`, `NUMSUB` and `NUMPAT`.
pub(super) fn pubsub(db: &mut Db, argv: Argv) -> Outcome {
    match argv[1..] {
        [word, ref pattern @ ..] if is(word, "CHANNELS") && pattern.len() <= 1 => {
            let channels = db.hub.channels().into_keys();
            let wanted = channels
                .filter(|name| pattern.first().is_none_or(|pattern| glob_matches(pattern, name)));
            Ok(Value::Array(wanted.map(Value::Bytes).collect()))
        }
        [word, ref names @ ..] if is(word, "NUMSUB") => {
            let channels = db.hub.channels();
            let counts = names.iter().flat_map(|name| {
                [Value::bytes(name.to_vec()), len(channels.get(*name).copied().unwrap_or(0))]
            });
            Ok(Value::Array(counts.collect()))
        }
        [word] if is(word, "NUMPAT") => {
            let patterns: std::collections::BTreeSet<_> = db
                .hub
                .live()
                .filter_map(|what| {
                    if let SubscriptionTarget::Pattern(pattern) = what {
                        Some(pattern)
                    } else {
                        None
                    }
                })
                .collect();
            Ok(len(patterns.len()))
        }
        [word, ..] => Err(unknown_subcommand("PUBSUB", word)),
        [] => Err(super::args::wrong_arity("pubsub")),
    }
}
