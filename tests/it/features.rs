//! The features that this build has.

const FEATURES: [(&str, bool); 7] = [
    ("backoff", cfg!(feature = "backoff")),
    ("conformance", cfg!(feature = "conformance")),
    ("metrics", cfg!(feature = "metrics")),
    ("native", cfg!(feature = "native")),
    ("reqwest", cfg!(feature = "reqwest")),
    ("rustls", cfg!(feature = "rustls")),
    ("webpki-roots", cfg!(feature = "webpki-roots")),
];

/// No member of the workspace enables features that its users did not ask for. `.ci/test` names the
/// expected features, separated by spaces.
#[test]
fn the_features_are_those_that_were_asked_for() {
    let manifest =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let features = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let mut declared: Vec<&str> =
        features.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    declared.retain(|name| *name != "default");
    declared.sort_unstable();
    assert_eq!(FEATURES.map(|(name, _)| name).as_slice(), declared);

    let on: Vec<&str> = FEATURES.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    if let Ok(expected) = std::env::var("EXPECTED_FEATURES") {
        assert_eq!(on.join(" "), expected);
    }
}
