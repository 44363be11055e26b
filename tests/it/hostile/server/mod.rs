//! The server against clients that mean harm: mostly raw sockets, since HTTP clients are too polite.

/// More connections than there is room for.
mod connections;
/// Heads and bodies that are no good HTTP.
mod framing;
/// Requests of a few bytes that ask Redis for gigabytes.
#[cfg(target_os = "linux")]
mod gigabytes;
/// Scripts that loop, eat memory, or overflow stacks.
mod lua;
/// Memory for all clients together, and for one answer.
mod memory;
/// Clients of which one is at fault.
mod neighbours;
/// Requests that browsers send for pages of other sites.
mod pages;
/// Scripts on a real Redis: their time, and what they reach.
mod redis_scripts;
/// Replies that would not fit into memory.
mod replies;
/// Clients that send slowly, or read slowly.
mod slow;
/// Subscribers that never read.
mod subscribers;

use crate::support::raw::parse;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest time for what should come soon; shorter than the server's default limits, which must not be what ends a test.
const LONG: Duration = Duration::from_secs(20);

/// The beginning of every head.
const HEAD: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer local-token\r\n";

/// A whole request on a connection that stays open.
fn whole(body: &str) -> String {
    format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
}

async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("the server listens")
}

async fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.expect("the server reads");
}

/// All that comes until the server closes; a reset is an end, too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut all)).await;
    let _ = read.expect("the server ends the connection");
    String::from_utf8_lossy(&all).into_owned()
}

/// One answer with a length, on a connection that stays open; `None` where the connection ended before.
async fn answer(stream: &mut TcpStream) -> Option<(u16, String)> {
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

/// Asks on a connection that stays open.
async fn ask(stream: &mut TcpStream, body: &str) -> Option<(u16, String)> {
    stream.write_all(whole(body).as_bytes()).await.ok()?;
    answer(stream).await
}

fn pong() -> Option<(u16, String)> {
    Some((200, "{\"result\":\"PONG\"}".to_owned()))
}
