//! Timeouts, connection retries, and the environment.

use redis_rest::backend::native::{NativeBackend, NativeConfig};
use redis_rest::{Client, ErrorKind, cmd};
use redis_rest_test_support::redis_test;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn silent_server_costs_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let began = Instant::now();
    let config = NativeConfig::new(format!("redis://{}", silent.local_addr().unwrap()))
        .connect_timeout(Duration::from_millis(50));
    let error = config.connect().await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Connect, false));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn missing_reply_costs_the_timeout() {
    let redis = redis_test!();
    let client = Client::from_backend(
        NativeConfig::new(redis.url()).timeout(Duration::from_millis(50)).connect().await.unwrap(),
    );
    redis.hold(true);
    let began = Instant::now();
    let error = client.incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Timeout, true));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    redis.hold(false);
}

#[tokio::test]
async fn redis_at_its_client_limit_is_no_connection() {
    let redis = redis_test!();
    let first = Client::from_backend(redis.backend().await);
    redis.control("CONFIG SET maxclients 1");
    let error = NativeBackend::connect(&redis.url()).await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Connect, false), "{error}");
    let login = NativeConfig::new(redis.url()).login("", "s3cret");
    assert_eq!(login.connect().await.unwrap_err().kind(), ErrorKind::Connect);
    // Not in reply to a caller's command.
    let second = Client::from_backend(NativeBackend::lazy(&redis.url()).unwrap());
    assert_eq!(second.incr("n").await.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(first.incr("n").await.unwrap(), 1);
}

/// Starts a proxy that closes `times` connections before it lets one through.
async fn hang_up_first(times: usize, to: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if count.fetch_add(1, Ordering::Relaxed) >= times {
                let mut redis = TcpStream::connect(&to).await.unwrap();
                tokio::spawn(async move {
                    tokio::io::copy_bidirectional(&mut stream, &mut redis).await
                });
            }
        }
    });
    (url, accepted)
}

#[tokio::test]
async fn connection_retries_are_as_many_as_configured() {
    let redis = redis_test!();
    let address = redis.url().replace("redis://", "").replace("/0", "");
    let (url, accepted) = hang_up_first(2, address).await;
    let error =
        Client::from_backend(NativeBackend::lazy(&url).unwrap()).incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 1), "none by default");
    assert_eq!(accepted.swap(0, Ordering::Relaxed), 1);

    let client = |retries: u32| {
        Client::from_backend(NativeConfig::new(&url).connect_retries(retries).lazy().unwrap())
    };
    let error = client(1).incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 2));
    accepted.store(0, Ordering::Relaxed);
    assert_eq!(client(2).incr("n").await.unwrap(), 1);
    assert_eq!(accepted.load(Ordering::Relaxed), 3);

    accepted.store(0, Ordering::Relaxed);
    let error = client(1000)
        .run::<i64>(cmd("INCR").arg("n"))
        .timeout(Duration::from_millis(20))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "the time of the call is its limit");
}

/// Concurrent tests cannot change the environment of their process: a child process has its own.
#[test]
fn the_address_comes_from_the_environment() {
    let redis = redis_test!();
    let child = |url: Option<String>| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "native::settings::in_a_child", "--ignored", "--nocapture"])
            .env_remove("REDIS_URL");
        command.envs(url.map(|url| ("REDIS_URL", url)));
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(child(Some(redis.url())).contains("PONG"));
    assert!(child(None).contains("set REDIS_URL"));
    let wrong = child(Some("s3cret".to_owned()));
    assert!(wrong.contains("the address is none") && !wrong.contains("s3cret"), "{wrong}");
}

#[tokio::test]
#[ignore = "run by the test of the environment"]
async fn in_a_child() {
    match NativeBackend::from_env() {
        Ok(backend) => {
            println!("{:?}", Client::from_backend(backend).run::<String>(cmd("PING")).await)
        }
        Err(error) => println!("{error}"),
    }
}

#[test]
fn debug_shows_no_address() {
    let config = NativeConfig::new("redis://:s3cret@h0st").login("us3r", "s3cret").database(3);
    let text = format!("{config:?} {:?}", config.clone().lazy());
    assert!(!text.contains("s3cret") && !text.contains("h0st") && !text.contains("us3r"), "{text}");
}
