//! The protocol features that servers have or lack.

use super::watch::Watch;
use super::{Finding, Report, diagnosis};
use crate::output::Failure;
use redis_rest::{Client, Encoding, Error, ErrorKind, ServerErrorClass, Value, cmd};
use std::time::Duration;

/// A text that is not base64.
const PROBE: &str = "redis-rest doctor: ä";
/// A key that does not exist: only the presence of a reply matters.
pub(super) const KEY: &str = "redis-rest:doctor";
/// Bytes that are not UTF-8, and a script that returns them.
const BYTES: &[u8] = b"\xff\x80x";
const SCRIPT: &str = r"return '\255\128x'";
/// An integer that a double cannot hold.
const INTEGER: i64 = (1 << 53) + 1;
/// Time to live of the write check's key, in case its deletion fails.
const KEPT: Duration = Duration::from_secs(60);

/// Creates clients with different encodings of replies.
type Clients<'a> = &'a dyn Fn(Encoding) -> Result<Client, Failure>;

/// Checks all features. Returns a client that can read this server's replies.
pub(super) async fn all(
    report: &mut Report,
    clients: Clients<'_>,
    transport: &Watch,
    write: bool,
) -> Result<Client, Failure> {
    let client = encoding(report, clients).await?;
    resp2(report, clients, transport).await?;
    pipeline(report, &client, transport).await?;
    transaction(report, &client, transport).await?;
    scripts(report, &client, transport).await?;
    if write {
        writes(report, &client, transport).await?;
    }
    Ok(client)
}

async fn encoding(report: &mut Report, clients: Clients<'_>) -> Result<Client, Failure> {
    let base64 = clients(Encoding::Base64)?;
    match base64.echo::<String>(PROBE).await {
        Ok(text) if text == PROBE => {}
        Ok(_) => {
            report.unchecked("encoding", "ECHO returns a different text")?;
            return Ok(base64);
        }
        Err(error) if matches!(error.kind(), ErrorKind::Decode | ErrorKind::Conversion) => {
            let finding = Finding::new(
                "the server ignores Upstash-Encoding: base64, so its replies are read as text",
                "store text only: bytes that are not UTF-8 are lost; set REDIS_REST_ENCODING=text to skip the probe",
            );
            report.note("encoding", finding)?;
            return clients(Encoding::Text);
        }
        Err(error) => {
            report.unchecked("encoding", refused("ECHO", &error))?;
            return Ok(base64);
        }
    }
    report.ok("encoding", "texts arrive in base64")?;
    if base64.run::<Value>(cmd("PING")).await.is_err_and(|error| error.kind() == ErrorKind::Decode)
        || base64.ping().await.is_err_and(|error| error.kind() == ErrorKind::Conversion)
    {
        let finding = Finding::new(
            "the server encodes values, but not statuses such as PONG and the replies to TYPE",
            "avoid PING and TYPE: their replies cannot be read",
        );
        report.note("statuses", finding)?;
    }
    bytes(report, &base64).await?;
    Ok(base64)
}

/// Sends bytes by the path form, or creates them in a script.
async fn bytes(report: &mut Report, client: &Client) -> Result<(), Failure> {
    const SURVIVE: &str = "bytes that are not UTF-8 are preserved";
    const LOST: &str = "the server replaces bytes that are not UTF-8 before it encodes them";
    const TEXT_ONLY: &str = "store text only";
    match client.run::<Vec<u8>>(cmd("ECHO").arg(BYTES)).await {
        Ok(bytes) if bytes == BYTES => return report.ok("bytes", SURVIVE),
        Ok(_) => return report.note("bytes", Finding::new(LOST, TEXT_ONLY)),
        Err(_) => {}
    }
    match client.run::<Vec<u8>>(cmd("EVAL").arg(SCRIPT).arg(0)).await {
        Ok(bytes) if bytes == BYTES => {
            let text =
                "the server has no path form: bytes that are not UTF-8 can be read, not written";
            report.note("bytes", Finding::new(text, TEXT_ONLY))
        }
        Ok(_) => report.note("bytes", Finding::new(LOST, TEXT_ONLY)),
        Err(error) => {
            report.unchecked("bytes", refused("the path form of ECHO, and a script", &error))
        }
    }
}

