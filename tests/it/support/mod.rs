//! What several test modules need.

pub mod certificates;
pub mod forward_proxy;
pub mod haproxy;
pub mod neighbours;
pub mod nginx;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod rest;
pub mod scripted;
pub mod spans;
pub mod tls;
