//! A server in a thread of its own, whose connections end while the client's runtime stands still.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A short one, as freezes go. Within less, no connection is doubted.
const FREEZE: Duration = Duration::from_millis(150);

/// What becomes of a connection that is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Closed in order.
    Close,
    /// Reset.
    Reset,
    /// Nothing yet: the next request is answered by a reset, unread. That is how a connection looks that only the other side, or a
    /// box between, has forgotten.
    ResetOnWrite,
    /// Nothing, and no answer ever.
    Silence,
}

/// The server; it ends with the value.
pub struct Frozen {
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    end: watch::Sender<Option<(End, mpsc::Sender<()>)>>,
    stop: watch::Sender<bool>,
    /// Connections that answered something and are still as they were.
    open: AtomicUsize,
    accepted: AtomicUsize,
    answered: AtomicUsize,
    lost: AtomicUsize,
}

impl Frozen {
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
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

    /// The freeze: the calling thread, and the client's runtime with it, stands still until all open connections have met this end.
    pub fn freeze(&self, end: End) {
        let open = self.shared.open.load(Ordering::SeqCst);
        let (met, meets) = mpsc::channel();
        self.shared.end.send_replace(Some((end, met)));
        for _ in 0..open {
            meets.recv().unwrap();
        }
        // Not to wait for anything: it is how long the freeze lasts.
        std::thread::sleep(FREEZE);
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// How many requests went into connections that were dead.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
        // A panic in there is a red test too, unless the test is red already.
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
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
            // What is closed with unread bytes is reset.
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

/// Whether the head and the whole body are there.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    body.len() >= length
}
