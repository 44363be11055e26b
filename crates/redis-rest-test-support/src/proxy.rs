//! A proxy that loses, delays and mutilates messages, as networks and proxies do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Fault applied to a request or its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without a reply.
    Drop,
    /// The connection is reset.
    Reset,
    /// Half of the reply arrives, then the connection is closed.
    Half,
    /// An empty 500 instead of the reply.
    Empty500,
    /// A 503 with `Retry-After`, although the command ran.
    Busy503,
    /// The reply never comes, and the connection stays open.
    Hold,
    /// A 429 instead of the execution.
    Limited429,
    /// The connection is closed before the request is forwarded.
    Refuse,
    /// A page of HTML instead of the execution.
    Html502,
    /// The request arrives after this many milliseconds, even if the client no longer waits.
    Late(u64),
}

impl Fault {
    fn before_execution(self) -> bool {
        matches!(self, Self::Limited429 | Self::Refuse | Self::Html502)
    }
}

/// A running proxy; it ends with the test's runtime.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Reserves the port while the proxy does not listen.
    _place: TcpSocket,
    listening: Mutex<Option<AbortHandle>>,
}

struct Shared {
    server: SocketAddr,
    /// The fault, and how many of a thousand requests meet it.
    fault: Mutex<(Fault, u64)>,
    seen: AtomicU64,
    faults: AtomicU64,
    /// Number of open connections and unfinished requests.
    busy: watch::Sender<usize>,
    connections: Mutex<Vec<AbortHandle>>,
}

impl Proxy {
    /// Starts a proxy in front of `server` that applies `fault` to `per_mille` of a thousand
    /// requests, by a fixed schedule.
    pub async fn start(server: SocketAddr, fault: Fault, per_mille: u64) -> Self {
        let place = socket(([127, 0, 0, 1], 0).into());
        let address = place.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            fault: Mutex::new((fault, per_mille)),
            seen: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            busy: watch::Sender::new(0),
            connections: Mutex::default(),
        });
        let proxy = Self { address, shared, _place: place, listening: Mutex::default() };
        proxy.listen(true);
        proxy
    }

    /// Changes the fault and its rate.
    pub fn set(&self, fault: Fault, per_mille: u64) {
        *self.shared.fault.lock().unwrap() = (fault, per_mille);
    }

    /// Accepts connections, or refuses new ones and resets open ones.
    pub fn listen(&self, listens: bool) {
        let mut listening = self.listening.lock().unwrap();
        if !listens {
            listening.take().into_iter().for_each(|task| task.abort());
            self.shared.connections.lock().unwrap().drain(..).for_each(|task| task.abort());
        } else if listening.is_none() {
            let listener = socket(self.address).listen(1024).unwrap();
            let shared = Arc::clone(&self.shared);
            let accept = async move {
                while let Ok((client, _)) = listener.accept().await {
                    let task = tokio::spawn(serve(client, Arc::clone(&shared)));
                    let mut connections = shared.connections.lock().unwrap();
                    connections.retain(|task| !task.is_finished());
                    connections.push(task.abort_handle());
                }
            };
            *listening = Some(tokio::spawn(accept).abort_handle());
        }
    }

    /// Waits until no request is on its way to the server.
    pub async fn idle(&self) {
        self.shared.busy.subscribe().wait_for(|busy| *busy == 0).await.unwrap();
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests that met the fault.
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Relaxed)
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = read_message(&mut client).await {
        let (fault, per_mille) = *shared.fault.lock().unwrap();
        let number = shared.seen.fetch_add(1, Ordering::Relaxed);
        // Irregular, and the same in every run.
        let unlucky = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 1000 < per_mille;
        if unlucky {
            shared.faults.fetch_add(1, Ordering::Relaxed);
        }
        let fault = unlucky.then_some(fault);
        let reply = match fault {
            Some(fault) if fault.before_execution() => Vec::new(),
            _ => match deliver(request, fault, &shared).await {
                Some(reply) => reply,
                None => return,
            },
        };
        let answer: &[u8] = match fault {
            None | Some(Fault::Late(_)) => &reply,
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
                // Returns once the client gives up.
                let _ = client.read(&mut [0]).await;
                return;
            }
            Some(Fault::Empty500) => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            Some(Fault::Busy503) => b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
            Some(Fault::Html502) => {
                b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 20\r\n\r\n<h1>Bad Gateway</h1>"
            }
            Some(Fault::Limited429) => b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        };
        if client.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Executes a request on the server in a separate task, so that it arrives even if its client gave
/// up.
async fn deliver(request: Vec<u8>, fault: Option<Fault>, shared: &Arc<Shared>) -> Option<Vec<u8>> {
    let shared = Arc::clone(shared);
    shared.busy.send_modify(|busy| *busy += 1);
    let delivery = tokio::spawn(async move {
        if let Some(Fault::Late(millis)) = fault {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let reply = forward(&request, shared.server).await;
        shared.busy.send_modify(|busy| *busy -= 1);
        reply
    });
    delivery.await.ok().flatten()
}

/// Returns a socket that shares its address.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Executes a request on the server over a new connection.
async fn forward(request: &[u8], server: SocketAddr) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(server).await.ok()?;
    upstream.write_all(request).await.ok()?;
    read_message(&mut upstream).await
}

/// Reads an HTTP message, head and body, with a declared length or in chunks.
async fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        if let Some(end) = message.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&message[..end]).to_ascii_lowercase();
            let chunked = head.lines().any(|line| line == "transfer-encoding: chunked");
            // JSON contains no line that is a lone zero.
            if chunked && message.ends_with(b"\r\n0\r\n\r\n") {
                return Some(message);
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if !chunked && message.len() >= end + 4 + length {
                return Some(message);
            }
        }
        if stream.read_buf(&mut message).await.ok()? == 0 {
            return None;
        }
    }
}
