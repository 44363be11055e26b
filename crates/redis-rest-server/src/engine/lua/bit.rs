//! The library `bit`: 32-bit operations, results signed.

use mlua::{Lua, Table, Variadic};

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    let one = |name: &str, run: fn(u32) -> u32| {
        library.raw_set(
            name,
            lua.create_function(move |_, number: f64| Ok(signed(run(bits(number)))))?,
        )
    };
    one("tobit", |number| number)?;
    one("bnot", |number| !number)?;
    one("bswap", u32::swap_bytes)?;
    let fold = |name: &str, run: fn(u32, u32) -> u32| {
        library.raw_set(
            name,
            lua.create_function(move |_, (first, rest): (f64, Variadic<f64>)| {
                Ok(signed(rest.iter().fold(bits(first), |all, number| run(all, bits(*number)))))
            })?,
        )
    };
    fold("band", |a, b| a & b)?;
    fold("bor", |a, b| a | b)?;
    fold("bxor", |a, b| a ^ b)?;
    let shift = |name: &str, run: fn(u32, u32) -> u32| {
        let function = lua.create_function(move |_, (number, by): (f64, f64)| {
            Ok(signed(run(bits(number), bits(by) & 31)))
        })?;
        library.raw_set(name, function)
    };
    shift("lshift", |number, by| number << by)?;
    shift("rshift", |number, by| number >> by)?;
    shift("arshift", |number, by| (number.cast_signed() >> by).cast_unsigned())?;
    shift("rol", u32::rotate_left)?;
    shift("ror", u32::rotate_right)?;
    library.raw_set(
        "tohex",
        lua.create_function(|_, (number, digits): (f64, Option<f64>)| {
            Ok(hex(bits(number), digits))
        })?,
    )?;
    Ok(library)
}

/// The low 32 bits of the nearest integer.
fn bits(number: f64) -> u32 {
    let rounded = number.round_ties_even() % 4_294_967_296.0;
    (rounded as i64) as u32
}

fn signed(bits: u32) -> f64 {
    f64::from(bits.cast_signed())
}

/// The lowest digits; in capitals where the count is negative.
fn hex(number: u32, digits: Option<f64>) -> String {
    let digits = digits.unwrap_or(8.0);
    let count = (digits.abs() as usize).clamp(1, 8);
    let text = if digits < 0.0 { format!("{number:08X}") } else { format!("{number:08x}") };
    text.get(8 - count..).unwrap_or_default().to_owned()
}
