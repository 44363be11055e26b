//! Encoding commands and decoding replies, by shape and size: through the client, over a transport
//! that responds at once.
//!
//!     cargo bench --bench codec
//!     cargo bench --bench codec -- --json

#![allow(clippy::expect_used, reason = "what cannot go on ends, and says why")]

mod support;

use bytes::Bytes;
use clap::Parser;
use redis_rest::backend::rest::{HttpRequest, HttpResponse, Transport};
use redis_rest::{BoxFuture, Client, Command, Encoding, Result, Value, cmd};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::constant::value;

/// Measures encoding and decoding.
#[derive(Parser)]
struct Args {
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds for each shape.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// A short run that only checks that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Responds to every request with the same body.
struct Constant {
    body: Bytes,
    headers: http::HeaderMap,
}

impl Transport for Constant {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        black_box(request.body);
        let response = HttpResponse::new(200, self.headers.clone(), self.body.clone());
        Box::pin(std::future::ready(Ok(response)))
    }
}

struct Shape {
    name: String,
    commands: Vec<Command>,
    format: Encoding,
    reply: Vec<u8>,
    batching: bool,
}

fn bulk(bytes: usize, format: Encoding) -> Vec<u8> {
    let value = value(bytes);
    match format {
        Encoding::Resp2 => format!("${}\r\n{value}\r\n", value.len()).into_bytes(),
        Encoding::Base64 => {
            format!("\"{}\"", base64_simd::STANDARD.encode_to_string(value.as_bytes())).into_bytes()
        }
        _ => serde_json::to_vec(&value).expect("a string"),
    }
}

fn array(items: usize, bytes: usize, format: Encoding) -> Vec<u8> {
    let item = bulk(bytes, format);
    match format {
        Encoding::Resp2 => [format!("*{items}\r\n").into_bytes(), item.repeat(items)].concat(),
        _ => [b"[".to_vec(), vec![item; items].join(&b","[..]), b"]".to_vec()].concat(),
    }
}

fn result(reply: Vec<u8>, format: Encoding) -> Vec<u8> {
    if format == Encoding::Resp2 { reply } else { [&b"{\"result\":"[..], &reply, b"}"].concat() }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (label, format) in
        [("base64", Encoding::Base64), ("RESP2", Encoding::Resp2), ("text", Encoding::Text)]
    {
        for bytes in [10, 500, 10_000, 1_000_000] {
            let reply = result(bulk(bytes, format), format);
            shapes.push(Shape {
                name: format!("GET of {bytes} bytes, {label}"),
                commands: vec![cmd("GET").arg("session:1")],
                format,
                reply,
                batching: false,
            });
        }
        for (items, bytes) in [(100, 500), (10_000, 20)] {
            let reply = result(array(items, bytes, format), format);
            let name = format!("MGET of {items} × {bytes} bytes, {label}");
            shapes.push(Shape {
                name,
                commands: vec![cmd("MGET").arg("session:1")],
                format,
                reply,
                batching: false,
            });
        }
    }
    let (format, commands) = (Encoding::Base64, vec![cmd("GET").arg("session:1")]);
    let reply = result(bulk(500, format), format);
    shapes.push(Shape {
        name: "the same GET of 500 bytes, base64, with batching on".into(),
        commands,
        format,
        reply,
        batching: true,
    });
    let ok = |format| {
        if format == Encoding::Resp2 { b"+OK\r\n".to_vec() } else { br#"{"result":"OK"}"#.to_vec() }
    };
    for bytes in [500, 10_000] {
        let format = Encoding::Base64;
        let command = cmd("SET").arg("session:1").arg(value(bytes));
        shapes.push(Shape {
            name: format!("SET of {bytes} bytes"),
            commands: vec![command.clone()],
            format,
            reply: ok(format),
            batching: false,
        });
        let reply = [b"[".to_vec(), vec![ok(format); 100].join(&b","[..]), b"]".to_vec()].concat();
        shapes.push(Shape {
            name: format!("pipeline of 100 SET of {bytes} bytes"),
            commands: vec![command; 100],
            format,
            reply,
            batching: false,
        });
    }
    shapes
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let length = Duration::from_secs_f64(if args.quick { 0.01 } else { args.seconds });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for shape in shapes() {
        let kind = if shape.format == Encoding::Resp2 {
            "application/octet-stream"
        } else {
            "application/json"
        };
        let headers = http::HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(kind),
        )]);
        let transport = Constant { body: shape.reply.clone().into(), headers };
        let config = Client::builder()
            .url("http://localhost")
            .token("t")
            .encoding(shape.format)
            .transport(transport);
        let client = if shape.batching { config } else { config.no_auto_batch() }.build()?;
        let each = runtime.block_on(measure(&client, &shape.commands, length))?;
        let bytes = shape.reply.len() + shape.commands.iter().map(Command::byte_len).sum::<usize>();
        rows.push((shape.name, each, bytes as f64 / each.as_secs_f64() / 1e6));
    }
    if args.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, each, rate)| serde_json::json!({ "name": name, "us": each.as_secs_f64() * 1e6, "mb_per_s": rate }))
            .collect();
        println!("{}", serde_json::json!({ "shapes": rows }));
        return Ok(());
    }
    println!("| request and reply | µs each | MB/s |\n|---|---:|---:|");
    for (name, each, rate) in rows {
        println!("| {name} | {:.2} | {rate:.0} |", each.as_secs_f64() * 1e6);
    }
    Ok(())
}

/// Returns the fastest of ten parts: disturbances only slow a part down.
async fn measure(client: &Client, commands: &[Command], length: Duration) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let (began, mut calls) = (Instant::now(), 0);
        while calls == 0 || began.elapsed() < length / 10 {
            match commands {
                [command] => drop(black_box(client.run::<Value>(command.clone()).await?)),
                many => {
                    let mut pipeline = client.pipeline();
                    for command in many {
                        let _ = pipeline.add_raw::<Value>(command.clone());
                    }
                    black_box(pipeline.send().await?.all::<Value>()?);
                }
            }
            calls += 1;
        }
        best = best.min(began.elapsed() / calls);
    }
    Ok(best)
}
