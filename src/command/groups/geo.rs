//! Places: members of a sorted set with a longitude and a latitude.
//!
//! ```
//! use redis_rest::cmd::{GeoUnit, geoadd, geodist};
//! let add = geoadd("cities", 13.361389, 38.115556, "Palermo").and(15.087269, 37.502669, "Catania");
//! let apart = geodist("cities", "Palermo", "Catania", GeoUnit::Kilometers);
//! # let _ = (add, apart);
//! ```

use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, Many, One, ToArg, ToArgs};
use crate::value::{ConvertError, FromValue, Value};
use std::fmt;

calls! {
    /// The options of `GEOADD`: more members with [`and`](GeoAdd::and), and [`nx`](GeoAdd::nx),
    /// [`xx`](GeoAdd::xx), [`changed`](GeoAdd::changed).
    GeoAdd = u64;
    /// The options of `GEOSEARCH`: [`asc`](GeoSearch::asc), [`desc`](GeoSearch::desc),
    /// [`count`](GeoSearch::count), [`any`](GeoSearch::any), [`with_coord`](GeoSearch::with_coord),
    /// [`with_dist`](GeoSearch::with_dist), [`with_hash`](GeoSearch::with_hash).
    GeoSearch;
    /// The options of `GEOSEARCHSTORE`: [`asc`](GeoSearchStore::asc),
    /// [`desc`](GeoSearchStore::desc), [`count`](GeoSearchStore::count),
    /// [`any`](GeoSearchStore::any), [`store_dist`](GeoSearchStore::store_dist).
    GeoSearchStore = u64;
}

/// Units of length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GeoUnit {
    /// Metres.
    #[default]
    Meters,
    /// Kilometres.
    Kilometers,
    /// Miles.
    Miles,
    /// Feet.
    Feet,
}

impl ToArgs for GeoUnit {
    type Count = One;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        out.bytes(match self {
            Self::Meters => b"m",
            Self::Kilometers => b"km",
            Self::Miles => b"mi",
            Self::Feet => b"ft",
        });
    }
}

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    /// From -180 to 180 degrees.
    pub longitude: f64,
    /// From about -85.05 to 85.05 degrees.
    pub latitude: f64,
}

impl FromValue for GeoPoint {
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (longitude, latitude) = FromValue::from_value(value)?;
        Ok(Self { longitude, latitude })
    }
}

/// The centre of a search.
#[derive(Clone, PartialEq)]
pub enum GeoFrom {
    /// At a member.
    Member(String),
    /// At a place.
    Point(GeoPoint),
}

/// Shows neither member nor place.
impl fmt::Debug for GeoFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member(_) => "Member",
            Self::Point(_) => "Point",
        })
    }
}

impl ToArgs for GeoFrom {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        match self {
            Self::Member(member) => out.args(("FROMMEMBER", member)),
            Self::Point(point) => out.args(("FROMLONLAT", point.longitude, point.latitude)),
        }
    }
}

/// The area of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GeoBy {
    /// A distance in every direction.
    Radius(f64, GeoUnit),
    /// A box of this width and height around it.
    Box(f64, f64, GeoUnit),
}

impl ToArgs for GeoBy {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        match self {
            Self::Radius(radius, unit) => out.args(("BYRADIUS", radius, unit)),
            Self::Box(width, height, unit) => out.args(("BYBOX", width, height, unit)),
        }
    }
}

/// A member that a search found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GeoHit<R> {
    /// The member.
    pub member: R,
    /// The distance from the centre, in the unit of the search, if asked for.
    pub distance: Option<f64>,
    /// Its place as a single number, if requested.
    pub hash: Option<i64>,
    /// Its place, if requested.
    pub point: Option<GeoPoint>,
}

impl<R: FromValue> FromValue for GeoHit<R> {
    /// The member comes first, then the parts that were asked for, each of another type.
    fn from_value(value: Value) -> Result<Self, ConvertError> {
        let (member, rest) = match value {
            Value::Array(mut parts) if !parts.is_empty() => (parts.remove(0), parts),
            member => (member, Vec::new()),
        };
        let mut hit =
            Self { member: R::from_value(member)?, distance: None, hash: None, point: None };
        for part in rest {
            match part {
                Value::Int(hash) => hit.hash = Some(hash),
                Value::Array(_) => hit.point = Some(GeoPoint::from_value(part)?),
                other => hit.distance = Some(f64::from_value(other)?),
            }
        }
        Ok(hit)
    }
}

