//! Proxies that change the paths of requests, and the defences of client and server.

/// Names that would become other commands behind a real nginx.
mod nginx;
/// The probe that finds out whether paths arrive: when it is sent, and what its answers mean.
mod probe;
/// Subscriptions that a server answers with something else.
mod subscriptions;
