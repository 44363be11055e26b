//! The server's address and token, from flags or the environment.

use crate::output::Failure;
use clap::Args;
use redis_rest::{Client, Config, Encoding, Error, ErrorKind};
use std::cell::RefCell;
use std::time::Duration;

/// Help heading that separates these options from those of each command.
const HEADING: &str = "Connection";

/// Address and token of the server. Without these flags the environment decides: REDIS_REST_URL
/// with REDIS_REST_TOKEN or REDIS_TOKEN, UPSTASH_REDIS_REST_URL with UPSTASH_REDIS_REST_TOKEN, or
/// KV_REST_API_URL with KV_REST_API_TOKEN.
#[derive(Args)]
pub(crate) struct Connection {
    /// Address of the REST server, instead of the environment's
    #[arg(long, global = true, help_heading = HEADING)]
    url: Option<String>,
    /// Token for the REST server, instead of the environment's. For `serve`: the token to accept
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) token: Option<String>,
    /// Send the token over http:// to other machines too
    #[arg(long, global = true, help_heading = HEADING)]
    allow_http: bool,
    /// Put names into request paths without testing whether paths arrive unchanged
    #[arg(long, global = true, help_heading = HEADING)]
    paths_as_sent: bool,
    /// Encoding of values in replies: auto, base64, text or resp2
    #[arg(long, global = true, help_heading = HEADING, value_name = "HOW")]
    encoding: Option<Encoding>,
    /// Longest time for one attempt (default 5 s); a call with its retries may take three times as
    /// long
    #[arg(long, global = true, help_heading = HEADING, value_name = "S", value_parser = crate::args::seconds)]
    timeout: Option<f64>,
}

/// Advice for a refused `http://` address.
pub(crate) const ALLOW_HTTP: &str =
    "use https://; for a server on a private network set --allow-http or REDIS_REST_ALLOW_HTTP=1";

/// Longest time to connect, and longest time for an attempt.
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    pub(crate) attempt: Duration,
}

/// An address that is not validated yet.
pub(crate) struct Address {
    pub(crate) config: Config,
    /// The URL that the user gave.
    pub(crate) url: String,
    /// Flag or environment variable with the address.
    pub(crate) source: String,
}

impl Address {
    /// Returns true if the only problem is that the address is `http://`.
    pub(crate) fn needs_allow_http(&self) -> bool {
        let allowed = || self.config.clone().allow_insecure_http().build().is_ok();
        self.url.starts_with("http://") && self.config.clone().build().is_err() && allowed()
    }
}

impl Connection {
    /// Returns a client configured by flags and environment.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.client_with(|config| config)
    }

    /// Returns a client with further settings.
    pub(crate) fn client_with(
        &self,
        change: impl FnOnce(Config) -> Config,
    ) -> Result<Client, Failure> {
        change(self.config()?).build().map_err(|error| match self.address() {
            Ok(address) if error.kind() == ErrorKind::Config && address.needs_allow_http() => {
                Failure::from(error).hint(ALLOW_HTTP)
            }
            _ => error.into(),
        })
    }

    /// Returns the settings. Flags win; both flags together need no environment.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let config = match (&self.url, &self.token) {
            (Some(url), Some(token)) => Config::new().url(url).token(token).proxy_from_env(),
            (None, token) => environment(token.as_deref())?,
            // An address is never combined with the token of another server, nor a token with
            // another address.
            (Some(_), None) => {
                return Err(Failure::usage(
                    "--url needs --token: the environment's token belongs to the environment's server",
                ));
            }
        };
        let config = if self.allow_http { config.allow_insecure_http() } else { config };
        let config = if self.paths_as_sent { config.paths_arrive_as_sent() } else { config };
        let config = match self.encoding {
            Some(encoding) => config.encoding(encoding),
            None => config,
        };
        let limits = self.limits();
        Ok(match self.timeout {
            Some(_) => config
                .connect_timeout(limits.connect)
                .timeout(limits.attempt)
                .deadline(limits.attempt * 3),
            None => config,
        })
    }

    pub(crate) fn limits(&self) -> Limits {
        let attempt = self.timeout.map_or(Duration::from_secs(5), Duration::from_secs_f64);
        Limits { connect: attempt.min(Duration::from_secs(3)), attempt }
    }

    /// Returns the address with a token that cannot be wrong, to find out which of the two is
    /// wrong.
    ///
    /// # Errors
    /// Fails if there is no address.
    pub(crate) fn address(&self) -> Result<Address, Error> {
        let found = RefCell::new((String::new(), "--url".to_owned()));
        let config = match &self.url {
            Some(url) => {
                found.borrow_mut().0 = url.trim().to_owned();
                Config::new().url(url).token("any").proxy_from_env()
            }
            // The library knows the names and their order.
            None => Config::from_lookup(|name| {
                if name.ends_with("TOKEN") {
                    return Some("any".to_owned());
                }
                let value = std::env::var(name).ok().filter(|value| !value.trim().is_empty())?;
                if name.ends_with("_URL") {
                    found.replace((value.trim().to_owned(), name.to_owned()));
                }
                Some(value)
            })?,
        };
        let (url, source) = found.into_inner();
        Ok(Address {
            config: if self.allow_http { config.allow_insecure_http() } else { config },
            url,
            source,
        })
    }

    /// Refuses an address: `serve` listens, so an address to connect to means that another command
    /// was meant.
    pub(crate) fn refuse_for_server(&self) -> Result<(), Failure> {
        let address = self.url.is_some() || self.allow_http || self.paths_as_sent;
        if address || self.encoding.is_some() || self.timeout.is_some() {
            return Err(Failure::usage(
                "serve takes --listen and --redis, \
                 not --url, --allow-http, --paths-as-sent, --encoding or --timeout",
            ));
        }
        Ok(())
    }
}

/// Hides the client's options in the help of a command, except the token.
pub(crate) fn hide_options(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let hidden = arg.get_help_heading() == Some(HEADING) && arg.get_id() != "token";
        arg.hide(hidden)
    })
}

/// Reads the environment, with `token` instead of the environment's, which may then be missing.
fn environment(token: Option<&str>) -> Result<Config, Failure> {
    let given = |name: &str| token.filter(|_| name.ends_with("TOKEN")).map(str::to_owned);
    Config::from_lookup(|name| given(name).or_else(|| std::env::var(name).ok())).map_err(|error| {
        Failure::from(error).hint("give --url and --token; for `redis-rest serve`: --url http://127.0.0.1:8079 --token local-token")
    })
}
