//! Proxies between the client and its server, and the addresses they apply to.

use crate::backend::rest::config::Config;
use crate::backend::rest::config::check::{config_error, is_loopback};
use crate::error::{Error, Result};
use crate::secret::Secret;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// The chosen proxy, not validated yet.
#[derive(Clone, Default)]
pub(crate) enum ProxyChoice {
    #[default]
    None,
    Given(Secret),
    Environment(Variables),
}

/// The proxy variables of an environment.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    https: Option<Variable>,
    http: Option<Variable>,
    /// Hosts reached without a proxy.
    exceptions: String,
}

#[derive(Clone)]
struct Variable {
    name: &'static str,
    value: Secret,
}

/// Proxies.
impl Config {
    /// Sends requests through this proxy, such as `http://proxy.example.com:3128`, or
    /// `http://user:password@proxy.example.com:3128`. With `https://` the connection to the proxy
    /// is TLS, with the same certificates as the connection to the server.
    ///
    /// For an `https://` server the proxy sees its host and port (`CONNECT`), never the token. For
    /// an allowed `http://` server it sees everything. Loopback is never proxied. SOCKS is refused
    /// by [`build`](Config::build). Without this setting there is no proxy, except with
    /// [`from_env`](Config::from_env), or [`proxy_from_env`](Config::proxy_from_env).
    ///
    /// ```
    /// # fn main() -> redis_rest::Result<()> {
    /// let client = redis_rest::Client::builder()
    ///     .url("https://host.example.com")
    ///     .token("token")
    ///     .proxy("http://proxy.example.com:3128")
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// A custom [`transport`](Config::transport) does not see it, unless it is created by
    /// [`HttpTransport::for_config`](crate::backend::rest::HttpTransport::for_config).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Given(Secret::new(url));
        self
    }

    /// Sends requests without a proxy, regardless of the environment.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::None;
        self
    }
}

impl ProxyChoice {
    /// Reads the variables of an environment.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = lookup(name).filter(|value| !value.trim().is_empty())?;
                Some(Variable { name, value: Secret::new(value) })
            })
        };
        // A CGI server derives `HTTP_PROXY` from the request header `Proxy`.
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let http = if is_cgi { None } else { set(["HTTP_PROXY", "http_proxy"]) };
        let all = set(["ALL_PROXY", "all_proxy"]);
        let exceptions = set(["NO_PROXY", "no_proxy"]);
        Self::Environment(Variables {
            https: set(["HTTPS_PROXY", "https_proxy"]).or_else(|| all.clone()),
            http: http.or(all),
            exceptions: exceptions.map(|no| no.value.as_str().to_owned()).unwrap_or_default(),
        })
    }

    /// Returns the name, the address and the exceptions of the proxy for this scheme.
    fn for_scheme(&self, scheme: &str) -> Option<(&'static str, &str, &str)> {
        match self {
            Self::None => None,
            Self::Given(url) => Some(("Config::proxy", url.as_str(), "")),
            Self::Environment(variables) => {
                let of = if scheme == "https" { &variables.https } else { &variables.http };
                let Variable { name, value } = of.as_ref()?;
                Some((name, value.as_str(), &variables.exceptions))
            }
        }
    }
}

/// A proxy, for servers of one scheme.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) uri: Uri,
    /// The value of `Proxy-Authorization`.
    pub(super) auth: Option<HeaderValue>,
    /// For `https://` servers.
    pub(super) secure: bool,
    /// Host and port.
    pub(super) address: String,
}

impl Proxy {
    /// Returns the proxy by which a client of these settings reaches `url`.
    pub(super) fn find(config: &Config, url: &Url) -> Result<Option<Self>> {
        let Some((name, address, exceptions)) = config.proxy.for_scheme(url.scheme()) else {
            return Ok(None);
        };
        if is_loopback(url) || is_excepted(url, exceptions) {
            return Ok(None);
        }
        let found = Matcher::builder().all(address.trim()).build().intercept(&example());
        // The matcher ignores an invalid port.
        let is_url = |uri: &Uri| Url::parse(&uri.to_string()).is_ok();
        let Some(found) = found.filter(|found| is_url(found.uri())) else {
            return Err(unreadable(name));
        };
        let uri = found.uri().clone();
        let scheme = uri.scheme_str().unwrap_or_default();
        if scheme.starts_with("socks") {
            return Err(config_error(SOCKS).with_detail(name));
        }
        if scheme == "https" && cfg!(not(feature = "rustls")) {
            return Err(config_error("a proxy over https:// needs the feature rustls"));
        }
        let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
            return Err(unreadable(name));
        };
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let address = format!("{host}:{port}");
        let auth = found.basic_auth().cloned();
        Ok(Some(Self { uri, auth, secure: url.scheme() == "https", address }))
    }
}

