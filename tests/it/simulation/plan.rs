//! The plan of a history: drawn from a seed, and shrunk if it fails.

use super::network::LATEST;

/// A history to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub redis: bool,
    pub cluster: bool,
    /// The default time to live, in milliseconds.
    pub ttl: u64,
    /// Number of a thousand requests that have a fault.
    pub faults: u32,
    pub nodes: Vec<Node>,
    pub steps: Vec<Step>,
}

/// A machine with a manager.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub journal: bool,
    /// Reads go to the store.
    pub asks: bool,
    /// Times in milliseconds.
    pub staleness: u64,
    pub touch_interval: u64,
    /// Time at which the store is set, after each start.
    pub attached_after: u64,
    /// A task for maintenance runs.
    pub maintained: bool,
    /// Time by which its clock is ahead.
    pub clock_error: i64,
}

/// An action `gap` milliseconds after the previous step.
#[derive(Clone, Debug)]
pub struct Step {
    pub gap: u64,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub enum Act {
    /// A user's call on a machine, or directly on the store for the number after the last.
    Call {
        node: usize,
        call: Call,
        /// The call, or its machine, ends when the call has been polled this often.
        ends: Option<(u32, Ending)>,
    },
    /// A machine's process ends and starts again.
    Crash {
        node: usize,
        power: bool,
    },
    /// A machine cannot reach the store.
    Cut {
        node: usize,
        is_cut: bool,
    },
    /// A machine receives nothing from the store.
    Deafen {
        node: usize,
        is_deaf: bool,
    },
    Disk {
        node: usize,
        full: bool,
        unrenamable: bool,
    },
    Jump {
        node: usize,
        millis: i64,
    },
    /// Another service replaces a record.
    Overwrite {
        id: usize,
        keeps_end: bool,
    },
    /// Another service deletes a record.
    Remove {
        id: usize,
    },
    /// Another service loses a user's index.
    LoseIndex {
        user: usize,
    },
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    Cancelled,
    Killed,
    PowerLost,
}

/// Sessions and users by their numbers, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call {
    Create {
        id: usize,
        user: usize,
        ttl: Option<u64>,
    },
    Update {
        id: usize,
        ttl: Option<u64>,
    },
    Get {
        id: usize,
    },
    List {
        user: usize,
    },
    SetTtl {
        id: usize,
        ttl: u64,
    },
    Delete {
        id: usize,
    },
    LogOut {
        user: usize,
    },
    /// Drops copies.
    Evict,
    Flush,
    /// The middleware of tower-sessions logs a user in, with a record of this number.
    LogIn {
        record: usize,
        user: usize,
    },
    /// The user loads that record.
    Load {
        record: usize,
    },
    /// The user gives the session of the loaded record a new id.
    Cycle {
        record: usize,
    },
}

/// Numbers below this are names of sessions. The last is rarely used.
pub const IDS: usize = 6;
pub const USERS: usize = 2;
const RECORDS: usize = 2;

/// Largest total by which clocks are set back.
const SET_BACK: i64 = (60_000 - LATEST as i64) / 2;

struct Dice(fastrand::Rng);

impl Dice {
    fn one_in(&mut self, count: u32) -> bool {
        self.0.u32(0..count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.usize(0..from.len())]
    }

