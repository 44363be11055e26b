//! What should not come, from either side.

mod client;
mod server;
