//! nginx and haproxy in front of a server, under load. A counter shows the applied commands.

/// Limits of streams and of requests over HTTP/2.
mod http2;
/// Idle connections that the front closes.
mod idle;
/// Reloads of the front.
mod reloads;

use redis_rest::{Client, Config, Outcome};
use redis_rest_server::MemoryBackend;
use redis_rest_server::{DEFAULT_TOKEN, RunningServer};
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::rest;
use redis_rest_test_support::tls;
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// The outcomes of increments of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    ok: usize,
    not_applied: usize,
    maybe_applied: usize,
}

impl Counts {
    fn add(&mut self, result: &redis_rest::Result<i64>) {
        match result {
            Ok(_) => self.ok += 1,
            Err(error) => match error.outcome() {
                Outcome::NotApplied => self.not_applied += 1,
                Outcome::MaybeApplied => self.maybe_applied += 1,
                Outcome::Applied => panic!("an integer is an integer: {error:?}"),
            },
        }
    }

    fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, counts| Self {
            ok: sum.ok + counts.ok,
            not_applied: sum.not_applied + counts.not_applied,
            maybe_applied: sum.maybe_applied + counts.maybe_applied,
        })
    }
}

/// Starts a server with a counter `n`, and returns a client that reaches it directly.
async fn server() -> (RunningServer, Client) {
    let server = rest::serve(MemoryBackend::new()).await;
    let direct = rest::client(&server);
    (server, direct)
}

/// Returns settings for a client of a TLS front.
fn secure(addr: SocketAddr, certificates: &Certificates) -> Config {
    let config = Client::builder().url(tls::url(addr)).token(DEFAULT_TOKEN);
    config.root_certificate_pem(certificates.authority.clone())
}

/// Returns settings for a client of a plain HTTP front.
fn plain(addr: SocketAddr) -> Config {
    Client::builder().url(format!("http://{addr}")).token(DEFAULT_TOKEN)
}

/// Makes the increments of many concurrent callers, `calls` by each.
async fn increments(client: &Client, callers: usize, calls: usize) -> Counts {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let client = client.clone();
        tasks.spawn(async move {
            let mut counts = Counts::default();
            for _ in 0..calls {
                let result = client.incr("n").await;
                if let Err(error) = &result {
                    println!("{error:?}");
                }
                counts.add(&result);
            }
            counts
        });
    }
    Counts::sum(tasks.join_all().await)
}

/// Returns the value of the counter.
async fn counted(direct: &Client) -> usize {
    direct.get::<Option<usize>>("n").await.unwrap().unwrap_or_default()
}
