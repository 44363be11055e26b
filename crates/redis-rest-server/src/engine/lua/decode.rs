//! `cjson.decode`: what lua-cjson accepts, which is more than JSON (hexadecimal, `nan`, leading zeros), and its error texts.

use super::state::raise_at;
use crate::engine::args::format_g;
use mlua::{Lua, MultiValue, Value};

const DEPTH: usize = 1000;

pub(super) fn decode(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let text = match args.iter().collect::<Vec<_>>()[..] {
        [Value::String(text)] => text.as_bytes().to_vec(),
        [Value::Integer(number)] => number.to_string().into_bytes(),
        [Value::Number(number)] => format_g(*number, 14).into_bytes(),
        [other] => {
            return Err(raise_at(
                lua,
                format!("bad argument #1 to 'decode' (string expected, got {})", other.type_name()),
            ));
        }
        _ => return Err(raise_at(lua, "bad argument #1 to 'decode' (expected 1 argument)")),
    };
    let mut decoder = Decoder { lua, text: &text, at: 0 };
    let first = decoder.token();
    let value = decoder.value(first, 0)?;
    let (end, place) = decoder.token();
    match end {
        Token::End => Ok(value),
        other => Err(decoder.unexpected("the end", &other, place)),
    }
}

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Colon,
    Comma,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    End,
    Bad(&'static str),
}

impl Token {
    const fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::Text(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::End => "T_END",
            Self::Bad(problem) => problem,
        }
    }
}

struct Decoder<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    at: usize,
}

