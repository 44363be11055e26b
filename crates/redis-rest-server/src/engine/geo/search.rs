//! `GEOSEARCH`, and the `GEORADIUS` family.

use super::hash::{Point, decode, distance, distance_in_box};
use super::{place, point, show_point, shown, unit};
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, int, is, len};
use crate::engine::db::{Data, Db};
use crate::engine::sorted_sets::SortedSet;
use bytes::Bytes;
use redis_rest::Value;

#[derive(Clone, Copy)]
enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    None,
    Ascending,
    Descending,
}

/// The middle of a search.
enum Center<'a> {
    Point(Point),
    Member(&'a [u8]),
}

struct Query<'a> {
    center: Option<Center<'a>>,
    shape: Option<(Shape, f64)>,
    order: Order,
    count: usize,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    /// The key to store at, and whether distances are stored.
    store: Option<(&'a [u8], bool)>,
}

struct Found {
    member: Bytes,
    score: f64,
    metres: f64,
    point: Point,
}

const NO_MEMBER: Fault = Fault::new("ERR could not decode requested zset member");

/// The command's form: which options it knows.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Search,
    SearchStore,
    Radius,
    RadiusReadOnly,
}

fn size(text: &[u8], what: &str) -> Result<f64, Fault> {
    let number = crate::engine::args::strict_float(text)
        .ok_or_else(|| Fault::owned(format!("ERR need numeric {what}")))?;
    if number < 0.0 {
        return Err(Fault::owned(if what == "radius" {
            "ERR radius cannot be negative".to_owned()
        } else {
            "ERR height or width cannot be negative".to_owned()
        }));
    }
    Ok(number)
}

impl<'a> Query<'a> {
    const fn new() -> Self {
        Self {
            center: None,
            shape: None,
            order: Order::None,
            count: 0,
            any: false,
            with_distance: false,
            with_hash: false,
            with_point: false,
            store: None,
        }
    }

    fn circle(&mut self, radius: &[u8], word: &[u8]) -> Result<(), Fault> {
        let radius = size(radius, "radius")?;
        let unit = unit(word)?;
        self.shape = Some((Shape::Circle { radius: radius * unit }, unit));
        Ok(())
    }

