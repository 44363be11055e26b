//! Sessions.

/// Ids and ends that the caller of the manager chooses.
mod chosen_ids;
/// The conformance cases on every store and both index layouts.
#[cfg(all(feature = "conformance", feature = "native"))]
mod conformance;
/// Durability of a change, policies, the bound, and the journal file.
mod durability;
/// Attacks at chosen moments: acknowledged changes are true.
mod interleavings;
/// Random histories of a JSON index of which only the end is read.
#[cfg(feature = "native")]
mod long_index;
/// The manager: cache, limits, sync modes, touches, workspaces, events.
mod manager;
/// Random histories against a model, and many tasks at once.
#[cfg(feature = "native")]
mod model;
/// Records that cannot be read, keys of other types, foreign writes, lost index entries, indexes
/// larger than a request.
#[cfg(feature = "native")]
mod odd_keys;
/// A real Redis behind a REST server.
#[cfg(feature = "native")]
mod on_redis;
/// The manager through outages: changes that are written afterwards, and changes that are not.
#[cfg(feature = "native")]
mod outage;
/// Changes that overlap while the store has not replied to the first.
mod overlapping;
/// Pending changes: their batches, their refusals, and their journal.
mod pending;
/// A store that counts, fails and waits on demand.
mod scripted;
/// Requests and replies larger than allowed.
mod single_node;
mod sizes;
/// Data in Redis: records and indexes shared with other services.
#[cfg(feature = "native")]
mod stored;
/// The same cases on a third-party store that uses only the public interface.
#[cfg(feature = "conformance")]
mod third_party_store;
/// Events between the two steps of a change, as on a cluster.
mod two_steps;
/// Requests per operation, and reads that write nothing.
#[cfg(feature = "native")]
mod wire;
