//! Requests that a web page may have caused: the accepted host names and origins.
//!
//! A browser sends simple requests of any page without a preflight, so CORS headers alone protect
//! only the reply. A page whose host name was rebound to this machine (DNS rebinding) counts as the
//! server's own in the browser. Both are refused by the headers that browsers set and pages cannot:
//! `Host`, `Origin`, `Sec-Fetch-Site`.

use super::cors::Cors;
use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use http::{HeaderName, Request};
use std::net::IpAddr;
use url::{Host, Url};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The reason for a 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str);

const WRONG_HOST: Refusal = Refusal(
    "ERR host name not allowed: if this is your own name or a proxy's, start the server with --host NAME (ServerConfig::host)",
);
const WRONG_ORIGIN: Refusal = Refusal(
    "ERR origin not allowed: to allow web pages of this origin, start the server with --cors ORIGIN (ServerConfig::cors)",
);
const CROSS_SITE: Refusal =
    Refusal("ERR cross-site request refused: a web page of another site caused it");

/// Accepted host names beside those of loopback.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Vec<Host>);

impl Hosts {
    /// Adds a name or an address, without scheme and port. Returns false for anything else.
    pub(super) fn allow(&mut self, name: &str) -> bool {
        let host = match name.parse() {
            Ok(IpAddr::V6(address)) => Some(Host::Ipv6(address)),
            // A name, not a pattern.
            _ => parse_host(name).filter(|_| !name.contains('*')),
        };
        let sound = host.is_some();
        self.0.extend(host);
        sound
    }
}

/// Decides by the head of a request whether it is served.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) cors: Cors,
    pub(super) hosts: Hosts,
    /// The server listens on a loopback address, so that only loopback names and `hosts` may lead
    /// to it.
    pub(super) on_loopback: bool,
}

