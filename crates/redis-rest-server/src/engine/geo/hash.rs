//! Geohashes, and distances on a sphere.

/// The latitude at which Redis's square map ends.
const LATITUDE_LIMIT: f64 = 85.051_128_78;
/// Redis's radius of the earth in metres.
const RADIUS: f64 = 6_372_797.560_856;
/// Bits of each coordinate.
const STEPS: u32 = 26;
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Point {
    pub(super) fn is_on_earth(self) -> bool {
        self.longitude.abs() <= 180.0 && self.latitude.abs() <= LATITUDE_LIMIT
    }
}

/// The cell of a number between two others.
fn cell(number: f64, limit: f64) -> u32 {
    let share = (number + limit) / (2.0 * limit);
    (share * f64::from(1_u32 << STEPS)) as u32
}

/// Latitude at even bits, longitude at odd ones.
fn interleave(latitude: u32, longitude: u32) -> u64 {
    (0..32).fold(0, |bits, index| {
        bits | u64::from(latitude >> index & 1) << (2 * index)
            | u64::from(longitude >> index & 1) << (2 * index + 1)
    })
}

fn every_second(bits: u64) -> u32 {
    (0..32).fold(0, |number, index| number | ((bits >> (2 * index) & 1) as u32) << index)
}

fn encode_within(point: Point, latitude_limit: f64) -> u64 {
    interleave(cell(point.latitude, latitude_limit), cell(point.longitude, 180.0))
}

pub(super) fn encode(point: Point) -> u64 {
    encode_within(point, LATITUDE_LIMIT)
}

/// The middle of a cell.
pub(super) fn decode(bits: u64) -> Point {
    let middle = |cell: u32, limit: f64| {
        let edge = |cell: u32| -limit + f64::from(cell) / f64::from(1_u32 << STEPS) * (2.0 * limit);
        ((edge(cell) + edge(cell + 1)) / 2.0).clamp(-limit, limit)
    };
    Point {
        longitude: middle(every_second(bits >> 1), 180.0),
        latitude: middle(every_second(bits), LATITUDE_LIMIT),
    }
}

/// The usual text of a geohash, of which Redis writes eleven characters.
pub(super) fn text_of(point: Point) -> String {
    let bits = encode_within(point, 90.0);
    let letter = |index: u32| {
        let shift = 52_u32.saturating_sub((index + 1) * 5);
        let letter = if index == 10 { 0 } else { bits >> shift & 31 };
        char::from(ALPHABET[usize::try_from(letter).unwrap_or(0)])
    };
    (0..11).map(letter).collect()
}

fn latitude_distance(from: f64, to: f64) -> f64 {
    RADIUS * (to.to_radians() - from.to_radians()).abs()
}

/// Metres between two places.
pub(super) fn distance(from: Point, to: Point) -> f64 {
    let half = |from: f64, to: f64| ((to.to_radians() - from.to_radians()) / 2.0).sin();
    let v = half(from.longitude, to.longitude);
    if v == 0.0 {
        return latitude_distance(from.latitude, to.latitude);
    }
    let u = half(from.latitude, to.latitude);
    let a = u * u + from.latitude.to_radians().cos() * to.latitude.to_radians().cos() * v * v;
    2.0 * RADIUS * a.sqrt().asin()
}

/// Metres from the middle of a box, where the place is inside it.
pub(super) fn distance_in_box(middle: Point, width: f64, height: f64, to: Point) -> Option<f64> {
    if latitude_distance(to.latitude, middle.latitude) > height / 2.0 {
        return None;
    }
    let level = Point { longitude: middle.longitude, latitude: to.latitude };
    if distance(to, level) > width / 2.0 {
        return None;
    }
    Some(distance(middle, to))
}
