//! A simulated disk with a journal file: torn writes, lost unsynced data, full, failing renames.

use redis_rest::BoxFuture;
use redis_rest::session::JournalFile;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// The disk of one node.
#[derive(Clone)]
pub struct Disk(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Writes are executed one after another, as on a thread.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    random: fastrand::Rng,
    /// The content after a loss of power.
    synced: Vec<u8>,
    /// The content that a process reads.
    cached: Vec<u8>,
    /// The process that may write.
    life: u32,
    full: bool,
    unrenamable: bool,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: fastrand::Rng::with_seed(seed),
            synced: Vec::new(),
            cached: Vec::new(),
            life: 0,
            full: false,
            unrenamable: false,
        };
        Self(Arc::new(Inner { state: Mutex::new(state), turn: tokio::sync::Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub fn set_faults(&self, full: bool, unrenamable: bool) {
        let state = &mut *self.state();
        (state.full, state.unrenamable) = (full, unrenamable);
    }

    /// Ends the process that had the file, by a kill or by a loss of power. A write in progress
    /// stays incomplete, and unsynced data may be lost with the power.
    pub fn crash(&self, power: bool) {
        let state = &mut *self.state();
        state.life += 1;
        if power {
            let common = state.cached.starts_with(&state.synced);
            let unsynced = state.cached.len().saturating_sub(state.synced.len());
            if common {
                let kept = state.synced.len() + state.random.usize(0..=unsynced);
                state.cached.truncate(kept);
            } else if state.random.bool() {
                // The new name was not on the disk yet.
                state.cached = state.synced.clone();
            }
        }
        state.synced = state.cached.clone();
    }

    /// Opens the file for the next process, and returns its content.
    pub fn open(&self) -> (Box<dyn JournalFile>, io::Cursor<Vec<u8>>) {
        let state = self.state();
        let file = File { disk: self.clone(), life: state.life };
        (Box::new(file), io::Cursor::new(state.cached.clone()))
    }

    /// Waits for the duration of a write step, and checks that the process still lives.
    async fn step(&self, life: u32) -> io::Result<()> {
        let pause = match self.state().random.u32(0..10) {
            0..=4 => 0,
            5..=8 => 1,
            _ => 20,
        };
        match pause {
            0 => tokio::task::yield_now().await,
            millis => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        if self.state().life == life { Ok(()) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    async fn append(&self, life: u32, bytes: Vec<u8>) -> io::Result<()> {
        self.step(life).await?;
        let rest = {
            let state = &mut *self.state();
            let first = state.random.usize(0..=bytes.len());
            state.cached.extend(&bytes[..first]);
            if state.full {
                return Err(ErrorKind::StorageFull.into());
            }
            bytes[first..].to_vec()
        };
        self.step(life).await?;
        self.state().cached.extend(rest);
        self.step(life).await?;
        let state = &mut *self.state();
        state.synced = state.cached.clone();
        Ok(())
    }

    async fn rewrite(&self, life: u32, bytes: Vec<u8>) -> io::Result<()> {
        self.step(life).await?;
        {
            let state = &mut *self.state();
            if state.full {
                return Err(ErrorKind::StorageFull.into());
            }
            if state.unrenamable {
                return Err(ErrorKind::PermissionDenied.into());
            }
            state.cached = bytes;
        }
        self.step(life).await?;
        let state = &mut *self.state();
        state.synced = state.cached.clone();
        Ok(())
    }

    fn run(
        &self,
        act: impl Future<Output = io::Result<()>> + Send + 'static,
    ) -> BoxFuture<'_, io::Result<()>> {
        let (disk, (done, result)) = (self.clone(), oneshot::channel());
        // Continues if the caller is cancelled.
        tokio::spawn(async move {
            let _turn = disk.0.turn.lock().await;
            // The caller may have been cancelled.
            let _ = done.send(act.await);
        });
        Box::pin(async move { result.await.unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into())) })
    }
}

/// The file as one process has it.
struct File {
    disk: Disk,
    life: u32,
}

impl JournalFile for File {
    fn append(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        let (disk, life) = (self.disk.clone(), self.life);
        self.disk.run(async move { disk.append(life, bytes).await })
    }

    fn rewrite(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        let (disk, life) = (self.disk.clone(), self.life);
        self.disk.run(async move { disk.rewrite(life, bytes).await })
    }
}
