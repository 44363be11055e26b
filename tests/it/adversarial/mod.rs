//! The client against misbehaving and malicious servers, and with secrets that must not leak.

mod drip;
mod injection;
#[cfg(all(feature = "native", feature = "reqwest"))]
mod invalid_replies;
#[cfg(all(feature = "metrics", feature = "native", feature = "rustls"))]
mod leaks;
mod limits;

/// Runs an ignored test of `module` in a process of its own, and returns its output.
fn run_alone(module: &str, name: &str) -> std::process::Output {
    // Tests are named without their crate.
    let (_, module) = module.split_once("::").unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::{name}"), "--ignored", "--nocapture"]);
    let output = command.env("RUST_BACKTRACE", "full").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running 1 test"), "no such test");
    output
}
