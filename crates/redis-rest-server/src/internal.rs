//! Shared with `redis-rest-testing` and the fuzzer, which process requests like the server. Not
//! part of the public interface.

/// The body of an [`Answer`].
pub use crate::body::ReplyBody;
/// Used by mocks to write their replies.
pub use crate::encode::Encoder;
/// Formats an event for sending.
pub use crate::events::line as event_line;
/// The memory that a request holds of a [`Service`]'s limit.
pub use crate::memory::Reservation;
/// The encoding of strings in an [`Encoder`].
pub use crate::reply::Encoding;
/// Commands in a request.
pub use crate::request::{BadRequest, command, commands, path};
/// Used by the fake Redis, without a listener.
pub use crate::service::{Admitted, Service};
/// Used by mocks to write replies like the server, and to recognise commands in a request.
pub use crate::service::{Answer, Form, encoding, failure};
