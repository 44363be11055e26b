//! A history: machines with managers, the store, users that make calls, and faults.

use super::calls::{Place, Users, call};
use super::clock::Clock;
use super::disk::Disk;
use super::log::{Actor, Answer, Entry, Log, Shared, What};
use super::network::{LATEST, Network};
use super::node::{Node, pending, start};
use super::plan::{Act, Call, Ending, IDS, Plan, USERS};
use super::stores::Data;
use redis_rest::session::SessionStore;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Returns the names of sessions and users.
pub fn session_id(id: usize) -> String {
    format!("s{id}")
}

pub fn user_id(user: usize) -> String {
    format!("u{user}")
}

/// Machines that are to end, and whether they lose power.
type Endings = (mpsc::UnboundedSender<(usize, bool)>, mpsc::UnboundedReceiver<(usize, bool)>);

struct World {
    plan: Plan,
    log: Shared,
    network: Network,
    data: Data,
    clock: Clock,
    nodes: Vec<Node>,
    direct: Arc<dyn SessionStore>,
    users: Users,
    others: Vec<JoinHandle<()>>,
    endings: Endings,
}

/// Runs a history. Returns its log.
pub fn run(plan: &Plan) -> Log {
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let log = Shared::default();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut world = World::new(plan.clone(), log.clone());
            world.play().await;
            world.heal().await;
            world.look_at_the_end().await;
        });
    }));
    drop(runtime);
    let mut log = std::mem::take(&mut *log.lock());
    if result.is_err() {
        log.complain("panic".to_owned());
    }
    super::oracle::check(plan, &mut log);
    log
}

impl World {
    fn new(plan: Plan, log: Shared) -> Self {
        let began = Instant::now();
        let clock = Clock::new(began, 0);
        let network = Network::new(plan.seed ^ 1, plan.nodes.len() + 1, plan.faults);
        let ttl = Duration::from_millis(plan.ttl);
        let data = Data::new(plan.redis, clock.clone(), ttl);
        let store = |link| data.store(&network, link, ttl, plan.cluster);
        let nodes = plan.nodes.iter().enumerate().map(|(place, node)| {
            let clock = Clock::new(began, node.clock_error);
            let disk = node.journal.then(|| Disk::new(plan.seed ^ (2 + place as u64)));
            let manager = start(node, &clock, disk.as_ref(), place, 0, &log);
            let (calls, tasks) = Default::default();
            Node { plan: *node, clock, disk, store: store(place), life: 0, manager, calls, tasks }
        });
        let nodes = nodes.collect();
        let (direct, users) = (store(plan.nodes.len()), Users::new(&plan));
        let (others, endings) = (Vec::new(), mpsc::unbounded_channel());
        let mut world =
            Self { plan, log, network, data, clock, nodes, direct, users, others, endings };
        for place in 0..world.nodes.len() {
            world.nodes[place].attach();
        }
        world
    }

    fn now(&self) -> i64 {
        self.clock.elapsed()
    }

    fn say(&self, what: &str) {
        self.log.lock().say(self.now(), what);
    }

    async fn play(&mut self) {
        for step in self.plan.steps.clone() {
            self.pause(Duration::from_millis(step.gap)).await;
            self.act(step.act).await;
        }
        self.pause(Duration::from_millis(50)).await;
    }

