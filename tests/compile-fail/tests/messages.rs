//! The messages are those of the compiler version in CI. `TRYBUILD=overwrite cargo test` updates
//! them.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
