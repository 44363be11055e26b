//! JSONPath, and RedisJSON's older paths.

use super::filter::{self, Filter};
use super::value::Json;
use crate::engine::args::Fault;
use std::collections::BTreeSet;

/// A path as it was given.
pub(super) struct Path<'a> {
    pub(super) text: &'a str,
    pub(super) steps: Vec<Step>,
    /// Not of the form `$…`: it has one value, not a list of them.
    pub(super) legacy: bool,
}

pub(super) struct Step {
    recursive: bool,
    selectors: Vec<Selector>,
}

pub(super) enum Selector {
    Name(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>, i64),
    All,
    Filter(Filter),
}

/// A way from the root to a value.
pub(super) type Location = Vec<Key>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Name(String),
    Index(usize),
}

/// Values below this many keys are out of every path's reach, so that no document becomes deeper
/// than recursion can follow.
const DEEPEST: usize = 512;
/// The deepest nesting of filters.
const DEEPEST_FILTER: usize = 32;

/// Characters that are left to read, and the filters around them.
pub(super) struct Reader<'a>(pub(super) &'a str, usize);

impl<'a> Reader<'a> {
    const fn new(text: &'a str) -> Self {
        Self(text, 0)
    }

    /// Reads what is nested in a filter; `None` if that is too deep.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.1 >= DEEPEST_FILTER {
            return None;
        }
        self.1 += 1;
        let found = read(self);
        self.1 -= 1;
        found
    }

    pub(super) fn skip_spaces(&mut self) {
        self.0 = self.0.trim_start();
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        self.skip_spaces();
        match self.0.strip_prefix(word) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|char| !accepts(char)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    pub(super) fn integer(&mut self) -> Option<i64> {
        self.skip_spaces();
        let digits = self.0.strip_prefix('-').unwrap_or(self.0);
        let count = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
        let length = self.0.len() - digits.len() + count;
        let number = self.0[..length].parse().ok()?;
        self.0 = &self.0[length..];
        Some(number)
    }

    /// A string in single or double quotes.
    pub(super) fn quoted(&mut self) -> Option<String> {
        self.skip_spaces();
        let quote = self.0.chars().next().filter(|char| matches!(char, '"' | '\''))?;
        let mut string = String::new();
        let mut chars = self.0[1..].char_indices();
        while let Some((index, char)) = chars.next() {
            match char {
                '\\' => string.push(chars.next()?.1),
                char if char == quote => {
                    self.0 = &self.0[1 + index + 1..];
                    return Some(string);
                }
                char => string.push(char),
            }
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        let name =
            self.take_while(|char| char.is_alphanumeric() || matches!(char, '_' | '-' | '$' | ':'));
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// The steps of a path, up to what belongs to none.
    pub(super) fn steps(&mut self) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let recursive = self.0.starts_with("..");
            if recursive {
                self.0 = &self.0[2..];
            }
            let selectors = if self.0.starts_with('[') {
                self.0 = &self.0[1..];
                self.bracket()?
            } else if recursive || self.0.starts_with('.') {
                self.0 = self.0.strip_prefix('.').unwrap_or(self.0);
                match self.0.strip_prefix('*') {
                    Some(rest) => {
                        self.0 = rest;
                        vec![Selector::All]
                    }
                    None if self.0.starts_with('[') => continue,
                    None => vec![Selector::Name(self.name()?)],
                }
            } else {
                return Some(steps);
            };
            steps.push(Step { recursive, selectors });
        }
    }

    fn bracket(&mut self) -> Option<Vec<Selector>> {
        let mut selectors = Vec::new();
        loop {
            selectors.push(self.selector()?);
            if self.take("]") {
                return Some(selectors);
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn selector(&mut self) -> Option<Selector> {
        if self.take("*") {
            return Some(Selector::All);
        }
        if self.take("?") {
            return filter::parse(self).map(Selector::Filter);
        }
        if let Some(name) = self.quoted() {
            return Some(Selector::Name(name));
        }
        let first = self.integer();
        if !self.take(":") {
            return first.map(Selector::Index);
        }
        let last = self.integer();
        let step = if self.take(":") { self.integer().unwrap_or(1) } else { 1 };
        Some(Selector::Slice(first, last, step))
    }
}

impl<'a> Path<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        let bad =
            || Fault::owned(format!("ERR invalid JSONPath '{}'", String::from_utf8_lossy(text)));
        let text = std::str::from_utf8(text).map_err(|_| bad())?;
        let legacy = !text.starts_with('$');
        let body = text.strip_prefix('$').unwrap_or(text);
        let dotted;
        let mut reader = Reader::new(match body {
            "." if legacy => "",
            body if legacy && !body.starts_with(['.', '[']) => {
                dotted = format!(".{body}");
                dotted.as_str()
            }
            body => body,
        });
        let steps = reader.steps().filter(|_| reader.0.trim().is_empty()).ok_or_else(bad)?;
        Ok(Self { text, steps, legacy })
    }

    pub(super) fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the places of the path's values; for older paths the first one alone.
    pub(super) fn locate(&self, root: &Json) -> Vec<Location> {
        let mut found = locate(&self.steps, root, root);
        if self.legacy {
            found.truncate(1);
        }
        found
    }

    /// The parents that the last step would add a member to, and its name.
    pub(super) fn addition(&self, root: &Json) -> Option<(Vec<Location>, &str)> {
        let (last, steps) = self.steps.split_last()?;
        let [Selector::Name(name)] = &last.selectors[..] else { return None };
        if last.recursive {
            return None;
        }
        let mut parents = locate(steps, root, root);
        parents.retain(|location| matches!(get(root, location), Some(Json::Object(_))));
        Some((parents, name))
    }
}

pub(super) fn get<'j>(root: &'j Json, location: &[Key]) -> Option<&'j Json> {
    location.iter().try_fold(root, |value, key| match (value, key) {
        (Json::Object(members), Key::Name(name)) => members.get(name.as_bytes()),
        (Json::Array(items), Key::Index(index)) => items.get(*index),
        _ => None,
    })
}

