//! Costs of session store operations: on Redis by index size, in memory by threads and sessions.
//!
//!     cargo bench --bench sessions
//!     cargo bench --bench sessions -- --json
//!     cargo bench --bench sessions -- --traffic

#![allow(clippy::expect_used, reason = "what cannot go on ends, and says why")]

mod support;

use clap::Parser;
use redis_rest::Client;
use redis_rest::backend::native::NativeBackend;
use redis_rest::session::{
    InMemorySessionStore, IndexLayout, RedisSessionStore, Session, SessionError, SessionManager,
    SessionStoreExt as _,
};
use redis_rest_server::{RunningServer, Server, ServerConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::redis::Redis;
use support::traffic::{Counted, Traffic};

/// Measures the session stores.
#[derive(Parser)]
struct Args {
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Prints the requests, commands and bytes of each operation on Redis instead of times.
    #[arg(long)]
    traffic: bool,
    /// Smaller indexes and fewer sessions that only check that everything works.
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn session(user: &str, number: usize) -> Session {
    session_of(user, number, 300)
}

/// Returns a session whose record is about 200 bytes larger than its prompt.
fn session_of(user: &str, number: usize, prompt: usize) -> Session {
    let mut session =
        Session::new(user).id(format!("{user}-{number:08}-4d0b-4c7e-9a51")).org_id("org-456");
    session.system_prompt = "x".repeat(prompt);
    session
}

/// Returns a session of a user with ten sessions.
fn of_ten(number: usize) -> Session {
    session(&format!("user-{}", number / 10), number)
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    if args.traffic {
        return tokio::runtime::Runtime::new()?.block_on(traffic());
    }
    let mut rows = tokio::runtime::Runtime::new()?.block_on(on_redis(args.quick))?;
    rows.extend(in_memory(args.quick)?);
    rows.extend(in_a_manager(args.quick)?);
    if args.json {
        let rows: Vec<_> = rows.iter().map(|row| serde_json::json!({ "name": row.name, "size": row.size, row.unit: row.value })).collect();
        println!("{}", serde_json::json!({ "operations": rows }));
        return Ok(());
    }
    println!("| operation | size | |\n|---|---:|---:|");
    for row in rows {
        println!("| {} | {} | {:.1} {} |", row.name, row.size, row.value, row.unit);
    }
    Ok(())
}

struct Row {
    name: String,
    size: usize,
    value: f64,
    unit: &'static str,
}

const CALLS: usize = 31;

/// Returns the median time of a call in µs.
async fn median<T, F: Future<Output = Result<T, SessionError>>>(
    call: impl Fn(usize) -> F,
) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for number in 0..CALLS {
        let began = Instant::now();
        call(number).await?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[CALLS / 2])
}

/// Starts a REST server in front of a Redis.
async fn serve(redis: &Redis) -> Result<RunningServer, Failure> {
    let backend = Arc::new(NativeBackend::connect(&redis.url()).await?);
    let config = ServerConfig::new().listen(([127, 0, 0, 1], 0).into()).token("bench");
    Ok(Server::bind(backend, config).await?.spawn())
}

/// Returns the traffic of each operation on a session of a user with ten, with a record of 500
/// bytes and of 50 kB.
async fn traffic() -> Result<(), Failure> {
    let redis = Redis::start()?;
    let server = serve(&redis).await?;
    let counted = Counted::new()?;
    let config = Client::builder().url(server.url()).token("bench").transport(counted.clone());
    let store = RedisSessionStore::new(config.build()?, DAY);
    println!("| operation | requests | commands | bytes sent | bytes received |");
    println!("|---|---:|---:|---:|---:|");
    // The server caches the scripts in the first round.
    for (round, (name, prompt)) in
        [("", 300), ("500 bytes", 300), ("50 kB", 50_000)].into_iter().enumerate()
    {
        let user = format!("user-{round}");
        for number in 0..10 {
            store.store_session(&session_of(&user, number, prompt)).await?;
        }
        let row = |operation: &str| {
            let Traffic { requests, commands, sent, received } = counted.take();
            if round > 0 {
                println!("| {operation}, {name} | {requests} | {commands} | {sent} | {received} |");
            }
        };
        counted.take();
        store.store_session(&session_of(&user, 11, prompt)).await?;
        row("store a new session");
        store.retrieve_session(&session_of(&user, 0, prompt).id).await?;
        row("retrieve");
        let mut one = session_of(&user, 0, prompt);
        one.system_prompt.push('x');
        store.store_session(&one).await?;
        row("store it again");
        one.system_prompt.push('x');
        store.update_session(&one).await?;
        row("update");
        let mut stored = store.retrieve_stored(&one.id).await?;
        counted.take();
        stored.session.system_prompt.push('x');
        store.compare_and_update(&stored.session, &stored.version).await?;
        row("replace a version in hand");
        store.set_ttl(&one.id, DAY / 2).await?;
        row("set a time to live");
        store.touch(&session_of(&user, 1, prompt).id).await?;
        row("touch");
        let listed = store.list_sessions(&user).await?.sessions.len();
        row(&format!("list {listed}"));
        store.delete_session(&one.id).await?;
        row("delete");
        let ended = store.delete_user_sessions(&user).await?;
        row(&format!("log out everywhere, {ended} sessions"));
    }
    server.shutdown().await;
    Ok(())
}

/// Measures over REST on a real redis-server, with both index layouts, from 1 to 100 000 sessions
/// of one user.
async fn on_redis(quick: bool) -> Result<Vec<Row>, Failure> {
    let redis = Redis::start()?;
    let server = serve(&redis).await?;
    let client = Client::new(server.url(), "bench")?;
    let sizes: &[usize] = if quick { &[1, 10, 100] } else { &[1, 10, 100, 1000, 10_000, 100_000] };
    let mut rows = Vec::new();
    for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
        let store = RedisSessionStore::new(client.clone(), DAY).index_layout(layout);
        for &size in sizes {
            // A JSON array of 100 000 ids is 3 MB: every write rewrites it, which fills the array
            // in minutes.
            if layout == IndexLayout::JsonArray && size > 10_000 {
                continue;
            }
            let user = format!("{layout:?}-{size}");
            let sessions: Vec<_> = (0..size).map(|number| session(&user, number)).collect();
            for step in sessions.chunks(1000) {
                store.batch_store_sessions(step).await.ok()?;
            }
            let mut row = |name: &str, value| {
                rows.push(Row { name: format!("{name}, {layout:?}"), size, value, unit: "µs" })
            };
            let new: Vec<_> = (size..size + CALLS).map(|number| session(&user, number)).collect();
            row("store a new session", median(|number| store.store_session(&new[number])).await?);
            row("store it again", median(|number| store.store_session(&new[number])).await?);
            row("retrieve", median(|number| store.retrieve_session(&new[number].id)).await?);
            row("delete", median(|number| store.delete_session(&new[number].id)).await?);
            if size <= 1000 {
                row("list all", median(|_| store.list_sessions(&user)).await?);
            }
        }
    }
    let store = RedisSessionStore::new(client, DAY);
    for bytes in [300, 50_000] {
        rows.extend(by_size(&store, bytes).await?);
    }
    server.shutdown().await;
    Ok(rows)
}

