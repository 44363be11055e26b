//! A machine: its processes, one after another, each with a manager.

use super::clock::Clock;
use super::disk::Disk;
use super::log::Shared;
use super::plan;
use redis_rest::BreakerPolicy;
use redis_rest::session::{
    ChangeIds, Environment, ManagerOptions, Recovery, SessionManager, SessionStore,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A machine.
pub struct Node {
    pub plan: plan::Node,
    pub clock: Clock,
    pub disk: Option<Disk>,
    pub store: Arc<dyn SessionStore>,
    /// Number of its current process.
    pub life: u32,
    pub manager: SessionManager,
    /// Calls in flight, with their numbers.
    pub calls: Vec<(usize, JoinHandle<()>)>,
    /// Tasks that set the store, and maintenance.
    pub tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Sets the store after a while, repeatedly until it succeeds, and starts the maintenance.
    pub fn attach(&mut self) {
        let manager = self.manager.clone();
        let store = Arc::clone(&self.store);
        let plan = self.plan;
        self.tasks.push(tokio::spawn(async move {
            sleep(Duration::from_millis(plan.attached_after)).await;
            while manager.session_store().is_none() {
                // An unavailable store is used once it works.
                let _ = manager.set_session_store(Arc::clone(&store), plan.asks).await;
                sleep(Duration::from_millis(500)).await;
            }
        }));
        if self.plan.maintained {
            let maintenance =
                self.manager.maintenance(Duration::from_secs(20), Duration::from_secs(3600));
            self.tasks.push(tokio::spawn(maintenance));
        }
    }
}

/// Starts a process.
pub fn start(
    plan: &plan::Node,
    clock: &Clock,
    disk: Option<&Disk>,
    place: usize,
    life: u32,
    log: &Shared,
) -> SessionManager {
    let policy = BreakerPolicy::default()
        .min_calls(1)
        .failure_ratio(0.0)
        .open_for(Duration::from_millis(100), Duration::from_secs(1));
    let options = ManagerOptions::default()
        .max_staleness(Duration::from_millis(plan.staleness))
        .touch_interval(Duration::from_millis(plan.touch_interval))
        .recovery(Recovery::Automatic(policy));
    let environment = |journal| Environment {
        ids: ChangeIds::named(&format!("n{place}l{life:05}")).unwrap(),
        clock: Box::new(clock.clone()),
        journal,
        journal_slack: if place == 0 { 0 } else { 1000 },
    };
    let journal = disk.map(|disk| {
        let (file, content) = disk.open();
        (file, Box::new(content) as Box<dyn std::io::BufRead>)
    });
    let manager = SessionManager::with_environment("", 0, options.clone(), environment(journal));
    manager.unwrap_or_else(|error| {
        log.lock().complain(format!("the journal cannot be opened: {error}"));
        SessionManager::with_environment("", 0, options, environment(None)).unwrap()
    })
}

/// Returns the number of changes that a manager has not sent.
pub fn pending(manager: &SessionManager) -> usize {
    let pending = manager.pending();
    pending.new + pending.changed + pending.touched + pending.deleted + pending.revoked
}
