//! Replies beyond the limits: in depth, in elements, in number, in bytes; compressed; and their
//! cost.

use bytes::Bytes;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{
    BoxFuture, Client, Config, Encoding, Error, ErrorKind, Event, Outcome, Subscription, Value, cmd,
};
use redis_rest_test_support::raw::serve_raw;
use std::net::SocketAddr;

/// Sends the same response to every request.
#[derive(Clone)]
struct ConstantTransport(&'static str, Bytes);

impl Transport for ConstantTransport {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, Error>> {
        let headers = http::HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(self.0),
        )]);
        Box::pin(async { Ok(HttpResponse::new(200, headers, self.1.clone())) })
    }
}

fn json(body: impl Into<Bytes>) -> Config {
    Client::builder()
        .url("http://localhost:1")
        .token("t")
        .no_retry()
        .transport(ConstantTransport("application/json", body.into()))
}

fn resp2(body: impl Into<Bytes>) -> Config {
    let transport = ConstantTransport("application/octet-stream", body.into());
    Client::builder()
        .url("http://localhost:1")
        .token("t")
        .no_retry()
        .encoding(Encoding::Resp2)
        .transport(transport)
}

/// Sends a non-retry-safe command.
async fn get(config: Config) -> Result<Value, Error> {
    config.build().unwrap().run(cmd("LPOP").arg("k")).await
}

async fn is_too_large(config: Config) {
    let error = get(config).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::ReplyTooLarge, Outcome::MaybeApplied),
        "{error:?}"
    );
}

/// Returns `depth` nested arrays, with `elements` elements in the innermost; in either format.
fn nested(depth: usize, elements: usize) -> [Config; 2] {
    let inner: Vec<&str> = vec!["0"; elements];
    let text =
        format!("{{\"result\":{}{}{}}}", "[".repeat(depth), inner.join(","), "]".repeat(depth));
    [
        json(text),
        resp2(format!(
            "{}*{elements}\r\n{}",
            "*1\r\n".repeat(depth - 1),
            ":0\r\n".repeat(elements)
        )),
    ]
}

#[tokio::test]
async fn nesting_limit() {
    for config in nested(64, 1) {
        get(config).await.unwrap();
    }
    for (depth, most) in [(65, 64), (3, 2), (100_000, 120), (1_000_000, 64)] {
        for config in nested(depth, 1) {
            is_too_large(config.max_reply_depth(most)).await;
        }
    }
    for config in nested(120, 1) {
        get(config.max_reply_depth(120)).await.unwrap();
    }
    // Within a pipeline's reply. Without an array around it, one more level is allowed.
    for framed in [true, false] {
        let one = "*1\r\n*1\r\n:0\r\n";
        let body = format!("{}{one}{one}", if framed { "*2\r\n" } else { "" });
        for (most, fits) in [(2, true), (1, !framed)] {
            let mut pipe = resp2(body.clone()).max_reply_depth(most).build().unwrap().pipeline();
            let slots = [pipe.add(cmd::get::<Value>("a")), pipe.add(cmd::get::<Value>("b"))];
            let sent = pipe.send().await.and_then(|mut replies| {
                slots.into_iter().try_for_each(|slot| replies.take(slot).map(drop))
            });
            assert_eq!(
                sent.map_err(|error| error.kind()),
                if fits { Ok(()) } else { Err(ErrorKind::ReplyTooLarge) },
                "{framed} {most}"
            );
        }
    }
    // Objects nest too.
    is_too_large(json(format!(
        "{{\"result\":{}1{}}}",
        "{\"result\":".repeat(100),
        "}".repeat(100)
    )))
    .await;
}

#[tokio::test]
async fn element_limit() {
    // The nested array counts as an element too.
    for (elements, most, fits) in
        [(9, 10, true), (10, 10, false), (999_999, 1_000_000, true), (1_000_000, 1_000_000, false)]
    {
        for config in nested(2, elements) {
            if fits {
                drop(get(config.max_reply_elements(most)).await.unwrap())
            } else {
                is_too_large(config.max_reply_elements(most)).await
            }
        }
    }
    for promise in ["*1000000000\r\n", "*9223372036854775807\r\n", "*2\r\n*1000000000\r\n:0\r\n"] {
        assert_eq!(
            get(resp2(promise)).await.unwrap_err().kind(),
            ErrorKind::Decode,
            "it ends early"
        );
    }
}

