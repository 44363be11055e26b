//! Detects whether a server encodes texts in base64 as requested. Some ignore `Upstash-Encoding`
//! and send plain text, which one reply need not show: `abcd` could be either.

use super::response::{interpret, is_final};
use super::transport::HttpRequest;
use super::wire::{self, Form, Format};
use super::{ReplyShape, Rest, own};
use crate::backend::rest::config::{Config, Encoding};
use crate::clock::{self, Instant};
use crate::platform::{self, Mutex};
use crate::value::Value;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

/// A text that is not base64: it contains a blank and a hyphen.
const PROBE: &str = "redis-rest: base64 or text";
const PROBE_IN_BASE64: &str = "cmVkaXMtcmVzdDogYmFzZTY0IG9yIHRleHQ=";
const REQUEST: &[u8] = br#"["ECHO","redis-rest: base64 or text"]"#;

/// Number of addresses that a process remembers.
const ADDRESSES: usize = 1000;

const UNDECIDED: u8 = 0;
/// Unknown: base64 is assumed, until a reply is not.
const ASSUMED: u8 = 1;
const BASE64: u8 = 2;
const TEXT: u8 = 3;

/// Knowledge about one server.
#[derive(Default)]
pub(super) struct Detection {
    state: AtomicU8,
    /// Locked by the call that probes.
    asking: AsyncMutex<()>,
}

impl Detection {
    /// Returns this process's knowledge about the server at `base`, shared with all clients that
    /// use the built-in transport. A custom transport may lead anywhere.
    pub(super) fn of(config: &Config, base: &Url) -> Arc<Self> {
        static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Detection>>>> =
            LazyLock::new(Mutex::default);
        let is_asked = matches!(config.encoding, Encoding::Auto | Encoding::Resp2);
        if !is_asked || config.transport.is_some() {
            return Arc::default();
        }
        let mut known = KNOWN.lock();
        if let Some(detection) = known.get(base.as_str()) {
            return Arc::clone(detection);
        }
        let detection = Arc::<Self>::default();
        if known.len() < ADDRESSES {
            known.insert(base.as_str().to_owned(), Arc::clone(&detection));
        }
        detection
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Relaxed)
    }

    fn decide(&self, state: u8) {
        if self.state.swap(state, Ordering::Relaxed) != state && state == TEXT {
            tracing::info!(
                "the server ignores Upstash-Encoding: its replies are read as text from now on"
            );
        }
    }
}

impl Rest {
    /// Returns the headers of a request for JSON.
    pub(super) fn json_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if self.detection.state() == TEXT {
            headers.remove("upstash-encoding");
        }
        headers
    }

    /// Returns the format of texts in a JSON reply, or `None` if it is not known yet.
    pub(super) fn known_format(&self) -> Option<Format> {
        match self.encoding {
            Encoding::Text => return Some(Format::Plain),
            Encoding::Base64 => return Some(Format::Base64),
            Encoding::Resp2 if self.knows_resp2() => return Some(Format::Base64),
            Encoding::Auto | Encoding::Resp2 => {}
        }
        match self.detection.state() {
            BASE64 => Some(Format::Base64),
            TEXT => Some(Format::Checked),
            _ => None,
        }
    }

    /// Determines the format of the texts in this reply. Probes the server if the reply contains a
    /// text and no call has probed yet; within the time left until `until`.
    pub(super) async fn find_format(
        &self,
        body: &Bytes,
        shape: ReplyShape,
        until: Instant,
    ) -> Format {
        let form = |format| Form { format, limits: self.reply_limits };
        let reads = |format| shape.read(body, form(format)).is_ok();
        if self.detection.state() == ASSUMED && reads(Format::Base64) {
            return Format::Base64;
        }
        if reads(Format::Undecided) || !reads(Format::Plain) {
            // No text at all, or no reply.
            return Format::Base64;
        }
        if self.detection.state() == UNDECIDED {
            self.ask_format(until).await;
        }
        match self.known_format() {
            Some(format) => format,
            None if reads(Format::Base64) => Format::Base64,
            None => {
                self.detection.decide(TEXT);
                Format::Checked
            }
        }
    }

    /// Makes the server echo a text. Concurrent calls share the request.
    async fn ask_format(&self, until: Instant) {
        let ask = async {
            let _asking = self.detection.asking.lock().await;
            if self.detection.state() != UNDECIDED {
                return;
            }
            let mut headers = self.headers.clone();
            own(&mut headers);
            let request = HttpRequest::new(
                self.endpoints.command.clone(),
                headers,
                Bytes::from_static(REQUEST),
                self.max_reply_bytes,
            );
            // A lost request proves nothing: the next reply with a text probes again.
            let Ok(response) = self.transport.send(request).await else { return };
            let form = Form { format: Format::Plain, limits: self.reply_limits };
            let state = match interpret(&response, false, |body| wire::decode_one(body, form)) {
                Ok(Value::Bytes(text)) if text == PROBE => TEXT,
                Ok(Value::Bytes(text)) if text == PROBE_IN_BASE64 => BASE64,
                Ok(_) => ASSUMED,
                Err(error) if is_final(&error) => ASSUMED,
                Err(_) => return,
            };
            self.detection.decide(state);
        };
        let left = until.saturating_duration_since(clock::now());
        platform::timeout(left, ask).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_both_answers_hold_the_probe() {
        assert_eq!(REQUEST, serde_json::to_vec(&["ECHO", PROBE]).unwrap());
        assert_eq!(base64_simd::STANDARD.encode_to_string(PROBE), PROBE_IN_BASE64);
        assert!(base64_simd::STANDARD.decoded_length(PROBE.as_bytes()).is_err());
    }
}
