//! The backend over TCP, beyond what holds for every backend.

mod cluster;
mod neighbours;
mod sentinel;
mod settings;
mod tls;
