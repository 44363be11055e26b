//! Opening connections: target, stream, TLS, and login.

use super::connection::{Connection, Wire};
use super::pack;
use super::resp::{Limits, Received};
use super::sentinel::{self, Moved};
use crate::error::{Error, ErrorKind, Result, ServerError};
use crate::value::Value;
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The stream under a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Stream for S {}

/// A server, and the login there.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) address: ConnectionAddr,
    pub(super) tls: bool,
    pub(super) login: RedisConnectionInfo,
}

/// Target of connections.
pub(super) enum Target {
    One(Endpoint),
    Sentinels { sentinels: Vec<Endpoint>, master: String, login: RedisConnectionInfo },
}

/// Opens connections.
pub(super) struct Connector {
    pub(super) target: Target,
    pub(super) timeout: Duration,
    pub(super) limits: Limits,
    #[cfg(feature = "rustls")]
    tls: Option<tokio_rustls::TlsConnector>,
}

impl Endpoint {
    /// Parses an address. Errors quote nothing of it: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Config, "the address is none such as redis://127.0.0.1:6379/0")
        };
        // This module handles TLS: the crate sees the same address without it.
        let plain = ["rediss:", "valkeys:"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .map(|rest| format!("redis:{rest}"));
        if plain.is_some() && url.contains('#') {
            return Err(Error::new(
                ErrorKind::Config,
                "TLS without checking certificates is not offered",
            ));
        }
        let info = plain.as_deref().unwrap_or(url).into_connection_info().map_err(|_| wrong())?;
        let login = info.redis_settings().clone();
        Ok(Self { address: info.addr().clone(), tls: plain.is_some(), login })
    }
}

impl Target {
    pub(super) fn login_mut(&mut self) -> &mut RedisConnectionInfo {
        match self {
            Self::One(endpoint) => &mut endpoint.login,
            Self::Sentinels { login, .. } => login,
        }
    }

    fn uses_tls(&self) -> bool {
        match self {
            Self::One(endpoint) => endpoint.tls,
            Self::Sentinels { sentinels, .. } => sentinels.iter().any(|sentinel| sentinel.tls),
        }
    }
}

impl Connector {
    #[cfg(feature = "rustls")]
    pub(super) fn new(
        target: Target,
        timeout: Duration,
        limits: Limits,
        roots: Option<&[u8]>,
    ) -> Result<Self> {
        use crate::backend::tls;
        let config = match (target.uses_tls(), roots) {
            (false, _) => None,
            (true, Some(pem)) => Some(tls::of_roots(pem)?),
            (true, None) => Some(tls::of_platform()?),
        };
        let tls = config.map(|config| std::sync::Arc::new(config).into());
        Ok(Self { target, timeout, limits, tls })
    }

    #[cfg(not(feature = "rustls"))]
    pub(super) fn new(
        target: Target,
        timeout: Duration,
        limits: Limits,
        _: Option<&[u8]>,
    ) -> Result<Self> {
        match target.uses_tls() {
            true => Err(Error::new(
                ErrorKind::Config,
                "this build has no TLS: it needs the feature `rustls`",
            )),
            false => Ok(Self { target, timeout, limits }),
        }
    }

    /// Opens a connection to the current server of the target.
    pub(super) async fn connect(&self) -> Result<Connection> {
        let (endpoint, moved) = self.endpoint().await?;
        let mut wire = self.wire(&endpoint).await?;
        if self.follows_a_master() {
            sentinel::check_master(&mut wire).await?;
        }
        Ok(Connection::share(wire, moved))
    }

    /// Returns true if a failover moves the target.
    pub(super) fn follows_a_master(&self) -> bool {
        matches!(self.target, Target::Sentinels { .. })
    }

    /// Returns the current server of the target, and a future that ends when it moves.
    pub(super) async fn endpoint(&self) -> Result<(Endpoint, Option<Moved>)> {
        match &self.target {
            Target::One(endpoint) => Ok((endpoint.clone(), None)),
            Target::Sentinels { sentinels, master, login } => {
                let (endpoint, moved) =
                    sentinel::find_master(self, sentinels, master, login).await?;
                Ok((endpoint, Some(moved)))
            }
        }
    }

