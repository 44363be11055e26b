//! Replies of a gigabyte to a client that reads 64 MiB at most, and their cost.

use super::{Failure, watch};
use redis_rest::{Client, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const LENGTH: usize = 1_000_000_000;

/// Sends heads of these kinds, and then a gigabyte; returns the failures.
pub async fn run() -> Result<Vec<String>, Failure> {
    let declared = format!("content-length: {LENGTH}\r\n\r\n{{\"result\":\"");
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{{\"result\":\"", LENGTH + 11);
    let mut wrong = Vec::new();
    // A limit far below the declared length, and responses without a length.
    for (name, head) in [
        ("declared", declared),
        ("chunked", chunked),
        ("until the connection ends", "connection: close\r\n\r\n{\"result\":\"".to_owned()),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = Client::builder()
            .url(format!("http://{}", listener.local_addr()?))
            .token("t")
            .no_retry()
            .build()?;
        let flood = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await?;
            stream
                .write_all(
                    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}")
                        .as_bytes(),
                )
                .await?;
            let part = vec![b'A'; 1 << 16];
            let mut sent = 0;
            while sent < LENGTH && stream.write_all(&part).await.is_ok() {
                sent += part.len();
            }
            Ok::<_, std::io::Error>(sent)
        });
        let before = watch::resident_of(std::process::id())?;
        watch::forget_peak()?;
        let error = client.get::<String>("k").await.err();
        let grown = watch::peak()?.saturating_sub(before);
        drop(client);
        let sent = flood.await??;
        println!(
            "a reply of 1 GB, {name}: {:.1} MB sent, memory grew by {:.1} MB at most",
            sent as f64 / 1e6,
            grown as f64 / 1e6
        );
        if error.as_ref().map(redis_rest::Error::kind) != Some(ErrorKind::ReplyTooLarge) {
            wrong.push(format!("a reply of 1 GB, {name}, ended in {error:?}"));
        }
        // The limit of 64 MiB, while a buffer that is copied into a larger one exists twice.
        if grown > 3 * (64 << 20) {
            wrong.push(format!("a reply of 1 GB, {name}, took {grown} bytes"));
        }
    }
    Ok(wrong)
}
