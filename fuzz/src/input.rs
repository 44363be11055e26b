//! Converts the fuzzer's bytes to inputs of the targets.

use redis_rest::backend::Reply;
use redis_rest::{Error, ServerError, Value};

/// Reads the fuzzer's bytes from the front. At the end all values are zero or empty.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: u8) -> usize {
        usize::from(self.byte() % end)
    }

    /// Returns as many bytes as the first byte says.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        self.take(length)
    }

    /// Returns text of such a length.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Returns an error text, which is a single line.
    pub(super) fn error(&mut self) -> ServerError {
        ServerError::new(self.text().replace(['\r', '\n'], " "))
    }

    /// Returns a value as a backend returns it.
    pub(super) fn value(&mut self, depth: usize) -> Value {
        match self.byte() % 8 {
            1 => {
                let mut number = [0; 8];
                let given = self.take(8);
                number[..given.len()].copy_from_slice(given);
                Value::Int(i64::from_le_bytes(number))
            }
            2 => Value::Int(i64::from(self.byte())),
            3 => Value::Okay,
            4 => Value::bytes(self.bytes().to_vec()),
            // Sometimes too long for a block of short strings.
            5 => Value::bytes(self.bytes().repeat(9)),
            6 if depth < 6 => {
                let count = self.below(6);
                Value::Array((0..count).map(|_| self.value(depth + 1)).collect())
            }
            7 if depth > 0 => Value::Error(self.error()),
            _ => Value::Nil,
        }
    }

    pub(super) fn reply(&mut self) -> Reply {
        match self.byte() % 8 {
            0 => Err(Error::redis(self.error())),
            _ => Ok(self.value(0)),
        }
    }
}

/// Number of values, and their bytes. Error texts count apart: bytes in them that are no text
/// become U+FFFD, which has three bytes.
#[derive(Default)]
pub(super) struct Weight {
    pub(super) values: usize,
    pub(super) bytes: usize,
    pub(super) errors: usize,
}

impl Weight {
    pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut weight = Self::default();
        values.into_iter().for_each(|value| weight.add(value));
        weight
    }

    fn add(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::Bytes(bytes) => self.bytes += bytes.len(),
            Value::Error(error) => self.errors += error.message().len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            _ => {}
        }
    }
}

/// Returns true if both replies are equal.
pub(super) fn same(one: &Reply, other: &Reply) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) => one.server_message() == other.server_message(),
        _ => false,
    }
}