#[tokio::test]
async fn wrong_number_of_replies() {
    let bodies = |count: usize| {
        let lines = ":0\r\n".repeat(count);
        [
            json(format!("[{}]", vec!["{\"result\":1}"; count].join(","))),
            resp2(lines.clone()),
            resp2(format!("*{count}\r\n{lines}")),
        ]
    };
    for count in [0, 1, 2, 4, 1000] {
        for config in bodies(count) {
            let client = config.build().unwrap();
            let mut pipe = client.pipeline();
            let slots: Vec<_> = (0..3).map(|_| pipe.add(cmd::incr("n"))).collect();
            let failures: Vec<Error> = match pipe.send().await {
                Ok(mut replies) => {
                    slots.into_iter().map(|slot| replies.take(slot).unwrap_err()).collect()
                }
                Err(error) => vec![error],
            };
            for error in failures {
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::Decode, Outcome::MaybeApplied),
                    "{count}: {error:?}"
                );
            }
        }
        let mut transaction =
            bodies(count).into_iter().next().unwrap().build().unwrap().transaction();
        let _ = (0..3).map(|_| transaction.add(cmd::incr("n"))).collect::<Vec<_>>();
        let error = transaction.send().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Decode, Outcome::MaybeApplied),
            "{count}: {error:?}"
        );
    }
}

fn client(addr: SocketAddr) -> Config {
    Client::builder().url(format!("http://{addr}")).token("t").no_retry()
}

#[tokio::test]
async fn compressed_reply_is_named() {
    for encoding in ["gzip", "br", "GZIP, identity"] {
        let body = "\x1f\u{8}\0\0\0";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Type:");
        let length = body.len();
        let addr =
            serve_raw(format!("{head} application/json\r\nContent-Length: {length}\r\n\r\n{body}"))
                .await;
        let error = client(addr).build().unwrap().incr("n").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Decode, Outcome::MaybeApplied));
        assert!(error.to_string().contains("compressed"), "{error}");
        let addr = serve_raw(format!("{head} text/event-stream\r\n\r\n{body}")).await;
        let error =
            client(addr).build().unwrap().subscribe(["c"]).next().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("compressed"), "{error}");
    }
    let addr = serve_raw(
        "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 12\r\n\r\n{\"result\":1}",
    )
    .await;
    assert_eq!(client(addr).build().unwrap().incr("n").await.unwrap(), 1);
}

/// Returns the next event. A subscription that stays silent fails too.
async fn next(events: &mut Subscription) -> Event {
    tokio::time::timeout(std::time::Duration::from_secs(30), events.next())
        .await
        .expect("an event")
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn an_event_that_is_too_large_is_a_gap() {
    let large = format!("data: message,c,{}\n\n", "x".repeat(1000));
    let addr = serve_raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: subscribe,c,1\n\n{large}"
    ))
    .await;
    let mut events = client(addr).build().unwrap().subscribe(["c"]);
    assert_eq!(next(&mut events).await, Event::Subscribed("c".into()));
    assert!(
        matches!(next(&mut events).await, Event::Message(message) if message.payload.len() == 1000)
    );
    let mut events = client(addr).max_event_bytes(1000).build().unwrap().subscribe(["c"]);
    for wanted in
        [Event::Subscribed("c".into()), Event::Gap, Event::Subscribed("c".into()), Event::Gap]
    {
        assert_eq!(next(&mut events).await, wanted);
    }
}

#[tokio::test]
async fn endless_head_is_an_error() {
    let one = format!("X-Long: {}\r\n", "a".repeat(10 << 20));
    let many: String = (0..10_000).map(|n| format!("X-{n}: a\r\n")).collect();
    for headers in [one, many] {
        let addr = serve_raw(format!(
            "HTTP/1.1 200 OK\r\n{headers}Content-Length: 12\r\n\r\n{{\"result\":1}}"
        ))
        .await;
        let error = client(addr).build().unwrap().incr("n").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::ReplyTooLarge, Outcome::MaybeApplied),
            "{error:?}"
        );
    }
}

