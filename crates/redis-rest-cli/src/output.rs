//! The tool's output: values in redis-cli's format or as JSON, and failures with advice.

use redis_rest::{Error, ErrorKind, ServerErrorClass, Value};
use serde_json::json;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Reason why the tool fails.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: Option<&'static str>,
}

impl Failure {
    /// Wrong usage or failed connection: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into(), hint: None }
    }

    /// A failure that was already reported: only the exit code remains.
    pub(crate) fn reported(code: u8) -> Self {
        Self { code, message: String::new(), hint: None }
    }

    /// An error returned by Redis: exit code 1.
    pub(crate) fn redis(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns advice on how to proceed.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        self.hint
    }

    /// Prints the failure to standard error.
    pub(crate) fn report(&self) -> ExitCode {
        if self.message.is_empty() {
            return ExitCode::from(self.code);
        }
        let mut stderr = io::stderr().lock();
        // No output is possible if standard error is closed.
        let _ = writeln!(stderr, "error: {}", self.message);
        if let Some(hint) = self.hint {
            let _ = writeln!(stderr, "  {hint}");
        }
        ExitCode::from(self.code)
    }
}

/// Shows the server's own text: the reader typed the command that it may quote.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, hint) = advice(&error);
        let mut message = match error.server_message() {
            Some(text) => one_line(text),
            None => error.to_string(),
        };
        if error.server_message().is_some() && error.maybe_applied() {
            message.push_str("\n  the command may have been applied");
        }
        let causes = causes(&error);
        if !causes.is_empty() {
            message.push_str(&format!(": {causes}"));
        }
        Self { code, message, hint }
    }
}

/// Returns the texts of an error's causes. They contain no address.
pub(crate) fn causes(error: &Error) -> String {
    let chain = std::iter::successors(std::error::Error::source(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns true if the causes of a failed connection mention TLS.
pub(crate) fn is_tls(causes: &str) -> bool {
    let causes = causes.to_ascii_lowercase();
    ["corrupt message", "wrong version", "tls", "handshake", "certificate"]
        .iter()
        .any(|word| causes.contains(word))
}

/// Returns the exit code and the advice.
fn advice(error: &Error) -> (u8, Option<&'static str>) {
    match error.kind() {
        ErrorKind::Connect if is_tls(&causes(error)) => (
            2,
            Some(
                "run redis-rest doctor to check TLS; if the server speaks plain HTTP, use an http:// address",
            ),
        ),
        ErrorKind::Connect => (2, Some("is it running? start one: redis-rest serve")),
        ErrorKind::Unauthorized if error.server_class() == Some(ServerErrorClass::Forbidden) => {
            (1, Some("this token may not do that: use another one"))
        }
        ErrorKind::Unauthorized => (2, Some("check --token, or the token in the environment")),
        ErrorKind::Redis | ErrorKind::Discarded | ErrorKind::Conversion
            if error.status() != Some(404) =>
        {
            (1, None)
        }
        ErrorKind::RateLimited => (2, Some("wait, then retry")),
        ErrorKind::Timeout | ErrorKind::Io => {
            if error.maybe_applied() {
                (2, Some("check the data before you retry"))
            } else {
                (2, Some("nothing was applied: retry"))
            }
        }
        ErrorKind::Http | ErrorKind::Decode | ErrorKind::Redis => {
            (2, Some("check that --url is the address of a REST server, with the right path"))
        }
        _ => (2, None),
    }
}

/// Format of replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The format of redis-cli on a terminal.
    Human,
    /// Strings without quotes and types.
    Raw,
    /// JSON on one line.
    Json,
}

impl Format {
    /// Returns the formatted reply with its line break.
    pub(crate) fn line(self, reply: &Value) -> Vec<u8> {
        let mut line = match self {
            Self::Human => human(reply).into_bytes(),
            Self::Json => as_json(reply).to_string().into_bytes(),
            Self::Raw => {
                let mut bytes = Vec::new();
                write_raw(&mut bytes, reply);
                bytes
            }
        };
        line.push(b'\n');
        line
    }
}

/// Standard output for incremental results. Discards further writes once the reader has closed it.
pub(crate) struct Stream {
    out: io::BufWriter<io::Stdout>,
    open: bool,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self { out: io::BufWriter::new(io::stdout()), open: true }
    }

    /// Returns true until the reader closes standard output.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Buffers bytes until the next [`flush`](Self::flush) at the latest.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.out.write_all(bytes);
        self.note(written)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = if self.open { self.out.flush() } else { Ok(()) };
        self.note(flushed)
    }

    fn note(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.open = false;
                Ok(())
            }
            Err(error) => Err(Failure::usage(format!("standard output: {error}"))),
        }
    }
}

