//! The server against malicious clients, mostly over raw sockets: HTTP clients would not send such
//! requests.

/// More connections than allowed.
mod connections;
/// Heads and bodies that are invalid HTTP.
mod framing;
/// Scripts that loop, eat memory, or overflow stacks.
mod lua;
/// Memory for all clients together, and for one response.
mod memory;
/// Clients of which one is at fault.
mod neighbours;
/// Requests that browsers send for pages of other sites.
mod pages;
/// Scripts on a real Redis: their time, and what they reach.
mod redis_scripts;
/// Replies that would not fit into memory.
mod replies;
/// Clients that send slowly, or read slowly.
mod slow;
/// Subscribers that never read.
mod subscribers;