impl Admission {
    /// Returns the CORS headers of the reply, or none if the request comes from no page of another
    /// origin.
    ///
    /// # Errors
    /// Fails with the refusal, whatever token the request carries.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<Option<HeaderMap>, Refusal> {
        let own = self.own_origin(request)?;
        let headers = request.headers();
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            let is_own = |site: &HeaderValue| matches!(site.as_bytes(), b"none" | b"same-origin");
            return if headers.get_all(&SEC_FETCH_SITE).iter().all(is_own) {
                Ok(None)
            } else {
                Err(CROSS_SITE)
            };
        };
        if origins.next().is_some() {
            return Err(WRONG_ORIGIN);
        }
        if let Some(cors) = self.cors.admit(request, origin) {
            return Ok(Some(cors));
        }
        let asks = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
        let is_own = asks.is_some_and(|url| {
            own.is_some_and(|own| url.origin() == own.origin() && url.origin().is_tuple())
        });
        if is_own { Ok(None) } else { Err(WRONG_ORIGIN) }
    }

    /// Returns the server's address as the client wrote it, if no other host can be behind it.
    /// Checks the host.
    fn own_origin<B>(&self, request: &Request<B>) -> Result<Option<Url>, Refusal> {
        let target = request.uri().authority().map(|authority| authority.as_str());
        let hosts = request.headers().get_all(HOST).iter().map(|host| host.to_str().ok());
        let mut own = None;
        // A target with a host precedes the header; neither may name another host.
        for name in target.map(Some).into_iter().chain(hosts) {
            let url = name.and_then(parse_authority);
            let known = url.as_ref().and_then(Url::host).is_some_and(|host| self.knows(host));
            if self.on_loopback && !known {
                return Err(WRONG_HOST);
            }
            if own.is_none() {
                own = Some(url.filter(|_| known));
            }
        }
        Ok(own.flatten())
    }

    /// Returns true for a host that a page cannot rebind: an accepted name, a loopback name, or an
    /// address.
    fn knows(&self, host: Host<&str>) -> bool {
        let named = |wanted: &Host| match (wanted, &host) {
            (Host::Domain(wanted), Host::Domain(name)) => without_dot(wanted) == without_dot(name),
            (Host::Ipv4(wanted), Host::Ipv4(address)) => wanted == address,
            (Host::Ipv6(wanted), Host::Ipv6(address)) => wanted == address,
            _ => false,
        };
        let by_itself = match &host {
            Host::Domain(name) => {
                let name = without_dot(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback() || !self.on_loopback,
            Host::Ipv6(address) => address.to_canonical().is_loopback() || !self.on_loopback,
        };
        by_itself || self.hosts.0.iter().any(named)
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn parse_host(name: &str) -> Option<Host> {
    parse_authority(name).filter(|url| url.port().is_none())?.host().map(|host| host.to_owned())
}

/// Parses an authority like a browser: any spelling of an address, capitals, a port.
fn parse_authority(authority: &str) -> Option<Url> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte);
    if !authority.bytes().all(is_plain) {
        return None;
    }
    Url::parse(&format!("http://{authority}/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri("/ping");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn admission(on_loopback: bool, host: Option<&str>, origin: Option<&str>) -> Admission {
        let (mut cors, mut hosts) = (Cors::default(), Hosts::default());
        assert!(host.is_none_or(|host| hosts.allow(host)));
        assert!(origin.is_none_or(|origin| cors.allow(origin)));
        Admission { cors, hosts, on_loopback }
    }

    #[test]
    fn hosts_of_loopback_are_known_in_any_spelling() {
        let server = admission(true, Some("Redis.Example"), None);
        let check = |host: &str| server.check(&request(&[("host", host)]));
        for host in [
            "localhost",
            "LocalHost:1",
            "localhost.",
            "localhost.:8079",
            "app.localhost",
            "127.0.0.1:8079",
            "127.1",
            "127.8.9.10",
            "2130706433",
            "0x7f.1",
            "[::1]",
            "[::1]:65535",
            "[0:0::0:1]",
            "[::ffff:127.0.0.1]",
            "redis.example",
            "REDIS.example.:443",
        ] {
            assert_eq!(check(host), Ok(None), "{host}");
        }
        for host in [
            "evil.example:8079",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::ffff:10.0.0.1]",
            "",
            ":8079",
            "localhost:99999",
            "evil@localhost",
            "localhost/x",
            "localhost\\@evil.example",
            "a localhost",
            "www.redis.example",
        ] {
            assert_eq!(check(host), Err(WRONG_HOST), "{host}");
        }
        // A repeated header, and an absolute target with another host.
        let twice = request(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(server.check(&twice), Err(WRONG_HOST));
        let mut absolute = request(&[("host", "localhost")]);
        *absolute.uri_mut() = "http://evil.example/ping".parse().unwrap();
        assert_eq!(server.check(&absolute), Err(WRONG_HOST));
        // Browsers always send it.
        assert_eq!(server.check(&request(&[])), Ok(None));
        assert_eq!(
            admission(false, None, None).check(&request(&[("host", "any.example")])),
            Ok(None)
        );
    }

    #[test]
    fn names_with_scheme_or_port_are_no_hosts() {
        for name in ["", "http://a", "a:81", "a/b", "a b", "*", "*.a.example", "[::1"] {
            assert!(!Hosts::default().allow(name), "{name}");
        }
        for name in ["a.example", "10.0.0.1", "::1", "[::1]"] {
            assert!(Hosts::default().allow(name), "{name}");
        }
    }

    #[test]
    fn origin_decides_alone() {
        let server = admission(true, Some("redis.example"), Some("http://app.example:3000"));
        let check = |host: &str, origin: &str| {
            let headers = [("host", host), ("origin", origin), ("sec-fetch-site", "cross-site")];
            server.check(&request(&headers)).map(|cors| cors.is_some())
        };
        assert_eq!(check("localhost:8079", "http://app.example:3000"), Ok(true));
        for (host, origin) in [
            ("localhost:8079", "http://localhost:8079"),
            ("LOCALHOST:8079", "http://localhost:8079"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("redis.example:80", "http://redis.example"),
        ] {
            assert_eq!(check(host, origin), Ok(false), "{host} {origin}");
        }
        for (host, origin) in [
            ("localhost:8079", "http://localhost:3000"),
            ("localhost:8079", "https://localhost:8079"),
            ("localhost:8079", "http://127.0.0.1:8079"),
            ("localhost:8079", "null"),
            ("localhost:8079", ""),
            ("localhost:8079", "data:x"),
            ("localhost:8079", "https://evil.example"),
            ("localhost:8079", "http://app.example"),
        ] {
            assert_eq!(check(host, origin), Err(WRONG_ORIGIN), "{host} {origin}");
        }
        let own = "http://localhost:8079";
        let twice = request(&[("host", "localhost:8079"), ("origin", own), ("origin", own)]);
        assert_eq!(server.check(&twice), Err(WRONG_ORIGIN));
    }

    #[test]
    fn pages_without_an_origin_are_never_named() {
        let server = admission(true, None, Some("*"));
        let check = |origin| server.check(&request(&[("host", "localhost"), ("origin", origin)]));
        assert!(check("https://any.example").is_ok_and(|cors| cors.is_some()));
        assert_eq!(check("null"), Err(WRONG_ORIGIN));
    }

    #[test]
    fn own_origin_beyond_loopback_is_an_address_or_a_named_host() {
        let server = admission(false, Some("redis.example"), None);
        let check = |host: &str| {
            let origin = format!("http://{host}");
            server.check(&request(&[("host", host), ("origin", &origin)])).is_ok()
        };
        assert!(check("10.0.0.1:8079") && check("redis.example:8079") && check("localhost:8079"));
        assert!(!check("evil.example:8079"));
    }

    #[test]
    fn cross_site_requests_without_an_origin_are_refused() {
        let server = admission(true, None, Some("*"));
        let check =
            |site| server.check(&request(&[("host", "localhost"), ("sec-fetch-site", site)]));
        for site in ["cross-site", "same-site", "", "future-value"] {
            assert_eq!(check(site), Err(CROSS_SITE), "{site}");
        }
        assert_eq!((check("none"), check("same-origin")), (Ok(None), Ok(None)));
    }
}
