//! A relay that forwards bytes until it is switched to swallow them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The relay, which ends with the test's runtime.
pub struct Relay {
    pub addr: SocketAddr,
    swallow: watch::Sender<()>,
    accepted: Arc<AtomicUsize>,
}

impl Relay {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let swallow = watch::Sender::new(());
        let accepted = Arc::<AtomicUsize>::default();
        let (told, count) = (swallow.clone(), Arc::clone(&accepted));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(pass(client, server, told.subscribe()));
            }
        });
        Self { addr, swallow, accepted }
    }

    /// Keeps the current connections open, and forwards nothing on them any more.
    pub fn swallow(&self) {
        self.swallow.send_replace(());
    }

    /// Returns the number of connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, mut told: watch::Receiver<()>) {
    let mut upstream = TcpStream::connect(server).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => return,
        _ = told.changed() => {}
    }
    let mut lost = Vec::new();
    while client.read_buf(&mut lost).await.is_ok_and(|bytes| bytes > 0) {
        lost.clear();
    }
}
