//! The client against servers that mean harm, and with secrets that must not come out.

mod drip;
mod injection;
#[cfg(all(feature = "metrics", feature = "native", feature = "rustls"))]
mod leaks;
mod limits;
