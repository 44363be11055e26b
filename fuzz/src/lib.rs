//! Properties that hold for any input: one function for each target in `fuzz_targets/`, which
//! panics if they do not hold. Compiled only with `--cfg fuzzing`, as `cargo fuzz` sets it. The
//! tests replay the corpus, also on a compiler that cannot fuzz.
#![cfg(fuzzing)]

mod events;
mod input;
mod lua;
mod native;
mod records;
mod replies;
mod requests;
mod servers;

pub use events::event_stream;
pub use lua::lua_bridge;
pub use native::native_replies;
pub use records::{config, proxy_variables, session_json};
pub use replies::{base64_reply, json_reply, reply_formats, resp2_reply};
pub use requests::{round_trip, server_request};
pub use servers::{retry_headers, server_encoding};

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 14] = [
    ("base64_reply", base64_reply),
    ("config", config),
    ("event_stream", event_stream),
    ("json_reply", json_reply),
    ("lua_bridge", lua_bridge),
    ("native_replies", native_replies),
    ("proxy_variables", proxy_variables),
    ("reply_formats", reply_formats),
    ("resp2_reply", resp2_reply),
    ("retry_headers", retry_headers),
    ("round_trip", round_trip),
    ("server_encoding", server_encoding),
    ("server_request", server_request),
    ("session_json", session_json),
];

/// Runs `future` to its end, with the timers that a client needs.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    fn fuzz() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// Returns the file names in a directory, up to the first dot.
    fn names(path: &str) -> Vec<String> {
        let entries = fs::read_dir(fuzz().join(path)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn corpus_is_replayed() {
        for (name, target) in TARGETS {
            let inputs = fs::read_dir(fuzz().join("corpus").join(name)).unwrap();
            let inputs: Vec<_> = inputs.map(|input| input.unwrap().path()).collect();
            assert!(inputs.len() >= 3, "{name} has a corpus");
            for input in inputs {
                let data = fs::read(&input).unwrap();
                assert!(std::panic::catch_unwind(|| target(&data)).is_ok(), "{}", input.display());
            }
        }
    }

    #[test]
    fn every_target_is_fuzzed() {
        let targets = TARGETS.map(|(name, _)| name);
        assert_eq!(names("fuzz_targets"), targets);
        assert_eq!(names("corpus"), targets);
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for name in targets {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
                "{name} is in the manifest"
            );
        }
    }

    proptest! {
        /// Values are unchanged by every encoding.
        #[test]
        fn replies_mean_the_same_in_every_format(data in prop::collection::vec(any::<u8>(), 0..400)) {
            reply_formats(&data);
        }

        /// Commands and their replies arrive unchanged.
        #[test]
        fn commands_and_replies_arrive_unchanged(data in prop::collection::vec(any::<u8>(), 0..300)) {
            round_trip(&data);
        }
    }
}
