//! What the network told while nobody looked.

/// Lets the runtime read what the network brought while nobody looked, and connections take note of it. A task that is ready runs
/// before that otherwise, and would write to connections that were closed long ago.
#[cfg(unix)]
pub(super) async fn read() {
    // The kernel tells events in their order: when this one is here, so are all before it.
    if let Ok((end, other)) = tokio::net::UnixStream::pair() {
        drop(other);
        let _ = end.readable().await;
    }
    settle().await;
}

/// As well as it can be done without an event of one's own.
#[cfg(not(unix))]
pub(super) async fn read() {
    settle().await;
}

/// Lets the tasks run that were woken before. The first time may be spent on the runtime's own turn.
async fn settle() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}
