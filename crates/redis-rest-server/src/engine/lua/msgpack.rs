//! The library `cmsgpack`: `pack` and `unpack`.

use super::state::raise_at;
use mlua::{Lua, LuaString, MultiValue, Table, Value};

/// Deeper tables are packed as nil, as in Redis; deeper input is refused.
const DEPTH: usize = 16;

pub(super) fn library(lua: &Lua, limit: usize) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", lua.create_function(move |lua, values| pack(lua, &values, limit))?)?;
    library.raw_set("unpack", lua.create_function(unpack)?)?;
    Ok(library)
}

fn pack(lua: &Lua, values: &MultiValue, limit: usize) -> mlua::Result<LuaString> {
    if values.is_empty() {
        return Err(raise_at(lua, "bad argument #0 to 'pack' (MessagePack pack needs input.)"));
    }
    let mut out = Vec::new();
    for value in values {
        write(value, 0, limit, &mut out).map_err(|text| raise_at(lua, text))?;
    }
    lua.create_string(out)
}

/// Writes a length behind the tag for its size: one that holds it, or with two or four bytes more.
fn header(
    out: &mut Vec<u8>,
    short: Option<u8>,
    tags: [Option<u8>; 3],
    length: usize,
) -> Result<(), &'static str> {
    if let Some(tag) = short {
        out.push(tag);
    } else if let (Some(tag), Ok(length)) = (tags[0], u8::try_from(length)) {
        out.extend([tag, length]);
    } else if let (Some(tag), Ok(length)) = (tags[1], u16::try_from(length)) {
        out.push(tag);
        out.extend(length.to_be_bytes());
    } else if let (Some(tag), Ok(length)) = (tags[2], u32::try_from(length)) {
        out.push(tag);
        out.extend(length.to_be_bytes());
    } else {
        return Err("value too large");
    }
    Ok(())
}

fn fixed(base: u8, length: usize, limit: u8) -> Option<u8> {
    u8::try_from(length).ok().filter(|length| *length < limit).map(|length| base | length)
}

