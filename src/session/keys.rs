//! The names of keys. What is kept beside a record or an index has its hash slot, also on Redis
//! Cluster.

use crate::command::slot::{SLOTS, slot, tag};

/// Makes names for a client, which puts its prefix before them.
#[derive(Clone)]
pub(super) struct Keys {
    prefix: Vec<u8>,
}

impl Keys {
    pub(super) fn new(prefix: &[u8]) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// False for a prefix with half a hash tag (`a{b` or `a{}b`): it decides the slot of every key
    /// together with what follows.
    pub(super) fn can_share_slots(&self) -> bool {
        !self.prefix.contains(&b'{') || tag(&self.prefix).is_some()
    }

    /// A session's record.
    pub(super) fn record(&self, id: &str) -> Vec<u8> {
        format!("session:{id}").into_bytes()
    }

    /// The state of a session beside its record, also after its end: `v c p s m d`.
    pub(super) fn meta(&self, id: &str) -> Vec<u8> {
        self.beside("session_meta", &self.record(id))
    }

    /// The mark of a clean-up that found no session and removes its id from the index, for a write
    /// that comes between the two.
    pub(super) fn pruned(&self, id: &str) -> Vec<u8> {
        self.beside("session_pruned", &self.record(id))
    }

    /// The last log-outs of a user.
    pub(super) fn log_outs(&self, user_id: &str) -> Vec<u8> {
        self.beside("session_revoked", &self.index(user_id))
    }

    /// A user's index as a sorted set, until it becomes the index.
    pub(super) fn staged(&self, user_id: &str) -> Vec<u8> {
        self.beside("user_sessions_staged", &self.index(user_id))
    }

    /// A user's index.
    pub(super) fn index(&self, user_id: &str) -> Vec<u8> {
        format!("user_sessions:{user_id}").into_bytes()
    }

    /// The ids that were listed again: a clean-up that did not find their sessions before leaves
    /// them.
    pub(super) fn relisted(&self, user_id: &str) -> Vec<u8> {
        self.beside("user_sessions_relisted", &self.index(user_id))
    }

    /// A key with the slot of `key`: `name:{key}`. What has a hash tag already shows that first,
    /// and where braces are in the way (`a}b`), a number that has the slot is the tag.
    fn beside(&self, name: &str, key: &[u8]) -> Vec<u8> {
        let whole = [&self.prefix, key].concat();
        let name = name.as_bytes();
        if tag(&whole).is_some() {
            return [name, b":", key].concat();
        }
        if !whole.iter().any(|byte| matches!(byte, b'{' | b'}')) {
            return [name, b":{", &whole, b"}"].concat();
        }
        let wanted = slot(&whole);
        // Every slot has a number below a million; `odd_names_share_slots_too` looks at all.
        let number = (0..64 * u32::from(SLOTS))
            .map(|n| n.to_string())
            .find(|number| slot(number.as_bytes()) == wanted);
        [name, b":{", number.unwrap_or_default().as_bytes(), b"}:", key].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let keys = Keys::new(b"");
        assert_eq!(keys.meta("a"), b"session_meta:{session:a}");
        assert_eq!(keys.log_outs("u"), b"session_revoked:{user_sessions:u}");
        assert_eq!(keys.relisted("u"), b"user_sessions_relisted:{user_sessions:u}");
        assert_eq!(Keys::new(b"app:").meta("a"), b"session_meta:{app:session:a}");
        assert_eq!(Keys::new(b"{app}:").meta("a"), b"session_meta:session:a");
    }

    #[test]
    fn odd_names_share_slots_too() {
        for prefix in ["", "app:", "{app}:", "a}b:", "{a}{b}:", "}{a}"] {
            let keys = Keys::new(prefix.as_bytes());
            assert!(keys.can_share_slots());
            let slot = |key: Vec<u8>| slot(&[prefix.as_bytes(), &key].concat());
            for id in ["a", "0c7a2f4e-8f9b-4a52-9d0e-3a5f1c6b7d88"] {
                for key in [keys.meta(id), keys.pruned(id)] {
                    assert_eq!(slot(key), slot(keys.record(id)), "{prefix} {id}");
                }
            }
            for user in ["", "u", "{u}", "a{u}b{v}", "a{}b", "{}", "a}b", "a{b", "}{", "a}{b}"] {
                for key in [keys.relisted(user), keys.log_outs(user), keys.staged(user)] {
                    assert_eq!(slot(key), slot(keys.index(user)), "{prefix} {user}");
                }
            }
        }
        for prefix in ["a{b", "a{}b", "{}{a}"] {
            assert!(!Keys::new(prefix.as_bytes()).can_share_slots(), "{prefix}");
        }
        let below: std::collections::HashSet<u16> =
            (0..64 * u32::from(SLOTS)).map(|n| slot(n.to_string().as_bytes())).collect();
        assert_eq!(below.len(), usize::from(SLOTS), "each slot has its number");
    }
}
