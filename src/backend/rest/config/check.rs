//! Validation of settings when a client is built.

use super::Config;
use crate::backend::rest::{DEEPEST, Limits};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use url::{Host, Url};

impl Config {
    /// Returns the validated address.
    pub(crate) fn parsed_url(&self) -> Result<Url> {
        let text = self.url.as_deref().unwrap_or_default().trim();
        if text.is_empty() {
            return Err(config_error("no address: set one such as https://host.example.com"));
        }
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return Err(config_error("the address is in quotation marks: remove them"));
        }
        if !text.contains("://") {
            return Err(config_error("the address has no scheme: write https:// before it"));
        }
        // The parser's message quotes nothing of the input.
        let url = Url::parse(text).map_err(|error| {
            config_error("the address is no URL such as https://host.example.com")
                .with_detail(error.to_string())
        })?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_insecure_http || is_loopback(&url) => {}
            "http" => {
                return Err(config_error(
                    "http:// would send the token in the clear: use https://, or allow it by allow_insecure_http() or REDIS_REST_ALLOW_HTTP=1",
                ));
            }
            "redis" | "rediss" | "unix" => {
                return Err(config_error(
                    "this is an address of the native protocol: the REST address starts with https://",
                ));
            }
            _ => return Err(config_error("the address must start with https:// or http://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(config_error(
                "the address must not hold a user name or password: give the token separately",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(config_error("the address must not hold a query or a fragment"));
        }
        Ok(url)
    }

    /// Returns the validated token.
    pub(crate) fn checked_token(&self) -> Result<&str> {
        let token = self.token.as_ref().map_or("", Secret::as_str);
        if token.is_empty() {
            return Err(config_error("no token"));
        }
        if token.starts_with(['"', '\'']) {
            return Err(config_error(
                "the token starts with a quotation mark: it was probably pasted with its quotes",
            ));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(config_error(
                "the token holds a space, a line break or another character that a token cannot have",
            ));
        }
        Ok(token)
    }

    pub(crate) fn check_limits(&self) -> Result<()> {
        let Limits { depth, elements } = self.reply_limits;
        let limits = [
            self.max_pipeline_commands,
            self.max_request_bytes,
            self.max_reply_bytes,
            self.max_event_bytes,
            depth,
            elements,
        ];
        if limits.contains(&0) {
            return Err(config_error("a limit of zero allows nothing"));
        }
        // The HTTP library requires this minimum.
        if self.max_reply_header_bytes < 8 << 10 {
            return Err(config_error("max_reply_header_bytes must be 8192 at least"));
        }
        if depth > DEEPEST {
            return Err(config_error("max_reply_depth is too large")
                .with_detail(format!("{DEEPEST} at most")));
        }
        if self.timeout.is_zero() || self.deadline.is_zero() || self.connect_timeout.is_zero() {
            return Err(config_error("a timeout of zero allows nothing"));
        }
        Ok(())
    }
}

pub(crate) fn config_error(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Returns true for an address of this machine only.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[test]
    fn addresses_that_cannot_work_are_refused_with_a_reason() {
        for (url, reason) in [
            ("", "no address"),
            ("host.example.com", "no scheme"),
            ("https://:1", "no URL"),
            ("redis://localhost:6379", "native protocol"),
            ("ftp://localhost", "https://"),
            ("http://example.com", "in the clear"),
            ("http://127.evil.example", "in the clear"),
            ("https://user:s3cret@example.com", "user name"),
            ("https://example.com?_token=s3cret", "query"),
        ] {
            let error = Client::new(url, "t").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(reason), "{url}: {error}");
            assert!(!format!("{error:?}").contains("s3cret"));
        }
        for url in [
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
            "https://example.com/prefix/",
        ] {
            assert!(Client::new(url, "t").is_ok(), "{url}");
        }
        assert!(
            Client::builder()
                .url("http://10.0.0.1")
                .token("t")
                .allow_insecure_http()
                .build()
                .is_ok()
        );
    }

    #[test]
    fn tokens_that_cannot_work_are_refused() {
        for token in ["", "a b", "a\nb", "\"abc\"", "ä"] {
            assert!(Client::new("https://example.com", token).is_err(), "{token:?}");
        }
    }

    #[test]
    fn limits_that_cannot_work_are_refused() {
        let config = || Client::builder().url("https://example.com").token("t");
        let zero: [fn(Config) -> Config; 7] = [
            |config| config.max_request_bytes(0),
            |config| config.max_reply_bytes(0),
            |config| config.max_reply_depth(0),
            |config| config.max_reply_elements(0),
            |config| config.max_event_bytes(0),
            |config| config.max_pipeline_commands(0),
            |config| config.max_reply_depth(121),
        ];
        for wrong in zero {
            assert_eq!(wrong(config()).build().unwrap_err().kind(), ErrorKind::Config);
        }
        assert!(config().max_reply_depth(120).build().is_ok());
    }
}
