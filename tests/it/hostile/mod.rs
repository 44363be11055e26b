//! Whoever means harm, on either side.

mod client;
mod server;
