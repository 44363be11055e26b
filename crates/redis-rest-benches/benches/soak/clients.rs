//! Clients that are created, used once and dropped.

use super::Failure;
use super::server::Servers;

/// Creates `count` clients one after another. A leak would show as one connection per client.
pub async fn come_and_go(servers: &Servers, count: usize) -> Result<(), Failure> {
    for _ in 0..count {
        let client = servers.sure()?;
        client.ping().await?;
    }
    Ok(())
}
