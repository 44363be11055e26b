//! [`Encoding`]: how values travel in replies.

use super::check::config_error;
use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// The encoding of values in replies.
///
/// A value is bytes, and JSON holds text. Servers therefore encode values if a client asks for it;
/// some do not, and send plain text. Most texts are plainly not base64, `abcd` could be either.
///
/// | | any bytes survive | size of a value of text | asks the server once |
/// |---|---|---|---|
/// | [`Auto`](Self::Auto) | if the server encodes | as the server sends it | yes |
/// | [`Base64`](Self::Base64) | yes | 4/3 | no |
/// | [`Text`](Self::Text) | no | 1, more with escapes | no |
/// | [`Resp2`](Self::Resp2) | yes | 1 | no |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Base64, unless the server ignores the request for it; then text.
    ///
    /// Before the first reply with a value reaches a caller, the client probes the server once, by
    /// an `ECHO`: once per address and process, or once per client with a custom transport. The
    /// vendor may bill it as a command. A server that does not reply to it with a text counts as
    /// one that encodes, until a reply is not base64.
    ///
    /// A text in which such a server replaced bytes by U+FFFD is an error. A server that encodes at
    /// first and later does not is not detected if its replies happen to be base64.
    #[default]
    Auto,
    /// Base64. Any other reply is an error.
    Base64,
    /// Plain text: bytes that are not UTF-8 are lost in the server, which replaces them by U+FFFD.
    Text,
    /// RESP2, Redis's own format. If the server replies in JSON nevertheless, later replies are
    /// read as by [`Auto`](Self::Auto). Transactions come in base64.
    Resp2,
}

/// Shows the name that [`FromStr`] reads.
impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Base64 => "base64",
            Self::Text => "text",
            Self::Resp2 => "resp2",
        })
    }
}

/// Reads `auto`, `base64`, `text` or `resp2`, in any case.
impl FromStr for Encoding {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let name = name.trim();
        [Self::Auto, Self::Base64, Self::Text, Self::Resp2]
            .into_iter()
            .find(|encoding| encoding.to_string().eq_ignore_ascii_case(name))
            .ok_or_else(|| config_error("no encoding: write auto, base64, text or resp2"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for encoding in [Encoding::Auto, Encoding::Base64, Encoding::Text, Encoding::Resp2] {
            assert_eq!(encoding.to_string().to_uppercase().parse::<Encoding>().unwrap(), encoding);
        }
        assert!("json".parse::<Encoding>().is_err());
    }
}