commands! { "geo", "Places";
    /// Adds a member at a place, or moves it; returns how many are new.
    fn geoadd(key: impl ToArg, longitude: f64, latitude: f64, member: impl ToArg) -> u64 as GeoAdd
        = "GEOADD" [key, longitude, latitude, member], EffectIdempotent, "3.2.0";
    /// Returns the distance of two members; nil if one of them does not exist.
    fn geodist(key: impl ToArg, one: impl ToArg, other: impl ToArg, unit: GeoUnit) -> Option<f64>
        = "GEODIST" [key, one, other, unit], ReadOnly, "3.2.0" @ -4;
    /// Returns the places of members as Geohash texts, nil for missing ones.
    fn geohash(key: impl ToArg, members: impl ToArgs) -> Vec<Option<String>> = "GEOHASH" [key, ..members], ReadOnly, "3.2.0" @ -2;
    /// Returns the places of members, nil for missing ones.
    fn geopos(key: impl ToArg, members: impl ToArgs) -> Vec<Option<GeoPoint>> = "GEOPOS" [key, ..members], ReadOnly, "3.2.0" @ -2;
    /// Returns the members around a place.
    ///
    /// ```
    /// use redis_rest::cmd::{GeoBy, GeoFrom, GeoUnit, geosearch};
    /// let near = geosearch::<String>("cities", GeoFrom::Member("Palermo".into()), GeoBy::Radius(200.0, GeoUnit::Kilometers));
    /// let nearest = near.asc().count(3).with_dist();
    /// # let _ = nearest;
    /// ```
    fn geosearch<R>(key: impl ToArg, from: GeoFrom, by: GeoBy) -> Vec<GeoHit<R>> as GeoSearch = "GEOSEARCH" [key, ..from, ..by], ReadOnly, "6.2.0" @ -7;
    /// Makes a sorted set of the members around a place; returns how many.
    fn geosearchstore(destination: impl ToArg, source: impl ToArg, from: GeoFrom, by: GeoBy) -> u64 as GeoSearchStore
        = "GEOSEARCHSTORE" [destination, source, ..from, ..by], ByArguments, "6.2.0" @ -8, COPIES;
}

options! { GeoAdd on u64;
    /// Only adds, never moves (Redis 6.2).
    fn nx() = "NX" @ 1;
    /// Only moves, never adds (Redis 6.2).
    fn xx() = "XX" @ 1;
    /// Returns how many are new or were moved (Redis 6.2).
    fn changed() = "CH" @ 1;
    /// Adds another member.
    fn and(longitude: f64, latitude: f64, member: impl ToArg) -> u64 = [longitude, latitude, member];
}

options! { GeoSearch<R>;
    /// Returns the nearest first.
    fn asc() = "ASC" [];
    /// Returns the farthest first.
    fn desc() = "DESC" [];
    /// Returns at most `count`.
    fn count(count: u64) = "COUNT" [count];
    /// Directly after [`count`](Self::count): any members, not the nearest.
    fn any() = "ANY" [];
    /// Returns the place of each.
    fn with_coord() = "WITHCOORD" [];
    /// Returns the distance of each.
    fn with_dist() = "WITHDIST" [];
    /// Returns the place of each as a single number.
    fn with_hash() = "WITHHASH" [];
}

options! { GeoSearchStore on u64;
    /// Returns the nearest first.
    fn asc() = "ASC" [];
    /// Returns the farthest first.
    fn desc() = "DESC" [];
    /// Returns at most `count`.
    fn count(count: u64) = "COUNT" [count];
    /// Directly after [`count`](Self::count): any members, not the nearest.
    fn any() = "ANY" [];
    /// Stores the distances as scores.
    fn store_dist() = "STOREDIST" [];
}

finish! { GeoAdd GeoSearch GeoSearchStore }
