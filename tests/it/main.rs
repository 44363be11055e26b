//! The integration tests: a single binary, since each further one links everything again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic here is a red test, which is what it should be"
)]

/// Invalid and malicious servers: wrong tokens, truncated replies, leaks, memory exhaustion.
mod adversarial;
/// Automatic batching: composition and outcome of batches.
mod batching;
/// Sessions under every kind of fault, compared with a model.
#[cfg(feature = "native")]
mod chaos;
/// Every declared command: on the wire, and on a real server.
mod commands;
/// The conformance cases on every backend.
#[cfg(all(feature = "conformance", feature = "native"))]
mod conformance;
/// Documents that name the test of each claim.
mod doc_references;
/// Servers that ignore `Upstash-Encoding`.
mod encodings;
/// The examples, run as a new user runs them.
mod examples;
/// The features that this build has.
mod features;
/// Replies in every format.
mod formats;
/// nginx and haproxy in front of a server, under load: limits of streams and requests, idle
/// connections, reloads.
#[cfg(feature = "rustls")]
mod fronts;
/// The backend over TCP: TLS, settings, sentinels, clusters.
#[cfg(all(feature = "conformance", feature = "native", feature = "rustls"))]
mod native;
/// Metrics and spans, and the absence of secrets in them.
#[cfg(feature = "metrics")]
mod observability;
/// Exactly once, hedged reads, read your writes.
#[cfg(feature = "native")]
mod once;
/// Proxies that change the paths of requests, and the defences of client and server.
mod paths;
mod peers;
/// Forward proxies between the client and its server.
#[cfg(feature = "rustls")]
mod proxies;
/// The commands of the `redis` crate, over TCP and over HTTP.
#[cfg(feature = "native")]
mod redis_rs;
/// Retries: commands that are retried, commands that are not, and the totals.
mod retries;
/// The session stores and the manager, over every backend.
mod sessions;
/// The page of settings.
mod settings;
/// Histories of managers, stores, faults and crashes in virtual time, each decided by a seed.
mod simulation;
/// A process that was frozen: the cost of connections that died meanwhile.
#[cfg(feature = "rustls")]
mod stale_connections;
/// Published messages, as streams.
mod subscriptions;
/// Certificates that a client trusts over TLS.
#[cfg(feature = "webpki-roots")]
mod tls;
/// The two transports: common behaviour, and differences.
#[cfg(all(feature = "conformance", feature = "reqwest", feature = "rustls"))]
mod transports;
