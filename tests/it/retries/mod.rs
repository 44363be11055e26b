//! Retries: what goes again, what does not, and what that adds up to when replies are lost.

/// A thousand increments and a thousand sessions through proxies that lose replies.
mod lossy;
