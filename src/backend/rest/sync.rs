//! The read-your-writes token: the token of a reply is sent with the very next request.

use crate::platform::Mutex;
use http::{HeaderMap, HeaderValue};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The header, in requests and replies.
pub(super) const HEADER: &str = "upstash-sync-token";

/// The newest token of a client and its clones.
///
/// Tokens are opaque, so their order is known only from the order in which their requests were
/// sent: a reply overtaken by that of a later request changes nothing. A reply without a token
/// changes nothing either.
#[derive(Default)]
pub(super) struct SyncToken {
    sent: AtomicU64,
    /// A token exists. Most servers send none: then no request takes the lock.
    known: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<HeaderValue>,
    /// Number of the request whose reply brought it.
    from: u64,
}

impl SyncToken {
    /// Puts the newest token into the headers of an attempt, and numbers the attempt.
    pub(super) fn stamp(&self, headers: &mut HeaderMap) -> u64 {
        if self.known.load(Ordering::Acquire)
            && let Some(token) = &self.state.lock().token
        {
            headers.insert(HEADER, token.clone());
        }
        self.sent.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Takes the token of a reply, whatever its status.
    pub(super) fn take(&self, headers: &HeaderMap, number: u64) {
        let Some(token) = headers.get(HEADER).filter(|token| !token.is_empty()) else { return };
        let mut state = self.state.lock();
        if number > state.from {
            (state.token, state.from) = (Some(token.clone()), number);
            self.known.store(true, Ordering::Release);
        }
    }

    pub(super) fn get(&self) -> Option<String> {
        self.state.lock().token.as_ref().and_then(|token| token.to_str().ok()).map(str::to_owned)
    }

    /// Sets an external token; replies to earlier requests do not replace it. Returns false if it
    /// cannot be a header.
    pub(super) fn set(&self, token: &str) -> bool {
        let Ok(token) = HeaderValue::from_str(token) else { return false };
        let mut state = self.state.lock();
        (state.token, state.from) = (Some(token), self.sent.load(Ordering::Acquire));
        self.known.store(true, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(token: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(HEADER),
            HeaderValue::from_static(token),
        )])
    }

    #[test]
    fn overtaken_and_bare_replies_change_nothing() {
        let sync = SyncToken::default();
        let mut headers = HeaderMap::new();
        let (first, second) = (sync.stamp(&mut headers), sync.stamp(&mut headers));
        assert!(headers.is_empty());
        sync.take(&reply("two"), second);
        sync.take(&reply("one"), first);
        sync.take(&HeaderMap::new(), sync.stamp(&mut headers));
        assert_eq!(sync.get().as_deref(), Some("two"));
        assert_eq!(headers.get(HEADER).map(HeaderValue::as_bytes), Some(&b"two"[..]));
        let late = sync.stamp(&mut headers);
        assert!(sync.set("imported") && !sync.set("bad\n"));
        sync.take(&reply("late"), late);
        assert_eq!(sync.get().as_deref(), Some("imported"));
    }
}
