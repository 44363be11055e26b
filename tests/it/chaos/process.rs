//! The process that [`killed`](super::killed) starts and kills: callers of one manager with a
//! journal, which print each call before it and its result after it.

use super::killed::users_of;
use super::{model, options, store};
use redis_rest::Client;
use redis_rest::session::{Durability, NewSession, Pending, SessionError, SessionManager};
use redis_rest_server::DEFAULT_TOKEN;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Callers in each process.
const CALLERS: usize = 4;

/// Returns a prompt that names a version; one of ten is large.
fn prompt(version: &str, large: bool) -> String {
    if large { format!("{version} {}", "x".repeat(150_000)) } else { version.to_owned() }
}

/// A session that must exist, and its possible versions.
#[derive(Clone)]
struct LiveSession {
    id: String,
    user: String,
    versions: Vec<String>,
}

/// A caller of a process's manager. Only this caller uses its users.
struct Caller {
    manager: SessionManager,
    rng: fastrand::Rng,
    name: String,
    users: Vec<String>,
    alive: Vec<LiveSession>,
    count: u64,
}

impl Caller {
    async fn run(mut self) {
        loop {
            self.count += 1;
            let place = (!self.alive.is_empty()).then(|| self.rng.usize(..self.alive.len()));
            match (self.rng.u8(0..100), place) {
                (0..30, _) | (_, None) => self.create().await,
                (30..60, Some(place)) => self.update(place).await,
                (60..75, Some(place)) => drop(self.read(place).await),
                (75..94, Some(place)) => self.end(place).await,
                (_, Some(place)) => self.log_out(place).await,
            }
        }
    }

    fn begin(&self, words: &[&str]) -> String {
        let call = format!("{}-{}", self.name, self.count);
        println!("begin {call} {}", words.join(" "));
        call
    }

    async fn create(&mut self) {
        let user = self.users[self.rng.usize(..self.users.len())].clone();
        let (id, version) = (format!("{}-{}", self.name, self.count), self.version());
        let call = self.begin(&["create", &user, &id, &version]);
        let new = NewSession::new(&user, "org").id(&id);
        let new = new.system_prompt(prompt(&version, self.rng.u8(0..10) == 0));
        match self.manager.create_session_with(new).await {
            Ok(created) => {
                done(&call, &created.durability);
                if created.durability == Durability::Durable {
                    self.alive.push(LiveSession { id, user, versions: vec![version] });
                }
            }
            Err(error) => println!("wrong {call} create: {error:?}"),
        }
    }

    fn version(&self) -> String {
        format!("v{}-{}", self.name, self.count)
    }

    async fn update(&mut self, place: usize) {
        let Some(mut session) = self.read(place).await else { return };
        let LiveSession { id, user, .. } = self.alive[place].clone();
        let version = self.version();
        session.system_prompt = prompt(&version, self.rng.u8(0..10) == 0);
        let call = self.begin(&["update", &user, &id, &version]);
        match self.manager.update_session(&session).await {
            Ok(Durability::Superseded) => println!("wrong {call} update: superseded"),
            Ok(durability) => {
                self.alive[place].versions = vec![version];
                done(&call, &durability);
            }
            Err(error) => println!("wrong {call} update: {error:?}"),
        }
    }

    /// A session of an earlier process is unknown while the store is unavailable.
    async fn read(&mut self, place: usize) -> Option<redis_rest::session::Session> {
        let LiveSession { id, versions, .. } = &self.alive[place];
        match self.manager.get_session(id).await {
            Ok(session) => {
                let version = model::version_of(&session.system_prompt);
                if !versions.iter().any(|known| known == version) {
                    println!("wrong {id} has {version} instead of {versions:?}");
                }
                Some(session)
            }
            Err(error) if error.is_unavailable() || error.maybe_applied() => None,
            Err(error) => {
                println!("wrong {id} read: {error:?}");
                None
            }
        }
    }

    async fn end(&mut self, place: usize) {
        let LiveSession { id, user, .. } = self.alive.swap_remove(place);
        let call = self.begin(&["end", &user, &id, "-"]);
        match self.manager.cleanup_session(&id).await {
            Ok(ended) => done(&call, &ended.durability),
            Err(error) => println!("wrong {call} end: {error:?}"),
        }
    }

    async fn log_out(&mut self, place: usize) {
        let user = self.alive[place].user.clone();
        self.alive.retain(|alive| alive.user != user);
        let call = self.begin(&["logout", &user, "-", "-"]);
        match self.manager.delete_user_sessions(&user).await {
            Ok(ended) => done(&call, &ended.durability),
            Err(error) => println!("wrong {call} log-out: {error:?}"),
        }
    }
}

fn done(call: &str, durability: &Durability) {
    println!("done {call} {durability:?}");
}

/// The child process of the tests above; does nothing if run directly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by killed_processes_lose_and_undo_nothing"]
async fn manager_process() {
    let read = |name: &str| std::env::var(name);
    let (Ok(url), Ok(dir), Ok(run)) = (read("CHAOS_URL"), read("CHAOS_DIR"), read("CHAOS_RUN"))
    else {
        return;
    };
    println!();
    let ends = read("CHAOS_ENDS").is_ok_and(|ends| !ends.is_empty());
    let dir = Path::new(&dir);
    let manager = SessionManager::with_journal("", 0, options(), dir.join("journal")).unwrap();
    let client = Client::builder().url(url).token(DEFAULT_TOKEN);
    // The last process has more time.
    let scale = if ends { 20 } else { 1 };
    let client = client.timeout(Duration::from_millis(500) * scale);
    let client = client.deadline(Duration::from_secs(1) * scale);
    let store = Arc::new(store(client.build().unwrap(), false));
    let set = manager.set_session_store(store, true).await;
    if ends {
        set.unwrap();
        // The result of another call can block the first flush.
        for _ in 0..2 {
            manager.flush().await.unwrap();
        }
        assert_eq!(manager.pending(), Pending::default());
        return;
    }
    if let Err(error) = set {
        assert!(matches!(error, SessionError::Unavailable(_) | SessionError::MaybeApplied(_)));
    }
    let alive: Vec<LiveSession> = std::fs::read_to_string(dir.join("alive"))
        .unwrap()
        .lines()
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            let (id, user) = (word(), word());
            LiveSession { id, user, versions: word().split(',').map(str::to_owned).collect() }
        })
        .collect();
    let number: usize = run.split('-').next().unwrap().parse().unwrap();
    let mut rng = fastrand::Rng::with_seed(run.bytes().fold(7, |a, b| a * 31 + u64::from(b)));
    let callers = (0..CALLERS).map(|caller| {
        let users: Vec<String> = users_of(number).skip(caller).step_by(CALLERS).collect();
        let alive = alive.iter().filter(|alive| users.contains(&alive.user)).cloned().collect();
        let name = format!("{run}-{caller}");
        let manager = manager.clone();
        tokio::spawn(Caller { manager, rng: rng.fork(), name, users, alive, count: 0 }.run())
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}
