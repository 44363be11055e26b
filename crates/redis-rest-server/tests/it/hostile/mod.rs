//! The server against clients that mean harm: mostly raw sockets, since HTTP clients are too polite.

/// More connections than there is room for.
mod connections;
/// Heads and bodies that are no good HTTP.
mod framing;
/// Scripts that loop, eat memory, or overflow stacks.
mod lua;
/// Memory for all clients together, and for one answer.
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
