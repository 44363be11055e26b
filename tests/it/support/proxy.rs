//! A proxy that executes requests and then loses the replies, in the ways that networks and proxies do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without a reply.
    Drop,
    /// The connection is reset.
    Reset,
    /// Half of the reply, then the connection is closed.
    Half,
    /// An empty 500 instead of the reply.
    Empty500,
    /// A 503 that asks to wait, although the command ran.
    Busy503,
    /// The reply never comes, and the connection stays.
    Hold,
    /// A 429 instead of the execution.
    Limited429,
    /// The connection is closed before the request goes anywhere.
    Refuse,
}

impl Fault {
    fn before_execution(self) -> bool {
        matches!(self, Self::Limited429 | Self::Refuse)
    }
}

/// A running proxy; it ends with the test's runtime.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    fault: Fault,
    per_mille: u64,
    seen: AtomicU64,
    faults: AtomicU64,
}

impl Proxy {
    /// A proxy in front of `server` that does `fault` to so many of a thousand requests, by a fixed schedule.
    pub async fn start(server: SocketAddr, fault: Fault, per_mille: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { server, fault, per_mille, seen: AtomicU64::new(0), faults: AtomicU64::new(0) });
        let proxy = Self { address, shared: Arc::clone(&shared) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&shared)));
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests met the fault.
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Relaxed)
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = read_message(&mut client).await {
        let number = shared.seen.fetch_add(1, Ordering::Relaxed);
        // Without a pattern, and the same in every run.
        let unlucky = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 1000 < shared.per_mille;
        if unlucky {
            shared.faults.fetch_add(1, Ordering::Relaxed);
        }
        let fault = unlucky.then_some(shared.fault);
        let reply = match fault {
            Some(fault) if fault.before_execution() => Vec::new(),
            _ => match forward(&request, shared.server).await {
                Some(reply) => reply,
                None => return,
            },
        };
        let answer: &[u8] = match fault {
            None => &reply,
            Some(Fault::Drop | Fault::Refuse) => return,
            Some(Fault::Reset) => {
                let _ = client.set_zero_linger();
                return;
            }
            Some(Fault::Half) => {
                let _ = client.write_all(&reply[..reply.len() / 2 + 40]).await;
                return;
            }
            Some(Fault::Hold) => {
                // Until the client gives up.
                let _ = client.read(&mut [0]).await;
                return;
            }
            Some(Fault::Empty500) => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            Some(Fault::Busy503) => b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
            Some(Fault::Limited429) => b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        };
        if client.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Executes a request on the server, over a connection of its own.
async fn forward(request: &[u8], server: SocketAddr) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(server).await.ok()?;
    upstream.write_all(request).await.ok()?;
    read_message(&mut upstream).await
}

/// One HTTP message with a declared length, head and body.
async fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        if let Some(end) = message.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&message[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if message.len() >= end + 4 + length {
                return Some(message);
            }
        }
        if stream.read_buf(&mut message).await.ok()? == 0 {
            return None;
        }
    }
}
