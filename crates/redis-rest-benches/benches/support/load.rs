//! Runs a load and measures it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Latency is measured for one call of this many, so that the clock does not become the load.
const SAMPLED: u64 = 8;

// Phases of a round: connections are opened and caches filled before it counts.
const WARMING_UP: u8 = 0;
const COUNTING: u8 = 1;
const OVER: u8 = 2;

/// Measurements of one round of a load.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub ops_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Processor time of this process per operation, without that of servers.
    pub cpu_us: f64,
}

/// Returns the processor time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

/// Runs `callers` tasks that make calls one after another: for a tenth of `length` to warm up, and
/// then for `length`. One call is `per_call` operations.
pub async fn run<F, C, E>(
    callers: usize,
    length: Duration,
    per_call: u64,
    make: impl Fn() -> C,
) -> Result<Round, E>
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Send + 'static,
{
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let mut tasks = Vec::with_capacity(callers);
    for _ in 0..callers {
        let (mut call, phase) = (make(), Arc::clone(&phase));
        tasks.push(tokio::spawn(async move {
            let mut nanos = Vec::new();
            let mut calls = 0;
            loop {
                match phase.load(Ordering::Relaxed) {
                    WARMING_UP => {
                        call().await?;
                        continue;
                    }
                    OVER => break,
                    _ => {}
                }
                if calls % SAMPLED == 0 {
                    let asked = Instant::now();
                    call().await?;
                    nanos.push(u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX));
                } else {
                    call().await?;
                }
                calls += 1;
            }
            Ok((calls, nanos))
        }));
    }
    tokio::time::sleep(length / 10).await;
    let (before, began) = (cpu(), Instant::now());
    phase.store(COUNTING, Ordering::Relaxed);
    tokio::time::sleep(length).await;
    phase.store(OVER, Ordering::Relaxed);
    let mut ended = Vec::with_capacity(callers);
    for task in tasks {
        ended.push(task.await.expect("callers do not panic")?);
    }
    let (elapsed, cpu) = (began.elapsed(), cpu() - before);
    let operations = ended.iter().map(|(calls, _)| calls * per_call).sum::<u64>();
    let mut nanos: Vec<u64> = ended.into_iter().flat_map(|(_, nanos)| nanos).collect();
    nanos.sort_unstable();
    let quantile = |of: f64| {
        nanos
            .get((nanos.len() as f64 * of) as usize)
            .map_or(f64::NAN, |&nanos| nanos as f64 / 1000.0)
    };
    Ok(Round {
        ops_per_second: operations as f64 / elapsed.as_secs_f64(),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / operations.max(1) as f64,
    })
}

/// Returns the median of each number over several rounds.
pub fn medians(rounds: &[Round]) -> Round {
    let median = |of: fn(&Round) -> f64| {
        let mut numbers: Vec<f64> = rounds.iter().map(of).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied().unwrap_or_default()
    };
    Round {
        ops_per_second: median(|round| round.ops_per_second),
        p50_us: median(|round| round.p50_us),
        p99_us: median(|round| round.p99_us),
        cpu_us: median(|round| round.cpu_us),
    }
}
