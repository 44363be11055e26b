//! Real connections: plain, and TLS over HTTP/1.1 and HTTP/2, to correct and incorrect servers.

use super::secrets::{KEY, TOKEN, VALUE};
use super::{failed, fails};
use redis_rest::{Client, Config, ErrorKind, Value, cmd};
use redis_rest_test_support::certificates::Certificates;
use redis_rest_test_support::raw::serve_raw;
use redis_rest_test_support::tls::Tls;

fn config(url: String) -> Config {
    Client::builder().url(url).token(TOKEN).no_retry()
}

pub async fn drive() {
    for protocol in ["h2", "http/1.1"] {
        let server = Tls::start(protocol).await;
        let client =
            config(server.url()).root_certificate_pem(server.authority.clone()).build().unwrap();
        client.set_sync_token(VALUE).unwrap();
        for value in [VALUE.as_bytes(), b"\xff"] {
            client.run::<Value>(cmd("SET").arg(KEY).arg(value)).await.unwrap();
        }
        // This server has no event streams, and no pipelines.
        failed(client.subscribe([KEY]).next().await.unwrap());
        let mut pipe = client.pipeline();
        let _ = (pipe.add(cmd::set(KEY, VALUE)), pipe.add(cmd::set(KEY, VALUE)));
        let _ = pipe.send().await.map_err(|error| failed::<(), _>(Err(error)));
        let stranger = config(server.url())
            .root_certificate_pem(Certificates::new().authority)
            .build()
            .unwrap();
        fails(ErrorKind::Connect, stranger.set(KEY, VALUE).await);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for answer in [
        String::new(),
        format!("{TOKEN}\r\n\r\n"),
        format!("HTTP/1.1 {TOKEN}\r\n\r\n"),
        format!("HTTP/1.1 200 {TOKEN}\r\nContent-Length: 3\r\n\r\n{VALUE}"),
        format!("HTTP/1.1 200 OK\r\n{TOKEN}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nX Y: {TOKEN}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {TOKEN}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {TOKEN}\r\n\r\n{VALUE}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{VALUE}\r\n"),
        format!("{head}Content-Length: 100\r\n\r\n{VALUE}"),
        format!(
            "{head}Content-Encoding: {TOKEN}\r\nUpstash-Sync-Token: {VALUE}\r\nRetry-After: {TOKEN}\r\nContent-Length: 2\r\n\r\n{{}}"
        ),
        format!(
            "HTTP/1.1 302 {TOKEN}\r\nLocation: http://127.0.0.1:1/{TOKEN}\r\nContent-Length: 0\r\n\r\n"
        ),
        format!("HTTP/1.1 502 {TOKEN}\r\nContent-Length: 21\r\n\r\n{VALUE}"),
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {TOKEN}\r\nConnection: upgrade\r\n\r\n{VALUE}"
        ),
    ] {
        let client = config(format!("http://{}", serve_raw(answer).await)).build().unwrap();
        failed(client.set(KEY, VALUE).await);
    }
    let page =
        serve_raw(format!("HTTP/1.1 404 {TOKEN}\r\nContent-Length: 21\r\n\r\n{VALUE}")).await;
    failed(
        config(format!("http://{page}")).build().unwrap().subscribe([KEY]).next().await.unwrap(),
    );
    // A server that does not speak TLS.
    let addr = serve_raw(format!("{TOKEN}\r\n\r\n")).await;
    fails(
        ErrorKind::Connect,
        config(format!("https://localhost:{}", addr.port())).build().unwrap().set(KEY, VALUE).await,
    );
    fails(
        ErrorKind::Connect,
        config("http://127.0.0.1:1".into()).build().unwrap().set(KEY, VALUE).await,
    );
}

/// A server's reason for closing a connection may quote the request.
#[tokio::test]
async fn close_reasons_of_servers_are_not_shown() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let certificates = Certificates::new();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = redis_rest_test_support::tls::url(listener.local_addr().unwrap());
    let acceptor = tokio_rustls::TlsAcceptor::from(certificates.server("h2"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            // SETTINGS, and a GOAWAY that rejects every stream.
            let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            let mut some = [0; 1000];
            let _ = stream.read(&mut some).await;
            let reason = format!("{TOKEN} {VALUE}");
            let length = u8::try_from(8 + reason.len()).unwrap();
            let _ = stream
                .write_all(
                    &[
                        &[0, 0, length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
                        reason.as_bytes(),
                    ]
                    .concat(),
                )
                .await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    });
    let client = config(url).root_certificate_pem(certificates.authority).build().unwrap();
    let error = client.set(KEY, VALUE).await.unwrap_err();
    let text = format!(
        "{error} {error:?} {:?}",
        std::error::Error::source(&error).map(ToString::to_string)
    );
    println!("{text}");
    assert!(error.kind() == ErrorKind::Connect && !text.contains("S3CRET"), "{text}");
}
