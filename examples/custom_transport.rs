//! A custom transport: here a plain socket. The `fetch` of a worker or the backend of an edge
//! platform plugs in the same way; retries, batches and sessions of the client work unchanged.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{BoxFuture, Client, Error, ErrorKind, Outcome, Result};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, Server, ServerConfig};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Opens a connection for each request. [`Transport`] documents how to report failures.
struct Socket;

impl Transport for Socket {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        // Nothing was sent: any command may be retried. From the first byte on, the server may have
        // executed it.
        let unsent = |error: io::Error| {
            Error::custom(ErrorKind::Connect, Outcome::NotApplied, "no connection")
                .with_source(error)
        };
        let broke = |error: io::Error| {
            Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "the connection broke")
                .with_source(error)
        };
        Box::pin(async move {
            let (host, port) = (
                request.url.host_str().unwrap_or_default(),
                request.url.port_or_known_default().unwrap_or(80),
            );
            let mut stream = TcpStream::connect((host, port)).await.map_err(unsent)?;
            let (path, length) = (request.url.path(), request.body.len());
            let mut head =
                format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n").into_bytes();
            for (name, value) in &request.headers {
                head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            stream
                .write_all(&[&head, &b"\r\n"[..], &request.body].concat())
                .await
                .map_err(broke)?;
            let (mut answer, most) =
                (Vec::new(), (request.max_reply_bytes as u64).saturating_add(16 << 10));
            stream.take(most).read_to_end(&mut answer).await.map_err(broke)?;
            let response =
                parse(answer.into()).ok_or_else(|| broke(io::ErrorKind::InvalidData.into()))?;
            let too_large = Error::custom(
                ErrorKind::ReplyTooLarge,
                Outcome::MaybeApplied,
                "the reply is larger than allowed",
            );
            if response.body.len() > request.max_reply_bytes {
                Err(too_large)
            } else {
                Ok(response)
            }
        })
    }
}

fn parse(answer: Bytes) -> Option<HttpResponse> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(answer.get(..end)?).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        line.split_once(':').map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
        })
    };
    Some(HttpResponse::new(
        status,
        lines.filter_map(header).collect::<Option<HeaderMap>>()?,
        answer.slice(end + 4..),
    ))
}

#[tokio::main]
async fn main() -> Result<()> {
    let listen = ServerConfig::new().listen(([127, 0, 0, 1], 0).into());
    let server = Server::bind(std::sync::Arc::new(MemoryBackend::new()), listen).await?.spawn();
    let client =
        Client::builder().url(server.url()).token(DEFAULT_TOKEN).transport(Socket).build()?;
    client.set("name", "Ada").await?;
    println!(
        "{} visits of {}",
        client.incrby("visits", 3).await?,
        client.get::<String>("name").await?
    );
    server.shutdown().await;
    Ok(())
}
