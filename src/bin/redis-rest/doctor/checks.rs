//! The checks, in the order in which each needs the ones before it.

use super::watch::Watch;
use super::{Finding, Report, diagnosis};
use crate::connection::Connection;
use crate::output::Failure;
use redis_rest::backend::rest::HttpTransport;
use redis_rest::{Client, Config, Encoding, Error, ErrorKind, Value, cmd};
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

/// A text that is no base64: a server that sends it as it is cannot be taken for one that encodes.
const PROBE: &str = "redis-rest doctor: ä";
/// How many round trips the latency is the median of.
const PINGS: usize = 5;
/// Beyond this every call waits noticeably.
const SLOW: Duration = Duration::from_millis(200);
/// What clocks may differ by: sessions have times in seconds.
const SKEW_NOTED: Duration = Duration::from_secs(2);
const SKEW_WRONG: Duration = Duration::from_secs(30);
/// The key of the write check outlives it by this, should its deletion fail.
const KEPT: Duration = Duration::from_secs(60);

/// `Break` where a problem leaves nothing further to check.
type Flow = Result<ControlFlow<()>, Failure>;

const GO_ON: Flow = Ok(ControlFlow::Continue(()));
const STOP: Flow = Ok(ControlFlow::Break(()));

pub(super) async fn all(report: &mut Report, connection: &Connection, write: bool) -> Flow {
    let Some(config) = settings(report, connection)? else { return STOP };
    let transport = match HttpTransport::new(connection.limits().connect) {
        Ok(transport) => Watch::new(transport),
        Err(error) => {
            report.problem(
                "tls",
                Finding::new(error.to_string(), "give this system root certificates"),
            )?;
            return STOP;
        }
    };
    let client = |format| {
        // One attempt: what fails now and then should show.
        let config =
            config.clone().no_retry().no_auto_batch().encoding(format).transport(transport.clone());
        config.build().map_err(Failure::from)
    };
    if reach(report, &client(Encoding::Text)?, &transport).await?.is_break() {
        return STOP;
    }
    let base64 = client(Encoding::Base64)?;
    let encoded = encoding(report, &base64, &transport).await?;
    resp2(report, &client(Encoding::Resp2)?, &transport).await?;
    // The others are about other things, and should not fail for this one.
    let client = if encoded { base64 } else { client(Encoding::Text)? };
    pipeline(report, &client, &transport).await?;
    transaction(report, &client, &transport).await?;
    scripts(report, &client, &transport).await?;
    if write {
        writes(report, &client, &transport).await?;
    }
    latency(report, &client, &transport).await?;
    clock(report, &client, &transport).await?;
    GO_ON
}