async fn resp2(
    report: &mut Report,
    clients: Clients<'_>,
    transport: &Watch,
) -> Result<(), Failure> {
    const NOTHING_TO_DO: &str = "nothing to do: RESP2 is used only with Encoding::Resp2";
    let text = clients(Encoding::Resp2)?.echo::<String>(PROBE).await;
    if let Err(error) = &text
        && matches!(error.kind(), ErrorKind::Redis | ErrorKind::Unauthorized)
    {
        return report.unchecked("resp2", refused("ECHO", error));
    }
    if !text.is_ok_and(|text| text == PROBE) || !transport.last().resp2 {
        let finding = Finding::new("the server does not reply in RESP2", NOTHING_TO_DO);
        return report.note("resp2", finding);
    }
    let array = clients(Encoding::Resp2)?.time().await.is_ok() && transport.last().resp2;
    let client = clients(Encoding::Resp2)?;
    let mut pipeline = client.pipeline();
    let _ = (pipeline.add(cmd::exists([KEY])), pipeline.add(cmd::exists([KEY])));
    let many = pipeline.send().await.is_ok() && transport.last().resp2;
    let lacks = match (array, many) {
        (true, true) => return report.ok("resp2", "Encoding::Resp2 can be used"),
        (false, true) => "arrays",
        (true, false) => "pipelines",
        (false, false) => "arrays and pipelines",
    };
    let text = format!("the server replies in RESP2, but not for {lacks}");
    report.note("resp2", Finding::new(text, "do not use Encoding::Resp2"))
}

async fn pipeline(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    let mut pipeline = client.pipeline();
    let probes = [0, 1].map(|_| pipeline.add(cmd::exists([KEY])));
    let mut result = pipeline.send().await;
    for probe in probes {
        result = result.and_then(|mut replies| replies.take(probe).map(|_| replies));
    }
    match result {
        Ok(_) if transport.last().path.ends_with("/pipeline") => {
            report.ok("pipeline", "many commands share one request")
        }
        Ok(_) => report.note(
            "pipeline",
            Finding::new(
                "the server has no /pipeline: each command is a separate request",
                "nothing to do; use another server if speed matters",
            ),
        ),
        Err(error) => report.error("pipeline", &error, transport),
    }
}

async fn transaction(
    report: &mut Report,
    client: &Client,
    transport: &Watch,
) -> Result<(), Failure> {
    let mut transaction = client.transaction();
    let probe = transaction.add(cmd::exists([KEY]));
    match transaction.send().await.and_then(|mut replies| replies.take(probe)) {
        Ok(_) => report.ok("transaction", "many commands run atomically"),
        Err(error) if error.kind() == ErrorKind::Unsupported => report.note(
            "transaction",
            Finding::new(
                "the server has no /multi-exec: transactions are refused",
                "use a script instead; sessions need no transactions",
            ),
        ),
        Err(error) => report.error("transaction", &error, transport),
    }
}

async fn scripts(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    match client.run::<i64>(cmd("EVAL").arg("return 1").arg(0)).await {
        Ok(_) => report.ok("scripts", "the scripts of sessions and exactly-once calls can run"),
        Err(error) => report.error("scripts", &error, transport),
    }
}

async fn writes(report: &mut Report, client: &Client, transport: &Watch) -> Result<(), Failure> {
    // A unique key: no other data is touched.
    let key = format!("redis-rest:doctor:{}", uuid::Uuid::new_v4());
    match client.set(&key, INTEGER).ex(KEPT).await {
        Ok(()) => {
            let encoded = transport.last().encoded_okay;
            let integer = client.incrby(&key, 0).await;
            let mixed = failing_transaction(client, &key).await;
            // The key expires if the deletion fails, and the latency check would report the
            // failure.
            let _ = client.del([&key]).await;
            report.ok("write", "a key was written and deleted")?;
            if encoded {
                let text = "the server encodes the status OK too";
                report.note("okay", Finding::new(text, "nothing to do: the client decodes it"))?;
            }
            if integer.is_ok_and(|integer| integer != INTEGER) {
                let text = "the server rounds integers beyond 2^53";
                report.note("integers", Finding::new(text, "keep counters below that"))?;
            }
            match mixed {
                Some(error) if error.kind() != ErrorKind::Unsupported => {
                    let text = "a failing command hides the results of its whole transaction, although the others ran";
                    let fix = "use a script for commands that may fail";
                    report.note("transaction", Finding::new(text, fix))
                }
                _ => Ok(()),
            }
        }
        Err(error) if error.server_class() == Some(ServerErrorClass::Forbidden) => {
            let fix =
                "fine for reading, with Config::read_only_token(); sessions need the other token";
            report.note("write", Finding::new("the token may only read", fix))
        }
        Err(error) => report.error("write", &error, transport),
    }
}

/// Runs a transaction on a string, with a list command second. Returns the error of the whole
/// transaction, if any.
async fn failing_transaction(client: &Client, key: &str) -> Option<Error> {
    let mut transaction = client.transaction();
    let _ = (transaction.add(cmd::strlen(key)), transaction.add(cmd::llen(key)));
    transaction.send().await.err()
}

fn refused(what: &str, error: &Error) -> String {
    format!("the server refuses {what}: {}", diagnosis::said(error))
}