/// Measures each call on a session with a prompt of this size, of a user with ten.
async fn by_size(store: &RedisSessionStore, bytes: usize) -> Result<Vec<Row>, Failure> {
    let user = format!("prompt-{bytes}");
    for number in 0..10 {
        store.store_session(&session_of(&user, number, bytes)).await?;
    }
    let mut rows = Vec::new();
    let mut row = |name: &str, value| {
        rows.push(Row { name: format!("{name}, by size"), size: bytes, value, unit: "µs" })
    };
    let new: Vec<_> = (10..10 + CALLS).map(|number| session_of(&user, number, bytes)).collect();
    row("store a new session", median(|number| store.store_session(&new[number])).await?);
    row("retrieve", median(|number| store.retrieve_session(&new[number].id)).await?);
    row("store it again", median(|number| store.store_session(&new[number])).await?);
    row("update", median(|number| store.update_session(&new[number])).await?);
    let mut times = Vec::new();
    for session in &new {
        let mut stored = store.retrieve_stored(&session.id).await?;
        stored.session.system_prompt.push('x');
        let began = Instant::now();
        store.compare_and_update(&stored.session, &stored.version).await?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    row("replace a version in hand", times[CALLS / 2]);
    row("set a time to live", median(|number| store.set_ttl(&new[number].id, DAY / 2)).await?);
    row("touch", median(|number| store.touch(&new[number].id)).await?);
    row("list all", median(|_| store.list_sessions(&user)).await?);
    row("delete", median(|number| store.delete_session(&new[number].id)).await?);
    Ok(rows)
}

/// Measures in memory: retrieves per second of random sessions, on one thread and on two; and the
/// memory of a session.
fn in_memory(quick: bool) -> Result<Vec<Row>, Failure> {
    // The largest first: freed memory is used again, and would not show.
    let sizes: &[usize] = if quick { &[1000] } else { &[1_000_000, 100_000, 1000, 1] };
    let length = if quick { 0.05 } else { 2.0 };
    let mut rows = Vec::new();
    for &size in sizes {
        let store = InMemorySessionStore::with_limits(DAY, 2 * size + 1000, usize::MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let before = resident()?;
        runtime.block_on(async {
            for number in 0..size {
                store.store_session(&of_ten(number)).await?;
            }
            Ok::<_, Failure>(())
        })?;
        if size == 1_000_000 {
            let each = resident()?.saturating_sub(before) as f64 / size as f64;
            rows.push(Row {
                name: "resident memory of a session".into(),
                size,
                value: each,
                unit: "bytes",
            });
        }
        for threads in [1, 2] {
            let counts: Vec<_> = std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads)
                    .map(|thread| {
                        scope.spawn({
                            let store = &store;
                            move || retrieve(store, size, thread, length)
                        })
                    })
                    .collect();
                workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
            });
            let total: f64 = counts.into_iter().sum();
            rows.push(Row {
                name: format!("retrieve in memory, {threads} threads"),
                size,
                value: total,
                unit: "a second",
            });
        }
    }
    Ok(rows)
}

