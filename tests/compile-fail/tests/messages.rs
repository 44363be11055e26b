//! The messages hold for one version of the compiler, which CI has. `TRYBUILD=overwrite cargo test` writes them anew.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
