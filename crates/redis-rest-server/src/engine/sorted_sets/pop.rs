//! Taking members, and picking them at random.

use super::SortedSet;
use super::range::reply;
use crate::engine::args::{Argv, Fault, Outcome, SYNTAX, is, positive, score};
use crate::engine::db::Db;
use crate::engine::random::{count_of, pick};
use redis_rest::Value;

fn pop(db: &mut Db, argv: Argv, highest: bool) -> Outcome {
    let count = match argv[2..] {
        [] => 1,
        [count] => positive(count)?,
        _ => return Err(SYNTAX),
    };
    let Some(set) = db.write::<SortedSet>(argv[1])? else { return Ok(Value::Array(Vec::new())) };
    let taken = set.pop(count, highest);
    db.drop_if_empty(argv[1]);
    reply(taken, true)
}

pub(in crate::engine) fn zpopmin(db: &mut Db, argv: Argv) -> Outcome {
    pop(db, argv, false)
}

pub(in crate::engine) fn zpopmax(db: &mut Db, argv: Argv) -> Outcome {
    pop(db, argv, true)
}

/// The arguments of `ZMPOP` and `LMPOP`: keys, the word after them, and how many to take.
pub(in crate::engine) fn from_first<'a>(argv: Argv<'a>) -> Result<(Argv<'a>, &'a [u8]), Fault> {
    let count = crate::engine::args::strict_int(argv[1]).filter(|count| *count > 0);
    let count = count.ok_or(Fault::new("ERR numkeys should be greater than 0"))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let keys = argv[2..].get(..count).ok_or(SYNTAX)?;
    Ok((keys, argv.get(2 + count).ok_or(SYNTAX)?))
}

/// `COUNT` at the end of `ZMPOP` and `LMPOP`.
pub(in crate::engine) fn count_option(options: Argv) -> Result<usize, Fault> {
    match options {
        [] => Ok(1),
        [word, count, rest @ ..] if is(word, "COUNT") => {
            let count = positive(count).ok().filter(|count| *count > 0);
            let count = count.ok_or(Fault::new("ERR count should be greater than 0"))?;
            if rest.is_empty() { Ok(count) } else { Err(SYNTAX) }
        }
        _ => Err(SYNTAX),
    }
}

pub(in crate::engine) fn zmpop(db: &mut Db, argv: Argv) -> Outcome {
    let (keys, word) = from_first(argv)?;
    let highest = match () {
        () if is(word, "MIN") => false,
        () if is(word, "MAX") => true,
        () => return Err(SYNTAX),
    };
    let count = count_option(&argv[keys.len() + 3..])?;
    for key in keys {
        let Some(set) = db.write::<SortedSet>(key)? else { continue };
        let taken = set.pop(count, highest).into_iter();
        let pairs =
            taken.map(|(number, member)| Value::Array(vec![Value::Bytes(member), score(number)]));
        let pairs = Value::Array(pairs.collect());
        db.drop_if_empty(key);
        return Ok(Value::Array(vec![Value::bytes(key.to_vec()), pairs]));
    }
    Ok(Value::Nil)
}

pub(in crate::engine) fn zrandmember(db: &mut Db, argv: Argv) -> Outcome {
    let [count, ref options @ ..] = argv[2..] else {
        let Some(set) = db.read::<SortedSet>(argv[1])? else { return Ok(Value::Nil) };
        let rank = fastrand::usize(..set.len());
        let found = set.slice(rank..rank + 1);
        return Ok(found.first().map_or(Value::Nil, |(_, member)| Value::Bytes((*member).clone())));
    };
    let (count, with_scores) = count_of(count, options, "WITHSCORES")?;
    let set = db.read::<SortedSet>(argv[1])?;
    let all = set.map(|set| set.slice(0..set.len())).unwrap_or_default();
    let picked = pick(count, all.len())?.into_iter().filter_map(|rank| all.get(rank));
    reply(picked.map(|(score, member)| (*score, (*member).clone())).collect(), with_scores)
}
