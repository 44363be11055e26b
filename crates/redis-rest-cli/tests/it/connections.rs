//! More connections than a server usually has.

use redis_rest_test_support::connection::{connect, exchange, pong};
use tokio::io::AsyncWriteExt as _;

/// Ten thousand connections; run by hand: `cargo test --release -p redis-rest-cli --test it
/// connections -- --ignored --nocapture`.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "by hand: takes ten thousand files of two processes each"]
fn ten_thousand_connections() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    const MANY: usize = 10_000;

    let room: usize =
        std::env::var("ROOM").ok().and_then(|room| room.parse().ok()).unwrap_or(MANY + 100);
    let mut command = Command::new(env!("CARGO_BIN_EXE_redis-rest"));
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--max-connections",
        &room.to_string(),
        "--header-timeout",
        "60",
    ]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let addr: std::net::SocketAddr = line.trim().rsplit('/').next().unwrap().parse().unwrap();
    let pid = child.id();
    let state = |when: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        println!("{when}: {rss}, {files} descriptors");
        files
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut honest = connect(addr).await;
        let latency = async |honest: &mut tokio::net::TcpStream, when: &str| {
            let mut times = Vec::new();
            for _ in 0..500 {
                let start = Instant::now();
                assert_eq!(exchange(honest, "[\"PING\"]").await, pong());
                times.push(start.elapsed());
            }
            times.sort();
            println!(
                "{when}: honest client's PING p50 {:?}, p99 {:?}, max {:?}",
                times[250], times[495], times[499]
            );
        };
        latency(&mut honest, "before").await;
        let before = state("before");
        let start = Instant::now();
        let mut opened = tokio::task::JoinSet::new();
        for _ in 0..10 {
            opened.spawn(async move {
                let mut streams = Vec::new();
                for _ in 0..MANY / 10 {
                    let mut stream = connect(addr).await;
                    // Half a head: each holds a server buffer.
                    let _ = stream.write_all(b"POST / HTTP/1.1\r\nX-Slow: ").await;
                    streams.push(stream);
                }
                streams
            });
        }
        let mut during = Vec::new();
        let mut streams = Vec::new();
        while let Some(some) = opened
            .try_join_next()
            .map_or_else(|| (!opened.is_empty()).then(Vec::new), |joined| Some(joined.unwrap()))
        {
            streams.extend(some);
            let asked = Instant::now();
            assert_eq!(exchange(&mut honest, "[\"PING\"]").await, pong());
            during.push(asked.elapsed());
        }
        during.sort();
        println!(
            "{} opened in {:?}; PING meanwhile: {} asked, max {:?}",
            streams.len(),
            start.elapsed(),
            during.len(),
            during.last()
        );
        tokio::time::sleep(Duration::from_secs(3)).await;
        state("during");
        latency(&mut honest, "during").await;
        drop(streams);
        let end = Instant::now() + Duration::from_secs(30);
        while std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() > before {
            assert!(Instant::now() < end, "descriptors stay open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        state("after");
        latency(&mut honest, "after").await;
    });
    child.kill().unwrap();
    child.wait().unwrap();
}
