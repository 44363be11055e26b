//! Scripts: a thread of their own, with a Lua state that lives from script to script.

mod bit;
mod calls;
mod decode;
mod encode;
mod msgpack;
mod pattern;
mod script;
mod state;
mod strings;

use super::db::Db;
use super::{Limits, Reply, error, table};
use redis_rest::{Command, Error, ErrorKind, Outcome, Result};
use script::Scripts;
use std::sync::{Mutex, PoisonError, mpsc};
use tokio::sync::{OwnedMutexGuard, oneshot};

/// Commands to run with nothing between, and the lock that makes it so. The lock ends with the job, also when nobody
/// waits for the answer any more: what has begun is finished.
struct Job {
    db: OwnedMutexGuard<Db>,
    commands: Vec<Command>,
    reply: oneshot::Sender<Vec<Reply>>,
}

/// The handle of the script thread. It starts with the first script and ends when the handle is dropped, after the
/// script that is then running.
pub(super) struct Worker {
    limits: Limits,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Worker {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, jobs: Mutex::new(None) }
    }

    /// Runs commands on the script thread under one lock.
    pub(super) async fn run(
        &self,
        db: OwnedMutexGuard<Db>,
        commands: Vec<Command>,
    ) -> Result<Vec<Reply>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job { db, commands, reply })?;
        answer.await.map_err(|_| {
            Error::custom(ErrorKind::Closed, Outcome::MaybeApplied, "the script thread ended")
        })
    }

    fn send(&self, job: Job) -> Result<()> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match &*jobs {
            Some(running) => match running.send(job) {
                Ok(()) => return Ok(()),
                Err(mpsc::SendError(job)) => job,
            },
            None => job,
        };
        let started = start(self.limits)?;
        let sent = started.send(job);
        *jobs = Some(started);
        sent.map_err(|_| {
            Error::custom(ErrorKind::Closed, Outcome::NotApplied, "the script thread ended")
        })
    }
}

fn start(limits: Limits) -> Result<mpsc::Sender<Job>> {
    let (jobs, incoming) = mpsc::channel::<Job>();
    // Nested JSON of a thousand levels is read by recursion, and frames of debug builds are large.
    let thread =
        std::thread::Builder::new().name("redis-rest-lua".to_owned()).stack_size(16 * 1024 * 1024);
    thread
        .spawn(move || {
            let mut scripts = Scripts::new(limits);
            for job in incoming {
                let _ = job.reply.send(run_all(&mut scripts, job.db, &job.commands));
            }
        })
        .map_err(|_| {
            Error::custom(
                ErrorKind::Unsupported,
                Outcome::NotApplied,
                "no thread could be started for scripts",
            )
        })?;
    Ok(jobs)
}

fn run_all(scripts: &mut Scripts, db: OwnedMutexGuard<Db>, commands: &[Command]) -> Vec<Reply> {
    let mut db = Some(db);
    commands.iter().map(|command| run_one(scripts, &mut db, command)).collect()
}

fn run_one(
    scripts: &mut Scripts,
    held: &mut Option<OwnedMutexGuard<Db>>,
    command: &Command,
) -> Reply {
    let argv: Vec<&[u8]> = command.parts().collect();
    let spec = table::resolve(&argv).map_err(error)?;
    let Some(db) = held.as_deref_mut() else {
        return Err(Error::custom(
            ErrorKind::Closed,
            Outcome::NotApplied,
            "an earlier script of this transaction lost the data",
        ));
    };
    match spec.run {
        table::Run::Here(run) => run(db, &argv).map_err(error),
        _ => scripts.run(held, spec.name, &argv).map_err(error),
    }
}
