//! Refusal of connections beyond the limit.

use super::write_timeout::WithWriteTimeout;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Most refused connections that get a response at once. The others are closed without one: a flood
/// must stay cheap.
const ANSWERED: usize = 256;
/// Longest life of a refused connection.
const LONGEST: Duration = Duration::from_secs(1);
/// Bytes of a request that are read. Closing a connection with unread bytes resets it, and the
/// client may lose the response.
const READ: u64 = 64 * 1024;

/// The text is the protocol's for a command that did not run.
const ANSWER: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json\r\n\
    retry-after: 1\r\ncontent-length: 33\r\n\r\n{\"error\":\"DB connection refused\"}";

/// Responds to connections beyond the limit.
#[derive(Clone)]
pub(super) struct Overload(Arc<Semaphore>);

impl Overload {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERED)))
    }

    /// Returns the future that responds to one connection, or `None` if the connection was closed
    /// at once.
    pub(super) fn refuse(
        &self,
        stream: TcpStream,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(async move {
            let mut stream = WithWriteTimeout::new(stream, LONGEST);
            let answered = async {
                // Clients treat a response before their request as a broken connection.
                stream.read_u8().await?;
                stream.write_all(ANSWER).await?;
                stream.shutdown().await?;
                tokio::io::copy(&mut stream.take(READ), &mut tokio::io::sink()).await
            };
            // A failure cannot be reported to anyone.
            let _ = tokio::time::timeout(LONGEST, answered).await;
            drop(permit);
        })
    }
}
