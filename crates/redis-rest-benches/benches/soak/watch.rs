//! Resource usage of a process, and its growth.

use super::Failure;
use std::fmt;
use std::time::{Duration, Instant};

/// Resources that this process uses.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    resident: u64,
    descriptors: usize,
    tasks: usize,
}

impl Usage {
    pub fn now() -> Result<Self, Failure> {
        Ok(Self {
            resident: resident_of(std::process::id())?,
            descriptors: std::fs::read_dir("/proc/self/fd")?.count(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        })
    }

    /// Describes the change from this usage to a later one.
    pub fn to(&self, after: &Self) -> String {
        format!(
            "resident {:.1} → {:.1} MB, descriptors {} → {}, tasks {} → {}",
            self.resident as f64 / 1e6,
            after.resident as f64 / 1e6,
            self.descriptors,
            after.descriptors,
            self.tasks,
            after.tasks
        )
    }
}

/// Formats the usage as cells of a table.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} | {} | {} |", self.resident as f64 / 1e6, self.descriptors, self.tasks)
    }
}

/// Returns the resident memory of a process in bytes.
pub fn resident_of(pid: u32) -> Result<u64, Failure> {
    status(pid, "VmRSS:")
}

/// Returns this process's peak memory since [`forget_peak`].
pub fn peak() -> Result<u64, Failure> {
    status(std::process::id(), "VmHWM:")
}

/// Resets the peak (`man 5 proc`, `clear_refs`).
pub fn forget_peak() -> Result<(), Failure> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn status(pid: u32, name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = text.lines().find_map(|line| {
        line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    Ok(kilobytes.ok_or("no such line in /proc")? * 1024)
}

/// Returns the usage once descriptors and tasks are back at their earlier number, or after ten
/// seconds: connections close in separate tasks.
pub async fn settled(before: &Usage) -> Result<Usage, Failure> {
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        let now = Usage::now()?;
        if (now.descriptors <= before.descriptors && now.tasks <= before.tasks)
            || started.elapsed() > Duration::from_secs(10)
        {
            return Ok(now);
        }
    }
}

/// Lists resources that did not return to their earlier usage.
pub fn back(before: &Usage, after: &Usage, what: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if after.descriptors > before.descriptors {
        wrong.push(format!(
            "{what} left descriptors: {} became {}",
            before.descriptors, after.descriptors
        ));
    }
    if after.tasks > before.tasks {
        wrong.push(format!("{what} left tasks: {} became {}", before.tasks, after.tasks));
    }
    // Allocators retain some memory.
    if after.resident > before.resident + 48_000_000 {
        wrong.push(format!("{what} left memory: {}", before.to(after)));
    }
    wrong
}

/// Compares the last third of a run with the middle one, after the first has filled caches and
/// pools.
pub fn judge(samples: &[(Usage, u64)], before: &Usage, after: &Usage) -> Vec<String> {
    let most = |part: &[(Usage, u64)], of: fn(&(Usage, u64)) -> u64| {
        part.iter().map(of).max().unwrap_or(0)
    };
    let third = samples.len() / 3;
    let (middle, end) = (&samples[third..2 * third], &samples[2 * third..]);
    let mut wrong = back(before, after, "the load");
    for (what, of, ratio, slack) in [
        (
            "memory",
            (|sample: &(Usage, u64)| sample.0.resident) as fn(&(Usage, u64)) -> u64,
            1.1,
            4_000_000.0,
        ),
        ("descriptors", |sample| sample.0.descriptors as u64, 1.5, 32.0),
        ("tasks", |sample| sample.0.tasks as u64, 1.5, 64.0),
        ("the server's memory", |sample| sample.1, 1.1, 8_000_000.0),
    ] {
        let (middle, end) = (most(middle, of), most(end, of));
        if end as f64 > middle as f64 * ratio + slack {
            wrong.push(format!("{what} grew: {middle} in the middle, {end} at the end"));
        }
    }
    wrong
}
