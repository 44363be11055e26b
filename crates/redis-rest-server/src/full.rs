//! What becomes of connections beyond the limit.

use super::paced::Paced;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// How many refused connections get an answer at once. The others are just closed: a flood must not cost more than it has to.
const ANSWERED: usize = 256;
/// How long such a connection may last.
const LONGEST: Duration = Duration::from_secs(1);
/// How much of a request is read. Closing a connection that holds unread bytes resets it, and the client may lose the answer.
const READ: u64 = 64 * 1024;

/// The text is the protocol's for a command that surely did not run.
const ANSWER: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json\r\n\
    retry-after: 1\r\ncontent-length: 33\r\n\r\n{\"error\":\"DB connection refused\"}";

/// Answers connections that there is no room for.
#[derive(Clone)]
pub(super) struct Full(Arc<Semaphore>);

impl Full {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERED)))
    }

    /// The answer to one connection, which has to be driven; `None` where it was closed at once.
    pub(super) fn refuse(
        &self,
        stream: TcpStream,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(async move {
            let mut stream = Paced::new(stream, LONGEST);
            let answered = async {
                // Clients take an answer that comes before their request for a broken connection.
                stream.read_u8().await?;
                stream.write_all(ANSWER).await?;
                stream.shutdown().await?;
                tokio::io::copy(&mut stream.take(READ), &mut tokio::io::sink()).await
            };
            // What fails here has no one to be told.
            let _ = tokio::time::timeout(LONGEST, answered).await;
            drop(permit);
        })
    }
}
