//! Making connections: where to, the stream, TLS, and the login.

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

/// What a connection is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Stream for S {}

/// One server, and how to log in there.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) address: ConnectionAddr,
    pub(super) tls: bool,
    pub(super) login: RedisConnectionInfo,
}

/// Whom to connect to.
pub(super) enum Target {
    One(Endpoint),
    Sentinels { sentinels: Vec<Endpoint>, master: String, login: RedisConnectionInfo },
}

/// Makes connections.
pub(super) struct Connector {
    pub(super) target: Target,
    pub(super) timeout: Duration,
    pub(super) limits: Limits,
    #[cfg(feature = "rustls")]
    tls: Option<tokio_rustls::TlsConnector>,
}

impl Endpoint {
    /// Errors quote nothing of the address, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Config, "the address is none such as redis://127.0.0.1:6379/0")
        };
        // TLS is this module's business: the crate sees the same address without it.
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

    /// A connection to where the target is now.
    pub(super) async fn connect(&self) -> Result<Connection> {
        let (endpoint, moved) = self.endpoint().await?;
        let mut wire = self.wire(&endpoint).await?;
        if self.follows_a_master() {
            sentinel::check_master(&mut wire).await?;
        }
        Ok(Connection::share(wire, moved))
    }

    /// True where a failover moves the target.
    pub(super) fn follows_a_master(&self) -> bool {
        matches!(self.target, Target::Sentinels { .. })
    }

    /// Where the target is now, and what ends when it moves.
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

    /// A connection on which the login is done.
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
                // Small requests must not wait for the acknowledgement of the ones before.
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

/// Why there is no TLS. The texts of rustls name hosts, so they are not passed on.
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

/// Sends user and password, picks the database, and sees that Redis takes commands.
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
    // Redis may have no room for another client: without a question that would be the reply to the first command.
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
            // Commands are answered, if only by what stands in their way for now, or a user may not
            // do this.
            ("PING", "NOPERM" | "LOADING" | "BUSY" | "MASTERDOWN") => {}
            _ => return Err(refused(Some(&error))),
        }
    }
    Ok(())
}

/// Redis's text may quote data, so it is not passed on.
pub(super) fn refused(error: Option<&ServerError>) -> Error {
    match error.map(ServerError::code) {
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => {
            Error::new(ErrorKind::Unauthorized, "Redis does not accept the password")
        }
        _ => Error::new(ErrorKind::Connect, "Redis does not accept the connection"),
    }
}