pub(super) fn get_mut<'j>(root: &'j mut Json, location: &[Key]) -> Option<&'j mut Json> {
    location.iter().try_fold(root, |value, key| match (value, key) {
        (Json::Object(members), Key::Name(name)) => members.get_mut(name.as_bytes()),
        (Json::Array(items), Key::Index(index)) => items.get_mut(*index),
        _ => None,
    })
}

/// Every value from `start` on that the steps lead to.
pub(super) fn locate(steps: &[Step], root: &Json, start: &Json) -> Vec<Location> {
    let mut places = vec![Location::new()];
    for step in steps {
        let mut next = Vec::new();
        for place in places {
            let Some(value) = get(start, &place) else { continue };
            if step.recursive {
                descend(step, root, value, &place, &mut next);
            } else {
                select(step, root, value, &place, &mut next);
            }
        }
        if step.recursive {
            // A place is reached once, however many ways lead to it.
            let mut seen = BTreeSet::new();
            next.retain(|place| seen.insert(place.clone()));
        }
        places = next;
    }
    places.retain(|place| place.len() <= DEEPEST);
    places
}

fn children(value: &Json) -> Vec<(Key, &Json)> {
    match value {
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| (Key::Name(String::from_utf8_lossy(name).into_owned()), value))
            .collect(),
        Json::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (Key::Index(index), value)).collect()
        }
        _ => Vec::new(),
    }
}

fn joined(place: &Location, key: Key) -> Location {
    let mut place = place.clone();
    place.push(key);
    place
}

fn descend(step: &Step, root: &Json, value: &Json, place: &Location, found: &mut Vec<Location>) {
    select(step, root, value, place, found);
    for (key, child) in children(value) {
        descend(step, root, child, &joined(place, key), found);
    }
}

fn select(step: &Step, root: &Json, value: &Json, place: &Location, found: &mut Vec<Location>) {
    for selector in &step.selectors {
        match (selector, value) {
            (Selector::Name(name), Json::Object(members)) if members.contains(name.as_bytes()) => {
                found.push(joined(place, Key::Name(name.clone())));
            }
            (Selector::Index(index), Json::Array(items)) => {
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let index = if *index < 0 { index.saturating_add(length) } else { *index };
                if let Ok(index) = usize::try_from(index)
                    && index < items.len()
                {
                    found.push(joined(place, Key::Index(index)));
                }
            }
            (Selector::Slice(first, last, step), Json::Array(items)) => {
                let indexes = slice(*first, *last, *step, items.len());
                found.extend(indexes.into_iter().map(|index| joined(place, Key::Index(index))));
            }
            (Selector::All, value) => {
                found.extend(children(value).into_iter().map(|(key, _)| joined(place, key)));
            }
            (Selector::Filter(filter), value) => {
                let kept =
                    children(value).into_iter().filter(|(_, child)| filter.holds(root, child));
                found.extend(kept.map(|(key, _)| joined(place, key)));
            }
            _ => {}
        }
    }
}

fn slice(first: Option<i64>, last: Option<i64>, step: i64, length: usize) -> Vec<usize> {
    let all = i64::try_from(length).unwrap_or(i64::MAX);
    let bound = |index: i64| (if index < 0 { index + all } else { index }).clamp(0, all);
    let (first, last) = (bound(first.unwrap_or(0)), bound(last.unwrap_or(all)));
    let Some(step) = usize::try_from(step).ok().filter(|step| *step > 0) else { return Vec::new() };
    (first..last).step_by(step).filter_map(|index| usize::try_from(index).ok()).collect()
}
