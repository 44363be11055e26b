//! Redis over TCP.