/// Address and token, before anything is sent.
fn settings(report: &mut Report, connection: &Connection) -> Result<Option<Config>, Failure> {
    let address = match connection.address() {
        Ok(address) => address,
        Err(error) => {
            let fix = "set REDIS_REST_URL and REDIS_REST_TOKEN, or give --url and --token; to start a server here: redis-rest serve";
            report.problem("address", Finding::new(error.to_string(), fix))?;
            return Ok(None);
        }
    };
    if let Err(error) = address.config.clone().build() {
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
    if let Err(error) = config.clone().build() {
        report.problem(
            "token",
            Finding::new(
                error.to_string(),
                "copy it again, without quotes, spaces and line breaks",
            ),
        )?;
        return Ok(None);
    }
    // http:// to other machines is refused where nobody has allowed it.
    if address.url.starts_with("https://") {
        report.ok("tls", "https, checked by the first request")?;
    } else if Config::new().url(&address.url).token("any").build().is_ok() {
        report.ok("tls", "plain HTTP, within this machine")?;
    } else {
        let text = "plain HTTP was allowed: whoever can listen on the way can read the token";
        report.note("tls", Finding::new(text, "use https:// where the network is not your own"))?;
    }
    Ok(Some(config))
}

async fn reach(report: &mut Report, client: &Client, transport: &Watch) -> Flow {
    match client.run::<Value>(cmd("PING")).await {
        Ok(Value::Bytes(pong)) if pong == "PONG" => {
            report.ok("reach", "the server answers")?;
            report.ok("token", "the server accepts it")?;
            GO_ON
        }
        Ok(_) => {
            let finding = Finding::new(
                "something answers, but PING with something else than PONG",
                "is this the REST address?",
            );
            report.problem("reach", finding)?;
            STOP
        }
        Err(error) if error.redis_code() == Some("NOPERM") => {
            report.ok("reach", "the server answers")?;
            report.note(
                "token",
                Finding::new(
                    "the server knows it, but it may not even PING",
                    "use a token with more rights",
                ),
            )?;
            GO_ON
        }
        Err(error) => {
            let (check, finding) = diagnosis::first(&error, &transport.last());
            if matches!(check, "token" | "redis") {
                report.ok("reach", "the server answers")?;
            }
            report.problem(check, finding)?;
            STOP
        }
    }
}

/// True where replies in base64 can be used.
async fn encoding(
    report: &mut Report,
    client: &Client,
    transport: &Watch,
) -> Result<bool, Failure> {
    match client.echo::<String>(PROBE).await {
        Ok(text) if text == PROBE => {
            report.ok("base64", "any bytes survive in replies")?;
            Ok(true)
        }
        Err(error)
            if error.kind() != ErrorKind::Decode && error.kind() != ErrorKind::Conversion =>
        {
            let checked = report_error(report, "base64", &error, transport);
            checked.map(|()| true)
        }
        _ => {
            let finding = Finding::new(
                "the server ignores Upstash-Encoding: base64 and sends text, which this client would misread",
                "set Config::no_base64() and store text only, or update the server",
            );
            report.problem("base64", finding)?;
            Ok(false)
        }
    }
}

async fn resp2(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    match client.echo::<String>(PROBE).await {
        Ok(text) if text == PROBE && transport.last().resp2 => {
            report.ok("resp2", "Encoding::Resp2 can be used")
        }
        _ => report.note(
            "resp2",
            Finding::new(
                "the server does not answer in RESP2",
                "nothing to do: base64 is the default",
            ),
        ),
    }
}

async fn pipeline(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    let mut pipeline = client.pipeline();
    let probes =
        [pipeline.add(cmd::echo::<String>(PROBE)), pipeline.add(cmd::echo::<String>(PROBE))];
    let mut result = pipeline.send().await;
    for probe in probes {
        result = result.and_then(|mut replies| replies.take(probe).map(|_| replies));
    }
    match result {
        Ok(_) => report.ok("pipeline", "many commands go in one request"),
        Err(error) if lacks_form(&error, transport) => {
            let finding = Finding::new(
                format!(
                    "the server has no /pipeline (HTTP {}): pipelines fail, and calls made at the same time",
                    status(transport)
                ),
                "update the server, or set Config::no_auto_batch() and send single commands only",
            );
            report.problem("pipeline", finding)
        }
        Err(error) => report_error(report, "pipeline", &error, transport),
    }
}

async fn transaction(
    report: &mut Report,
    client: &Client,
    transport: &Watch,
) -> Result<(), Failure> {
    let mut transaction = client.transaction();
    let probe = transaction.add(cmd::echo::<String>(PROBE));
    match transaction.send().await.and_then(|mut replies| replies.take(probe)) {
        Ok(_) => report.ok("transaction", "many commands run atomically"),
        Err(error) if lacks_form(&error, transport) => {
            let text = format!(
                "the server has no /multi-exec (HTTP {}): transactions fail",
                status(transport)
            );
            report.problem(
                "transaction",
                Finding::new(text, "update the server, or use scripts instead"),
            )
        }
        Err(error) => report_error(report, "transaction", &error, transport),
    }
}

async fn scripts(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    match client.run::<i64>(cmd("EVAL").arg("return 1").arg(0)).await {
        Ok(_) => report.ok("scripts", "sessions and exactly-once calls can run theirs"),
        Err(error) => report_error(report, "scripts", &error, transport),
    }
}

async fn writes(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    // A key of its own, so that nothing of anyone else's is touched.
    let key = format!("redis-rest:doctor:{}", uuid::Uuid::new_v4());
    match client.set(&key, "").ex(KEPT).await {
        Ok(()) => {
            // It expires if this fails, and the latency check would tell.
            let _ = client.del([&key]).await;
            report.ok("write", "a key was written and deleted")
        }
        Err(error) if error.redis_code() == Some("NOPERM") => {
            let fix =
                "fine for reading, with Config::read_only_token(); sessions need the other token";
            report.note("write", Finding::new("the token may only read", fix))
        }
        Err(error) => report_error(report, "write", &error, transport),
    }
}

async fn latency(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        match client.ping().await {
            Ok(time) => times.push(time),
            Err(error) => return report_error(report, "latency", &error, transport),
        }
    }
    times.sort_unstable();
    let median = times.get(PINGS / 2).copied().unwrap_or_default();
    let text =
        format!("{:.1} ms, the median of {PINGS} round trips", median.as_secs_f64() * 1000.0);
    match median > SLOW {
        true => report.note(
            "latency",
            Finding::new(text, "choose a region nearer to this machine, and send pipelines"),
        ),
        false => report.ok("latency", text),
    }
}

async fn clock(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    let asked = since_epoch();
    let (seconds, micros) = match client.time().await {
        Ok(time) => time,
        Err(error) => return report_error(report, "clock", &error, transport),
    };
    let answered = since_epoch();
    let server = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
    // What lies between asking and the answer is no skew.
    let (skew, behind) = match (server.checked_sub(answered), asked.checked_sub(server)) {
        (Some(ahead), _) => (ahead, "ahead of"),
        (_, Some(behind)) => (behind, "behind"),
        _ => (Duration::ZERO, "with"),
    };
    let text = format!("the server's clock is {:.1} s {behind} this machine's", skew.as_secs_f64());
    let fix = "synchronise the clocks (NTP): times in sessions and EXPIREAT go wrong otherwise";
    if skew > SKEW_WRONG {
        report.problem("clock", Finding::new(text, fix))
    } else if skew > SKEW_NOTED {
        report.note("clock", Finding::new(text, fix))
    } else {
        report.ok("clock", "the same here and there, to two seconds")
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A token's missing right is worth a note; anything else is a problem.
fn report_error(
    report: &mut Report,
    check: &'static str,
    error: &Error,
    transport: &Watch,
) -> Result<(), Failure> {
    let finding = diagnosis::any(error, &transport.last());
    match error.redis_code() == Some("NOPERM") {
        true => report.note(check, finding),
        false => report.problem(check, finding),
    }
}

/// The server answered, and single commands work, so it is this form that it does not know.
fn lacks_form(error: &Error, transport: &Watch) -> bool {
    matches!(transport.last().status, Some(404 | 405 | 501)) && error.redis_code() != Some("NOPERM")
}

fn status(transport: &Watch) -> u16 {
    transport.last().status.unwrap_or_default()
}
