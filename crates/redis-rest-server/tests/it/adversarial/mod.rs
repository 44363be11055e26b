//! The server against misbehaving and malicious clients, mostly over raw sockets: HTTP clients
//! would not send such requests.

/// More connections than allowed.
mod connections;
/// Heads and bodies that are invalid HTTP.
mod framing;
/// Wrong tokens, refused commands, bodies that are no commands, odd addresses.
mod invalid_requests;
/// Scripts that loop, use memory without limit, or overflow stacks.
mod lua;
/// Memory for all clients together, and for one response.
mod memory;
/// Requests that browsers send for pages of other sites.
mod pages;
/// Scripts on a real Redis: their time, and the commands they reach.
mod redis_scripts;
/// Replies that would not fit into memory.
mod replies;
/// Several clients, one of them misbehaving.
mod shared_connection;
/// Clients that send slowly, or read slowly.
mod slow;
/// Subscribers that never read.
mod subscribers;
