//! A node that accepts commands and closes the connection.

use redis_rest::backend::native::{NativeCluster, NativeConfig};
use redis_rest::{Client, ErrorKind, cmd};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Starts a node that claims all slots, and closes the connection at every `INCR`, which it counts.
fn hangs_up() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, count) = (stream.unwrap(), Arc::clone(&count));
            std::thread::spawn(move || answer(stream, port, &count));
        }
    });
    (format!("redis://127.0.0.1:{port}"), taken)
}

fn answer(mut stream: TcpStream, port: u16, taken: &AtomicUsize) {
    let mut parser = redis::Parser::new();
    let mut reading = stream.try_clone().unwrap();
    while let Ok(command) = parser.parse_value(&mut reading) {
        let words: Vec<String> = redis::from_redis_value(command).unwrap();
        let reply = match words[0].as_str() {
            "CLUSTER" => {
                format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
            }
            "INCR" => {
                taken.fetch_add(1, Ordering::Relaxed);
                return;
            }
            _ => "+OK\r\n".to_owned(),
        };
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_may_have_run_are_not_sent_again() {
    let (url, taken) = hangs_up();
    let client = Client::from_backend(
        NativeCluster::connect([NativeConfig::new(url).connect_retries(10)]).await.unwrap(),
    );
    let error = client.incr("n").await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Io, true), "{error}");
    assert_eq!(taken.load(Ordering::Relaxed), 1);

    let mut pipe = client.pipeline();
    let _ = (pipe.add(cmd::incr("n")), pipe.add(cmd::incr("n")));
    assert!(pipe.send().await.unwrap_err().maybe_applied());
    assert_eq!(taken.load(Ordering::Relaxed), 2, "it hung up at the first");

    let mut tx = client.transaction();
    let _ = tx.add(cmd::incr("n"));
    assert!(tx.send().await.unwrap_err().maybe_applied());
    assert_eq!(taken.load(Ordering::Relaxed), 3);
}
