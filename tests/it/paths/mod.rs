//! Proxies that change the paths of requests, and the defences of client and server.

/// Names that a real nginx would turn into other commands.
mod nginx;
/// The probe that tests whether paths arrive unchanged: when it is sent, and the meaning of its
/// replies.
mod probe;
/// Subscriptions that get a response other than a stream.
mod subscriptions;
