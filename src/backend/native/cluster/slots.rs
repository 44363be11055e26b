//! Slots of keys, and nodes of slots.

use crate::command::slot::{SLOTS, slot};
use crate::command::table::{self, Flags};
use crate::command::{Command, keys};
use crate::error::{Error, ErrorKind, Result, ServerError, ServerErrorClass};
use crate::value::Value;

/// Host and port of a node.
pub(super) type Address = (String, u16);

/// Target of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Slot(u16),
    /// No key: any node can reply.
    Any,
    /// On each node that has slots.
    All,
}

/// Returns the target of `command`.
///
/// # Errors
/// Fails with Redis's own error for keys in different slots, and with [`ErrorKind::Unsupported`] if
/// a single node would reply for all, or if it is unknown which arguments are keys.
pub(super) fn place(command: &Command) -> Result<Place> {
    if table::flags(command).any(Flags::EVERY_NODE) {
        return Ok(Place::All);
    }
    let positions = keys::positions(command).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "this command looks at one node of the cluster only, or its keys are not known here",
        )
    })?;
    let mut slots = positions.into_iter().filter_map(|index| command.get(index)).map(slot);
    let Some(first) = slots.next() else { return Ok(Place::Any) };
    match slots.all(|slot| slot == first) {
        true => Ok(Place::Slot(first)),
        false => Err(Error::redis(ServerError::new(
            "CROSSSLOT Keys in request don't hash to the same slot",
        ))),
    }
}

/// Owners of the slots.
#[derive(Clone, Default)]
pub(super) struct Map {
    /// First and last slot, and their owner.
    ranges: Vec<(u16, u16, Address)>,
}

impl Map {
    /// Parses the reply to `CLUSTER SLOTS` from the node `asked`. A node that does not know its own
    /// host leaves it out.
    pub(super) fn read(reply: Value, asked: &str) -> Option<Self> {
        let Value::Array(shards) = reply else { return None };
        let read = |shard: Value| {
            let Value::Array(parts) = shard else { return None };
            let (Value::Int(first), Value::Int(last), Value::Array(master)) =
                (parts.first()?, parts.get(1)?, parts.get(2)?)
            else {
                return None;
            };
            let host = match master.first()? {
                Value::Bytes(host) if !host.is_empty() => {
                    std::str::from_utf8(host).ok()?.to_owned()
                }
                _ => asked.to_owned(),
            };
            let Value::Int(port) = master.get(1)? else { return None };
            Some((
                u16::try_from(*first).ok()?,
                u16::try_from(*last).ok()?,
                (host, u16::try_from(*port).ok()?),
            ))
        };
        let ranges = shards.into_iter().map(read).collect::<Option<Vec<_>>>()?;
        (!ranges.is_empty()).then_some(Self { ranges })
    }

    pub(super) fn node(&self, slot: u16) -> Option<&Address> {
        // The latest entries come first.
        self.ranges
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot))
            .map(|(.., node)| node)
    }

    /// Records that a slot has moved.
    pub(super) fn set(&mut self, slot: u16, node: Address) {
        self.ranges.insert(0, (slot, slot, node));
    }

    /// Returns each node with slots once.
    pub(super) fn nodes(&self) -> Vec<&Address> {
        let mut nodes: Vec<_> = self.ranges.iter().map(|(.., node)| node).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }
}

/// A node's reply instead of executing a command. The command has not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// The slot has moved permanently.
    Moved(u16, Address),
    /// This key is elsewhere, for this command only.
    Ask(Address),
    /// Not now: the cluster has no master for the slot.
    Later,
    /// Not now: the slot is moving.
    Soon,
}

/// Reads a redirect; `asked` is the host of the node that gave it, which may leave out its own.
pub(super) fn redirect(error: &Error, asked: &str) -> Option<Redirect> {
    let code = error.redis_code()?;
    match error.server_class()? {
        ServerErrorClass::TryAgain => return Some(Redirect::Soon),
        ServerErrorClass::NotReady => return Some(Redirect::Later),
        _ => {}
    }
    let mut words = error.server_message()?.split(' ').skip(1);
    let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let node =
        (if host.is_empty() { asked.to_owned() } else { host.to_owned() }, port.parse().ok()?);
    match code {
        "MOVED" => Some(Redirect::Moved(slot, node)),
        "ASK" => Some(Redirect::Ask(node)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    #[test]
    fn commands_belong_to_the_slot_of_their_keys() {
        assert_eq!(place(&cmd("GET").arg("foo")).unwrap(), Place::Slot(12182));
        assert_eq!(
            place(&cmd("EVAL").arg("…").arg(2).arg("{a}1").arg("{a}2").arg("other")).unwrap(),
            Place::Slot(slot(b"a"))
        );
        assert_eq!(place(&cmd("PING")).unwrap(), Place::Any);
        assert_eq!(place(&cmd("script").arg("LOAD").arg("…")).unwrap(), Place::All);
        assert_eq!(
            place(&cmd("MGET").arg("a").arg("b")).unwrap_err().redis_code(),
            Some("CROSSSLOT")
        );
        assert_eq!(place(&cmd("SCAN").arg(0)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn redirects_are_read() {
        let read = |text: &str| redirect(&Error::redis(ServerError::new(text)), "asked");
        assert_eq!(
            read("MOVED 3999 127.0.0.1:6381"),
            Some(Redirect::Moved(3999, ("127.0.0.1".to_owned(), 6381)))
        );
        assert_eq!(
            read("MOVED 3999 :6381"),
            Some(Redirect::Moved(3999, ("asked".to_owned(), 6381)))
        );
        assert_eq!(read("ASK 1 ::1:6381"), Some(Redirect::Ask(("::1".to_owned(), 6381))));
        assert_eq!(read("TRYAGAIN Multiple keys"), Some(Redirect::Soon));
        for odd in ["MOVED", "MOVED x y", "MOVED 99999 h:1", "MOVED 1 h:x", "ERR 1 h:1"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn latest_owner_of_a_slot_holds() {
        let node = |port: i64| Value::Array(vec![Value::bytes("h"), Value::Int(port)]);
        let range =
            |first, last, port| Value::Array(vec![Value::Int(first), Value::Int(last), node(port)]);
        let mut map =
            Map::read(Value::Array(vec![range(0, 99, 1), range(100, 16383, 2)]), "asked").unwrap();
        map.set(5, ("h".to_owned(), 2));
        assert_eq!(
            (map.node(4).unwrap().1, map.node(5).unwrap().1, map.node(100).unwrap().1),
            (1, 2, 2)
        );
        assert_eq!(map.nodes().len(), 2);
        assert!(Map::read(Value::Array(Vec::new()), "asked").is_none(), "a node that knows nobody");
        assert!(Map::read(Value::Array(vec![Value::Int(1)]), "asked").is_none());
    }
}
