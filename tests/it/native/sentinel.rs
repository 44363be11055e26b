//! A master, a replica and a sentinel.

use redis_rest::backend::native::{NativeBackend, NativeConfig};
use redis_rest::{Client, ErrorKind, cmd};
use redis_rest_test_support::process::{Process, free_port, until};
use redis_rest_test_support::redis_test;
use std::fs::write;
use std::time::{Duration, Instant};

pub(super) struct Group {
    master: Process,
    replica: Process,
    pub(super) sentinel: Process,
}

impl Group {
    pub(super) fn start() -> Option<Self> {
        let login = [
            "--requirepass",
            "s3cret",
            "--masterauth",
            "s3cret",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let master = Process::start_with(&login)?;
        let of_master = master.port.to_string();
        let replica =
            Process::start_with(&[&login[..], &["--replicaof", "127.0.0.1", &of_master]].concat())?;
        assert!(replica.wait_for_line("Finished with success"), "the replica has the data");
        let sentinel = Process::start("+monitor", |port, dir| {
            let settings = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor the-master 127.0.0.1 {of_master} 1\n\
                 sentinel auth-pass the-master s3cret\nsentinel down-after-milliseconds the-master 1000\n\
                 sentinel failover-timeout the-master 5000\n",
                dir.display()
            );
            write(dir.join("sentinel.conf"), settings).unwrap();
            vec![dir.join("sentinel.conf").display().to_string(), "--sentinel".to_owned()]
        })?;
        assert!(sentinel.wait_for_line("+slave"), "the sentinel knows the replica");
        Some(Self { master, replica, sentinel })
    }

    /// Moves the master, and waits until the sentinel reports it.
    fn fail_over(&self) {
        // The sentinel refuses until it knows the replica's state.
        until("a replica to promote", || {
            self.sentinel.try_query::<()>("SENTINEL FAILOVER the-master").is_ok()
        });
        assert!(self.sentinel.wait_for_line("+switch-master"));
    }
}

/// Returns the port, or counts a failure, which must be of a closed connection and state its
/// outcome.
async fn port_or_failure(client: &Client, failed: &mut u32) -> Option<u16> {
    match client.run::<String>(cmd("INFO").arg("server")).await {
        Ok(text) => {
            text.lines().find_map(|line| line.strip_prefix("tcp_port:"))?.trim().parse().ok()
        }
        Err(error) => {
            *failed += 1;
            assert!(error.kind() == ErrorKind::Io && error.maybe_applied(), "{error}");
            assert!(*failed <= 1, "each move costs a call at most");
            None
        }
    }
}

async fn port_of_master(client: &Client) -> u16 {
    let text: String = client.run(cmd("INFO").arg("server")).await.unwrap();
    text.lines().find_map(|line| line.strip_prefix("tcp_port:")).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_follow_the_master() {
    let group = redis_test!(Group::start());
    // The first sentinel does not exist.
    let sentinels = [format!("redis://127.0.0.1:{}", free_port()), group.sentinel.url()];
    let config =
        NativeConfig::sentinel(sentinels, "the-master").login("", "s3cret").connect_retries(100);
    let client =
        Client::from_backend(config.timeout(Duration::from_secs(20)).connect().await.unwrap());
    client.set("before", 1).await.unwrap();
    assert_eq!(port_of_master(&client).await, group.master.port);
    // A failover does not wait for unreplicated writes.
    until("the replica has it", || {
        let replica =
            redis::Client::open(format!("redis://:s3cret@127.0.0.1:{}", group.replica.port));
        let connection = replica.and_then(|replica| replica.get_connection());
        connection
            .and_then(|mut connection| redis::cmd("EXISTS").arg("before").query(&mut connection))
            .unwrap_or(false)
    });

    group.fail_over();
    // The old master continues for ten seconds; the sentinel's message closes the connection to it
    // at once. Until then a call may reach it, and one may be in flight.
    let (began, mut failed) = (Instant::now(), 0);
    while port_or_failure(&client, &mut failed).await != Some(group.replica.port) {}
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    client.incr("after").await.unwrap();
    assert_eq!(port_of_master(&client).await, group.replica.port);
    assert_eq!(client.get::<i64>("before").await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_find_the_next_master_when_one_dies() {
    let mut group = redis_test!(Group::start());
    let config = NativeConfig::sentinel([group.sentinel.url()], "the-master")
        .login("", "s3cret")
        .connect_retries(100);
    let client =
        Client::from_backend(config.timeout(Duration::from_secs(20)).connect().await.unwrap());
    assert_eq!(port_of_master(&client).await, group.master.port);
    group.master.kill();
    // No call fails for lack of a server: the connection retries wait for the sentinel.
    let mut failed = 0;
    while port_or_failure(&client, &mut failed).await != Some(group.replica.port) {}
    assert_eq!(client.incr("n").await.unwrap(), 1);
}

#[tokio::test]
async fn invalid_groups_say_why() {
    let group = redis_test!(Group::start());
    let connect = |urls: Vec<String>, name: &'static str| NativeBackend::sentinel(urls, name);
    let error = connect(vec![group.sentinel.url()], "s3cret-name").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error.to_string().contains("no master of this name")
            && !error.to_string().contains("s3cret"),
        "{error}"
    );
    let error = connect(vec![group.sentinel.url()], "the-master").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "the password is missing");
    let error = connect(vec![group.master.url().replace("//", "//:s3cret@")], "the-master")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "that is no sentinel");
    assert_eq!(connect(Vec::new(), "the-master").await.unwrap_err().kind(), ErrorKind::Config);
}
