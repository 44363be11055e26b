//! Replies of a response, within the memory limits, and the texts of errors.

use super::memory::{Reservation, value_bytes};
use redis_rest::backend::Reply;
use redis_rest::{Error, ErrorKind, Outcome, ServerError};

/// Encoding of strings in a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Text: bytes that are not UTF-8 become U+FFFD.
    Plain,
    /// In base64, at any depth, except the status `OK`.
    Base64,
    /// RESP2 instead of JSON.
    Resp2,
}

/// An error text of at most this many bytes always fits.
const FREE_TEXT: usize = 256;

/// The memory budget for the replies of one response.
pub(crate) struct ReplyBudget {
    left: usize,
    most: usize,
    held: Reservation,
    /// A reply was left out because this server holds too much, not because it is too large.
    short_of_memory: bool,
}

impl ReplyBudget {
    pub fn new(most: usize, held: Reservation) -> Self {
        Self { left: most, most, held, short_of_memory: false }
    }

    /// Returns the reply, or an error in its place if it does not fit: its command ran. A value may
    /// occur many times in a response, or come from a backend that allows larger ones.
    pub(crate) fn fit(&mut self, reply: Reply) -> Reply {
        let (size, error) = match &reply {
            Ok(value) => (value_bytes(value), None),
            Err(error) if error.kind() == ErrorKind::ReplyTooLarge => {
                return Err(left_out(error.outcome(), &error.to_string()));
            }
            Err(error) => match error.server_message().map_or(0, str::len) {
                ..=FREE_TEXT => return reply,
                size => (size, Some(error)),
            },
        };
        // An error states whether its command ran; without it, the command may have run.
        let outcome = if error.is_some() { Outcome::MaybeApplied } else { Outcome::Applied };
        let Some(left) = self.left.checked_sub(size) else {
            let text = format!("Limit: {} bytes, Actual: {size} bytes", self.most);
            return Err(left_out(outcome, &text));
        };
        if self.held.grow(size).is_err() {
            self.short_of_memory = true;
            return Err(left_out(
                outcome,
                "the server's memory limit is reached (ServerConfig::max_memory)",
            ));
        }
        self.left = left;
        reply
    }

    /// Returns the bytes of replies that still fit.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.short_of_memory
    }

    /// Returns the server memory that the response holds.
    pub(crate) fn into_held(self) -> Reservation {
        self.held
    }
}

/// Returns the error in place of a reply. Clients know by the beginning of its text that the
/// command may have run.
fn left_out(outcome: Outcome, why: &str) -> Error {
    let ran = match outcome {
        Outcome::Applied => "; the command was executed",
        Outcome::NotApplied | Outcome::MaybeApplied => "",
    };
    Error::redis(ServerError::new(format!("ERR max response size exceeded. {why}{ran}")))
}

pub(crate) fn write_error(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, text);
    out.push(b'}');
}

/// Returns the error text for clients: Redis's own text, or one of the protocol's if the backend is
/// unavailable.
pub(crate) fn error_text(error: &Error) -> String {
    match (error.server_message(), error.kind(), error.outcome()) {
        (Some(text), ..) => text.to_owned(),
        (None, ErrorKind::InvalidCommand | ErrorKind::Unsupported, _) => format!("ERR {error}"),
        (None, _, Outcome::NotApplied) => "DB connection refused".to_owned(),
        // The text that means "may have been applied" to clients of the protocol.
        (None, ..) => "ERR caller gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;
    use redis_rest::Value;

    #[test]
    fn errors_say_whether_the_command_may_have_run() {
        use Outcome::{MaybeApplied, NotApplied};
        let text = |kind, outcome| error_text(&Error::custom(kind, outcome, "text"));
        assert_eq!(text(ErrorKind::Connect, NotApplied), "DB connection refused");
        assert_eq!(text(ErrorKind::Timeout, MaybeApplied), "ERR caller gone");
        assert_eq!(text(ErrorKind::Unsupported, NotApplied), "ERR text");
    }

    #[test]
    fn replies_over_budget_become_errors_that_say_the_command_ran() {
        let mut room = ReplyBudget::new(100_000, Memory::new(80_000).share());
        let large = |bytes: usize| Ok(Value::bytes(vec![b'x'; bytes]));
        assert!(room.fit(large(70_000)).is_ok());
        let error = room.fit(large(40_000)).unwrap_err();
        assert!(error.maybe_applied() && !room.is_short_of_memory());
        let text = error.server_message().unwrap();
        assert!(
            text.contains("Limit: 100000 bytes, Actual: 40000 bytes; the command was"),
            "{text}"
        );
        // Within the limit of the response, and beyond that of the server.
        let error = room.fit(large(20_000)).unwrap_err();
        assert!(error.maybe_applied() && room.is_short_of_memory());
        assert!(error.server_message().unwrap().ends_with("the command was executed"));
        assert!(room.fit(large(10_000)).is_ok());
        // Elements of arrays take memory beside their bytes.
        assert!(room.fit(Ok(Value::Array(vec![Value::Nil; 400]))).is_err());
    }

    #[test]
    fn errors_are_unchanged_unless_they_are_long() {
        let mut room = ReplyBudget::new(1000, Memory::new(1000).share());
        let error = |bytes: usize| Err(Error::redis(ServerError::new("x".repeat(bytes))));
        assert!(!room.fit(error(1000)).unwrap_err().maybe_applied());
        for _ in 0..100 {
            assert!(!room.fit(error(FREE_TEXT)).unwrap_err().maybe_applied());
        }
        let left_out = room.fit(error(FREE_TEXT + 1)).unwrap_err();
        assert!(left_out.maybe_applied());
        assert!(!left_out.server_message().unwrap().contains("was executed"));
        let dropped =
            Error::custom(ErrorKind::ReplyTooLarge, Outcome::MaybeApplied, "reply too deep");
        let told = room.fit(Err(dropped.with_outcome(Outcome::Applied))).unwrap_err();
        let wanted = "ERR max response size exceeded. reply too deep; the command was executed";
        assert_eq!(told.server_message(), Some(wanted));
    }
}
