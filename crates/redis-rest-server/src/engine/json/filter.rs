//! Filters of JSONPath: `?(@.price < 10 && @.name == "x")`.

use super::path::{Reader, Step, get, locate};
use super::value::Json;

pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare(Operand, Comparison, Operand),
}

#[derive(Clone, Copy)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

pub(super) enum Operand {
    /// From the value that is looked at, or from the root.
    Path(bool, Vec<Step>),
    Literal(Json),
}

pub(super) fn parse(reader: &mut Reader) -> Option<Filter> {
    let mut any = vec![all(reader)?];
    while reader.take("||") {
        any.push(all(reader)?);
    }
    if any.len() == 1 { any.pop() } else { Some(Filter::Or(any)) }
}

fn all(reader: &mut Reader) -> Option<Filter> {
    let mut all = vec![one(reader)?];
    while reader.take("&&") {
        all.push(one(reader)?);
    }
    if all.len() == 1 { all.pop() } else { Some(Filter::And(all)) }
}

fn one(reader: &mut Reader) -> Option<Filter> {
    reader.nested(one_within)
}

fn one_within(reader: &mut Reader) -> Option<Filter> {
    if reader.take("!") {
        return one(reader).map(|filter| Filter::Not(Box::new(filter)));
    }
    if reader.take("(") {
        let inner = parse(reader)?;
        return reader.take(")").then_some(inner);
    }
    let left = operand(reader)?;
    let comparisons = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    for (word, comparison) in comparisons {
        if reader.take(word) {
            return Some(Filter::Compare(left, comparison, operand(reader)?));
        }
    }
    Some(Filter::Exists(left))
}

fn operand(reader: &mut Reader) -> Option<Operand> {
    for (word, from_root) in [("@", false), ("$", true)] {
        if reader.take(word) {
            return reader.steps().map(|steps| Operand::Path(from_root, steps));
        }
    }
    if let Some(string) = reader.quoted() {
        return Some(Operand::Literal(Json::String(string)));
    }
    let word =
        reader.take_while(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '+'));
    Json::parse(word.as_bytes()).ok().map(Operand::Literal)
}

impl Operand {
    fn value<'j>(&'j self, root: &'j Json, current: &'j Json) -> Option<&'j Json> {
        match self {
            Self::Literal(literal) => Some(literal),
            Self::Path(from_root, steps) => {
                let start = if *from_root { root } else { current };
                let found = locate(steps, root, start);
                get(start, found.first()?)
            }
        }
    }
}

impl Filter {
    pub(super) fn holds(&self, root: &Json, current: &Json) -> bool {
        match self {
            Self::Or(any) => any.iter().any(|filter| filter.holds(root, current)),
            Self::And(all) => all.iter().all(|filter| filter.holds(root, current)),
            Self::Not(filter) => !filter.holds(root, current),
            Self::Exists(operand) => operand.value(root, current).is_some(),
            Self::Compare(left, comparison, right) => {
                let (Some(left), Some(right)) =
                    (left.value(root, current), right.value(root, current))
                else {
                    return false;
                };
                compare(left, *comparison, right)
            }
        }
    }
}

fn compare(left: &Json, comparison: Comparison, right: &Json) -> bool {
    let order = match (left, right) {
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        _ => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
    };
    match comparison {
        Comparison::Equal => left.equals(right),
        Comparison::Unequal => !left.equals(right),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::AtMost => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}
