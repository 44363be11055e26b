//! [`ErrorKind`], and [`Outcome`]: whether the command took effect.

/// Whether a failed command took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The command did not run: it was never sent, or was refused.
    NotApplied,
    /// The command ran; only the reply could not be used.
    Applied,
    /// The command may have run: the request left, and no usable answer came back.
    MaybeApplied,
}

/// The kind of failure of an [`Error`](crate::Error).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is invalid. Nothing was sent.
    Config,
    /// The command cannot be sent (an argument REST cannot carry, too large, refused by policy).
    InvalidCommand,
    /// No connection: refused, name not found, TLS handshake failed. Nothing was sent. Or the
    /// server, or the end of a connection, left the request unprocessed.
    Connect,
    /// The attempt's timeout or the call's deadline passed.
    Timeout,
    /// The connection broke after the request had started to leave.
    Io,
    /// The server limits the request rate (HTTP 429).
    RateLimited,
    /// The token is missing, wrong, or lacks the permission.
    Unauthorized,
    /// An HTTP status other than success, without a Redis error in the body (a proxy's page, for
    /// example).
    Http,
    /// The reply could not be read: another protocol, truncated, or not decodable.
    Decode,
    /// The reply is larger, deeper or longer than allowed.
    ReplyTooLarge,
    /// Redis returned an error; see [`Error::redis_code`](crate::Error::redis_code).
    Redis,
    /// The transaction was discarded as a whole.
    Discarded,
    /// The reply does not have the requested type.
    Conversion,
    /// The command ran, but its reply is an integer that the request's method cannot carry exactly.
    Inexact,
    /// The backend cannot do this.
    Unsupported,
    /// The handle was closed.
    Closed,
}

impl ErrorKind {
    /// Every kind, for tables and exhaustive tests.
    #[doc(hidden)]
    pub const ALL: &'static [ErrorKind] = &Self::EACH;

    pub(crate) const EACH: [ErrorKind; 16] = [
        ErrorKind::Config,
        ErrorKind::InvalidCommand,
        ErrorKind::Connect,
        ErrorKind::Timeout,
        ErrorKind::Io,
        ErrorKind::RateLimited,
        ErrorKind::Unauthorized,
        ErrorKind::Http,
        ErrorKind::Decode,
        ErrorKind::ReplyTooLarge,
        ErrorKind::Redis,
        ErrorKind::Discarded,
        ErrorKind::Conversion,
        ErrorKind::Inexact,
        ErrorKind::Unsupported,
        ErrorKind::Closed,
    ];

    /// Returns the default outcome of this kind.
    pub(super) const fn default_outcome(self) -> Outcome {
        match self {
            Self::Config
            | Self::InvalidCommand
            | Self::Connect
            | Self::RateLimited
            | Self::Unauthorized
            | Self::Redis
            | Self::Discarded
            | Self::Unsupported
            | Self::Closed => Outcome::NotApplied,
            Self::Conversion | Self::Inexact => Outcome::Applied,
            Self::Timeout | Self::Io | Self::Http | Self::Decode | Self::ReplyTooLarge => {
                Outcome::MaybeApplied
            }
        }
    }
}
