//! `SORT`.

use super::args::{Argv, Fault, Outcome, SYNTAX, WRONG_TYPE, int, is, len, strict_float};
use super::db::{Data, Db, Hash, List};
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("sort", WRITE, sort),
    row("sort_ro", READ, sort_ro),
];

struct Options<'a> {
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    limit: Option<(i64, i64)>,
    descending: bool,
    by_text: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Argv<'a>, stores: bool) -> Result<Self, Fault> {
        let mut options = Self {
            by: None,
            get: Vec::new(),
            limit: None,
            descending: false,
            by_text: false,
            store: None,
        };
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            rest = tail;
            match tail {
                _ if is(word, "ASC") => options.descending = false,
                _ if is(word, "DESC") => options.descending = true,
                _ if is(word, "ALPHA") => options.by_text = true,
                [first, count, after @ ..] if is(word, "LIMIT") => {
                    options.limit = Some((int(first)?, int(count)?));
                    rest = after;
                }
                [key, after @ ..] if stores && is(word, "STORE") => {
                    options.store = Some(key);
                    rest = after;
                }
                [pattern, after @ ..] if is(word, "BY") => {
                    options.by = Some(pattern);
                    rest = after;
                }
                [pattern, after @ ..] if is(word, "GET") => {
                    options.get.push(pattern);
                    rest = after;
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }

    /// A pattern without a star sorts nothing.
    fn sorts(&self) -> bool {
        self.by.is_none_or(|pattern| pattern.contains(&b'*'))
    }
}

/// Returns the value that a pattern names for an element: a key's, or a field's behind `->`.
fn lookup(db: &Db, pattern: &[u8], element: &Bytes) -> Option<Bytes> {
    if pattern == b"#" {
        return Some(element.clone());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let tail = &pattern[star + 1..];
    let arrow = tail.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < tail.len());
    let (suffix, field) = match arrow {
        Some(at) => (&tail[..at], Some(&tail[at + 2..])),
        None => (tail, None),
    };
    let key = [&pattern[..star], element, suffix].concat();
    match field {
        Some(field) => db.read::<Hash>(&key).ok()??.get(field).cloned(),
        None => db.read::<Bytes>(&key).ok()?.cloned(),
    }
}

fn run(db: &mut Db, argv: Argv, stores: bool) -> Outcome {
    let options = Options::parse(&argv[2..], stores)?;
    let mut elements: Vec<Bytes> = match db.data(argv[1]) {
        None => Vec::new(),
        Some(Data::List(list)) => list.iter().cloned().collect(),
        Some(Data::Set(set)) => set.keys().cloned().collect(),
        Some(Data::SortedSet(set)) => set.iter().map(|(_, member)| member.clone()).collect(),
        Some(_) => return Err(WRONG_TYPE),
    };
    if options.sorts() {
        let weight = |element: &Bytes| match options.by {
            Some(pattern) => lookup(db, pattern, element),
            None => Some(element.clone()),
        };
        if options.by_text {
            elements.sort_by_cached_key(|element| (weight(element), element.clone()));
        } else {
            let mut weighted = Vec::with_capacity(elements.len());
            for element in elements {
                let number = match weight(&element) {
                    None => 0.0,
                    Some(text) if text.is_empty() => 0.0,
                    Some(text) => strict_float(&text).ok_or(Fault::new(
                        "ERR One or more scores can't be converted into double",
                    ))?,
                };
                weighted.push((number, element));
            }
            weighted.sort_by(|left, right| {
                left.0
                    .partial_cmp(&right.0)
                    .unwrap_or(std::cmp::Ordering::Equal)
                    .then_with(|| left.1.cmp(&right.1))
            });
            elements = weighted.into_iter().map(|(_, element)| element).collect();
        }
        if options.descending {
            elements.reverse();
        }
    } else if options.descending && matches!(db.data(argv[1]), Some(Data::SortedSet(_))) {
        elements.reverse();
    }
    let (skip, take) = options.limit.map_or((0, usize::MAX), |(first, count)| {
        (usize::try_from(first).unwrap_or(0), usize::try_from(count).unwrap_or(usize::MAX))
    });
    let elements: Vec<Bytes> = elements.into_iter().skip(skip).take(take).collect();
    let found: Vec<Option<Bytes>> = if options.get.is_empty() {
        elements.into_iter().map(Some).collect()
    } else {
        let looked = elements
            .iter()
            .flat_map(|element| options.get.iter().map(|pattern| lookup(db, pattern, element)));
        looked.collect()
    };
    let Some(target) = options.store else {
        let shown = found.into_iter().map(|item| item.map_or(Value::Nil, Value::Bytes));
        return Ok(Value::Array(shown.collect()));
    };
    let list: List = found.into_iter().map(Option::unwrap_or_default).collect();
    let length = list.len();
    db.store(target, Data::List(list));
    Ok(len(length))
}

fn sort(db: &mut Db, argv: Argv) -> Outcome {
    run(db, argv, true)
}

fn sort_ro(db: &mut Db, argv: Argv) -> Outcome {
    run(db, argv, false)
}
