//! The backend over TCP, beyond the common cases of all backends.

mod cluster;
mod sentinel;
mod settings;
mod shared_connection;
mod tls;
