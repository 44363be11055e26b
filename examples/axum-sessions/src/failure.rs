//! Errors as HTTP statuses.

use crate::pages;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Response};
use redis_rest::Error;
use redis_rest::session::SessionError;
use std::time::Duration;

/// A failure, temporary or not. It does not count as a log-out: the cookie stays.
#[derive(Debug)]
pub enum Failure {
    Redis(Error),
    Session(SessionError),
    Cookie(tower_sessions::session::Error),
    /// Too many attempts, with the time until the next.
    Slower(Duration),
}

impl Failure {
    /// Returns 503 for a temporary failure. A permanent refusal is a bug in this program.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Slower(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Redis(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Session(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Session(SessionError::NotFound) => StatusCode::NOT_FOUND,
            Self::Session(SessionError::Conflict(_)) => StatusCode::CONFLICT,
            Self::Session(SessionError::InvalidId) => StatusCode::BAD_REQUEST,
            Self::Cookie(tower_sessions::session::Error::Store(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Redis(_) | Self::Session(_) | Self::Cookie(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Slower(wait) => Some(*wait),
            Self::Redis(error) => error.retry_after(),
            Self::Session(_) | Self::Cookie(_) => None,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response<Body> {
        let (status, wait) = (self.status(), self.retry_after());
        let page = match &self {
            Self::Slower(_) => pages::log_in(Some("Too many attempts. Try again in a minute.")),
            other => {
                eprintln!("{other:?}");
                pages::unavailable()
            }
        };
        let mut response = (status, Html(page)).into_response();
        if let Some(wait) = wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Redis(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<tower_sessions::session::Error> for Failure {
    fn from(error: tower_sessions::session::Error) -> Self {
        Self::Cookie(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_rest::{ErrorKind, Outcome, ServerError};

    #[test]
    fn errors_have_statuses() {
        let custom = |kind| Error::custom(kind, Outcome::NotApplied, "a reason");
        let redis = |text: &str| Error::redis(ServerError::new(text));
        for (error, status) in [
            (custom(ErrorKind::Connect), 503),
            (custom(ErrorKind::Timeout), 503),
            (custom(ErrorKind::RateLimited), 503),
            (redis("LOADING Redis is loading the dataset in memory"), 503),
            (redis("READONLY You can't write against a read only replica."), 503),
            (redis("WRONGTYPE Operation against a key"), 500),
            (custom(ErrorKind::Unauthorized), 500),
            (custom(ErrorKind::Conversion), 500),
        ] {
            assert_eq!(Failure::from(error.clone()).status(), status, "{error}");
            let session = Failure::from(SessionError::from(error.clone()));
            assert_eq!(session.status(), status, "{error}");
        }
        assert_eq!(Failure::from(SessionError::NotFound).status(), 404);
        let slower = Failure::Slower(Duration::from_millis(1500)).into_response();
        assert_eq!(
            (slower.status().as_u16(), &slower.headers()[RETRY_AFTER]),
            (429, &"2".parse().unwrap())
        );
    }
}
