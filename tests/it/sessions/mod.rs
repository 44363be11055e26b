//! Sessions.

/// Ids and ends that the caller of the manager chooses.
mod chosen;
/// The conformance cases on every store and both index layouts.
mod conformance;
/// How far a change has come, policies, the bound, and the journal file.
mod durability;
/// Attacks at chosen moments: what was acknowledged is true.
mod findings;
/// The same cases on a store that is written by what is public.
mod foreign;
/// Random histories of a JSON index of which only the end is read.
mod long_index;
/// The manager: cache, limits, sync modes, touches, workspaces, events.
mod manager;
/// Random histories against a model, and many tasks at once.
mod model;
/// Records that cannot be read, keys of other types, foreign writes, lost index entries, indexes
/// larger than a request.
mod odd_keys;
/// A real Redis behind a REST server.
mod on_redis;
/// The manager through outages: what is written after them, and what is not.
mod outage;
/// Changes that meet while the store has not answered the first.
mod overlapping;
/// Pending changes: their batches, their refusals, and their journal.
mod pending;
/// A store that counts, fails and waits when told to.
mod scripted;
/// Requests and replies larger than allowed.
mod single_node;
mod sizes;
/// What is in Redis: records and indexes shared with other services.
mod stored;
/// What is between the two steps of a change, as on a cluster.
mod two_steps;
/// Requests per operation, and reads that write nothing.
mod wire;
