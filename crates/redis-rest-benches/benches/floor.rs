//! Costs of the client on top of the HTTP library under it, and gains by batching.
//!
//!     cargo bench --bench floor
//!     cargo bench --bench floor -- --json
//!     cargo bench --bench floor -- --svg docs/floor.svg

#![allow(clippy::expect_used, reason = "what cannot go on ends, and says why")]

mod support;

use bytes::Bytes;
use clap::Parser;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use redis_rest::{Client, Config, Encoding, cmd};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::constant::{self, Constant};
use support::redis::Redis;
use support::report::{Ratio, Report};
use support::{BoxFuture, load, processor};

/// Measures the client against bare hyper, bare reqwest and redis-rs.
#[derive(Parser)]
struct Args {
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds for each load in each round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds; the medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only loads whose name holds this text.
    filter: Option<String>,
    /// Draws the operations per second to this file.
    #[arg(long)]
    svg: Option<std::path::PathBuf>,
    /// A short round that only checks that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Run = Box<dyn Fn(Duration) -> BoxFuture<Result<load::Round, Failure>>>;

struct Case {
    name: &'static str,
    run: Run,
}

const TOKEN: &str = "bench-token";
const VALUE_BYTES: usize = 500;

fn main() -> Result<(), Failure> {
    constant::serve_if_started_as_server();
    let args = Args::parse();
    let (rounds, length) = if args.quick { (1, 0.1) } else { (args.rounds.max(1), args.seconds) };
    let length = Duration::from_secs_f64(length);
    let server = Constant::start(VALUE_BYTES)?;
    let beside = processor::on_one(|| Constant::start(VALUE_BYTES))?;
    let redis = Redis::start()?;
    // Default number of workers: one per processor.
    let many = tokio::runtime::Runtime::new()?;
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut cases = many.block_on(cases(&server, &beside, &redis))?;
    if let Some(filter) = &args.filter {
        cases.retain(|case| case.name.contains(filter.as_str()));
    }
    let mut measured: Vec<Vec<load::Round>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            eprintln!("round {} of {rounds}: {}", round + 1, case.name);
            measured.push(if case.name.starts_with(ONE) {
                processor::on_one(|| one.block_on((case.run)(length)))?
            } else {
                many.block_on((case.run)(length))?
            });
        }
    }
    let rows = cases
        .iter()
        .zip(&measured)
        .map(|(case, rounds)| (case.name, load::medians(rounds)))
        .collect();
    let report = Report { title: "GET of 500 bytes, commands/s", rows, ratios: RATIOS };
    if let Some(path) = &args.svg {
        report.draw(path)?;
    }
    report.print(args.json);
    Ok(())
}

/// Prefix of loads that share one processor with their server.
const ONE: &str = "one processor, ";

const RATIOS: &[Ratio] = &[
    Ratio::at_most("CPU of a sequential get, to bare reqwest", 1.15, |of| {
        of.cpu("sequential: redis-rest") / of.cpu("sequential: reqwest")
    }),
    Ratio::at_most("p50 of a sequential get, to bare reqwest", 1.05, |of| {
        of.p50("one processor, sequential: redis-rest")
            / of.p50("one processor, sequential: reqwest")
    }),
    Ratio::at_least("64 callers unbatched, to bare reqwest", 0.90, |of| {
        of.ops("64 callers: redis-rest unbatched") / of.ops("64 callers: reqwest")
    }),
    Ratio::at_least("64 callers batched, to bare hyper at 64", 3.5, |of| {
        of.ops("64 callers: redis-rest") / of.ops("64 callers: hyper")
    }),
    Ratio::at_least("256 callers batched, to bare hyper at 64", 6.0, |of| {
        of.ops("256 callers: redis-rest") / of.ops("64 callers: hyper")
    }),
    Ratio::at_least("1024 callers batched, to bare hyper at 64", 8.0, |of| {
        of.ops("1024 callers: redis-rest") / of.ops("64 callers: hyper")
    }),
    Ratio::at_least("256 callers batched, to redis-rs over TCP", 1.1, |of| {
        of.ops("256 callers: redis-rest") / of.ops("256 callers: redis-rs over TCP")
    }),
    Ratio::at_least(
        "pipelines of 100 SET one after another, to bare hyper sequential",
        5.0,
        |of| of.ops("sequential: redis-rest pipelines of 100 SET") / of.ops("sequential: hyper"),
    ),
    Ratio::at_least("pipelines of 100 SET from 8 callers, to bare hyper at 64", 5.0, |of| {
        of.ops("8 callers: redis-rest pipelines of 100 SET") / of.ops("64 callers: hyper")
    }),
    Ratio::reported("64 callers batched, RESP2 to base64", |of| {
        of.ops("64 callers: redis-rest, RESP2") / of.ops("64 callers: redis-rest")
    }),
];

