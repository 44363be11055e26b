//! The network between the machines and the store: lost, late, repeated and reordered requests,
//! lost replies, outages. A request that was sent is executed even if its sender is gone.

use redis_rest::{Error, ErrorKind, Outcome};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// Longest delay of a request, in milliseconds. Together with the largest backward jump of a clock
/// it stays below the lifetime of a request.
pub const LATEST: u64 = 35_000;

/// Time after which a caller gives up on a reply, in milliseconds.
const TIMEOUT: u64 = 3_000;

/// A part of a request: others may be executed between two parts.
pub type Part<T> = Box<dyn FnMut() -> T + Send>;

#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    random: fastrand::Rng,
    links: Vec<Link>,
    /// Number of a thousand requests that have a fault.
    faults: u32,
}

#[derive(Clone, Copy, Default)]
struct Link {
    is_cut: bool,
    is_deaf: bool,
}

/// The path of a request, times in milliseconds.
struct Way {
    out: u64,
    between: u64,
    repeated: Option<u64>,
    back: Back,
}

enum Back {
    Comes(u64),
    /// The caller gives up after this.
    Lost(u64),
}

impl Network {
    pub fn new(seed: u64, links: usize, faults: u32) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(State { random, links: vec![Link::default(); links], faults })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn cut(&self, link: usize, is_cut: bool) {
        self.state().links[link].is_cut = is_cut;
    }

    /// Requests arrive, and no reply comes back.
    pub fn deafen(&self, link: usize, is_deaf: bool) {
        self.state().links[link].is_deaf = is_deaf;
    }

    /// From now on every new request arrives; late requests still arrive too.
    pub fn heal(&self) {
        let state = &mut *self.state();
        state.links.fill(Link::default());
        state.faults = 0;
    }

    /// Sends a request of some parts. Returns their results.
    pub async fn send<T: Send + 'static>(
        &self,
        link: usize,
        parts: Vec<Part<T>>,
    ) -> Result<Vec<T>, Error> {
        let way = self.state().way(link);
        let Way { out, between, repeated, back } = match way {
            Ok(way) => way,
            Err((outcome, after)) => {
                pause(after).await;
                let kind = match outcome {
                    Outcome::NotApplied => ErrorKind::Connect,
                    _ => ErrorKind::Io,
                };
                return Err(Error::custom(kind, outcome, "the request is lost"));
            }
        };
        let (done, mut reply) = oneshot::channel();
        tokio::spawn(async move {
            let mut parts = parts;
            pause(out).await;
            let results = execute(&mut parts, between).await;
            // The caller may have given up.
            let _ = done.send(results);
            if let Some(after) = repeated {
                tokio::time::sleep(Duration::from_millis(after)).await;
                execute(&mut parts, 0).await;
            }
        });
        match back {
            Back::Comes(after) => {
                let results = (&mut reply).await;
                pause(after).await;
                results.map_err(|_| {
                    Error::custom(ErrorKind::Closed, Outcome::MaybeApplied, "the network ended")
                })
            }
            Back::Lost(after) => {
                pause(after).await;
                let kind = if after >= TIMEOUT { ErrorKind::Timeout } else { ErrorKind::Io };
                Err(Error::custom(kind, Outcome::MaybeApplied, "the reply is lost"))
            }
        }
    }
}

impl State {
    /// Returns the path of a request, or its failure and the time until then.
    fn way(&mut self, link: usize) -> Result<Way, (Outcome, u64)> {
        let Link { is_cut, is_deaf } = self.links[link];
        if is_cut {
            let after = if self.random.u32(0..8) == 0 { TIMEOUT } else { self.delay() };
            return Err((Outcome::NotApplied, after));
        }
        let (out, back) = (self.delay(), Back::Comes(self.delay()));
        let between = if self.random.u32(0..10) == 0 { self.delay() } else { 0 };
        let mut way = Way { out, between, repeated: None, back };
        if is_deaf {
            way.back = Back::Lost(self.delay());
            return Ok(way);
        }
        if self.random.u32(0..1000) >= self.faults {
            return Ok(way);
        }
        match self.random.u32(0..10) {
            0 => return Err((Outcome::NotApplied, self.delay())),
            1 => return Err((Outcome::MaybeApplied, self.delay())),
            2..=4 => way.back = Back::Lost(out + self.delay()),
            5 => way.back = Back::Lost(self.delay()),
            6 | 7 => {
                way.out = self.random.u64(0..LATEST);
                way.back = Back::Lost(TIMEOUT.min(self.random.u64(0..2 * TIMEOUT)));
            }
            _ => way.repeated = Some(self.random.u64(1..LATEST)),
        }
        Ok(way)
    }

    fn delay(&mut self) -> u64 {
        match self.random.u32(0..20) {
            0..=8 => 0,
            9..=16 => self.random.u64(0..5),
            17..=18 => self.random.u64(0..60),
            _ => self.random.u64(0..900),
        }
    }
}

async fn execute<T>(parts: &mut [Part<T>], between: u64) -> Vec<T> {
    let mut results = Vec::with_capacity(parts.len());
    for part in parts {
        if !results.is_empty() {
            pause(between).await;
        }
        results.push(part());
    }
    results
}

async fn pause(millis: u64) {
    match millis {
        0 => tokio::task::yield_now().await,
        millis => tokio::time::sleep(Duration::from_millis(millis)).await,
    }
}
