//! Redis Sentinel: asking where the master is, and hearing that it moved.

use super::connect::{Connector, Endpoint, refused};
use super::{Link, convert};
use crate::error::{Error, ErrorKind, Result};
use crate::platform::{self, BoxFuture};
use crate::value::{FromValue as _, Value};
use futures_core::Stream;
use redis::{ConnectionAddr, Msg, RedisConnectionInfo};
use std::future::poll_fn;
use std::pin::pin;

/// Ends when a sentinel says that the master moved. Where its connection breaks, it never ends.
pub(super) type Moved = BoxFuture<'static, ()>;

/// The master by the first sentinel that knows it. Each has an equal share of the time, so that one that hangs does not use up all.
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
    // Before the question, so that no move is missed.
    let mut news = connector.pubsub(sentinel).await?;
    news.subscribe("+switch-master").await.map_err(|error| refused(&error))?;
    let moved = Box::pin(moved(news.into_on_message(), master.to_owned()));
    let mut link = connector.link(sentinel, None).await?;
    let question = redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master).to_owned();
    let answer = link.connection.send_packed_command(&question).await;
    link.driver.abort();
    let odd = || Error::new(ErrorKind::Connect, "a sentinel does not answer as one");
    let answer = convert(answer.map_err(|_| odd())?)?;
    let parts = Option::<(String, u16)>::from_value(answer).map_err(|_| odd())?;
    Ok((parts.map(|(host, port)| ConnectionAddr::Tcp(host, port)), moved))
}

async fn moved(news: impl Stream<Item = Msg> + Send, master: String) {
    let mut news = pin!(news);
    while let Some(message) = poll_fn(|context| news.as_mut().poll_next(context)).await {
        // The name of the master, its old address and its new one.
        if message.get_payload_bytes().split(|&byte| byte == b' ').next() == Some(master.as_bytes())
        {
            return;
        }
    }
    std::future::pending().await
}

/// Sentinels name the old master until all agree. A server that may not say what it is passes.
pub(super) async fn check_master(link: &Link) -> Result<()> {
    let mut connection = link.connection.clone();
    let answer = connection.send_packed_command(&redis::cmd("ROLE")).await;
    match answer.ok().map(convert) {
        Some(Ok(Value::Error(error))) if error.code() == "NOAUTH" => Err(Error::redis(error)),
        Some(Ok(Value::Array(role))) if !matches!(role.first(), Some(Value::Bytes(name)) if &name[..] == b"master") =>
        {
            link.driver.abort();
            Err(Error::new(
                ErrorKind::Connect,
                "the server that the sentinels name is not the master yet",
            ))
        }
        _ => Ok(()),
    }
}
