//! Names in request paths: those that a proxy may change, and whether the server at this address
//! receives paths unchanged. JSON bodies need none of this.

use super::response::is_final;
use super::{Outgoing, ReplyShape, Rest, only};
use crate::backend::Reply;
use crate::clock::{self, Instant};
use crate::command::{CallOptions, Idempotency};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::platform;
use crate::value::Value;
use percent_encoding::utf8_percent_encode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// A text whose segments every decoding or normalising proxy changes. Its `..` climb no higher than
/// its own first segment, so that at worst an `ECHO` of another text or a `PING` arrives, at this
/// address.
const PROBE: &str = "x?#%\\; //y/../../ping";

/// Time for which paths are known not to arrive; afterwards a client notices a repaired proxy. The
/// knowledge that paths do arrive does not expire.
const REMEMBERED: Duration = Duration::from_secs(30);

/// A name that a path can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// No proxy changes it.
    Plain,
    /// A proxy that decodes or normalises paths changes it to another name.
    Changeable,
}

impl Name {
    /// # Errors
    /// [`ErrorKind::InvalidCommand`]: no path can hold it, or a proxy would leave the path by it.
    pub(super) fn of(name: &[u8]) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidCommand,
                "an empty name cannot travel in a URL path",
            ));
        }
        // nginx on Windows and IIS treat a backslash as a slash.
        let mut segments = name.split(|byte| matches!(byte, b'/' | b'\\'));
        if segments.any(|segment| matches!(segment, b"." | b"..")) {
            return Err(Error::new(
                ErrorKind::InvalidCommand,
                "a name with a segment `.` or `..` cannot travel in a URL path: proxies resolve it",
            ));
        }
        // Decoded, these delimit parts of a path or end its line.
        let changes = |byte: &u8| {
            matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'%' | b';' | b' ')
                || byte.is_ascii_control()
        };
        Ok(if name.iter().any(changes) { Self::Changeable } else { Self::Plain })
    }
}

/// Knowledge about whether paths arrive unchanged.
pub(super) struct Paths {
    arrive: AtomicBool,
    /// Number of finished probes.
    ended: AtomicU64,
    /// Result of the last probe, unless paths arrive. Locked during a probe, so that concurrent
    /// calls share it.
    last: Mutex<Option<Last>>,
}

enum Last {
    /// Paths do not arrive, as found at this time.
    Changed(Error, Instant),
    Failed(Error),
}

impl Paths {
    /// Without a probe if `arrive` is true.
    pub(super) fn new(arrive: bool) -> Self {
        Self { arrive: AtomicBool::new(arrive), ended: AtomicU64::new(0), last: Mutex::new(None) }
    }

    fn arrive(&self) -> bool {
        self.arrive.load(Ordering::Acquire)
    }
}

impl Rest {
    /// Returns the rest of `options` once paths are known to arrive unchanged.
    ///
    /// # Errors
    /// Fails if paths do not arrive, or if the probe failed. Nothing else was sent.
    pub(super) async fn prove_paths(&self, options: &CallOptions) -> Result<CallOptions> {
        let deadline = self.deadline(options);
        let mut attempts = self.attempts(deadline, options);
        loop {
            let Some(attempt) = attempts.begin(options.timeout.unwrap_or(self.timeout)) else {
                return Err(attempts.finish(attempts.expired(), Idempotency::ReadOnly));
            };
            let error = match self.paths_arrive(attempt).await {
                Ok(()) => {
                    let left = deadline.saturating_duration_since(clock::now());
                    return Ok(CallOptions { deadline: Some(left), ..options.clone() });
                }
                Err(error) => error,
            };
            if error.kind() == ErrorKind::Unsupported {
                return Err(error);
            }
            attempts.note(&error);
            let again = attempts.allows(&error, Idempotency::ReadOnly);
            match again.then(|| attempts.wait(&error)).flatten() {
                Some(wait) => platform::sleep(wait).await,
                None => return Err(attempts.finish(error, Idempotency::ReadOnly)),
            }
        }
    }

