//! Connections that carry exactly the bytes a test writes, which HTTP clients would not send.

use crate::raw::parse;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for something that should come soon. Shorter than the server's default limits,
/// which must not end a test.
pub const LONG: Duration = Duration::from_secs(20);

/// Beginning of every request head.
pub const HEAD: &str =
    "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer local-token\r\n";

/// Returns a complete request for a connection that stays open.
pub fn full_request(body: &str) -> String {
    format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("the server listens")
}

pub async fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.expect("the server reads");
}

/// Reads until the server closes or resets the connection.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut all)).await;
    let _ = read.expect("the server ends the connection");
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads one response with a length on a connection that stays open. Returns `None` if the
/// connection ended before.
pub async fn read_response(stream: &mut TcpStream) -> Option<(u16, String)> {
    let read = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)?
            .split('\r')
            .next()?
            .parse()
            .ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        Some(parse(&(head + &String::from_utf8_lossy(&body))))
    };
    tokio::time::timeout(LONG, read).await.expect("an answer, or an end")
}

/// Sends a request and reads the response on a connection that stays open.
pub async fn exchange(stream: &mut TcpStream, body: &str) -> Option<(u16, String)> {
    stream.write_all(full_request(body).as_bytes()).await.ok()?;
    read_response(stream).await
}

pub fn pong() -> Option<(u16, String)> {
    Some((200, "{\"result\":\"PONG\"}".to_owned()))
}
