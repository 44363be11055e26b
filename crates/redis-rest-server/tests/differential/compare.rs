//! Compares replies, and shortens sessions that show a difference.

use crate::target::{Words, show};
use redis_rest::Value;

pub type Session = Vec<Words>;

/// Replies without an order of their own.
const UNORDERED: &str = " SMEMBERS SUNION SINTER SDIFF KEYS HKEYS HVALS HGETALL SSCAN HSCAN SCAN SPOP PUBSUB SORT_RO SORT ";
/// Replies that differ by the time between two calls.
const TIMED: &str =
    " TTL PTTL HTTL HPTTL EXPIRETIME PEXPIRETIME HEXPIRETIME HPEXPIRETIME XPENDING XINFO ";
/// Longest time between the same command here and there, in milliseconds.
const SLACK: u64 = 20_000;

/// The command's name, and its subcommand.
pub fn normal(command: &Words) -> String {
    String::from_utf8_lossy(&command[0]).to_ascii_uppercase()
}

fn listed(list: &str, name: &str) -> bool {
    list.contains(&format!(" {name} "))
}

pub fn same(command: &Words, ours: &Value, theirs: &Value, version: u32) -> bool {
    let name = normal(command);
    if listed(TIMED, &name) {
        return near(ours, theirs);
    }
    // Redis shows keys by their hashes, so that other ones come first.
    let unfinished = |value: &Value| !show(value).starts_with("[\"0\"");
    if name == "SCAN" && unfinished(theirs) && matches!(theirs, Value::Array(_)) {
        return true;
    }
    let text = |value: &Value| {
        let sorted = listed(UNORDERED, &name);
        let value = if sorted { ordered(value.clone(), name == "HGETALL") } else { value.clone() };
        let text = show(&value);
        if version < 8 { as_before(&text) } else { text }
    };
    text(ours) == text(theirs)
}

fn near(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Int(ours), Value::Int(theirs)) => {
            ours == theirs || (*ours >= 0 && *theirs >= 0 && ours.abs_diff(*theirs) <= SLACK)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| near(ours, theirs))
        }
        _ => show(ours) == show(theirs),
    }
}

fn ordered(value: Value, pairs: bool) -> Value {
    let Value::Array(items) = value else { return value };
    let mut groups: Vec<Vec<Value>> = items
        .into_iter()
        .map(|item| ordered(item, false))
        .collect::<Vec<_>>()
        .chunks(if pairs { 2 } else { 1 })
        .map(<[Value]>::to_vec)
        .collect();
    groups.sort_by_key(|group| group.iter().map(show).collect::<Vec<_>>());
    Value::Array(groups.concat())
}

/// Redis 7.0 writes numbers with 17 digits and newer ones with as few as tell them apart.
fn as_before(text: &str) -> String {
    let words = text.split_inclusive(['"', ' ', '[', ']']);
    let rewritten = words.map(|word| {
        let end = word.trim_end_matches(['"', ' ', '[', ']']);
        match end.parse::<f64>() {
            Ok(number) if end.contains(['.', 'e']) => format!("{number}{}", &word[end.len()..]),
            _ => word.to_owned(),
        }
    });
    rewritten.collect()
}

/// Leaves out commands, and then words, for as long as `fails` holds.
pub fn minimise(mut session: Session, mut fails: impl FnMut(&Session) -> bool) -> Session {
    let mut index = session.len().saturating_sub(1);
    while index > 0 {
        index -= 1;
        let mut shorter = session.clone();
        shorter.remove(index);
        if fails(&shorter) {
            session = shorter;
        }
    }
    for index in 0..session.len() {
        let mut word = session[index].len();
        while word > 1 {
            word -= 1;
            let mut shorter = session.clone();
            shorter[index].remove(word);
            if fails(&shorter) {
                session = shorter;
            }
        }
    }
    session
}