/// Measures a manager over a store in memory, on one thread: reads of fresh copies, and changes,
/// per second.
fn in_a_manager(quick: bool) -> Result<Vec<Row>, Failure> {
    let seconds = if quick { 0.05 } else { 2.0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for size in [500, 50_000] {
        runtime.block_on(async {
            let manager = SessionManager::new("", 0);
            let store = InMemorySessionStore::with_limits(DAY, 1_000_000, usize::MAX);
            manager.set_session_store(Arc::new(store), true).await?;
            let mut session = manager.create_session("user", "org").await?.session;
            session.system_prompt = "x".repeat(size);
            let mut row = |name: &str, value| {
                rows.push(Row {
                    name: format!("{name} in a manager"),
                    size,
                    value,
                    unit: "a second",
                })
            };
            let (began, mut calls) = (Instant::now(), 0_u64);
            while began.elapsed().as_secs_f64() < seconds {
                manager.update_session(&session).await?;
                calls += 1;
            }
            row("update", calls as f64 / began.elapsed().as_secs_f64());
            let (began, mut calls) = (Instant::now(), 0_u64);
            while began.elapsed().as_secs_f64() < seconds {
                for _ in 0..1000 {
                    std::hint::black_box(manager.get_session(&session.id).await?);
                }
                calls += 1000;
            }
            row("get a fresh copy", calls as f64 / began.elapsed().as_secs_f64());
            Ok::<_, Failure>(())
        })?;
    }
    Ok(rows)
}

/// Returns the retrieves per second of one thread.
fn retrieve(store: &InMemorySessionStore, size: usize, thread: u64, seconds: f64) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let ids: Vec<String> = {
            let mut random = fastrand::Rng::with_seed(thread);
            (0..1000).map(|_| of_ten(random.usize(..size)).id).collect()
        };
        let (began, mut calls) = (Instant::now(), 0_u64);
        while began.elapsed().as_secs_f64() < seconds {
            for id in &ids {
                std::hint::black_box(store.retrieve_session(id).await.expect("it is there"));
            }
            calls += ids.len() as u64;
        }
        calls as f64 / began.elapsed().as_secs_f64()
    })
}

/// Returns the resident memory of this process in bytes (Linux).
fn resident() -> Result<usize, Failure> {
    let pages: usize = std::fs::read_to_string("/proc/self/statm")?
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .ok_or("no statm")?;
    Ok(pages * rustix::param::page_size())
}