/// Prints to standard output. A reader that closes early (`| head`) is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a line to standard output.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    print(format!("{text}\n").as_bytes())
}

/// Prints JSON on one line.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print_line(&value.to_string())
}

/// Prints a hint to standard error, beside the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Formats a value like redis-cli on a terminal. Statuses other than `OK` are quoted: over REST
/// they are indistinguishable from strings.
pub(crate) fn human(value: &Value) -> String {
    let mut text = String::new();
    write_human(&mut text, value, 0);
    text
}

fn write_human(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Nil => out.push_str("(nil)"),
        Value::Int(n) => out.push_str(&format!("(integer) {n}")),
        Value::Okay => out.push_str("OK"),
        Value::Bytes(bytes) => quote(out, bytes),
        Value::Error(error) => {
            out.push_str("(error) ");
            out.push_str(&one_line(error.message()));
        }
        Value::Array(items) if items.is_empty() => out.push_str("(empty array)"),
        Value::Array(items) => {
            let width = items.len().to_string().len();
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                    out.extend(std::iter::repeat_n(' ', indent));
                }
                out.push_str(&format!("{:>width$}) ", index + 1));
                write_human(out, item, indent + width + 2);
            }
        }
        _ => out.push_str("(a reply of an unknown type)"),
    }
}

/// Returns text of unknown origin with line breaks and terminal controls made visible.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Formats like `redis-cli --raw`: the items of an array, nested ones too, one per line.
fn write_raw(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Okay => out.extend_from_slice(b"OK"),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        Value::Error(error) => out.extend_from_slice(one_line(error.message()).as_bytes()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b'\n');
                }
                write_raw(out, item);
            }
        }
        _ => {}
    }
}

/// Returns a name unchanged, or quoted if it would break the line or look quoted.
pub(crate) fn name(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with('"') && !text.chars().any(char::is_control) => {
            text.to_owned()
        }
        _ => {
            let mut quoted = String::new();
            quote(&mut quoted, bytes);
            quoted
        }
    }
}

fn quote(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
}

/// Returns a value as JSON. Bytes that are not UTF-8 become `{"base64": …}`, an error inside an
/// array `{"error": …}`.
pub(crate) fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Int(n) => (*n).into(),
        Value::Okay => "OK".into(),
        Value::Bytes(bytes) => bytes_as_json(bytes),
        Value::Array(items) => items.iter().map(as_json).collect(),
        Value::Error(error) => json!({ "error": error.message() }),
        _ => serde_json::Value::Null,
    }
}

pub(crate) fn bytes_as_json(bytes: &[u8]) -> serde_json::Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": base64_simd::STANDARD.encode_to_string(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts come from redis-cli 7.
    #[test]
    fn values_as_redis_cli_shows_them() {
        let nested = Value::Array(vec![
            Value::Int(-1),
            Value::Array(vec![Value::bytes("a\"\\\n\x07"), Value::Nil, Value::Array(vec![])]),
            Value::bytes(&b"\xc3\xa4\0~"[..]),
        ]);
        let want = "1) (integer) -1\n2) 1) \"a\\\"\\\\\\n\\a\"\n   2) (nil)\n   3) (empty array)\n3) \"\\xc3\\xa4\\x00~\"";
        assert_eq!(human(&nested), want);
        let ten = human(&Value::Array((0..10).map(Value::Int).collect()));
        assert!(ten.starts_with(" 1) (integer) 0\n 2)") && ten.ends_with("\n10) (integer) 9"));
        assert_eq!(human(&Value::Okay), "OK");
    }

    #[test]
    fn raw_output_is_the_servers_bytes() {
        let nested = Value::Array(vec![
            Value::Int(1),
            Value::Array(vec![Value::bytes(&b"\xff\""[..]), Value::Nil]),
            Value::Okay,
        ]);
        assert_eq!(Format::Raw.line(&nested), b"1\n\xff\"\n\nOK\n");
    }

    #[test]
    fn names_stay_on_their_line() {
        for (bytes, shown) in [
            (&b"a \xc3\xa4"[..], "a ä"),
            (b"a\nb", "\"a\\nb\""),
            (b"\"a", "\"\\\"a\""),
            (b"\xff", "\"\\xff\""),
        ] {
            assert_eq!(name(bytes), shown);
        }
    }

    #[test]
    fn json_keeps_bytes_and_large_integers() {
        let value = Value::Array(vec![
            Value::Int(i64::MAX),
            Value::bytes(&b"\xff"[..]),
            Value::bytes("ä"),
            Value::Nil,
            Value::Okay,
        ]);
        assert_eq!(
            as_json(&value).to_string(),
            r#"[9223372036854775807,{"base64":"/w=="},"ä",null,"OK"]"#
        );
    }
}
