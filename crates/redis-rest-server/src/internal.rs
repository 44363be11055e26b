//! For `redis-rest-testing` and for fuzzing, which answer and read as the server does. No part of the public interface.

/// The fake Redis answers by it, without a listener.
pub use crate::answer::{Admitted, Service};
/// Mocks write their replies as the server would, and tell commands in a request.
pub use crate::answer::{Answer, Form, encoding, failure};
/// The body of an [`Answer`].
pub use crate::body::ReplyBody;
/// Mocks write their replies by it.
pub use crate::encode::Encoder;
/// An event as it is sent.
pub use crate::events::line as event_line;
/// What a request holds of the memory that a [`Service`] may use.
pub use crate::memory::Held;
/// The way an [`Encoder`] writes strings.
pub use crate::reply::Encoding;
/// Commands in a request.
pub use crate::request::{Bad, command, commands, path};