    /// Opens a connection and logs in.
    pub(super) async fn wire(&self, endpoint: &Endpoint) -> Result<Wire> {
        let mut wire = Wire::new(self.stream(endpoint).await?, self.limits);
        log_in(&mut wire, &endpoint.login).await?;
        Ok(wire)
    }

    async fn stream(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Connect, "no connection to Redis").with_source(error)
        };
        match &endpoint.address {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                // Small requests must not wait for the acknowledgement of earlier ones.
                stream.set_nodelay(true).map_err(failed)?;
                match endpoint.tls {
                    true => self.wrap(host, stream).await,
                    false => Ok(Box::new(stream)),
                }
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                Ok(Box::new(tokio::net::UnixStream::connect(path).await.map_err(failed)?))
            }
            _ => Err(Error::new(
                ErrorKind::Config,
                "the native backend cannot use this kind of address",
            )),
        }
    }

    #[cfg(feature = "rustls")]
    async fn wrap(&self, host: &str, stream: TcpStream) -> Result<Box<dyn Stream>> {
        use rustls::pki_types::ServerName;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(ErrorKind::Config, "no certificate can be for this host"))?;
        let tls =
            self.tls.as_ref().ok_or_else(|| Error::new(ErrorKind::Config, "TLS was not set up"))?;
        let stream = tls
            .connect(name, stream)
            .await
            .map_err(|error| Error::new(ErrorKind::Connect, handshake(&error)))?;
        Ok(Box::new(stream))
    }

    #[cfg(not(feature = "rustls"))]
    async fn wrap(&self, _: &str, _: TcpStream) -> Result<Box<dyn Stream>> {
        Err(Error::new(ErrorKind::Config, "this build has no TLS: it needs the feature `rustls`"))
    }
}

/// Returns the reason why TLS failed. The texts of rustls name hosts, so they are not passed on.
#[cfg(feature = "rustls")]
fn handshake(error: &std::io::Error) -> &'static str {
    use rustls::CertificateError as Wrong;
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(Wrong::UnknownIssuer)) => {
            "the certificate of Redis is of an authority that is not trusted"
        }
        Some(rustls::Error::InvalidCertificate(
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. },
        )) => "the certificate of Redis is for another host",
        Some(rustls::Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. })) => {
            "the certificate of Redis has expired"
        }
        Some(rustls::Error::InvalidCertificate(_)) => "the certificate of Redis is not valid",
        _ => "no TLS with Redis",
    }
}

/// Sends user and password, selects the database, and checks that Redis accepts commands.
async fn log_in(wire: &mut Wire, login: &RedisConnectionInfo) -> Result<()> {
    let database = login.db().to_string();
    let mut sent = Vec::new();
    let mut questions = Vec::new();
    if let Some(password) = login.password() {
        let user = login.username().filter(|user| !user.is_empty());
        pack::words(["AUTH"].into_iter().chain(user).chain([password]), &mut sent);
        questions.push("AUTH");
    }
    if login.db() != 0 {
        pack::words(["SELECT", &database], &mut sent);
        questions.push("SELECT");
    }
    // Redis may be at its client limit: without this PING the refusal would be the reply to the
    // first command.
    pack::words(["PING"], &mut sent);
    questions.push("PING");
    wire.send(&sent).await.map_err(|_| refused(None))?;
    for question in questions {
        let error = match wire.receive().await.map_err(|_| refused(None))? {
            Received::Whole(Ok(Value::Error(error))) => error,
            _ => continue,
        };
        let full = error.message().contains("max number of clients");
        match (question, error.code()) {
            // Redis 5 and older have no code for a wrong password.
            ("AUTH", "ERR") if !full => {
                return Err(refused(Some(&ServerError::new("WRONGPASS"))));
            }
            // Redis replies to commands, even if it is temporarily busy, or the user lacks the
            // permission.
            ("PING", "NOPERM" | "LOADING" | "BUSY" | "MASTERDOWN") => {}
            _ => return Err(refused(Some(&error))),
        }
    }
    Ok(())
}

/// Converts a refusal. Redis's text may quote data, so it is not passed on.
pub(super) fn refused(error: Option<&ServerError>) -> Error {
    match error.map(ServerError::code) {
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => {
            Error::new(ErrorKind::Unauthorized, "Redis does not accept the password")
        }
        _ => Error::new(ErrorKind::Connect, "Redis does not accept the connection"),
    }
}