impl Decoder<'_> {
    fn unexpected(&self, expected: &str, found: &Token, place: usize) -> mlua::Error {
        raise_at(
            self.lua,
            format!("Expected {expected} but found {} at character {}", found.name(), place + 1),
        )
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next token and where it starts; for a bad one, where it is bad.
    fn token(&mut self) -> (Token, usize) {
        self.at += self
            .rest()
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
            .count();
        let start = self.at;
        let single = match self.rest().first() {
            None => return (Token::End, start),
            Some(b'{') => Token::ObjectBegin,
            Some(b'}') => Token::ObjectEnd,
            Some(b'[') => Token::ArrayBegin,
            Some(b']') => Token::ArrayEnd,
            Some(b':') => Token::Colon,
            Some(b',') => Token::Comma,
            Some(b'"') => {
                self.at += 1;
                return match self.string() {
                    Ok(text) => (Token::Text(text), start),
                    Err(problem) => (Token::Bad(problem), self.at),
                };
            }
            Some(_) => return (self.word(), start),
        };
        self.at += 1;
        (single, start)
    }

    fn word(&mut self) -> Token {
        for (word, token) in [
            ("true", Token::Boolean(true)),
            ("false", Token::Boolean(false)),
            ("null", Token::Null),
        ] {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        match number(self.rest()) {
            Some((number, length)) => {
                self.at += length;
                Token::Number(number)
            }
            None if matches!(self.rest(), [b'-' | b'0'..=b'9', ..]) => Token::Bad("invalid number"),
            None => Token::Bad("invalid token"),
        }
    }

    /// The string after its opening quote; on a problem `at` stays where that is.
    fn string(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        loop {
            match *self.rest() {
                [] => return Err("unexpected end of string"),
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(out);
                }
                [b'\\', b'u', ..] => {
                    let (character, length) =
                        unicode(self.rest()).ok_or("invalid unicode escape code")?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    self.at += length;
                }
                [b'\\', escaped, ..] => {
                    out.push(match escaped {
                        b'"' | b'\\' | b'/' => escaped,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return Err("invalid escape code"),
                    });
                    self.at += 2;
                }
                [b'\\'] => return Err("invalid escape code"),
                [byte, ..] => {
                    out.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn value(&mut self, (token, place): (Token, usize), depth: usize) -> mlua::Result<Value> {
        match token {
            Token::Text(text) => Ok(Value::String(self.lua.create_string(text)?)),
            Token::Number(number) => Ok(Value::Number(number)),
            Token::Boolean(boolean) => Ok(Value::Boolean(boolean)),
            Token::Null => Ok(Value::NULL),
            Token::ObjectBegin => self.object(self.deeper(depth)?),
            Token::ArrayBegin => self.array(self.deeper(depth)?),
            other => Err(self.unexpected("value", &other, place)),
        }
    }

    fn deeper(&self, depth: usize) -> mlua::Result<usize> {
        if depth < DEPTH {
            return Ok(depth + 1);
        }
        let text = format!(
            "Found too many nested data structures ({}) at character {}",
            depth + 1,
            self.at
        );
        Err(raise_at(self.lua, text))
    }

    fn array(&mut self, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut next = self.token();
        if matches!(next.0, Token::ArrayEnd) {
            return Ok(Value::Table(table));
        }
        loop {
            table.raw_push(self.value(next, depth)?)?;
            match self.token() {
                (Token::ArrayEnd, _) => return Ok(Value::Table(table)),
                (Token::Comma, _) => next = self.token(),
                (other, place) => return Err(self.unexpected("comma or array end", &other, place)),
            }
        }
    }

    fn object(&mut self, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut next = self.token();
        if matches!(next.0, Token::ObjectEnd) {
            return Ok(Value::Table(table));
        }
        loop {
            let name = match next {
                (Token::Text(name), _) => self.lua.create_string(name)?,
                (other, place) => return Err(self.unexpected("object key string", &other, place)),
            };
            match self.token() {
                (Token::Colon, _) => {}
                (other, place) => return Err(self.unexpected("colon", &other, place)),
            }
            let first = self.token();
            table.raw_set(name, self.value(first, depth)?)?;
            match self.token() {
                (Token::ObjectEnd, _) => return Ok(Value::Table(table)),
                (Token::Comma, _) => next = self.token(),
                (other, place) => {
                    return Err(self.unexpected("comma or object end", &other, place));
                }
            }
        }
    }
}

fn hex4(text: &[u8]) -> Option<u32> {
    let digits = text.get(2..6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The character of `\uXXXX`, or of two of them that make a pair, and their length.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let high = hex4(text)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, 6));
    }
    let rest = text.get(6..).filter(|rest| rest.starts_with(b"\\u"))?;
    let low = hex4(rest)?;
    if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

/// A number as C's `strtod` reads it, and its length.
fn number(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let body = text.get(sign..)?;
    let signed = |number: f64| if sign == 1 { -number } else { number };
    let starts = |word: &str| {
        body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    for (word, number) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if starts(word) {
            return Some((signed(number), sign + word.len()));
        }
    }
    let count = |from: usize, keep: fn(&u8) -> bool| {
        body.iter().skip(from).take_while(|byte| keep(byte)).count()
    };
    if starts("0x") {
        let digits = count(2, u8::is_ascii_hexdigit);
        let value =
            body.iter().skip(2).take(digits).filter_map(|byte| char::from(*byte).to_digit(16));
        return (digits > 0).then(|| {
            (signed(value.fold(0.0, |all, digit| all * 16.0 + f64::from(digit))), sign + 2 + digits)
        });
    }
    let whole = count(0, u8::is_ascii_digit);
    let mut length = whole;
    if body.get(length) == Some(&b'.') {
        length += 1 + count(length + 1, u8::is_ascii_digit);
    }
    if whole == 0 {
        return None;
    }
    if matches!(body.get(length), Some(b'e' | b'E')) {
        let exponent_sign = usize::from(matches!(body.get(length + 1), Some(b'+' | b'-')));
        let digits = count(length + 1 + exponent_sign, u8::is_ascii_digit);
        if digits > 0 {
            length += 1 + exponent_sign + digits;
        }
    }
    let number: f64 = std::str::from_utf8(body.get(..length)?).ok()?.parse().ok()?;
    Some((signed(number), sign + length))
}
