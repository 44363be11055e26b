//! Places, as sorted sets whose scores are geohashes of 52 bits.

mod hash;
mod search;

use super::args::{Argv, Fault, Outcome, SYNTAX, is, score, strict_float, text};
use super::db::Db;
use super::sorted_sets::{SortedSet, zadd};
use super::table::{READ, Spec, WRITE, row};
use hash::{Point, decode, distance, encode, text_of};
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("geoadd", WRITE, geoadd),
    row("geopos", READ, geopos),
    row("geodist", READ, geodist),
    row("geohash", READ, geohash),
    row("geosearch", READ, search::geosearch),
    row("geosearchstore", WRITE, search::geosearchstore),
    row("georadius", WRITE, search::georadius),
    row("georadius_ro", READ, search::georadius_ro),
    row("georadiusbymember", WRITE, search::georadiusbymember),
    row("georadiusbymember_ro", READ, search::georadiusbymember_ro),
];

/// Metres in a unit.
fn unit(word: &[u8]) -> Result<f64, Fault> {
    match () {
        () if is(word, "m") => Ok(1.0),
        () if is(word, "km") => Ok(1000.0),
        () if is(word, "ft") => Ok(0.3048),
        () if is(word, "mi") => Ok(1609.34),
        () => Err(Fault::new("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// Reads a longitude and a latitude.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, Fault> {
    let read = |text: &[u8]| strict_float(text).ok_or(super::args::NOT_FLOAT);
    let point = Point { longitude: read(longitude)?, latitude: read(latitude)? };
    if point.is_on_earth() {
        return Ok(point);
    }
    Err(Fault::owned(format!(
        "ERR invalid longitude,latitude pair {:.6},{:.6}",
        point.longitude, point.latitude
    )))
}

/// A distance in a reply: four decimals.
fn shown(metres: f64, unit: f64) -> Value {
    Value::bytes(format!("{:.4}", metres / unit))
}

fn show_point(point: Point) -> Value {
    Value::Array(vec![score(point.longitude), score(point.latitude)])
}

fn geoadd(db: &mut Db, argv: Argv) -> Outcome {
    let options = argv[2..]
        .iter()
        .take_while(|word| is(word, "NX") || is(word, "XX") || is(word, "CH"))
        .count();
    let places = &argv[2 + options..];
    let both =
        ["NX", "XX"].iter().all(|name| argv[2..2 + options].iter().any(|word| is(word, name)));
    if places.is_empty() || !places.len().is_multiple_of(3) || both {
        return Err(SYNTAX);
    }
    let mut words: Vec<Vec<u8>> = argv[..2 + options].iter().map(|word| word.to_vec()).collect();
    for place in places.chunks_exact(3) {
        let bits = encode(point(place[0], place[1])?);
        words.push(bits.to_string().into_bytes());
        words.push(place[2].to_vec());
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    zadd(db, &words)
}

/// Returns a member's place.
fn place(set: Option<&SortedSet>, member: &[u8]) -> Option<Point> {
    set?.score(member).map(|score| decode(score as u64))
}

fn geopos(db: &mut Db, argv: Argv) -> Outcome {
    let set = db.read::<SortedSet>(argv[1])?;
    let shown = |member: &&[u8]| place(set, member).map_or(Value::Nil, show_point);
    Ok(Value::Array(argv[2..].iter().map(shown).collect()))
}

fn geodist(db: &mut Db, argv: Argv) -> Outcome {
    let unit = match argv[4..] {
        [] => 1.0,
        [word] => unit(word)?,
        _ => return Err(SYNTAX),
    };
    let set = db.read::<SortedSet>(argv[1])?;
    let (Some(from), Some(to)) = (place(set, argv[2]), place(set, argv[3])) else {
        return Ok(Value::Nil);
    };
    Ok(shown(distance(from, to), unit))
}

fn geohash(db: &mut Db, argv: Argv) -> Outcome {
    let set = db.read::<SortedSet>(argv[1])?;
    let shown = |member: &&[u8]| {
        place(set, member).map_or(Value::Nil, |point| text(text_of(point).as_bytes()))
    };
    Ok(Value::Array(argv[2..].iter().map(shown).collect()))
}