fn write(value: &Value, depth: usize, limit: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if out.len() > limit {
        return Err("not enough memory");
    }
    match value {
        Value::Boolean(boolean) => out.push(if *boolean { 0xc3 } else { 0xc2 }),
        Value::Integer(number) => write_int(*number, out),
        Value::Number(number) => write_number(*number, out),
        Value::String(text) => {
            let text = text.as_bytes();
            header(
                out,
                fixed(0xa0, text.len(), 32),
                [Some(0xd9), Some(0xda), Some(0xdb)],
                text.len(),
            )?;
            out.extend_from_slice(&text);
        }
        Value::Table(table) if depth < DEPTH => write_table(table, depth + 1, limit, out)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

fn write_number(number: f64, out: &mut Vec<u8>) {
    const WHOLE: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-WHOLE..WHOLE).contains(&number) {
        write_int(number as i64, out);
    } else if f64::from(number as f32) == number {
        out.push(0xca);
        out.extend((number as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_be_bytes());
    }
}

fn write_int(number: i64, out: &mut Vec<u8>) {
    if let Ok(small) = i8::try_from(number).map(i8::cast_unsigned)
        && (-32..128).contains(&number)
    {
        out.push(small);
    } else if let Ok(number) = u64::try_from(number) {
        match (u8::try_from(number), u16::try_from(number), u32::try_from(number)) {
            (Ok(byte), ..) => out.extend([0xcc, byte]),
            (_, Ok(short), _) => tagged(out, 0xcd, &short.to_be_bytes()),
            (.., Ok(word)) => tagged(out, 0xce, &word.to_be_bytes()),
            _ => tagged(out, 0xcf, &number.to_be_bytes()),
        }
    } else {
        match (i8::try_from(number), i16::try_from(number), i32::try_from(number)) {
            (Ok(byte), ..) => tagged(out, 0xd0, &byte.to_be_bytes()),
            (_, Ok(short), _) => tagged(out, 0xd1, &short.to_be_bytes()),
            (.., Ok(word)) => tagged(out, 0xd2, &word.to_be_bytes()),
            _ => tagged(out, 0xd3, &number.to_be_bytes()),
        }
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn write_table(
    table: &Table,
    depth: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let pairs: Vec<(Value, Value)> =
        table.pairs().collect::<mlua::Result<_>>().map_err(|_| "not enough memory")?;
    // With a hole, the length of a table may be any place before one.
    let items: Vec<Value> = (1..=pairs.len())
        .map_while(|index| table.raw_get(index).ok().filter(|item| *item != Value::Nil))
        .collect();
    if items.len() == pairs.len() {
        header(out, fixed(0x90, items.len(), 16), [None, Some(0xdc), Some(0xdd)], items.len())?;
        return items.iter().try_for_each(|item| write(item, depth, limit, out));
    }
    header(out, fixed(0x80, pairs.len(), 16), [None, Some(0xde), Some(0xdf)], pairs.len())?;
    for (key, value) in &pairs {
        write(key, depth, limit, out)?;
        write(value, depth, limit, out)?;
    }
    Ok(())
}

fn unpack(lua: &Lua, text: LuaString) -> mlua::Result<MultiValue> {
    let text = text.as_bytes().to_vec();
    let mut reader = Reader { lua, rest: &text };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(MultiValue::from_vec(values))
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> mlua::Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| raise_at(self.lua, "Missing bytes in input."))?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, bytes: usize) -> mlua::Result<u64> {
        Ok(self.take(bytes)?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, bytes: usize) -> mlua::Result<Value> {
        let unused = 64 - 8 * bytes;
        Ok(Value::Number(((self.unsigned(bytes)? << unused).cast_signed() >> unused) as f64))
    }

    fn length(&mut self, bytes: usize) -> mlua::Result<usize> {
        Ok(usize::try_from(self.unsigned(bytes)?).unwrap_or(usize::MAX))
    }

    fn string(&mut self, length: usize) -> mlua::Result<Value> {
        Ok(Value::String(self.lua.create_string(self.take(length)?)?))
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        let tag = self.take(1)?.first().copied().unwrap_or_default();
        let small = usize::from(tag & 0x0f);
        match tag {
            0x00..=0x7f => Ok(Value::Number(tag.into())),
            0xe0..=0xff => Ok(Value::Number(tag.cast_signed().into())),
            0x80..=0x8f => self.map(small, depth),
            0x90..=0x9f => self.array(small, depth),
            0xa0..=0xbf => self.string(usize::from(tag & 0x1f)),
            0xc0 => Ok(Value::Nil),
            0xc2 => Ok(Value::Boolean(false)),
            0xc3 => Ok(Value::Boolean(true)),
            0xc4..=0xc6 => self.length(1 << (tag - 0xc4)).and_then(|length| self.string(length)),
            0xd9..=0xdb => self.length(1 << (tag - 0xd9)).and_then(|length| self.string(length)),
            0xca => Ok(Value::Number(f32::from_bits(self.unsigned(4)? as u32).into())),
            0xcb => Ok(Value::Number(f64::from_bits(self.unsigned(8)?))),
            0xcc..=0xcf => Ok(Value::Number(self.unsigned(1 << (tag - 0xcc))? as f64)),
            0xd0..=0xd3 => self.signed(1 << (tag - 0xd0)),
            0xdc | 0xdd => {
                self.length(2 << (tag - 0xdc)).and_then(|length| self.array(length, depth))
            }
            0xde | 0xdf => {
                self.length(2 << (tag - 0xde)).and_then(|length| self.map(length, depth))
            }
            _ => Err(raise_at(self.lua, "Bad data format in input.")),
        }
    }

    fn table(&self, depth: usize) -> mlua::Result<Table> {
        // Redis recurses without a limit here; its own `pack` never makes more than these levels.
        if depth >= 1000 {
            Err(raise_at(self.lua, "Bad data format in input."))
        } else {
            self.lua.create_table()
        }
    }

    fn array(&mut self, length: usize, depth: usize) -> mlua::Result<Value> {
        let table = self.table(depth)?;
        for index in 1..=length {
            table.raw_set(index, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, length: usize, depth: usize) -> mlua::Result<Value> {
        let table = self.table(depth)?;
        for _ in 0..length {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            match key {
                Value::Nil => {}
                Value::Number(number) if number.is_nan() => {}
                key => table.raw_set(key, value)?,
            }
        }
        Ok(Value::Table(table))
    }
}
