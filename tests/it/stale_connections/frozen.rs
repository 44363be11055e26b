//! A server in a separate thread, whose connections end while the client's runtime stands still.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A short freeze. Below this, no connection is suspected.
const FREEZE: Duration = Duration::from_millis(150);

/// The end of an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Closed in order.
    Close,
    /// Reset.
    Reset,
    /// Nothing yet: the next request is reset unread, as if only the other side, or a box between,
    /// had forgotten the connection.
    ResetOnWrite,
    /// Nothing, and never a response.
    Silence,
}

/// The server, which ends when this is dropped.
pub struct Frozen {
    addr: SocketAddr,
    shared: Arc<ServerState>,
    thread: Option<JoinHandle<()>>,
}

struct ServerState {
    end: watch::Sender<Option<(End, mpsc::Sender<()>)>>,
    stop: watch::Sender<bool>,
    /// Connections that have served a request and are still open.
    open: AtomicUsize,
    accepted: AtomicUsize,
    answered: AtomicUsize,
    lost: AtomicUsize,
}

impl Frozen {
    pub fn start() -> Self {
        let shared = Arc::new(ServerState {
            end: watch::Sender::new(None),
            stop: watch::Sender::new(false),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        });
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut stop = serving.stop.subscribe();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            serving.accepted.fetch_add(1, Ordering::Relaxed);
                            tokio::spawn(serve(accepted.unwrap().0, Arc::clone(&serving)));
                        }
                        _ = stop.changed() => break,
                    }
                }
            });
        });
        Self { addr, shared, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Freezes the calling thread, and the client's runtime with it, until all open connections
    /// have met this end.
    pub fn freeze(&self, end: End) {
        let open = self.shared.open.load(Ordering::SeqCst);
        let (met, meets) = mpsc::channel();
        self.shared.end.send_replace(Some((end, met)));
        for _ in 0..open {
            meets.recv().unwrap();
        }
        // Not a wait for something: this is the length of the freeze.
        std::thread::sleep(FREEZE);
    }

    /// Returns the number of connections so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Returns the number of requests with a response.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Returns the number of requests sent into dead connections.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
        // A panic in the thread fails the test too, unless it is failing already.
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<ServerState>) {
    let mut ends = shared.end.subscribe();
    ends.mark_unchanged();
    let (mut request, mut open) = (Vec::new(), false);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut request) => match read {
                Ok(1..) if complete(&request) => {
                    request.clear();
                    shared.answered.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut open, true) {
                        shared.open.fetch_add(1, Ordering::SeqCst);
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"result\":1}";
                    stream.write_all(answer).await.unwrap();
                }
                Ok(1..) => {}
                // The client closed it.
                _ => {
                    shared.open.fetch_sub(usize::from(open), Ordering::SeqCst);
                    return;
                }
            },
            _ = ends.changed() => break,
        }
    }
    shared.open.fetch_sub(usize::from(open), Ordering::SeqCst);
    let Some((end, met)) = ends.borrow_and_update().clone() else { return };
    match end {
        End::Close => drop(stream),
        End::Reset => {
            stream.set_zero_linger().unwrap();
            drop(stream);
        }
        End::ResetOnWrite => {
            met.send(()).unwrap();
            if stream.peek(&mut [0]).await.is_ok_and(|bytes| bytes > 0) {
                shared.lost.fetch_add(1, Ordering::Relaxed);
            }
            // A connection closed with unread bytes is reset.
            return;
        }
        End::Silence => {
            met.send(()).unwrap();
            while stream.read_buf(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                if complete(&request) {
                    shared.lost.fetch_add(1, Ordering::Relaxed);
                    request.clear();
                }
            }
            return;
        }
    }
    met.send(()).unwrap();
}

/// Returns true if the head and the whole body have arrived.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}