    /// Waits, and ends machines meanwhile whose calls have reached that point.
    async fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        if time.is_zero() {
            tokio::task::yield_now().await;
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match timeout(left, self.endings.1.recv()).await {
                Ok(Some((node, power))) => self.crash(node, power).await,
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn act(&mut self, act: Act) {
        if !matches!(act, Act::Call { .. } | Act::Wait | Act::Crash { .. }) {
            self.say(&format!("{act:?}"));
        }
        match act {
            Act::Call { node, call, ends } => self.call(node, call, ends),
            Act::Crash { node, power } => self.crash(node, power).await,
            Act::Cut { node, is_cut } => self.network.cut(node, is_cut),
            Act::Deafen { node, is_deaf } => self.network.deafen(node, is_deaf),
            Act::Disk { node, full, unrenamable } => {
                self.nodes[node].disk.iter().for_each(|disk| disk.set_faults(full, unrenamable));
            }
            Act::Jump { node, millis } => self.nodes[node].clock.jump(millis),
            Act::Overwrite { id, keeps_end } => {
                let (id, token) = (session_id(id), self.users.token());
                let ttl = Duration::from_millis(self.plan.ttl);
                if self.data.overwrite(&id, &token, keeps_end, ttl) {
                    self.foreign(What::Overwrite { keeps_end }, id, String::new(), token);
                }
            }
            Act::Remove { id } => {
                let id = session_id(id);
                if self.data.remove(format!("session:{id}")) {
                    self.foreign(What::Remove, id, String::new(), String::new());
                }
            }
            Act::LoseIndex { user } => {
                let user_id = user_id(user);
                if self.data.remove(format!("user_sessions:{user_id}")) {
                    self.foreign(What::LoseIndex, String::new(), user_id, String::new());
                }
            }
            Act::Wait => {}
        }
    }

    /// Records a change of another service at this moment.
    fn foreign(&self, what: What, id: String, user_id: String, token: String) {
        let entry = entry(Actor::Foreign, what, id, user_id, token);
        let log = &mut *self.log.lock();
        let number = log.begin(self.now(), entry);
        log.end(self.now(), number, true, Answer::Durable);
    }

    fn call(&mut self, node: usize, what: Call, ends: Option<(u32, Ending)>) {
        let (place, actor) = match self.nodes.get(node) {
            Some(node) => (Place::Manager(node.manager.clone(), node.clock.clone()), node.life),
            None => (Place::Store(Arc::clone(&self.direct)), 0),
        };
        let actor = if node < self.nodes.len() { Actor::Node(node, actor) } else { Actor::Direct };
        let Some(prepared) = self.users.prepare(what, actor) else { return };
        let mut entry = entry(
            actor,
            What::Call(what),
            prepared.id.clone(),
            prepared.user_id.clone(),
            prepared.token.clone(),
        );
        entry.root = prepared.root;
        entry.attached = place.is_attached();
        let number = self.log.lock().begin(self.now(), entry);
        let log = self.log.clone();
        let clock = self.clock.clone();
        let users = self.users.clone();
        let data = self.data.clone();
        let ending = self.endings.0.clone();
        let task = async move {
            let attached = place.clone();
            let (polls, how) = ends.unwrap_or((u32::MAX, Ending::Cancelled));
            let mut run = Polled { call: Box::pin(call(place, prepared, users, number)), polls };
            let answer = match (&mut run).await {
                Some(answer) => answer,
                None if how == Ending::Cancelled || actor == Actor::Direct => Answer::Cut,
                None => {
                    // The call is dropped with the process.
                    let _ = ending.send((node, how == Ending::PowerLost));
                    std::future::pending().await
                }
            };
            drop(run);
            let acknowledged = matches!(&answer, Answer::Durable)
                || matches!(&answer, Answer::Ended(how, _) if **how == Answer::Durable);
            let log = &mut *log.lock();
            log.end(clock.elapsed(), number, attached.is_attached(), answer);
            let id = log.entries[number].id.clone();
            if acknowledged && !id.is_empty() {
                log.see(clock.elapsed(), &id, data.content(&id));
            }
        };
        let task = tokio::spawn(task);
        match self.nodes.get_mut(node) {
            Some(node) => node.calls.push((number, task)),
            None => self.others.push(task),
        }
    }

    /// Ends the process of a machine at this moment, and starts the next.
    async fn crash(&mut self, place: usize, power: bool) {
        if place >= self.nodes.len() {
            return;
        }
        let now = self.now();
        let node = &mut self.nodes[place];
        if let Some(disk) = &node.disk {
            disk.crash(power);
        }
        {
            let log = &mut *self.log.lock();
            let tick = log.tick();
            log.say(now, &format!("machine {place} ends, power lost: {power}"));
            log.crashes.push((tick, place));
            for (number, _) in &node.calls {
                log.end(now, *number, true, Answer::Cut);
            }
        }
        for task in node.calls.drain(..).map(|(_, task)| task).chain(node.tasks.drain(..)) {
            task.abort();
            if task.await.is_err_and(|error| error.is_panic()) {
                self.log.lock().complain("panic".to_owned());
            }
        }
        node.life += 1;
        node.manager =
            start(&node.plan, &node.clock, node.disk.as_ref(), place, node.life, &self.log);
        node.attach();
    }

    /// Repairs everything. Calls return, late requests arrive, and pending changes are sent, by
    /// calls and maintenance.
    async fn heal(&mut self) {
        self.say("everything works again");
        self.network.heal();
        for node in &self.nodes {
            node.disk.iter().for_each(|disk| disk.set_faults(false, false));
        }
        self.pause(Duration::from_millis(LATEST)).await;
        let mut open = std::mem::take(&mut self.others);
        for node in &mut self.nodes {
            open.extend(node.calls.drain(..).map(|(_, task)| task));
        }
        for task in open {
            match timeout(Duration::from_secs(60), task).await {
                Err(_) => self.log.lock().complain("a call never returns".to_owned()),
                Ok(Err(error)) if error.is_panic() => {
                    self.log.lock().complain("panic".to_owned());
                }
                Ok(_) => {}
            }
        }
        for (place, node) in self.nodes.iter().enumerate() {
            for _ in 0..15 {
                if pending(&node.manager) == 0 {
                    break;
                }
                if !node.plan.maintained {
                    // Any call sends the rest.
                    let _ = node.manager.get_session("nobody").await;
                }
                sleep(Duration::from_millis(1_500)).await;
            }
            let left = node.manager.pending();
            if pending(&node.manager) > 0 {
                let _ = node.manager.flush().await;
                self.log
                    .lock()
                    .complain(format!("machine {place} leaves something pending: {left:?}"));
            }
        }
        // Longer than the oldest copy that is served.
        sleep(Duration::from_secs(6)).await;
    }

    /// Records the content of the store, and the sessions that each machine serves.
    async fn look_at_the_end(&mut self) {
        self.say("the end");
        let mut ids: Vec<_> = (0..IDS).map(session_id).collect();
        ids.extend(self.users.record_ids());
        for id in &ids {
            self.log.lock().see(self.now(), id, self.data.content(id));
        }
        for place in 0..self.nodes.len() {
            for id in &ids {
                let what = What::Call(Call::Get { id: usize::MAX });
                let node = &self.nodes[place];
                let actor = Actor::Node(place, node.life);
                let mut entry = entry(actor, what, id.clone(), String::new(), String::new());
                entry.attached = true;
                let number = self.log.lock().begin(self.now(), entry);
                let manager = Place::Manager(node.manager.clone(), node.clock.clone());
                let answer = super::calls::get(&manager, id).await;
                self.log.lock().end(self.now(), number, true, answer);
            }
        }
        for id in &ids {
            self.log.lock().see(self.now(), id, self.data.content(id));
        }
        let indexes: Vec<_> = (0..USERS).map(|user| self.data.index(&user_id(user))).collect();
        for id in &ids {
            let Some(content) = self.data.content(id) else { continue };
            let user = (0..USERS).find(|user| user_id(*user) == content.user_id);
            if user.is_some_and(|user| !indexes[user].contains(id)) {
                super::answers::check_unlisted(&mut self.log.lock(), id, &content);
            }
        }
    }
}

fn entry(actor: Actor, what: What, id: String, user_id: String, token: String) -> Entry {
    Entry {
        actor,
        what,
        id,
        user_id,
        token,
        root: usize::MAX,
        start: 0,
        end: 0,
        began: 0,
        ended: 0,
        attached: true,
        answer: Answer::Open,
    }
}

/// A call that is polled at most this often; `None` if it has not returned by then.
struct Polled<F> {
    call: Pin<Box<F>>,
    polls: u32,
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        match self.call.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                self.polls -= 1;
                if self.polls == 0 {
                    return Poll::Ready(None);
                }
                Poll::Pending
            }
        }
    }
}
