//! [`redacted_id`]: a session's id, fit for logs.

use sha1_smol::Sha1;
use std::fmt;
use std::sync::LazyLock;
use uuid::Uuid;

/// A session's id as it stands in this crate's log lines, in the field `session`: HMAC-SHA-1 with a
/// random key of this process, its first 64 bits. Lines about one session can be found by it; the
/// id, which is a credential, cannot, not even by whoever has an id and would like to know whether
/// it is meant. Another process has other names.
///
/// ```
/// use redis_rest::session::redacted_id;
/// let id = "0c7a2f4e-8f9b-4a52-9d0e-3a5f1c6b7d88";
/// assert_eq!(redacted_id(id).to_string(), redacted_id(id).to_string());
/// assert_eq!(redacted_id(id).to_string().len(), 16);
/// ```
pub fn redacted_id(id: &str) -> impl fmt::Display + use<> {
    /// A block of SHA-1 from the random numbers of ids: they are the system's on every
    /// platform, which those of std's hash maps are not on `wasm32`. 244 of its bits are random.
    static KEY: LazyLock<[u8; 64]> = LazyLock::new(|| {
        let mut key = [0; 64];
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..32].copy_from_slice(Uuid::new_v4().as_bytes());
        key
    });
    Redacted(hmac(&KEY, id.as_bytes()))
}

struct Redacted([u8; 20]);

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// RFC 2104. The crate `hmac` would bring another SHA-1 and three more crates into the default build.
fn hmac(key: &[u8; 64], text: &[u8]) -> [u8; 20] {
    let round = |pad: u8, text: &[u8]| {
        let mut sum = Sha1::from(key.map(|byte| byte ^ pad));
        sum.update(text);
        sum.digest().bytes()
    };
    round(0x5c, &round(0x36, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_2202() {
        for (start, text, sum) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b617318655057264e28bc0b6fb378c8ef146be00"),
            (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ] {
            let mut key = [0; 64];
            key[..start.len()].copy_from_slice(start);
            let hex: String = hmac(&key, text).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, sum);
        }
    }

    #[test]
    fn names_are_of_ids() {
        assert_ne!(redacted_id("a").to_string(), redacted_id("b").to_string());
    }
}
