//! Reads network events that arrived during a pause.

/// Lets the runtime process pending network events, so that connections notice them. Otherwise a
/// ready task runs first, and would write to connections that were closed long ago.
#[cfg(unix)]
pub(super) async fn read() {
    // The kernel reports events in order: once this one has arrived, so have all before it.
    if let Ok((end, other)) = tokio::net::UnixStream::pair() {
        drop(other);
        let _ = end.readable().await;
    }
    settle().await;
}

/// An approximation without an event to wait for.
#[cfg(not(unix))]
pub(super) async fn read() {
    settle().await;
}

/// Lets the tasks run that were woken before. The first yield may be spent on the runtime's own
/// turn.
async fn settle() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}
