//! Random histories, each determined by a seed.
mod answers;
mod calls;
mod clock;
mod disk;
mod ends;
mod facts;
mod log;
mod network;
mod node;
mod oracle;
mod plan;
mod stores;
mod themes;
mod world;

use plan::Plan;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of seeds to run unless `SIMULATION_SEEDS` is set.
const SEEDS: u64 = 300;

/// Seeds whose histories once failed.
const FOUND: [u64; 3] = [3_121, 10_311, 10_445];

/// Most smaller histories tried to explain a failure.
const ATTEMPTS: usize = 2000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs a history. Returns a complaint if it violates a rule.
fn complaint(plan: &Plan) -> Option<String> {
    world::run(plan).complaints.into_iter().next()
}

/// Returns a complaint without its subject.
fn kind(complaint: &str) -> String {
    let words = complaint.split_whitespace();
    words.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).collect()
}

/// Returns the smallest history found that fails in the same way.
fn shrink(mut plan: Plan, complaint: &str) -> Plan {
    let mut attempts = 0;
    'smaller: loop {
        for smaller in plan.smaller() {
            attempts += 1;
            if attempts > ATTEMPTS {
                return plan;
            }
            let complaints = world::run(&smaller).complaints;
            if complaints.iter().any(|other| kind(other) == kind(complaint)) {
                plan = smaller;
                continue 'smaller;
            }
        }
        return plan;
    }
}

/// Fails with the history of a seed, shrunk as far as possible.
fn explain(seed: u64, complaint: &str) -> ! {
    let plan = shrink(Plan::new(seed), complaint);
    let log = world::run(&plan);
    for line in &log.lines {
        println!("{line}");
    }
    println!("{plan:#?}");
    panic!(
        "seed {seed}: {complaint}\nmade smaller: {:?}\nreplay: SIMULATION_SEED={seed} cargo test --test it simulation",
        log.complaints
    );
}

/// Returns the first of these seeds whose history fails, with its complaint. Runs on all cores.
fn first_failure(seeds: &[u64]) -> Option<(u64, String)> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(BTreeMap::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while failures.lock().unwrap().is_empty() {
                    let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    if let Some(complaint) = complaint(&Plan::new(seed)) {
                        failures.lock().unwrap().insert(seed, complaint);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap().pop_first()
}

#[test]
fn histories_keep_every_promise() {
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => FOUND.into_iter().chain(0..number("SIMULATION_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    if let Some((seed, complaint)) = first_failure(&seeds) {
        explain(seed, &complaint);
    }
}

#[test]
fn a_seed_has_one_history() {
    for seed in 0..20 {
        let [one, two] = [(); 2].map(|()| world::run(&Plan::new(seed)));
        assert_eq!(one.lines, two.lines, "seed {seed}");
    }
}
