//! Limits log-ins to five attempts per minute from one address.

use redis_rest::{Client, Error, Script};
use std::net::IpAddr;
use std::time::Duration;

const MOST: i64 = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts, and starts the minute with the first attempt, in one step, so that no count is left
/// without an expiry.
const COUNT: &str = "local attempts = redis.call('INCR', KEYS[1])
if attempts == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {attempts, redis.call('PTTL', KEYS[1])}";

#[derive(Clone)]
pub struct Attempts {
    client: Client,
    count: Script,
}

impl Attempts {
    pub fn new(client: Client) -> Self {
        Self { client, count: Script::new(COUNT) }
    }

    /// Counts an attempt. Returns the time until the next one if there were too many.
    pub async fn count(&self, address: IpAddr) -> Result<Option<Duration>, Error> {
        let key = format!("attempts:{address}");
        let call = self.count.key(key).arg(WINDOW.as_millis()).call::<(i64, u64)>();
        let (attempts, left) = call.on(&self.client).await?;
        Ok((attempts > MOST).then(|| Duration::from_millis(left)))
    }
}
