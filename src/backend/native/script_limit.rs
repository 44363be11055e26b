//! Ends long scripts by `SCRIPT KILL` on a separate connection, and retries calls that Redis
//! refuses meanwhile.
//!
//! Redis runs one script at a time and nothing in parallel. It accepts `SCRIPT KILL` only after the
//! script has run for its `busy-reply-threshold` (default 5 s); from then on it refuses the
//! commands of other connections with `BUSY`, while those behind the script on its own connection
//! wait.

use super::NativeBackend;
use super::connection::Wire;
use super::pack::Request;
use super::resp::Received;
use super::sentinel::ask_once;
use crate::clock;
use crate::command::Command;
use crate::error::{Error, Outcome, ServerError};
use crate::platform;
use crate::value::Value;
use std::future::pending;
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};

/// Pause between two attempts to end a script.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for a reply to `SCRIPT KILL`, and for the end of a script whose caller is gone.
const PATIENCE: Duration = Duration::from_secs(60);

const SCRIPTS: [&str; 6] = ["EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO"];

/// The limit of one backend, and the connection that enforces it.
pub(super) struct ScriptLimit {
    limit: Duration,
    /// Opened on first use. Locked for one attempt at a time.
    control: Mutex<Option<Wire>>,
}

/// The reply of Redis to `SCRIPT KILL`.
enum Verdict {
    Ended,
    /// The script has written, so that Redis does not end it.
    Unkillable,
    NotRunning,
    /// A function runs, which has a separate command.
    Function,
    Unreachable,
}

/// A call whose scripts are watched. If it is dropped without [`finish`](Watch::finish), its
/// watcher ends the script.
pub(super) struct Watch(Option<Ends>);

struct Ends {
    answered: oneshot::Sender<()>,
    unkillable: oneshot::Receiver<()>,
}

impl ScriptLimit {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, control: Mutex::new(None) }
    }
}

impl NativeBackend {
    /// Watches the scripts in `request`, if there are any and they have a limit.
    pub(super) fn watch_script(&self, request: &Request) -> Watch {
        let Some(limit) = self.0.script_limit.as_ref().filter(|_| request.has_script) else {
            return Watch(None);
        };
        let (answered, call) = oneshot::channel();
        let (report, unkillable) = oneshot::channel();
        tokio::spawn(self.clone().end_script(limit.limit, call, report));
        Watch(Some(Ends { answered, unkillable }))
    }

    /// Waits for `limit`, then retries until the script has ended. A cancelled caller leaves its
    /// script behind.
    async fn end_script(
        self,
        limit: Duration,
        mut call: oneshot::Receiver<()>,
        report: oneshot::Sender<()>,
    ) {
        let give_up = clock::after(limit.saturating_add(PATIENCE));
        let mut next = clock::after(limit);
        let mut abandoned = false;
        loop {
            let left = next.saturating_duration_since(clock::now());
            if abandoned {
                platform::sleep(left).await;
            } else if let Some(end) = platform::timeout(left, &mut call).await {
                match end {
                    Ok(()) => return,
                    Err(_) => abandoned = true,
                }
                continue;
            }
            match self.kill_script().await {
                Verdict::Ended => {
                    tracing::warn!(?limit, "a script was ended: it ran too long");
                    return;
                }
                Verdict::Unkillable => {
                    tracing::warn!(
                        ?limit,
                        "a script runs too long; it has written, so that Redis does not end it"
                    );
                    // An error means that its caller is gone.
                    let _ = report.send(());
                    return;
                }
                Verdict::NotRunning if abandoned => return,
                Verdict::Unreachable if abandoned && clock::now() >= give_up => return,
                Verdict::NotRunning | Verdict::Function | Verdict::Unreachable => {
                    next = clock::after(PAUSE);
                }
            }
        }
    }

    async fn kill_script(&self) -> Verdict {
        let Some(limit) = &self.0.script_limit else { return Verdict::NotRunning };
        let mut control = limit.control.lock().await;
        let killing = async {
            let mut wire = match control.take() {
                Some(wire) => wire,
                None => {
                    let (mut endpoint, _) = self.0.connector.endpoint().await.ok()?;
                    // Redis refuses `SELECT` while it runs a script.
                    endpoint.login = endpoint.login.set_db(0);
                    self.0.connector.wire(&endpoint).await.ok()?
                }
            };
            let verdict = match kill(&mut wire, "SCRIPT").await? {
                Verdict::Function => kill(&mut wire, "FUNCTION").await?,
                verdict => verdict,
            };
            Some((wire, verdict))
        };
        match platform::timeout(PATIENCE, killing).await.flatten() {
            Some((wire, verdict)) => {
                *control = Some(wire);
                verdict
            }
            None => Verdict::Unreachable,
        }
    }
}

/// Sends `SCRIPT KILL` or `FUNCTION KILL`. Returns `None` if the connection broke.
async fn kill(wire: &mut Wire, what: &str) -> Option<Verdict> {
    Some(match ask_once(wire, &[what, "KILL"]).await? {
        Value::Okay => Verdict::Ended,
        Value::Error(error) => match error.code() {
            "UNKILLABLE" => Verdict::Unkillable,
            "BUSY" => Verdict::Function,
            // NOTBUSY, and permanent refusals of the command.
            _ => Verdict::NotRunning,
        },
        _ => Verdict::NotRunning,
    })
}

/// Returns true for a command that runs a script or a function.
pub(super) fn is_script(command: &Command) -> bool {
    SCRIPTS.iter().any(|name| command.is(name))
}

impl Watch {
    /// The call has its replies: none of its scripts runs any more.
    pub(super) fn finish(self) {
        if let Some(ends) = self.0 {
            // An error means that the watcher has ended the script.
            let _ = ends.answered.send(());
        }
    }

    /// Ends when Redis reports that it cannot end the script.
    pub(super) async fn unkillable(&mut self) -> Error {
        let told = match &mut self.0 {
            Some(ends) => (&mut ends.unkillable).await.is_ok(),
            None => false,
        };
        match told {
            true => Error::redis(ServerError::new(
                "UNKILLABLE the script runs too long and cannot be ended, since it has written",
            ))
            .with_outcome(Outcome::MaybeApplied),
            false => pending().await,
        }
    }
}

/// Returns the first of the replies from which on Redis refused all commands because it runs a
/// script: those may be retried, since none of them ran.
pub(super) fn refused_as_busy(replies: &[Received]) -> Option<usize> {
    let error = |reply: &Received| match reply {
        Received::Whole(Ok(Value::Error(error))) if error.is_busy_script() => Some(error.clone()),
        Received::Whole(_) | Received::Each(_) => None,
    };
    let refused = replies.iter().rev().take_while(|reply| error(reply).is_some()).count();
    match replies.last().and_then(error)?.code() {
        // A discarded transaction: the replies before were those of queueing.
        "EXECABORT" => Some(0),
        _ => Some(replies.len() - refused),
    }
}
