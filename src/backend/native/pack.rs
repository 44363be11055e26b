//! Converts commands to bytes. Refuses some, after which Redis would close the shared connection.

use super::script_limit;
use crate::command::{Command, refuse};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;

/// Most parts that Redis 6 accepts; it closes the connection for more. Redis 7 accepts more.
const MOST_PARTS: usize = 1024 * 1024;

/// Appends a request of these parts.
pub(super) fn parts<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    let mut line = |kind: u8, count: usize, out: &mut Vec<u8>| {
        out.push(kind);
        out.extend_from_slice(number.format(count).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    line(b'*', parts.clone().count(), out);
    for part in parts {
        line(b'$', part.len(), out);
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a request of these words.
pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str> + Clone, out: &mut Vec<u8>) {
    let words: Vec<&[u8]> = words.into_iter().map(str::as_bytes).collect();
    parts(words.into_iter(), out);
}

/// Appends a command of at most `most` bytes.
///
/// # Errors
/// Fails with the reason for refusal, and appends nothing then.
fn command(command: &Command, most: usize, out: &mut Vec<u8>) -> Result<()> {
    command.check()?;
    if refuse::takes_the_connection(command) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "this command would change or end the connection that all calls share",
        ));
    }
    if command.parts().len() > MOST_PARTS {
        return Err(Error::new(ErrorKind::InvalidCommand, "too many arguments")
            .with_detail(format!("{MOST_PARTS} is the limit, the name included")));
    }
    fits(command.byte_len(), most)?;
    out.reserve(command.byte_len() + 16 * (command.parts().len() + 1));
    parts(command.parts(), out);
    Ok(())
}

/// The commands of one call, in one piece of memory.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The end of each command.
    ends: Vec<usize>,
    has_script: bool,
}

impl Batch {
    /// Appends a command of at most `most` bytes.
    ///
    /// # Errors
    /// Fails with the reason for refusal, and appends nothing then.
    pub(super) fn push(&mut self, one: &Command, most: usize) -> Result<()> {
        command(one, most, &mut self.bytes)?;
        self.ends.push(self.bytes.len());
        self.has_script |= script_limit::is_script(one);
        Ok(())
    }

    /// Appends a command of the connection itself.
    pub(super) fn push_words<'a>(&mut self, parts: impl IntoIterator<Item = &'a str> + Clone) {
        words(parts, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the request of these commands.
    pub(super) fn into_request(self) -> Request {
        let bytes = Bytes::from(self.bytes);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let pieces = starts.zip(&self.ends).map(|(start, &end)| bytes.slice(start..end)).collect();
        Request { pieces, each: None, has_script: self.has_script }
    }
}

/// The bytes of one call, sent in one piece.
#[derive(Clone)]
pub(super) struct Request {
    /// Pieces, one per command and so per reply.
    pub(super) pieces: Vec<Bytes>,
    /// The last command is `EXEC`, and its reply has this many elements.
    pub(super) each: Option<usize>,
    pub(super) has_script: bool,
}

/// Returns the request of a single command.
pub(super) fn alone(one: &Command, most: usize) -> Result<Request> {
    let mut batch = Batch::default();
    batch.push(one, most)?;
    Ok(batch.into_request())
}

/// # Errors
/// Fails if a request of `bytes` is larger than `most`.
pub(super) fn fits(bytes: usize, most: usize) -> Result<()> {
    match bytes <= most {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::InvalidCommand, "request too large")
            .with_detail(format!("{most} bytes is the limit (NativeConfig::max_request_bytes)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    #[test]
    fn commands_are_arrays_of_strings() {
        let packed = alone(&cmd("SET").arg("k\r\n").arg(&b"\xff"[..]).arg(""), 100).unwrap();
        assert_eq!(
            &packed.pieces[0][..],
            b"*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$1\r\n\xff\r\n$0\r\n\r\n"
        );
    }

    #[test]
    fn commands_that_end_the_connection_are_not_packed() {
        let kind = |command: &Command| alone(command, 1 << 20).err().unwrap().kind();
        for name in ["select", "MULTI", "Client", "READONLY", "post", "HOST:", "host:8080"] {
            assert_eq!(kind(&cmd(name).arg("1")), ErrorKind::Unsupported, "{name}");
        }
        assert_eq!(kind(&cmd("script debug yes")), ErrorKind::Unsupported);
        assert_eq!(kind(&cmd("post\0x")), ErrorKind::Unsupported);
        assert_eq!(kind(&cmd("")), ErrorKind::InvalidCommand);
        for name in ["POSTX", "SCRIPT LOAD", "GET", "HOST"] {
            assert!(alone(&cmd(name).arg("MULTI"), 100).is_ok(), "{name}");
        }
    }

    #[test]
    fn commands_beyond_a_limit_are_not_packed() {
        let many = |count: usize| cmd("DEL").args(vec![""; count]);
        assert!(alone(&many(MOST_PARTS - 1), 3).is_ok());
        let error = alone(&many(MOST_PARTS), 3).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand);
        assert!(alone(&cmd("GET").arg("key"), 6).is_ok());
        let error = alone(&cmd("GET").arg("keys"), 6).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand);
        assert!(error.to_string().contains("max_request_bytes"), "{error}");
    }
}