async fn cases(server: &Constant, beside: &Constant, redis: &Redis) -> Result<Vec<Case>, Failure> {
    let config = Client::builder().url(server.url()).token(TOKEN).encoding(Encoding::Base64);
    let lone = config.clone().url(beside.url());
    let batched = config.clone();
    let unbatched = config.clone().no_auto_batch();
    let resp2 = config.encoding(Encoding::Resp2);
    let native = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    redis::cmd("SET")
        .arg("session:1")
        .arg(constant::value(VALUE_BYTES))
        .query_async::<()>(&mut native.clone())
        .await?;
    Ok(vec![
        hyper("one processor, sequential: hyper", beside.addr, 1),
        reqwest("one processor, sequential: reqwest", beside, 1)?,
        get("one processor, sequential: redis-rest", &lone, 1),
        hyper("sequential: hyper", server.addr, 1),
        reqwest("sequential: reqwest", server, 1)?,
        get("sequential: redis-rest unbatched", &unbatched, 1),
        get("sequential: redis-rest", &batched, 1),
        tcp("sequential: redis-rs over TCP", &native, 1),
        pipelines("sequential: redis-rest pipelines of 100 SET", &batched, 1),
        hyper("64 callers: hyper", server.addr, 64),
        reqwest("64 callers: reqwest", server, 64)?,
        get("64 callers: redis-rest unbatched", &unbatched, 64),
        get("64 callers: redis-rest", &batched, 64),
        get("64 callers: redis-rest, RESP2", &resp2, 64),
        tcp("64 callers: redis-rs over TCP", &native, 64),
        pipelines("8 callers: redis-rest pipelines of 100 SET", &batched, 8),
        get("256 callers: redis-rest", &batched, 256),
        tcp("256 callers: redis-rs over TCP", &native, 256),
        get("1024 callers: redis-rest", &batched, 1024),
        tcp("1024 callers: redis-rs over TCP", &native, 1024),
    ])
}

/// A plain connection for each caller.
fn hyper(name: &'static str, addr: SocketAddr, callers: usize) -> Case {
    let body = Bytes::from_static(br#"["GET","session:1"]"#);
    let authorization = format!("Bearer {TOKEN}");
    let run = move |length| -> BoxFuture<_> {
        let (body, authorization) = (body.clone(), authorization.clone());
        Box::pin(async move {
            let mut connections = Vec::new();
            for _ in 0..callers {
                let stream = tokio::net::TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) =
                    hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
                        .await?;
                tokio::spawn(connection);
                connections.push(Arc::new(tokio::sync::Mutex::new(sender)));
            }
            let connections = std::cell::RefCell::new(connections);
            load::run(callers, length, 1, || {
                let sender = connections.borrow_mut().pop().expect("one for each caller");
                let (body, authorization) = (body.clone(), authorization.clone());
                move || {
                    let sender = Arc::clone(&sender);
                    let body = body.clone();
                    let authorization = authorization.clone();
                    async move {
                        let request = Request::post("/")
                            .header("host", "127.0.0.1")
                            .header(AUTHORIZATION, authorization)
                            .header(CONTENT_TYPE, "application/json")
                            .header("upstash-encoding", "base64")
                            .body(Full::new(body))?;
                        let response = sender.lock().await.send_request(request).await?;
                        response.into_body().collect().await?.to_bytes();
                        Ok::<_, Failure>(())
                    }
                }
            })
            .await
        })
    };
    Case { name, run: Box::new(run) }
}

