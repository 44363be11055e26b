//! The backend over TCP, beyond the common cases of all backends.

mod cluster;
mod neighbours;
mod sentinel;
mod settings;
mod tls;