/// The memory of a process is measurable only in a separate process.
#[cfg(target_os = "linux")]
#[test]
fn hostile_replies_take_bounded_memory() {
    let output = super::run_alone(module_path!(), "in_a_child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}");
}

/// Returns a field of this process's status, in MiB.
#[cfg(target_os = "linux")]
fn taken(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap() / 1024
}

/// Returns the costs of a call: the peak of memory beyond the earlier usage, and the largest
/// address space ever.
#[cfg(target_os = "linux")]
async fn cost(name: &str, config: Config) -> (ErrorKind, u64, u64) {
    // Resets the peak.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = taken("VmRSS");
    let error = get(config).await.unwrap_err();
    let (peak, space) = (taken("VmHWM").saturating_sub(before), taken("VmPeak"));
    println!("{name}: {:?}, {peak} MiB, address space {space} MiB", error.kind());
    (error.kind(), peak, space)
}

/// Sends a gigabyte, unless the client stops reading.
#[cfg(target_os = "linux")]
async fn gigabyte(head: &'static str) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read_u8().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        // A chunk of 64 KiB if the head announces chunks; otherwise ordinary bytes.
        let chunk = [&b"10000\r\n"[..], &[b'A'; 0x10000], b"\r\n"].concat();
        for _ in 0..(1 << 14) {
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
    addr
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "run by hostile_replies_take_bounded_memory"]
async fn in_a_child() {
    const BODY: usize = 60 << 20;
    let within = |start: &str, again: &str| -> Bytes {
        format!("{start}{}", again.repeat(BODY / again.len())).into()
    };
    // Created one by one: each is large.
    type Case<'a> = (&'a str, ErrorKind, &'a dyn Fn() -> Config);
    let cases: [Case<'_>; 8] = [
        ("a billion elements promised", ErrorKind::Decode, &|| resp2("*1000000000\r\n")),
        ("a string of a gigabyte promised", ErrorKind::Decode, &|| resp2("$1073741824\r\n")),
        ("arrays that each promise the rest", ErrorKind::ReplyTooLarge, &|| {
            resp2(within(&"*15000000\r\n".repeat(60), ":0\r\n"))
        }),
        ("small integers in RESP2", ErrorKind::ReplyTooLarge, &|| {
            resp2(within("*15000000\r\n", ":0\r\n"))
        }),
        ("small errors in RESP2", ErrorKind::ReplyTooLarge, &|| {
            resp2(within("*15000000\r\n", "-\r\n"))
        }),
        ("small integers in JSON", ErrorKind::ReplyTooLarge, &|| {
            json(within("{\"result\":[", "0,"))
        }),
        ("brackets", ErrorKind::ReplyTooLarge, &|| json(within("{\"result\":", "["))),
        ("brackets in what nobody reads", ErrorKind::Decode, &|| json(within("{\"other\":", "["))),
    ];
    for (name, wanted, config) in cases {
        let (kind, peak, space) = cost(name, config()).await;
        assert_eq!(kind, wanted, "{name}");
        assert!(peak < 200 && space < 2000, "{name}");
    }
    let heads = [
        (
            "a gigabyte declared",
            "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
            ErrorKind::ReplyTooLarge,
        ),
        (
            "a gigabyte in chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            ErrorKind::ReplyTooLarge,
        ),
        (
            "a gigabyte until the end",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            ErrorKind::ReplyTooLarge,
        ),
        ("a gigabyte of head", "HTTP/1.1 200 OK\r\nX-Long: ", ErrorKind::ReplyTooLarge),
    ];
    let minute = std::time::Duration::from_secs(60);
    for (name, head, wanted) in heads {
        let (kind, peak, _) =
            cost(name, client(gigabyte(head).await).timeout(minute).deadline(minute)).await;
        assert_eq!(kind, wanted, "{name}");
        assert!(peak < 200, "{name}");
    }
}
