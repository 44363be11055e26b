//! Redis, a REST server in front of it, and a proxy with faults in front of that; the last two in a
//! separate process.

use super::Failure;
use super::support::Process;
use super::support::redis::Redis;
use redis_rest::Client;
use redis_rest::backend::native::NativeBackend;
use redis_rest_server::{DEFAULT_TOKEN, Server, ServerConfig};
use redis_rest_test_support::proxy::{Fault, Proxy};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// First argument of the server process.
const ROLE: &str = "--soak-server";

/// The servers, which end when this is dropped.
pub struct Servers {
    process: Process,
    redis: Redis,
    /// Addresses of the server itself, and of the proxy.
    direct: String,
    faulty: String,
}

impl Servers {
    pub fn start(per_mille: u64) -> Result<Self, Failure> {
        let redis = Redis::start()?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = Process(
            command
                .args([ROLE, &redis.url(), &per_mille.to_string()])
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let mut lines = BufReader::new(process.0.stdout.take().ok_or("no output")?).lines();
        let mut next =
            || lines.next().ok_or("the server did not say its address")?.map_err(Failure::from);
        let (direct, faulty) = (next()?, next()?);
        Ok(Self { process, redis, direct, faulty })
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Returns a client whose requests meet faults.
    pub fn client(&self) -> redis_rest::Result<Client> {
        let config = Client::builder().url(&self.faulty).token(DEFAULT_TOKEN);
        config.timeout(Duration::from_millis(500)).deadline(Duration::from_secs(5)).build()
    }

    /// Returns a client whose requests meet no faults.
    pub fn sure(&self) -> redis_rest::Result<Client> {
        Client::new(&self.direct, DEFAULT_TOKEN)
    }

    /// Returns a client that reads Redis directly.
    pub async fn truth(&self) -> redis_rest::Result<Client> {
        Ok(Client::from_backend(NativeBackend::connect(&self.redis.url()).await?))
    }
}

/// Serves for ever if this process was started as a server.
pub fn serve_if_started_as_server() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ROLE) {
        return;
    }
    let (url, per_mille) = (
        args.next().expect("an address"),
        args.next().and_then(|text| text.parse().ok()).expect("a number"),
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(serve(&url, per_mille)).expect("free ports on loopback");
}

async fn serve(redis: &str, per_mille: u64) -> Result<(), Failure> {
    let backend = NativeBackend::connect(redis).await?;
    let config = ServerConfig::new().listen(([127, 0, 0, 1], 0).into());
    let server = Server::bind(Arc::new(backend), config).await?.spawn();
    let faults = [
        Fault::Drop,
        Fault::Reset,
        Fault::Half,
        Fault::Empty500,
        Fault::Busy503,
        Fault::Hold,
        Fault::Limited429,
        Fault::Html502,
    ];
    let proxy = Proxy::start(server.local_addr(), faults[0], per_mille).await;
    println!("{}\n{}", server.url(), proxy.url());
    std::io::stdout().flush()?;
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    for fault in faults.iter().cycle() {
        tick.tick().await;
        proxy.set(*fault, per_mille);
    }
    Ok(())
}
