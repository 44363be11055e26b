//! The checks in order: each relies on the ones before it.

use super::server::{self, KEY};
use super::watch::Watch;
use super::{Finding, Report, diagnosis};
use crate::connection::Connection;
use crate::output::Failure;
use redis_rest::backend::rest::HttpTransport;
use redis_rest::{Client, Config, Encoding, ServerErrorClass, Value, cmd};
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};

/// Number of round trips for the median latency.
const PINGS: usize = 5;
/// Latency above which every call is noticeably slow.
const SLOW: Duration = Duration::from_millis(200);
/// Clock difference to report: sessions store times in seconds.
const SKEW_NOTED: Duration = Duration::from_secs(2);
const SKEW_WRONG: Duration = Duration::from_secs(30);

/// `Break` if a problem makes further checks impossible.
type Flow = Result<ControlFlow<()>, Failure>;

const GO_ON: Flow = Ok(ControlFlow::Continue(()));
const STOP: Flow = Ok(ControlFlow::Break(()));

pub(super) async fn all(report: &mut Report, connection: &Connection, write: bool) -> Flow {
    let Some(config) = settings(report, connection)? else { return STOP };
    let config = config.connect_timeout(connection.limits().connect);
    let transport = match HttpTransport::for_config(&config) {
        Ok(transport) => {
            if let Some(proxy) = transport.proxy() {
                report.ok("proxy", format!("through {proxy}"))?;
            }
            Watch::new(transport)
        }
        Err(error) if error.to_string().contains("proxy") => {
            report.problem("proxy", Finding::new(error.to_string(), diagnosis::PROXY))?;
            return STOP;
        }
        Err(error) => {
            report.problem(
                "tls",
                Finding::new(error.to_string(), "install root certificates on this system"),
            )?;
            return STOP;
        }
    };
    let client = |encoding| {
        // A single attempt, so that intermittent failures show.
        let config = config
            .clone()
            .no_retry()
            .no_auto_batch()
            .encoding(encoding)
            .transport(transport.clone());
        config.build().map_err(Failure::from)
    };
    if reach(report, &client(Encoding::Text)?, &transport).await?.is_break() {
        return STOP;
    }
    let client = server::all(report, &client, &transport, write).await?;
    latency(report, &client, &transport).await?;
    clock(report, &client, &transport).await?;
    GO_ON
}

/// Checks address and token before anything is sent.
fn settings(report: &mut Report, connection: &Connection) -> Result<Option<Config>, Failure> {
    let address = match connection.address() {
        Ok(address) => address,
        Err(error) => {
            let fix = "set REDIS_REST_URL and REDIS_REST_TOKEN, or give --url and --token; to start a local server: redis-rest serve";
            report.problem("address", Finding::new(error.to_string(), fix))?;
            return Ok(None);
        }
    };
    // The proxy has a separate check.
    if let Err(error) = address.config.clone().no_proxy().build() {
        report.problem("address", diagnosis::address(&address, &error))?;
        return Ok(None);
    }
    report.ok("address", format!("from {}", address.source))?;
    let config = match connection.config() {
        Ok(config) => config,
        Err(failure) => {
            let fix = match address.source.as_str() {
                "--url" => "give --token, or unset --url",
                _ => "set the token of the same server, from the same page as the address",
            };
            report.problem("token", Finding::new(failure.message(), fix))?;
            return Ok(None);
        }
    };
    if let Err(error) = config.clone().no_proxy().build() {
        report.problem(
            "token",
            Finding::new(
                error.to_string(),
                "copy the token again, without quotes, spaces and line breaks",
            ),
        )?;
        return Ok(None);
    }
    // http:// to other machines is refused unless allowed.
    if address.url.starts_with("https://") {
        report.ok("tls", "https, checked by the first request")?;
    } else if Config::new().url(&address.url).token("any").build().is_ok() {
        report.ok("tls", "plain HTTP, within this machine")?;
    } else {
        let text = "plain HTTP is allowed: anyone on the network path can read the token";
        report.note("tls", Finding::new(text, "use https:// outside private networks"))?;
    }
    Ok(Some(config))
}

async fn reach(report: &mut Report, client: &Client, transport: &Watch) -> Flow {
    match client.run::<Value>(cmd("PING")).await {
        Ok(Value::Bytes(pong)) if pong == "PONG" => {
            report.ok("reach", "the server responds")?;
            report.ok("token", "the server accepts it")?;
            GO_ON
        }
        Ok(_) => {
            let finding = Finding::new(
                "the reply to PING is not PONG",
                "check that this is the REST address",
            );
            report.problem("reach", finding)?;
            STOP
        }
        Err(error) if error.server_class() == Some(ServerErrorClass::Forbidden) => {
            report.ok("reach", "the server answers")?;
            report.note(
                "token",
                Finding::new(
                    "the server accepts it, but not for PING",
                    "use a token with more permissions",
                ),
            )?;
            GO_ON
        }
        Err(error) => {
            let (check, finding) = diagnosis::first(&error, &transport.last());
            if matches!(check, "token" | "redis") {
                report.ok("reach", "the server responds")?;
            }
            report.problem(check, finding)?;
            STOP
        }
    }
}

async fn latency(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let began = Instant::now();
        // Not PING: some servers encode its PONG in a form that no client can read.
        match client.exists([KEY]).await {
            Ok(_) => times.push(began.elapsed()),
            Err(error) => return report.error("latency", &error, transport),
        }
    }
    times.sort_unstable();
    let median = times.get(PINGS / 2).copied().unwrap_or_default();
    let text =
        format!("{:.1} ms, the median of {PINGS} round trips", median.as_secs_f64() * 1000.0);
    if median > SLOW {
        report.note(
            "latency",
            Finding::new(text, "choose a region nearer to this machine, and send pipelines"),
        )
    } else {
        report.ok("latency", text)
    }
}

async fn clock(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    let asked = since_epoch();
    let (seconds, micros) = match client.time().reading::<(u64, u64)>().await {
        Ok(time) => time,
        Err(error) => return report.error("clock", &error, transport),
    };
    let answered = since_epoch();
    let server = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
    // A server time between request and response is no skew.
    let (skew, behind) = match (server.checked_sub(answered), asked.checked_sub(server)) {
        (Some(ahead), _) => (ahead, "ahead of"),
        (_, Some(behind)) => (behind, "behind"),
        _ => (Duration::ZERO, "with"),
    };
    let text = format!("the server's clock is {:.1} s {behind} this machine's", skew.as_secs_f64());
    let fix = "synchronise the clocks (NTP): otherwise times in sessions and EXPIREAT are wrong";
    if skew > SKEW_WRONG {
        report.problem("clock", Finding::new(text, fix))
    } else if skew > SKEW_NOTED {
        report.note("clock", Finding::new(text, fix))
    } else {
        report.ok("clock", "equal to this machine's within two seconds")
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
