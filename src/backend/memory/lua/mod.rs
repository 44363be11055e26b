//! Scripts.

use super::db::Db;
use super::{Limits, Reply};
use crate::command::Command;
use crate::error::Result;
use tokio::sync::OwnedMutexGuard;

pub(super) struct Worker {
    limits: Limits,
}
impl Worker {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits }
    }
    pub(super) async fn run(&self, _db: OwnedMutexGuard<Db>, _commands: Vec<Command>) -> Result<Vec<Reply>> {
        let _ = self.limits.time;
        Ok(vec![])
    }
}
