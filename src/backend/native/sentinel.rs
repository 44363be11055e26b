//! Redis Sentinel: finds the master, and notices that it moved.

use super::connect::{Connector, Endpoint};
use super::connection::Wire;
use super::resp::Received;
use super::{listen, pack};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, BoxFuture};
use crate::value::{FromValue as _, Value};
use redis::{ConnectionAddr, RedisConnectionInfo};

/// Ends when a sentinel reports that the master moved. Never ends if the sentinel's connection
/// breaks.
pub(super) type Moved = BoxFuture<'static, ()>;

/// Returns the master according to the first sentinel that knows it. Each sentinel has an equal
/// share of the time, so that a hanging one does not use all of it.
pub(super) async fn find_master(
    connector: &Connector,
    sentinels: &[Endpoint],
    master: &str,
    login: &RedisConnectionInfo,
) -> Result<(Endpoint, Moved)> {
    let parts = u32::try_from(sentinels.len() + 1).unwrap_or(u32::MAX);
    let mut last = Error::new(ErrorKind::Connect, "no sentinel answers");
    for sentinel in sentinels {
        match platform::timeout(connector.timeout / parts, ask(connector, sentinel, master)).await {
            Some(Ok((Some(address), moved))) => {
                return Ok((Endpoint { address, tls: sentinel.tls, login: login.clone() }, moved));
            }
            Some(Ok((None, _))) => {
                last = Error::new(ErrorKind::Connect, "the sentinels know no master of this name")
            }
            Some(Err(error)) => last = error,
            None => {
                last = Error::new(
                    ErrorKind::Connect,
                    "a sentinel does not answer within the time allowed",
                )
            }
        }
    }
    Err(last)
}

async fn ask(
    connector: &Connector,
    sentinel: &Endpoint,
    master: &str,
) -> Result<(Option<ConnectionAddr>, Moved)> {
    let odd = || Error::new(ErrorKind::Connect, "a sentinel does not answer as one");
    // Before the query, so that no move is missed.
    let news = listen::subscribe(connector, sentinel, "SUBSCRIBE", b"+switch-master").await?;
    let moved = Box::pin(moved(news, master.to_owned()));
    let mut wire = connector.wire(sentinel).await?;
    let answer = ask_once(&mut wire, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", master]).await;
    let parts = Option::<(String, u16)>::from_value(answer.ok_or_else(odd)?).map_err(|_| odd())?;
    Ok((parts.map(|(host, port)| ConnectionAddr::Tcp(host, port)), moved))
}

/// Returns the reply to one command on a separate connection, or `None` if none can be read.
pub(super) async fn ask_once(wire: &mut Wire, words: &[&str]) -> Option<Value> {
    let mut question = Vec::new();
    pack::words(words.iter().copied(), &mut question);
    wire.send(&question).await.ok()?;
    match wire.receive().await.ok()? {
        Received::Whole(reply) => reply.ok(),
        Received::Each(_) => None,
    }
}

async fn moved(mut news: Wire, master: String) {
    while let Ok(received) = news.receive().await {
        let Some(message) = listen::message(received) else { continue };
        // The name of the master, its old address and its new one.
        if message.payload.split(|&byte| byte == b' ').next() == Some(master.as_bytes()) {
            return;
        }
    }
    std::future::pending().await
}

/// Checks the role: sentinels name the old master until all agree. A server that does not permit
/// the query passes.
pub(super) async fn check_master(wire: &mut Wire) -> Result<()> {
    match ask_once(wire, &["ROLE"]).await {
        Some(Value::Array(role)) if !matches!(role.first(), Some(Value::Bytes(name)) if &name[..] == b"master") => {
            Err(Error::new(
                ErrorKind::Connect,
                "the server that the sentinels name is not the master yet",
            ))
        }
        _ => Ok(()),
    }
}
