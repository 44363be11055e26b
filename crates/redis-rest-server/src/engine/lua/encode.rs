//! `cjson.encode`.

use super::state::raise_at;
use crate::engine::args::format_g;
use mlua::{Lua, LuaString, MultiValue, Table, Value};

const DEPTH: usize = 1000;
/// A table is an array up to this length however many holes it has, and above while at most half of it is holes.
const SPARSE_SAFE: usize = 10;
const SPARSE_RATIO: usize = 2;

pub(super) fn encode(lua: &Lua, args: MultiValue, limit: usize) -> mlua::Result<LuaString> {
    let [value] = &args.iter().collect::<Vec<_>>()[..] else {
        return Err(raise_at(lua, "bad argument #1 to 'encode' (expected 1 argument)"));
    };
    let mut encoder = Encoder { out: Vec::new(), limit };
    encoder.value(value, 0).map_err(|text| raise_at(lua, text))?;
    lua.create_string(encoder.out)
}

struct Encoder {
    out: Vec<u8>,
    /// Tables that contain each other many times over would fill all memory.
    limit: usize,
}

impl Encoder {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if self.out.len() > self.limit {
            return Err("not enough memory".to_owned());
        }
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            null if null.is_null() => self.out.extend_from_slice(b"null"),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Table(table) => self.table(table, depth + 1)?,
            other => {
                return Err(format!("Cannot serialise {}: type not supported", lua_type(other)));
            }
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), String> {
        if !number.is_finite() {
            return Err("Cannot serialise number: must not be NaN or Inf".to_owned());
        }
        self.out.extend_from_slice(format_g(number, 14).as_bytes());
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'/' => self.out.extend_from_slice(b"\\/"),
                8 => self.out.extend_from_slice(b"\\b"),
                9 => self.out.extend_from_slice(b"\\t"),
                10 => self.out.extend_from_slice(b"\\n"),
                12 => self.out.extend_from_slice(b"\\f"),
                13 => self.out.extend_from_slice(b"\\r"),
                0..=31 | 127 => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(format!("Cannot serialise, excessive nesting ({depth})"));
        }
        match array_length(table)? {
            Some(length) => self.array(table, length, depth),
            None => self.object(table, depth),
        }
    }

    fn array(&mut self, table: &Table, length: usize, depth: usize) -> Result<(), String> {
        self.out.push(b'[');
        for index in 1..=length {
            if index > 1 {
                self.out.push(b',');
            }
            let item = table.raw_get::<Value>(index).map_err(|_| "not enough memory")?;
            self.value(&item, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: usize) -> Result<(), String> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(|_| "not enough memory")?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(number) => self.string(format_g(*number as f64, 14).as_bytes()),
                Value::Number(number) => self.string(format_g(*number, 14).as_bytes()),
                other => {
                    return Err(format!(
                        "Cannot serialise {}: table key must be a number or string",
                        lua_type(other)
                    ));
                }
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn lua_type(value: &Value) -> &'static str {
    match value {
        Value::LightUserData(_) | Value::UserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}

/// The length where every key is a positive integer, none where the table is an object. An empty table is an object.
fn array_length(table: &Table) -> Result<Option<usize>, String> {
    let (mut highest, mut count) = (0, 0);
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair.map_err(|_| "not enough memory")?;
        let index = match key {
            Value::Integer(number) => usize::try_from(number).unwrap_or(0),
            Value::Number(number) if number.fract() == 0.0 && (1.0..9e15).contains(&number) => {
                number as usize
            }
            _ => 0,
        };
        if index == 0 {
            return Ok(None);
        }
        highest = highest.max(index);
        count += 1;
    }
    if highest > SPARSE_SAFE && highest > count * SPARSE_RATIO {
        return Err("Cannot serialise table: excessively sparse array".to_owned());
    }
    Ok((highest > 0).then_some(highest))
}