    fn options(&mut self, args: Argv<'a>, form: Form, name: &str) -> Result<(), Fault> {
        let search = matches!(form, Form::Search | Form::SearchStore);
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            rest = tail;
            match tail {
                _ if is(word, "WITHDIST") => self.with_distance = true,
                _ if is(word, "WITHHASH") => self.with_hash = true,
                _ if is(word, "WITHCOORD") => self.with_point = true,
                _ if is(word, "ANY") => self.any = true,
                _ if is(word, "ASC") => self.order = Order::Ascending,
                _ if is(word, "DESC") => self.order = Order::Descending,
                [count, after @ ..] if is(word, "COUNT") => {
                    let count = int(count)?;
                    if count <= 0 {
                        return Err(Fault::new("ERR COUNT must be > 0"));
                    }
                    self.count = usize::try_from(count).unwrap_or(usize::MAX);
                    rest = after;
                }
                [key, after @ ..]
                    if form == Form::Radius && (is(word, "STORE") || is(word, "STOREDIST")) =>
                {
                    self.store = Some((key, is(word, "STOREDIST")));
                    rest = after;
                }
                _ if form == Form::SearchStore && is(word, "STOREDIST") => {
                    self.store = self.store.map(|(key, _)| (key, true));
                }
                [member, after @ ..]
                    if search && is(word, "FROMMEMBER") && self.center.is_none() =>
                {
                    self.center = Some(Center::Member(member));
                    rest = after;
                }
                [longitude, latitude, after @ ..]
                    if search && is(word, "FROMLONLAT") && self.center.is_none() =>
                {
                    self.center = Some(Center::Point(point(longitude, latitude)?));
                    rest = after;
                }
                [radius, unit, after @ ..]
                    if search && is(word, "BYRADIUS") && self.shape.is_none() =>
                {
                    self.circle(radius, unit)?;
                    rest = after;
                }
                [width, height, word_of_unit, after @ ..]
                    if search && is(word, "BYBOX") && self.shape.is_none() =>
                {
                    let width = size(width, "width")?;
                    let height = size(height, "height")?;
                    let unit = unit(word_of_unit)?;
                    let shape = Shape::Box { width: width * unit, height: height * unit };
                    self.shape = Some((shape, unit));
                    rest = after;
                }
                _ => return Err(SYNTAX),
            }
        }
        self.check(form, name)
    }

    fn check(&self, form: Form, name: &str) -> Result<(), Fault> {
        let shows = self.with_distance || self.with_hash || self.with_point;
        if self.store.is_some() && shows {
            let what = if form == Form::SearchStore { name } else { "STORE option in GEORADIUS" };
            return Err(Fault::owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if self.center.is_none() {
            return Err(Fault::owned(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if self.shape.is_none() {
            return Err(Fault::owned(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {name}"
            )));
        }
        if self.any && self.count == 0 {
            return Err(Fault::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The members inside, as the options order and limit them.
    fn find(&self, set: &SortedSet, middle: Point) -> Vec<Found> {
        let Some((shape, _)) = self.shape else { return Vec::new() };
        let mut found = Vec::new();
        for (score, member) in set.iter() {
            let point = decode(score as u64);
            let metres = match shape {
                Shape::Circle { radius } => {
                    Some(distance(middle, point)).filter(|metres| *metres <= radius)
                }
                Shape::Box { width, height } => distance_in_box(middle, width, height, point),
            };
            if let Some(metres) = metres {
                found.push(Found { member: member.clone(), score, metres, point });
            }
            if self.any && found.len() >= self.count {
                break;
            }
        }
        // The nearest are the ones that a count leaves, unless any will do.
        let ascending = self.order == Order::Ascending
            || (self.order == Order::None && self.count > 0 && !self.any);
        if ascending {
            found.sort_by(|left, right| left.metres.total_cmp(&right.metres));
        } else if self.order == Order::Descending {
            found.sort_by(|left, right| right.metres.total_cmp(&left.metres));
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }

    fn show(&self, found: Found) -> Value {
        let unit = self.shape.map_or(1.0, |(_, unit)| unit);
        let mut parts = vec![Value::Bytes(found.member)];
        if self.with_distance {
            parts.push(shown(found.metres, unit));
        }
        if self.with_hash {
            parts.push(Value::Int(found.score as i64));
        }
        if self.with_point {
            parts.push(show_point(found.point));
        }
        match (parts.len(), parts.pop()) {
            (1, Some(member)) => member,
            (_, last) => {
                parts.extend(last);
                Value::Array(parts)
            }
        }
    }

    fn run(&self, db: &mut Db, key: &[u8]) -> Outcome {
        let middle = match (&self.center, db.read::<SortedSet>(key)?) {
            (Some(Center::Point(point)), _) => Some(*point),
            (Some(Center::Member(member)), set) if set.is_some() => {
                Some(place(set, member).ok_or(NO_MEMBER)?)
            }
            _ => None,
        };
        let found = match (middle, db.read::<SortedSet>(key)?) {
            (Some(middle), Some(set)) => self.find(set, middle),
            _ => Vec::new(),
        };
        let Some((target, distances)) = self.store else {
            return Ok(Value::Array(found.into_iter().map(|found| self.show(found)).collect()));
        };
        let unit = self.shape.map_or(1.0, |(_, unit)| unit);
        let mut set = SortedSet::default();
        for found in &found {
            set.insert(&found.member, if distances { found.metres / unit } else { found.score });
        }
        db.store(target, Data::SortedSet(set));
        Ok(len(found.len()))
    }
}

pub(super) fn geosearch(db: &mut Db, argv: Argv) -> Outcome {
    db.read::<SortedSet>(argv[1])?;
    let mut query = Query::new();
    query.options(&argv[2..], Form::Search, "geosearch")?;
    query.run(db, argv[1])
}

pub(super) fn geosearchstore(db: &mut Db, argv: Argv) -> Outcome {
    db.read::<SortedSet>(argv[2])?;
    let mut query = Query::new();
    query.store = Some((argv[1], false));
    query.options(&argv[3..], Form::SearchStore, "geosearchstore")?;
    query.run(db, argv[2])
}

fn by_point(db: &mut Db, argv: Argv, form: Form) -> Outcome {
    db.read::<SortedSet>(argv[1])?;
    let mut query = Query::new();
    query.center = Some(Center::Point(point(argv[2], argv[3])?));
    query.circle(argv[4], argv[5])?;
    query.options(&argv[6..], form, "georadius")?;
    query.run(db, argv[1])
}

fn by_member(db: &mut Db, argv: Argv, form: Form) -> Outcome {
    let mut query = Query::new();
    let Some(set) = db.read::<SortedSet>(argv[1])? else {
        // Without the key Redis looks at nothing but the options.
        query.center = Some(Center::Member(argv[2]));
        query.shape = Some((Shape::Circle { radius: 0.0 }, 1.0));
        query.options(&argv[5..], form, "georadiusbymember")?;
        return query.run(db, argv[1]);
    };
    place(Some(set), argv[2]).ok_or(NO_MEMBER)?;
    query.center = Some(Center::Member(argv[2]));
    query.circle(argv[3], argv[4])?;
    query.options(&argv[5..], form, "georadiusbymember")?;
    query.run(db, argv[1])
}

pub(super) fn georadius(db: &mut Db, argv: Argv) -> Outcome {
    by_point(db, argv, Form::Radius)
}

pub(super) fn georadius_ro(db: &mut Db, argv: Argv) -> Outcome {
    by_point(db, argv, Form::RadiusReadOnly)
}

pub(super) fn georadiusbymember(db: &mut Db, argv: Argv) -> Outcome {
    by_member(db, argv, Form::Radius)
}

pub(super) fn georadiusbymember_ro(db: &mut Db, argv: Argv) -> Outcome {
    by_member(db, argv, Form::RadiusReadOnly)
}
