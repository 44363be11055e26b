//! The integration tests: one binary, since each one more links everything again.

/// Servers and clients that meet what they should not: wrong tokens, pages of HTML, cut replies, floods, odd addresses.
mod bad_input;
/// The conformance cases on every backend.
mod conformance;
/// The server as a program: stopping, access, encodings, refused commands.
mod server;
/// Private Redis servers, REST servers in this process, raw sockets.
mod support;
