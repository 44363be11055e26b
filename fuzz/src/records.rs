//! External data: sessions in Redis, addresses in the environment.

use super::input::Input;
use chrono::Datelike as _;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, HttpTransport, RestBackend, Transport};
use redis_rest::internal::fuzzing::{address_and_token, json_members, session_ids};
use redis_rest::session::{Session, SessionError};
use redis_rest::{BoxFuture, Config, Error, ErrorKind, Outcome};
use url::{Host, Url};

const MARK: &str = "s3cr3t";

fn members(json: &str) -> Vec<(String, String)> {
    json_members(json).unwrap()
}

/// Checks a record, or an index of records: an unchanged record is written to the letter, and a
/// change changes nothing else.
pub fn session_json(data: &[u8]) {
    if let Some(ids) = session_ids(data) {
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert!(sorted.len() == ids.len() && ids.len() <= data.len());
        assert!(session_ids(&serde_json::to_vec(&ids).unwrap()).unwrap() == ids);
    }
    let session = match Session::from_json(data) {
        Ok(session) => session,
        Err(error) => {
            assert!(
                matches!(error, SessionError::Corrupt { .. }),
                "only what is corrupt cannot be read"
            );
            return;
        }
    };
    let text = std::str::from_utf8(data).unwrap();
    assert!(session.to_json().unwrap() == text);
    let old = members(text);

    let mut changed = session.clone();
    changed.system_prompt.push('x');
    let json = changed.to_json().unwrap();
    assert!(Session::from_json(&json).unwrap() == changed);
    let others = |json: &str| {
        members(json).into_iter().filter(|(name, _)| name != "system_prompt").collect::<Vec<_>>()
    };
    assert!(others(&json) == others(text), "in their order, to the letter");

    let mut changed = session.clone();
    changed.metadata.insert(MARK, true).unwrap();
    let read = Session::from_json(changed.to_json().unwrap()).unwrap();
    assert!(
        read.metadata == changed.metadata
            && read.metadata.len()
                == session.metadata.len() + usize::from(session.metadata.get_raw(MARK).is_none())
    );
    for (name, raw) in session.metadata.iter().filter(|(name, _)| *name != MARK) {
        assert!(read.metadata.get_raw(name) == Some(raw), "to the letter");
    }

    // Everything written anew: a record that can be read can be written.
    let mut anew = Session::new(&session.user_id).id(&session.id).org_id(&session.org_id);
    (anew.created_at, anew.last_active_at) = (session.created_at, session.last_active_at);
    (anew.metadata, anew.mcp_client_ids) =
        (session.metadata.clone(), session.mcp_client_ids.clone());
    (anew.workspace_path, anew.system_prompt) =
        (session.workspace_path.clone(), session.system_prompt.clone());
    match anew.to_json() {
        Ok(json) => assert!(Session::from_json(json).unwrap() == session),
        Err(_) => assert!(
            [session.created_at, session.last_active_at]
                .iter()
                .any(|time| !(0..=9999).contains(&time.year()))
        ),
    }
    assert!(old.len() >= 4);
}

struct Nowhere;

impl Transport for Nowhere {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async { Err(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "nowhere")) })
    }
}

/// Checks that a refusal of settings quotes none of them.
fn refused(error: Error) {
    assert_eq!(error.kind(), ErrorKind::Config);
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text += &format!("{inner} {inner:?}");
        source = inner.source();
    }
    assert!(!text.contains(MARK), "an error quotes what it refuses");
}

/// Checks the variables of proxies, and of the encoding: a refused value is not quoted, and
/// loopback has no proxy.
pub fn proxy_variables(data: &[u8]) {
    const NAMES: [&str; 6] = [
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "NO_PROXY",
        "REQUEST_METHOD",
        "REDIS_REST_ENCODING",
    ];
    let mut input = Input::new(data);
    let (which, url) =
        (input.byte(), ["http://redis.example", "http://127.0.0.1:1"][input.below(2)]);
    let set = NAMES.iter().enumerate().filter(|(bit, _)| which >> bit & 1 == 1);
    let values: Vec<(&str, String)> =
        set.map(|(_, name)| (*name, input.text().replace('@', &format!("{MARK}@")))).collect();
    let lookup = |name: &str| match name {
        "REDIS_REST_URL" => Some(url.to_owned()),
        "REDIS_REST_TOKEN" => Some("t".to_owned()),
        "REDIS_REST_ALLOW_HTTP" => Some("1".to_owned()),
        name => values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
    };
    match Config::from_lookup(lookup) {
        Ok(config) => {
            assert!(!format!("{config:?}").contains(MARK));
            match HttpTransport::for_config(&config) {
                Ok(transport) => {
                    let proxy = transport.proxy();
                    assert!(proxy.is_none() || url != "http://127.0.0.1:1");
                    assert!(proxy.is_none_or(|address| !address.contains(MARK)));
                }
                Err(error) => refused(error),
            }
        }
        Err(error) => refused(error),
    }
}

/// Checks an environment: an accepted address is safe to send to, and a refused one is not quoted.
pub fn config(data: &[u8]) {
    let mut input = Input::new(data);
    let which = input.byte();
    let names = [
        "REDIS_REST_URL",
        "REDIS_REST_TOKEN",
        "REDIS_REST_ALLOW_HTTP",
        "UPSTASH_REDIS_REST_URL",
        "UPSTASH_REDIS_REST_TOKEN",
    ];
    let values: Vec<(&str, String)> = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| which >> bit & 1 == 1)
        .map(|(_, name)| (*name, input.text()))
        .collect();
    let marked = which >> 5 & 1 == 1;
    let lookup = |name: &str| {
        let (_, value) = values.iter().find(|(known, _)| *known == name)?;
        // Within the value, which may be a host, a password, a path.
        let middle =
            (0..=value.len() / 2).rev().find(|&at| value.is_char_boundary(at)).unwrap_or(0);
        let (start, end) = value.split_at(middle);
        Some(if marked { format!("{start}{MARK}{end}") } else { value.clone() })
    };
    let config = match Config::from_lookup(lookup) {
        Ok(config) => config,
        Err(error) => return refused(error),
    };
    assert!(!format!("{config:?}").contains(MARK));
    let (url, token) = address_and_token(&config);
    let both = url.is_some() && token.is_some();
    if let Some(url) = &url {
        let here = match url.host().expect("a host") {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(ip) => ip.octets()[0] == 127,
            Host::Ipv6(ip) => ip.to_canonical().is_loopback(),
        };
        let allowed = lookup("REDIS_REST_ALLOW_HTTP")
            .map(|value| value.trim().to_ascii_lowercase())
            .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.as_str()));
        assert!(url.scheme() == "https" || (url.scheme() == "http" && (here || allowed)));
        assert!(
            url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        );
        assert!(
            Url::parse(url.as_str()).as_ref() == Ok(url),
            "it means the same when it is written"
        );
    }
    if let Some(token) = token {
        assert!(!token.is_empty() && token.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
    }
    match RestBackend::new(config.clone().transport(Nowhere)) {
        Ok(_) => assert!(both),
        Err(error) => {
            assert!(!both);
            refused(error);
        }
    }
}