    /// Makes the same check by one attempt.
    ///
    /// # Errors
    /// Fails like [`prove_paths`](Self::prove_paths).
    pub(super) async fn paths_arrive_now(&self) -> Result<()> {
        let proved = self.paths_arrive((1, self.timeout)).await;
        proved.map_err(|error| error.with_outcome(Outcome::NotApplied))
    }

    /// Makes an attempt of the probe, or waits for that of another call. The error's outcome is
    /// that of the probe.
    async fn paths_arrive(&self, (number, limit): (u32, Duration)) -> Result<()> {
        let paths = &self.paths;
        if paths.arrive() {
            return Ok(());
        }
        let (until, begun) = (clock::after(limit), paths.ended.load(Ordering::Acquire));
        let mut last = self.timers.timeout(limit, paths.last.lock()).await?.ok_or_else(late)?;
        match &*last {
            _ if paths.arrive() => return Ok(()),
            Some(Last::Changed(error, at)) if at.elapsed() < REMEMBERED => {
                return Err(error.clone());
            }
            // The failed attempt ended while this call waited.
            Some(Last::Failed(error)) if paths.ended.load(Ordering::Acquire) != begun => {
                return Err(error.clone());
            }
            Some(_) | None => {}
        }
        let left = until.saturating_duration_since(clock::now());
        let answer = self.attempt(&self.probe(), (number, left), ReplyShape::One).await;
        let (ended, result) = match verdict(only(answer.replies)) {
            Verdict::Arrive => {
                paths.arrive.store(true, Ordering::Release);
                (None, Ok(()))
            }
            Verdict::Change(status) => {
                let error = changed(status);
                (Some(Last::Changed(error.clone(), clock::now())), Err(error))
            }
            Verdict::Unknown(error) => (Some(Last::Failed(error.clone())), Err(error)),
        };
        *last = ended;
        paths.ended.fetch_add(1, Ordering::Release);
        result
    }

    fn probe(&self) -> Outgoing {
        let mut url = self.endpoints.command.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/echo/{}", utf8_percent_encode(PROBE, super::KEPT)));
        Outgoing::new(url, "", false)
    }
}

enum Verdict {
    Arrive,
    /// The status of an error response.
    Change(Option<u16>),
    Unknown(Error),
}

/// Interprets the reply to the probe. Temporary failures, and those that every other call meets
/// too, leave the question open: no reply, a temporary refusal, a wrong token. Any other reply is
/// that of a server without a path form, or behind a proxy that changes paths.
fn verdict(reply: Reply) -> Verdict {
    let error = match reply {
        Ok(Value::Bytes(text)) if text == PROBE.as_bytes() => return Verdict::Arrive,
        Ok(_) => return Verdict::Change(None),
        Err(error) => error,
    };
    if is_final(&error) { Verdict::Change(error.status()) } else { Verdict::Unknown(error) }
}

fn changed(status: Option<u16>) -> Error {
    let error = Error::new(
        ErrorKind::Unsupported,
        "paths do not arrive at the server as they are sent, so that this name would become \
         another: in nginx use proxy_pass without a URI (http://host:port, no slash behind it); \
         Config::paths_arrive_as_sent sends without asking",
    );
    match status {
        Some(status) => error.with_detail(format!("the answer to ECHO by its path was {status}")),
        None => error,
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "no reply within the attempt's timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_the_probe_climb_no_higher_than_its_own_first() {
        for separators in [&['/'][..], &['/', '\\']] {
            for keeps_empty in [false, true] {
                let mut depth = 0;
                for segment in PROBE.split(separators) {
                    match segment {
                        ".." => depth -= 1,
                        "" if !keeps_empty => {}
                        _ => depth += 1,
                    }
                    assert!(depth >= 0, "{separators:?}");
                }
            }
        }
        assert!(PROBE.ends_with("/ping"));
        // No call of a user can send it.
        assert!(Name::of(PROBE.as_bytes()).is_err());
    }
}
