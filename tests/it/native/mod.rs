//! The backend over TCP, beyond the common cases of all backends.

mod cluster;
mod shared_connection;
mod sentinel;
mod settings;
mod tls;