    fn below(&mut self, count: usize) -> usize {
        self.0.usize(0..count)
    }
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let dice = &mut Dice(fastrand::Rng::with_seed(seed));
        let redis = !dice.one_in(4);
        let count = dice.pick(&[2, 2, 2, 3]);
        let nodes: Vec<_> = (0..count).map(|_| Node::new(dice)).collect();
        let ttl = dice.pick(&[100_000, 1_800_000, 1_800_000]);
        let faults = dice.pick(&[0, 0, 30, 100, 250]);
        let calm = faults == 0 && dice.one_in(2);
        let length = dice.0.usize(6..30);
        let mut steps = Vec::new();
        // Total by which clocks were set back so far.
        let mut set_back = 0;
        for _ in 0..length {
            let gap = match dice.0.u32(0..100) {
                0..=39 => 0,
                40..=74 => dice.0.u64(0..12),
                75..=87 => dice.0.u64(0..1500),
                88..=95 => dice.0.u64(0..8_000),
                96..=97 => dice.0.u64(0..70_000),
                _ => dice.0.u64(0..130_000),
            };
            let act = match dice.0.u32(0..100) {
                0..=76 => dice.call(count, calm),
                _ if calm => Act::Wait,
                77..=84 => Act::Cut { node: dice.below(count + 1), is_cut: dice.0.bool() },
                85..=86 => Act::Deafen { node: dice.below(count), is_deaf: dice.0.bool() },
                87..=90 => Act::Crash { node: dice.below(count), power: dice.one_in(3) },
                91 => {
                    let (full, unrenamable) = (dice.one_in(3), dice.0.bool());
                    Act::Disk { node: dice.below(count), full, unrenamable }
                }
                92 => {
                    let back = dice.0.i64(0..=SET_BACK - set_back);
                    let millis = if dice.0.bool() { 10_000 } else { -back };
                    set_back -= millis.min(0);
                    Act::Jump { node: dice.below(count), millis }
                }
                93..=95 => Act::Overwrite { id: dice.below(IDS), keeps_end: dice.0.bool() },
                96 => Act::Remove { id: dice.below(IDS) },
                97 => Act::LoseIndex { user: dice.below(USERS) },
                _ => Act::Wait,
            };
            steps.push(Step { gap, act });
        }
        if !calm && dice.one_in(2) {
            let theme = super::themes::draw(&mut dice.0, count);
            let mut place = dice.below(steps.len() / 2 + 1);
            for step in theme {
                steps.insert(place, step);
                place += 1 + usize::from(dice.one_in(4));
                place = place.min(steps.len());
            }
        }
        let cluster = redis && dice.one_in(4);
        Self { seed, redis, cluster, ttl, faults, nodes, steps }
    }

    /// Returns smaller histories that may fail too.
    pub fn smaller(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        let mut size = self.steps.len() / 2;
        while size > 0 {
            for start in (0..self.steps.len()).step_by(size) {
                let mut plan = self.clone();
                plan.steps.drain(start..(start + size).min(plan.steps.len()));
                plans.push(plan);
            }
            size /= 2;
        }
        if self.faults > 0 {
            plans.push(Self { faults: 0, ..self.clone() });
        }
        if self.cluster {
            plans.push(Self { cluster: false, ..self.clone() });
        }
        for (place, step) in self.steps.iter().enumerate() {
            let mut plan = self.clone();
            match &mut plan.steps[place].act {
                Act::Call { ends: ends @ Some(_), .. } => *ends = None,
                _ if step.gap > 0 => plan.steps[place].gap = 0,
                _ => continue,
            }
            plans.push(plan);
        }
        for (place, node) in self.nodes.iter().enumerate() {
            if node.attached_after > 0 || node.maintained || node.clock_error != 0 {
                let mut plan = self.clone();
                plan.nodes[place] =
                    Node { attached_after: 0, maintained: false, clock_error: 0, ..*node };
                plans.push(plan);
            }
        }
        plans
    }
}

impl Node {
    fn new(dice: &mut Dice) -> Self {
        Self {
            journal: !dice.one_in(3),
            asks: !dice.one_in(5),
            staleness: dice.pick(&[0, 0, 5_000]),
            touch_interval: dice.pick(&[0, 1_000, 60_000, 60_000]),
            attached_after: if dice.one_in(4) { dice.0.u64(1..3_000) } else { 0 },
            maintained: dice.one_in(3),
            clock_error: if dice.one_in(3) { dice.0.i64(-600_000..600_000) } else { 0 },
        }
    }
}

impl Dice {
    fn call(&mut self, nodes: usize, calm: bool) -> Act {
        // Most calls concern few sessions, so that they collide.
        let id = self.below(IDS - 1).min(self.below(IDS));
        let user = self.below(USERS);
        let explicit = [300, 2_000, 40_000, 600_000];
        let ttl = self.one_in(6).then(|| self.pick(&explicit) + self.0.u64(0..100));
        let record = self.below(RECORDS);
        let node = self.below(nodes);
        let (node, call) = match self.0.u32(0..100) {
            0..=23 => (node, Call::Create { id, user: id % USERS, ttl }),
            24..=25 => (node, Call::Create { id, user, ttl }),
            26..=47 => (node, Call::Update { id, ttl }),
            48..=61 => (node, Call::Get { id }),
            62..=63 => (node, Call::List { user }),
            64..=67 => (node, Call::SetTtl { id, ttl: self.pick(&explicit) + self.0.u64(0..100) }),
            68..=75 => (node, Call::Delete { id }),
            76..=80 => (node, Call::LogOut { user }),
            81..=83 => (node, Call::Evict),
            84..=86 => (node, Call::Flush),
            87..=89 => (node, Call::LogIn { record, user }),
            90..=92 => (node, Call::Load { record }),
            93..=95 => (node, Call::Cycle { record }),
            96 => (nodes, Call::Create { id, user: id % USERS, ttl: None }),
            97 => (nodes, Call::Update { id, ttl: None }),
            98 => (nodes, Call::Delete { id }),
            _ => (nodes, Call::LogOut { user }),
        };
        let ends = (!calm && self.one_in(7)).then(|| {
            let ending = self.pick(&[
                Ending::Cancelled,
                Ending::Cancelled,
                Ending::Cancelled,
                Ending::Killed,
                Ending::PowerLost,
            ]);
            (self.pick(&[1, 1, 2, 2, 3, 4, 5, 6, 8]), ending)
        });

        Act::Call { node, call, ends }
    }
}
