//! JSON documents: members stay in order, and numbers as they were spelled.

use crate::engine::args::Fault;
use crate::engine::ordered::Ordered;

/// The deepest nesting of arrays and objects.
const DEEPEST: usize = 128;

#[derive(Clone)]
pub(in crate::engine) enum Json {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Ordered<Json>),
}

/// The layout of a document's text.
#[derive(Default)]
pub(super) struct Layout<'a> {
    pub(super) indent: &'a str,
    pub(super) newline: &'a str,
    pub(super) space: &'a str,
}

impl Json {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(text) if text.contains(['.', 'e', 'E']) => "number",
            Self::Number(_) => "integer",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, Fault> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.skip_spaces();
        if parser.at < text.len() {
            return Err(parser.fault("trailing characters"));
        }
        Ok(value)
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        if let Self::Number(text) = self { text.parse().ok() } else { None }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, &Layout::default(), 0);
        text
    }

    pub(super) fn write(&self, text: &mut String, layout: &Layout, depth: usize) {
        let line = |text: &mut String, depth: usize| {
            *text += layout.newline;
            for _ in 0..depth {
                *text += layout.indent;
            }
        };
        match self {
            Self::Null => *text += "null",
            Self::Bool(value) => *text += if *value { "true" } else { "false" },
            Self::Number(number) => *text += number,
            Self::String(string) => quote(string, text),
            Self::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    line(text, depth + 1);
                    item.write(text, layout, depth + 1);
                }
                if !items.is_empty() {
                    line(text, depth);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    line(text, depth + 1);
                    quote(&String::from_utf8_lossy(name), text);
                    text.push(':');
                    *text += layout.space;
                    value.write(text, layout, depth + 1);
                }
                if !members.is_empty() {
                    line(text, depth);
                }
                text.push('}');
            }
        }
    }

    /// Equal as JSON: numbers by value, objects whatever their order.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => {
                left == right || self.as_f64() == other.as_f64()
            }
            (Self::String(left), Self::String(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Self::Object(left), Self::Object(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(name, value)| {
                        right.get(name).is_some_and(|other| value.equals(other))
                    })
            }
            _ => false,
        }
    }

    /// About the bytes it takes.
    pub(in crate::engine) fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 8,
            Self::Number(text) | Self::String(text) => text.len() + 8,
            Self::Array(items) => items.iter().map(Self::weight).sum::<usize>() + 8,
            Self::Object(members) => {
                members.iter().map(|(name, value)| name.len() + value.weight()).sum::<usize>() + 8
            }
        }
    }
}

fn quote(string: &str, text: &mut String) {
    text.push('"');
    for char in string.chars() {
        match char {
            '"' => *text += "\\\"",
            '\\' => *text += "\\\\",
            '\n' => *text += "\\n",
            '\r' => *text += "\\r",
            '\t' => *text += "\\t",
            '\u{8}' => *text += "\\b",
            '\u{c}' => *text += "\\f",
            control if control < ' ' => *text += &format!("\\u{:04x}", u32::from(control)),
            other => text.push(other),
        }
    }
    text.push('"');
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn fault(&self, what: &str) -> Fault {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Fault::owned(format!("ERR {what} at line {line} column {column}"))
    }

    fn skip_spaces(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_spaces();
        let there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, depth: usize) -> Result<Json, Fault> {
        self.skip_spaces();
        if depth > DEEPEST {
            return Err(self.fault("recursion limit exceeded"));
        }
        match self.text.get(self.at) {
            None => Err(self.fault("EOF while parsing a value")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => {
                for (word, value) in
                    [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
                {
                    if self.text[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fault("expected value"))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.fault("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Fault> {
        self.at += 1;
        let mut members = Ordered::default();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_spaces();
            if self.text.get(self.at) != Some(&b'"') {
                return Err(self.fault("key must be a string"));
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(self.fault("expected `:`"));
            }
            let value = self.value(depth + 1)?;
            members.insert(name.as_bytes(), value);
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.fault("expected `,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, Fault> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            let first = parser.at;
            while parser.text.get(parser.at).is_some_and(u8::is_ascii_digit) {
                parser.at += 1;
            }
            parser.at > first
        };
        self.at += usize::from(self.text[self.at] == b'-');
        let zero = self.text.get(self.at) == Some(&b'0');
        let whole = self.at;
        let mut good = digits(self) && (!zero || self.at == whole + 1);
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            good &= digits(self);
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            good &= digits(self);
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if good { Ok(Json::Number(text)) } else { Err(self.fault("invalid number")) }
    }

    /// Reads an escape, after its backslash.
    fn escape(&mut self) -> Option<char> {
        let letter = *self.text.get(self.at)?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let first = self.hexadecimal()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                if !self.text[self.at..].starts_with(b"\\u") {
                    return None;
                }
                self.at += 2;
                let second = self.hexadecimal()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                return char::from_u32(0x10000 + ((first - 0xd800) << 10 | second));
            }
            _ => return None,
        })
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = std::str::from_utf8(self.text.get(self.at..self.at + 4)?).ok()?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut string = Vec::new();
        loop {
            match self.text.get(self.at) {
                None => return Err(self.fault("EOF while parsing a string")),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    let char = self.escape().ok_or_else(|| self.fault("invalid escape"))?;
                    string.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                Some(0..=0x1f) => {
                    return Err(self.fault(
                        "control character (\\u0000-\\u001F) found while parsing a string",
                    ));
                }
                Some(byte) => string.push(*byte),
            }
            self.at += 1;
        }
        self.at += 1;
        String::from_utf8(string).map_err(|_| self.fault("invalid unicode code point"))
    }
}