const SOCKS: &str = "SOCKS proxies are not supported: name an HTTP proxy instead, the host in \
     NO_PROXY, or use ReqwestTransport";

fn unreadable(name: &'static str) -> Error {
    config_error("the proxy's address is no URL such as http://proxy.example.com:3128")
        .with_detail(name)
}

/// Returns an address that is proxied.
fn example() -> Uri {
    Uri::from_static("https://host.example.com/")
}

fn is_excepted(url: &Url, exceptions: &str) -> bool {
    let Ok(uri) = url.as_str().parse::<Uri>() else { return false };
    let all = Matcher::builder().all("http://proxy.example.com").no(exceptions).build();
    all.intercept(&uri).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use proptest::prelude::*;

    fn found(variables: &[(&str, &str)], url: &str) -> Result<Option<String>> {
        let lookup = |name: &str| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        let mut config = Client::builder().url(url).token("t").allow_insecure_http();
        config.proxy = ProxyChoice::from_lookup(lookup);
        let proxy = Proxy::find(&config, &url.parse().unwrap())?;
        Ok(proxy.map(|proxy| proxy.address))
    }

    #[cfg(feature = "rustls")]
    #[test]
    fn variables_name_the_proxy_of_an_address() {
        const HTTPS: &str = "https://redis.example.com";
        const HTTP: &str = "http://redis.example.com";
        for (variables, url, proxy) in [
            (&[][..], HTTPS, None),
            (&[("HTTPS_PROXY", "http://p:1")], HTTPS, Some("p:1")),
            (&[("https_proxy", " p:1\n")], HTTPS, Some("p:1")),
            (&[("HTTPS_PROXY", "p:1"), ("https_proxy", "q:1")], HTTPS, Some("p:1")),
            (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://a")], HTTPS, Some("a:80")),
            (&[("HTTPS_PROXY", "https://u:s3cret@p/x")], HTTPS, Some("p:443")),
            (&[("HTTPS_PROXY", "http://[::1]:3128")], HTTPS, Some("[::1]:3128")),
            (&[("HTTP_PROXY", "p:1")], HTTPS, None),
            (&[("HTTP_PROXY", "p:1"), ("ALL_PROXY", "a:1")], HTTP, Some("p:1")),
            (&[("HTTPS_PROXY", "p:1")], HTTP, None),
            (&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], HTTP, None),
            (&[("http_proxy", "p:1"), ("REQUEST_METHOD", "")], HTTP, None),
            (&[("HTTPS_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], HTTPS, Some("p:1")),
            (&[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "*")], HTTPS, None),
            (&[("HTTPS_PROXY", "p:1"), ("NO_PROXY", "x, .Example.com")], HTTPS, None),
            (&[("HTTPS_PROXY", "p:1"), ("no_proxy", "ample.com")], HTTPS, Some("p:1")),
            (&[("ALL_PROXY", "p:1"), ("NO_PROXY", "10.0.0.0/8")], "http://10.1.2.3:79", None),
            // Never, whatever is set.
            (&[("ALL_PROXY", "p:1")], "http://127.0.0.1:8079", None),
            (&[("ALL_PROXY", "socks5://p:1")], "https://localhost", None),
            (&[("ALL_PROXY", "p:1")], "http://[::ffff:127.0.0.1]", None),
        ] {
            let found = found(variables, url).unwrap();
            assert_eq!(found.as_deref(), proxy, "{variables:?}, {url}");
        }
    }

    #[test]
    fn proxies_that_cannot_work_are_refused_without_their_address() {
        for (value, text) in [
            ("socks5://u:s3cret@p:1", "SOCKS"),
            ("socks5h://s3cret", "SOCKS"),
            ("ftp://s3cret:1", "no URL"),
            ("http://u:s3cret@", "no URL"),
            ("http://s3cret:x", "no URL"),
            ("s3 cret", "no URL"),
        ] {
            let error = found(&[("HTTPS_PROXY", value)], "https://redis.example.com").unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(text) && said.contains("HTTPS_PROXY"), "{value}: {said}");
            assert!(!said.contains("s3cret"), "{said}");
            let excepted = [("HTTPS_PROXY", value), ("NO_PROXY", "example.com")];
            assert_eq!(found(&excepted, "https://redis.example.com").unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn variables_of_any_kind_are_read_or_refused(proxy in ".*", no in ".*") {
            let variables = [("ALL_PROXY", proxy.as_str()), ("NO_PROXY", no.as_str())];
            if let Ok(Some(address)) = found(&variables, "https://redis.example.com") {
                prop_assert!(!address.contains('@') && address.contains(':'), "{}", address);
            }
        }
    }
}
