//! The benchmarks, in `benches/`.
