//! Beginnings of histories that once caused failures. Chance alone rarely combines their steps.

use super::plan::{Act, Call, Ending, IDS, Step, USERS};

/// Draws some steps, on the first machines of `nodes`.
pub fn draw(random: &mut fastrand::Rng, nodes: usize) -> Vec<Step> {
    let node = random.usize(0..nodes);
    let other = (node + 1) % nodes;
    // Often a session that no other step uses.
    let id = if random.bool() { IDS - 1 } else { random.usize(0..IDS) };
    let record = random.usize(0..2);
    let user = id % USERS;
    let mut steps = Steps(Vec::new());
    let call = |node, call| Act::Call { node, call, ends: None };
    let ends = |node, call, polls, ending| Act::Call { node, call, ends: Some((polls, ending)) };
    let ttl = [None, Some(600_000)][random.usize(0..2)];
    let end = if random.bool() { Call::Delete { id } } else { Call::LogOut { user } };
    match random.u32(0..16) {
        // A create whose reply is lost, and an end that its machine does not learn of for long.
        0 | 1 => {
            steps.add(40, Act::Deafen { node, is_deaf: true });
            steps.add(0, call(node, Call::Create { id, user, ttl }));
            steps.add(900, Act::Cut { node, is_cut: true });
            steps.add(0, Act::Deafen { node, is_deaf: false });
            steps.add(100, call(other, end));
            steps.add(2_000, call(node, Call::Get { id }));
            // Beyond the memory of an unknown id, or beyond that of an ended session.
            if random.bool() {
                steps.add(70_000, Act::Wait);
            } else {
                steps.add(85_000, call(node, Call::Get { id }));
                steps.add(85_000, Act::Wait);
            }
            steps.add(0, Act::Cut { node, is_cut: false });
            steps.add(1_500, call(node, Call::Get { id }));
        }
        // A request that loaded a session before its user was logged out everywhere.
        2 => {
            steps.add(40, call(node, Call::LogIn { record, user }));
            steps.add(20, call(node, Call::Load { record }));
            let place = if random.bool() { node } else { other };
            steps.add(20, call(place, Call::LogOut { user }));
            steps.add(random.u64(0..40), call(node, Call::Cycle { record }));
        }
        // A pending change, one that is not, and a crash.
        3 => {
            steps.add(40, Act::Cut { node, is_cut: true });
            steps.add(5, call(node, Call::Create { id, user, ttl }));
            steps.add(5, call(node, Call::Update { id, ttl: None }));
            steps.add(5, Act::Cut { node, is_cut: false });
            steps.add(1_200, call(node, Call::Flush));
            let last = if random.bool() { Call::Update { id, ttl: None } } else { end };
            steps.add(20, call(node, last));
            steps.add(random.u64(0..20), Act::Crash { node, power: random.bool() });
        }
        // An index that another service lost.
        4 => {
            steps.add(40, call(node, Call::Create { id, user, ttl: None }));
            steps.add(20, Act::LoseIndex { user });
            let change = [Call::Update { id, ttl: None }, Call::SetTtl { id, ttl: 600_000 }];
            steps.add(20, call(other, change[random.usize(0..2)]));
        }
        // A create of an id that is taken, cancelled at some moment.
        5 => {
            steps.add(40, call(other, Call::Create { id, user, ttl: None }));
            let taken = Call::Create { id, user: random.usize(0..USERS), ttl };
            let polls = random.u32(1..8);
            steps.add(20, ends(node, taken, polls, Ending::Cancelled));
        }
        // Copies dropped during a read.
        6 => {
            steps.add(40, call(node, Call::Create { id, user, ttl: None }));
            steps.add(5_100, call(node, Call::Get { id }));
            steps.add(random.u64(0..3), call(node, Call::Evict));
        }
        // Changes whose replies are lost, and one during an outage.
        7 => {
            steps.add(40, call(node, Call::Create { id, user, ttl: None }));
            steps.add(20, Act::Deafen { node, is_deaf: true });
            steps.add(20, call(node, Call::Update { id, ttl: None }));
            steps.add(900, Act::Cut { node, is_cut: true });
            steps.add(0, Act::Deafen { node, is_deaf: false });
            steps.add(40, call(node, Call::Update { id, ttl: None }));
            if random.bool() {
                steps.add(40, Act::Crash { node, power: random.bool() });
            }
        }
        // A change during an outage.
        8 => {
            steps.add(40, call(node, Call::Create { id, user, ttl: None }));
            steps.add(20, Act::Cut { node, is_cut: true });
            steps.add(0, call(node, Call::Update { id, ttl: None }));
            steps.add(40, call(node, Call::Update { id, ttl }));
            steps.add(20, Act::Cut { node, is_cut: false });
        }
        // A full disk, and a crash.
        10 => {
            steps.add(40, Act::Cut { node, is_cut: true });
            steps.add(5, call(node, Call::Get { id }));
            steps.add(5, Act::Disk { node, full: true, unrenamable: true });
            steps.add(5, call(node, Call::Create { id, user, ttl: None }));
            steps.add(60, Act::Disk { node, full: false, unrenamable: false });
            if random.bool() {
                steps.add(5, call(node, Call::Update { id, ttl: None }));
            }
            steps.add(60, Act::Crash { node, power: random.bool() });
        }
        // A crash within a write of the journal, and another one after the next write.
        11 => {
            steps.add(40, Act::Cut { node, is_cut: true });
            steps.add(5, call(node, Call::Get { id }));
            let ending = [Ending::Killed, Ending::PowerLost][random.usize(0..2)];
            let torn = Call::Create { id: (id + USERS) % IDS, user, ttl: None };
            steps.add(5, ends(node, torn, random.u32(1..6), ending));
            steps.add(5, call(node, Call::Create { id, user, ttl: None }));
            steps.add(60, Act::Crash { node, power: random.bool() });
        }
        // The end of a session whose create may have been executed, by the next process.
        12 => {
            steps.add(40, Act::Deafen { node, is_deaf: true });
            steps.add(5, call(node, Call::Create { id, user, ttl }));
            steps.add(900, Act::Crash { node, power: random.bool() });
            steps.add(0, Act::Cut { node, is_cut: true });
            steps.add(5, call(node, end));
        }
        // A create during an outage by a request that knows of a log-out.
        13 => {
            steps.add(40, call(node, Call::LogOut { user }));
            steps.add(900, Act::Cut { node, is_cut: true });
            steps.add(5, call(node, Call::Create { id, user, ttl }));
            if random.bool() {
                steps.add(60, Act::Crash { node, power: random.bool() });
            }
        }
        // Two ends of a session: one is pending.
        9 => {
            steps.add(40, call(node, Call::Create { id, user, ttl: None }));
            steps.add(20, Act::Cut { node, is_cut: true });
            steps.add(10, call(node, Call::SetTtl { id, ttl: 700_000 }));
            steps.add(20, call(other, Call::SetTtl { id, ttl: 300_000 }));
            steps.add(20, Act::Cut { node, is_cut: false });
        }
        // Another client changes a session during an outage.
        _ => {
            steps.add(40, call(node, Call::Create { id, user, ttl: None }));
            steps.add(20, Act::Cut { node, is_cut: true });
            steps.add(0, call(node, Call::Get { id }));
            steps.add(20, call(other, Call::Update { id, ttl }));
            steps.add(20, Act::Cut { node, is_cut: false });
            steps.add(random.u64(0..1_500), call(node, Call::Update { id, ttl: None }));
        }
    }
    steps.0
}

struct Steps(Vec<Step>);

impl Steps {
    fn add(&mut self, gap: u64, act: Act) {
        self.0.push(Step { gap, act });
    }
}
