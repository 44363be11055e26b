//! Address and token from the environment.

use super::Config;
use super::check::config_error;
use crate::backend::rest::ProxyChoice;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Environment variables of the address and of the token, in the order of precedence.
const ENV_NAMES: [(&str, &[&str]); 3] = [
    ("REDIS_REST_URL", &["REDIS_REST_TOKEN", "REDIS_TOKEN"]),
    ("UPSTASH_REDIS_REST_URL", &["UPSTASH_REDIS_REST_TOKEN"]),
    ("KV_REST_API_URL", &["KV_REST_API_TOKEN"]),
];

/// Environment variable that allows `http://` outside loopback if it is `1` or `true`.
const ENV_ALLOW_HTTP: &str = "REDIS_REST_ALLOW_HTTP";

/// Environment variable that says that paths arrive unchanged if it is `1` or `true`.
const ENV_PATHS_AS_SENT: &str = "REDIS_REST_PATHS_AS_SENT";

/// Environment variable of the encoding of replies.
const ENV_ENCODING: &str = "REDIS_REST_ENCODING";

/// Environment variable of [`Config::verbose_errors`].
const ENV_VERBOSE: &str = "REDIS_REST_VERBOSE_ERRORS";

impl Config {
    /// Reads address and token from the environment. The first address that is set decides, and its
    /// token must be set too:
    ///
    /// 1. `REDIS_REST_URL` with `REDIS_REST_TOKEN` or `REDIS_TOKEN`
    /// 2. `UPSTASH_REDIS_REST_URL` with `UPSTASH_REDIS_REST_TOKEN`
    /// 3. `KV_REST_API_URL` with `KV_REST_API_TOKEN`
    ///
    /// `REDIS_REST_ALLOW_HTTP=1` allows `http://` addresses outside loopback,
    /// `REDIS_REST_PATHS_AS_SENT=1` is [`paths_arrive_as_sent`](Self::paths_arrive_as_sent),
    /// `REDIS_REST_VERBOSE_ERRORS=1` is [`verbose_errors`](Self::verbose_errors); `true`, `yes` and
    /// `on` are the same as `1`, in any case. `REDIS_REST_ENCODING` is `auto`, `base64`, `text` or
    /// `resp2`: see [`encoding`](Self::encoding). Empty variables count as not set.
    ///
    /// The proxy is that of [`proxy_from_env`](Self::proxy_from_env).
    ///
    /// # Errors
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config), which names the variables.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads the settings of [`Config::from_env`] from any source of names: the bindings of a worker, for example.
    ///
    /// # Errors
    /// Fails like [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let found = ENV_NAMES.iter().find_map(|(url, tokens)| Some((set(url)?, *url, *tokens)));
        let Some((url, url_name, token_names)) = found else {
            let names: Vec<_> = ENV_NAMES
                .iter()
                .map(|(url, tokens)| format!("{url} with {}", tokens.join(" or ")))
                .collect();
            return Err(config_error("no REST address in the environment")
                .with_detail(format!("looked for {}", names.join("; "))));
        };
        let Some(token) = token_names.iter().find_map(|name| set(name)).map(Secret::new) else {
            let detail =
                format!("{url_name} is set, so one of these must be: {}", token_names.join(", "));
            return Err(config_error("no token in the environment").with_detail(detail));
        };
        let mut config = Self::new().url(url.trim()).token(token.as_str().trim());
        let on = |name| set(name).map_or(Ok(false), |value| is_on(name, &value));
        config.allow_insecure_http = on(ENV_ALLOW_HTTP)?;
        config.paths_arrive = on(ENV_PATHS_AS_SENT)?;
        if let Some(encoding) = set(ENV_ENCODING) {
            config.encoding =
                encoding.parse().map_err(|error: Error| error.with_detail(ENV_ENCODING))?;
        }
        config.verbose_errors = on(ENV_VERBOSE)?;
        config.proxy = ProxyChoice::from_lookup(set);
        Ok(config)
    }

    /// Sends requests through the proxy that the environment names, like
    /// [`from_env`](Self::from_env): `HTTPS_PROXY` for an `https://` server, `HTTP_PROXY` for an
    /// `http://` one, or else `ALL_PROXY`, unless `NO_PROXY` names the host. Names in lower case
    /// apply if the others are not set. `HTTP_PROXY` is ignored if `REQUEST_METHOD` is set, since a
    /// CGI server derives it from a request header.
    ///
    /// `NO_PROXY` is a list with commas: hosts with all below them, addresses, networks
    /// (`10.0.0.0/8`), or `*`. Loopback is never proxied. `Config::proxy` lists the supported
    /// proxies. On `wasm32` the host decides on proxies: this has no effect there.
    pub fn proxy_from_env(mut self) -> Self {
        self.proxy = ProxyChoice::from_lookup(|name| std::env::var(name).ok());
        self
    }
}

/// Reads a switch: `1`, `true`, `yes` or `on`, or their opposites, in any case.
fn is_on(name: &'static str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(config_error("a switch in the environment is neither on nor off: write 1 or 0")
            .with_detail(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(names: &[(&str, &str)]) -> Result<Config> {
        Config::from_lookup(|name| {
            names.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn switches_are_on_or_off_or_refused() {
        let with = |value| {
            let all = [
                ("REDIS_REST_URL", "http://redis.internal"),
                ("REDIS_REST_TOKEN", "t"),
                ("REDIS_REST_ALLOW_HTTP", value),
            ];
            from(&all).map(|config| config.allow_insecure_http)
        };
        for on in ["1", "true", "TRUE", "yes", " on "] {
            assert!(with(on).unwrap(), "{on}");
        }
        for off in ["", "0", "False", "no", "off"] {
            assert!(!with(off).unwrap(), "{off}");
        }
        let error = with("s3cret").unwrap_err().to_string();
        assert!(error.contains("REDIS_REST_ALLOW_HTTP") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn the_environment_in_its_order() {
        let all = [
            ("UPSTASH_REDIS_REST_URL", "https://b.example"),
            ("UPSTASH_REDIS_REST_TOKEN", "b"),
            ("REDIS_REST_URL", " https://a.example\n"),
            ("REDIS_TOKEN", "a"),
        ];
        let config = from(&all).unwrap();
        assert_eq!(config.url.as_deref(), Some("https://a.example"));
        assert_eq!(config.checked_token().unwrap(), "a");
        let config = from(&all[..2]).unwrap();
        assert_eq!(config.checked_token().unwrap(), "b");
        assert!(!config.paths_arrive && !config.allow_insecure_http);
        let config = from(&[&all[..2], &[("REDIS_REST_PATHS_AS_SENT", "1")]].concat()).unwrap();
        assert!(config.paths_arrive && !config.allow_insecure_http && !config.verbose_errors);
        let config = from(&[&all[..2], &[("REDIS_REST_VERBOSE_ERRORS", "on")]].concat()).unwrap();
        assert!(config.verbose_errors);
        // A token of another family does not fit the address.
        let error = from(&all[..3]).unwrap_err().to_string();
        assert!(error.contains("REDIS_REST_TOKEN, REDIS_TOKEN"), "{error}");
        let error = from(&[("REDIS_REST_URL", "")]).unwrap_err().to_string();
        assert!(error.contains("REDIS_REST_URL") && error.contains("KV_REST_API_TOKEN"), "{error}");
    }
}
