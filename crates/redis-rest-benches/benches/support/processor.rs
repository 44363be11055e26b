//! One processor for a server and its client.

/// Runs `act` with this thread, and what it starts, on one processor. Elsewhere than on Linux it just runs.
///
/// Whether a server is woken on the processor of its caller or on another is the kernel's choice, and takes 40 or 80 µs on a virtual
/// machine: the median of a call after another is that of a coin then. On one processor it is the way that the call takes through the
/// programs.
#[cfg(target_os = "linux")]
pub fn on_one<T>(act: impl FnOnce() -> T) -> T {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(all) = sched_getaffinity(None) else { return act() };
    let mut one = CpuSet::new();
    (0..CpuSet::MAX_CPU)
        .find(|&processor| all.is_set(processor))
        .into_iter()
        .for_each(|processor| one.set(processor));
    // An error: as without.
    let _ = sched_setaffinity(None, &one);
    let result = act();
    let _ = sched_setaffinity(None, &all);
    result
}

#[cfg(not(target_os = "linux"))]
pub fn on_one<T>(act: impl FnOnce() -> T) -> T {
    act()
}
