//! Clients that are made, used once and dropped.

use super::Failure;
use super::server::Servers;

/// So many, one after another. Each leaves a connection behind that its pool would have kept.
pub async fn come_and_go(servers: &Servers, count: usize) -> Result<(), Failure> {
    for _ in 0..count {
        let client = servers.sure()?;
        client.ping().await?;
    }
    Ok(())
}
