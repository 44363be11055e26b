//! Handwritten HTTP, for messages that no HTTP client or server would produce.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Sends `request` unchanged, and reads until the server has closed the connection.
pub async fn exchange(addr: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("the server listens");
    stream.write_all(request.as_ref()).await.expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the server answers");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends one request with the default token and returns the status and the body of the response.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    target: &str,
    body: impl AsRef<[u8]>,
) -> (u16, String) {
    request_with(addr, method, target, "Authorization: Bearer local-token\r\n", body).await
}

/// Sends one request with these header lines.
pub async fn request_with(
    addr: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> (u16, String) {
    let body = body.as_ref();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let answer = exchange(addr, [head.as_bytes(), body].concat()).await;
    parse(&answer)
}

/// Returns status and body of a response.
pub fn parse(answer: &str) -> (u16, String) {
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no HTTP: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { decode_chunks(body) } else { body.to_owned() })
}

/// Returns the body from its complete chunks.
pub fn decode_chunks(mut body: &str) -> String {
    let mut all = String::new();
    while let Some((size, rest)) = body.split_once("\r\n")
        && let Ok(size) = usize::from_str_radix(size, 16)
        && let Some(chunk) = rest.get(..size)
    {
        all.push_str(chunk);
        body = rest[size..].trim_start_matches("\r\n");
    }
    all
}

/// Starts a server that reads the beginning of each request, sends `answer` unchanged, and closes
/// the connection.
pub async fn serve_raw(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                head.push(byte[0]);
            }
            let _ = stream.write_all(&answer).await;
        }
    });
    addr
}