fn reqwest(name: &'static str, server: &Constant, callers: usize) -> Result<Case, Failure> {
    // rustls panics without a provider, even if no TLS is used. The second call finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = reqwest::Url::parse(&server.url())?;
    let authorization = format!("Bearer {TOKEN}");
    let run = move |length| -> BoxFuture<_> {
        let (url, authorization) = (url.clone(), authorization.clone());
        Box::pin(async move {
            let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
            load::run(callers, length, 1, || {
                let client = client.clone();
                let url = url.clone();
                let authorization = authorization.clone();
                move || {
                    let request = client
                        .post(url.clone())
                        .header(AUTHORIZATION, &authorization)
                        .header(CONTENT_TYPE, "application/json")
                        .header("upstash-encoding", "base64")
                        .body(Bytes::from_static(br#"["GET","session:1"]"#));
                    async move {
                        request.send().await?.bytes().await?;
                        Ok::<_, Failure>(())
                    }
                }
            })
            .await
        })
    };
    Ok(Case { name, run: Box::new(run) })
}

/// Creates a new client for each round: the scheduler places a connection's task and its callers on
/// processors when it is created, so that a single client would measure one random placement.
fn get(name: &'static str, config: &Config, callers: usize) -> Case {
    let config = config.clone();
    let run = move |length| -> BoxFuture<_> {
        let config = config.clone();
        Box::pin(async move {
            let client = config.build()?;
            load::run(callers, length, 1, || {
                let client = client.clone();
                move || {
                    let call = client.get::<Bytes>("session:1");
                    async move {
                        let value = call.await?;
                        assert_eq!(value.len(), VALUE_BYTES);
                        Ok::<_, Failure>(())
                    }
                }
            })
            .await
        })
    };
    Case { name, run: Box::new(run) }
}

fn pipelines(name: &'static str, config: &Config, callers: usize) -> Case {
    const COMMANDS: u64 = 100;
    let config = config.clone();
    let run = move |length| -> BoxFuture<_> {
        let config = config.clone();
        Box::pin(async move {
            let client = config.build()?;
            let value: Arc<str> = constant::value(VALUE_BYTES).into();
            load::run(callers, length, COMMANDS, || {
                let (client, value) = (client.clone(), Arc::clone(&value));
                move || {
                    let mut pipeline = client.pipeline();
                    for _ in 0..COMMANDS {
                        let _ = pipeline.add(cmd::set("session:1", &*value));
                    }
                    async move {
                        assert_eq!(pipeline.send().await?.len(), 100);
                        Ok::<_, Failure>(())
                    }
                }
            })
            .await
        })
    };
    Case { name, run: Box::new(run) }
}

fn tcp(name: &'static str, connection: &redis::aio::MultiplexedConnection, callers: usize) -> Case {
    let connection = connection.clone();
    let run = move |length| -> BoxFuture<_> {
        let connection = connection.clone();
        Box::pin(async move {
            load::run(callers, length, 1, || {
                let connection = connection.clone();
                move || {
                    let mut connection = connection.clone();
                    async move {
                        let value: Vec<u8> =
                            redis::cmd("GET").arg("session:1").query_async(&mut connection).await?;
                        assert_eq!(value.len(), VALUE_BYTES);
                        Ok::<_, Failure>(())
                    }
                }
            })
            .await
        })
    };
    Case { name, run: Box::new(run) }
}
