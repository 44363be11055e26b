//! Runs a server and its client on one processor.

/// Runs `act`, with this thread and those it starts, on one processor. Has no effect outside Linux.
///
/// The kernel wakes a server on the processor of its caller or on another, which takes 40 or 80 µs
/// on a virtual machine, so that the median of sequential calls would be random. On one processor
/// it is the time in the programs.
#[cfg(target_os = "linux")]
pub fn on_one<T>(act: impl FnOnce() -> T) -> T {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(all) = sched_getaffinity(None) else { return act() };
    let mut one = CpuSet::new();
    (0..CpuSet::MAX_CPU)
        .find(|&processor| all.is_set(processor))
        .into_iter()
        .for_each(|processor| one.set(processor));
    // On an error the load runs unpinned.
    let _ = sched_setaffinity(None, &one);
    let result = act();
    let _ = sched_setaffinity(None, &all);
    result
}

#[cfg(not(target_os = "linux"))]
pub fn on_one<T>(act: impl FnOnce() -> T) -> T {
    act()
}
