//! The shortest path from the start of a process to a reply, as in a cold start.
//! `benches/cold_start.rs` measures it.
//!
//!     export REDIS_REST_URL=http://127.0.0.1:8079 REDIS_REST_TOKEN=local-token
//!     cargo run --release --features webpki-roots --example first_reply
//!
//! `FIRST_REPLY_CA` may name a file with additional root certificates, and
//! `FIRST_REPLY_ROOTS=webpki` uses compiled-in roots instead of the platform's.

use redis_rest::Config;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            // Starts no server: that would be most of the program.
            println!("{error}\nStart a server with: cargo run --features cli -- serve");
            return Ok(());
        }
    };
    if let Some(file) = std::env::var_os("FIRST_REPLY_CA") {
        config = config.root_certificate_pem(std::fs::read(file)?);
    }
    if std::env::var_os("FIRST_REPLY_ROOTS").is_some_and(|roots| roots == "webpki") {
        config = config.webpki_roots();
    }
    let client = config.build()?;
    let made = began.elapsed();
    // A single thread suffices for one call at a time, and more threads start more slowly.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let value: Option<String> = runtime.block_on(async { client.get("first-reply").await })?;
    let replied = began.elapsed();
    println!(
        "first reply after {replied:?}; the client was there after {made:?}; there is a value: {}",
        value.is_some()
    );
    Ok(())
}
