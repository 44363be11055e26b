//! The backend over TCP, beyond what holds for every backend.

mod sentinel;
mod settings;
mod tls;
