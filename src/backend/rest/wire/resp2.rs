//! Reads RESP2 replies in place, with limits. A declared length allocates nothing by itself.

use super::super::limits::{Limits, Room};
use super::{ENDS_EARLY, Unreadable};
use crate::error::ServerError;
use crate::value::Value;
use bytes::Bytes;

/// Reads the replies in a body, at most `most`. Strings are slices of it.
pub(crate) fn decode(body: &Bytes, most: usize, limits: Limits) -> Result<Vec<Value>, Unreadable> {
    let mut reader = Reader { body, at: 0, room: Room::new(limits) };
    let mut replies = Vec::new();
    while reader.at < body.len() {
        if replies.len() == most {
            return Err(reader.unreadable("more replies than commands"));
        }
        replies.push(reader.value(0)?);
    }
    Ok(replies)
}

struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
    room: Room,
}

impl Reader<'_> {
    fn unreadable(&self, what: &'static str) -> Unreadable {
        Unreadable::at(what, self.at)
    }

    fn exceeds(&self, what: &'static str) -> Unreadable {
        Unreadable::exceeds(what, 1, self.at + 1)
    }

    /// Returns the rest of the line, without its end.
    fn line(&mut self) -> Result<Bytes, Unreadable> {
        let rest = &self.body[self.at..];
        let end = rest
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .ok_or_else(|| self.unreadable(ENDS_EARLY))?;
        let line = self.body.slice(self.at..self.at + end);
        self.at += end + 2;
        Ok(line)
    }

    fn integer(&mut self) -> Result<i64, Unreadable> {
        let line = self.line()?;
        let number = std::str::from_utf8(&line)
            .ok()
            .filter(|text| !text.starts_with('+'))
            .and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.unreadable("no integer"))
    }

    /// Reads a length: `None` for -1, which is nil.
    fn length(&mut self) -> Result<Option<usize>, Unreadable> {
        match self.integer()? {
            -1 => Ok(None),
            length => {
                usize::try_from(length).map(Some).map_err(|_| self.unreadable("a negative length"))
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let kind = *self.body.get(self.at).ok_or_else(|| self.unreadable(ENDS_EARLY))?;
        self.at += 1;
        match kind {
            b'+' => Ok(match self.line()? {
                ok if &ok[..] == b"OK" => Value::Okay,
                status => Value::Bytes(status),
            }),
            b'-' => Ok(Value::Error(ServerError::new(
                String::from_utf8_lossy(&self.line()?).into_owned(),
            ))),
            b':' => self.integer().map(Value::Int),
            b'$' => match self.length()? {
                Some(length) => self.string(length),
                None => Ok(Value::Nil),
            },
            b'*' => match self.length()? {
                Some(count) => self.array(count, depth),
                None => Ok(Value::Nil),
            },
            _ => Err(self.unreadable("no RESP2 reply")),
        }
    }

    fn string(&mut self, length: usize) -> Result<Value, Unreadable> {
        let end =
            self.at.checked_add(length).filter(|end| end.saturating_add(2) <= self.body.len());
        let end = end.ok_or_else(|| self.unreadable(ENDS_EARLY))?;
        if &self.body[end..end + 2] != b"\r\n" {
            return Err(self.unreadable("a string of another length"));
        }
        let value = Value::Bytes(self.body.slice(self.at..end));
        self.at = end + 2;
        Ok(value)
    }

    fn array(&mut self, count: usize, depth: usize) -> Result<Value, Unreadable> {
        /// Counts beyond this are not reserved: nested arrays could each announce as much as the
        /// rest of the body may hold.
        const BELIEVED: usize = 128;
        self.room.array(depth).map_err(|what| self.exceeds(what))?;
        let mut items = Vec::with_capacity(count.min(BELIEVED));
        for _ in 0..count {
            self.room.element().map_err(|what| self.exceeds(what))?;
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { depth: 2, elements: 100 };

    #[test]
    fn every_kind_of_reply() {
        let body = Bytes::from_static(
            b"+OK\r\n+PONG\r\n-WRONGTYPE x\r\n:-9223372036854775808\r\n$-1\r\n*-1\r\n$2\r\nOK\r\n*2\r\n$0\r\n\r\n*1\r\n$2\r\n\r\n\r\n",
        );
        let wanted = vec![
            Value::Okay,
            Value::bytes("PONG"),
            Value::Error(ServerError::new("WRONGTYPE x")),
            Value::Int(i64::MIN),
            Value::Nil,
            Value::Nil,
            Value::bytes("OK"),
            Value::Array(vec![Value::bytes(""), Value::Array(vec![Value::bytes("\r\n")])]),
        ];
        assert!(decode(&body, 8, LIMITS).unwrap() == wanted);
        assert!(decode(&body, 7, LIMITS).is_err());
    }

    #[test]
    fn malformed_bodies_are_unreadable_and_cheap() {
        let deep = "*1\r\n".repeat(10_000);
        for body in [
            "x",
            "+OK",
            ":1",
            ":+1\r\n",
            ":x\r\n",
            "$5\r\nabc\r\n",
            "$3\r\nabcd\r\n",
            "$-2\r\n",
            "*9223372036854775807\r\n",
            "$9223372036854775807\r\nx",
            &deep,
        ] {
            assert!(
                decode(&Bytes::copy_from_slice(body.as_bytes()), 1, LIMITS).is_err(),
                "{}",
                &body[..body.len().min(20)]
            );
        }
    }
}
