//! Lists.

use super::args::{
    Argv, Fault, NO_SUCH_KEY, OUT_OF_RANGE, Outcome, SYNTAX, clamp_range, int, int_between, is,
    len, offset, positive, wrong_arity,
};
use super::db::{Db, List};
use super::sorted_sets::{count_option, from_first};
use super::table::{READ, Spec, WRITE, row};
use bytes::Bytes;
use redis_rest::Value;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Spec] = &[
    row("lpush", WRITE, lpush),
    row("rpush", WRITE, rpush),
    row("lpushx", WRITE, lpushx),
    row("rpushx", WRITE, rpushx),
    row("lpop", WRITE, lpop),
    row("rpop", WRITE, rpop),
    row("lmpop", WRITE, lmpop),
    row("llen", READ, llen),
    row("lrange", READ, lrange),
    row("lindex", READ, lindex),
    row("lset", WRITE, lset),
    row("lrem", WRITE, lrem),
    row("ltrim", WRITE, ltrim),
    row("linsert", WRITE, linsert),
    row("lpos", READ, lpos),
    row("lmove", WRITE, lmove),
    row("rpoplpush", WRITE, rpoplpush),
];

#[derive(Clone, Copy, PartialEq)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(word: &[u8]) -> Result<Self, Fault> {
        match () {
            () if is(word, "LEFT") => Ok(Self::Left),
            () if is(word, "RIGHT") => Ok(Self::Right),
            () => Err(SYNTAX),
        }
    }

    fn push(self, list: &mut List, item: Bytes) {
        match self {
            Self::Left => list.push_front(item),
            Self::Right => list.push_back(item),
        }
    }

    fn pop(self, list: &mut List) -> Option<Bytes> {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }
}

fn push(db: &mut Db, argv: Argv, end: End) -> Outcome {
    let list = db.write_or_create::<List>(argv[1])?;
    for item in &argv[2..] {
        end.push(list, Bytes::copy_from_slice(item));
    }
    Ok(len(list.len()))
}

fn push_existing(db: &mut Db, argv: Argv, end: End) -> Outcome {
    if db.read::<List>(argv[1])?.is_none() {
        return Ok(Value::Int(0));
    }
    push(db, argv, end)
}

pub(super) fn lpush(db: &mut Db, argv: Argv) -> Outcome {
    push(db, argv, End::Left)
}

pub(super) fn rpush(db: &mut Db, argv: Argv) -> Outcome {
    push(db, argv, End::Right)
}

pub(super) fn lpushx(db: &mut Db, argv: Argv) -> Outcome {
    push_existing(db, argv, End::Left)
}

pub(super) fn rpushx(db: &mut Db, argv: Argv) -> Outcome {
    push_existing(db, argv, End::Right)
}

fn pop(db: &mut Db, argv: Argv, end: End, name: &str) -> Outcome {
    let count = match argv[2..] {
        [] => None,
        [count] => Some(positive(count)?),
        _ => return Err(wrong_arity(name)),
    };
    let Some(list) = db.write::<List>(argv[1])? else { return Ok(Value::Nil) };
    let reply = match count {
        None => end.pop(list).map_or(Value::Nil, Value::Bytes),
        Some(count) => {
            let count = count.min(list.len());
            Value::Array((0..count).filter_map(|_| end.pop(list)).map(Value::Bytes).collect())
        }
    };
    db.drop_if_empty(argv[1]);
    Ok(reply)
}

pub(super) fn lpop(db: &mut Db, argv: Argv) -> Outcome {
    pop(db, argv, End::Left, "lpop")
}

pub(super) fn rpop(db: &mut Db, argv: Argv) -> Outcome {
    pop(db, argv, End::Right, "rpop")
}

pub(super) fn llen(db: &mut Db, argv: Argv) -> Outcome {
    Ok(len(db.read::<List>(argv[1])?.map_or(0, List::len)))
}

pub(super) fn lrange(db: &mut Db, argv: Argv) -> Outcome {
    let (start, stop) = (int(argv[2])?, int(argv[3])?);
    let Some(list) = db.read::<List>(argv[1])? else { return Ok(Value::Array(Vec::new())) };
    Ok(Value::Array(
        list.range(clamp_range(start, stop, list.len())).cloned().map(Value::Bytes).collect(),
    ))
}

fn position(index: i64, length: usize) -> Option<usize> {
    usize::try_from(offset(index, length)).ok().filter(|index| *index < length)
}

pub(super) fn lindex(db: &mut Db, argv: Argv) -> Outcome {
    let Some(list) = db.read::<List>(argv[1])? else { return Ok(Value::Nil) };
    let found = position(int(argv[2])?, list.len()).and_then(|index| list.get(index));
    Ok(found.map_or(Value::Nil, |item| Value::Bytes(item.clone())))
}

pub(super) fn lset(db: &mut Db, argv: Argv) -> Outcome {
    let list = db.write::<List>(argv[1])?.ok_or(NO_SUCH_KEY)?;
    let index = position(int(argv[2])?, list.len()).ok_or(OUT_OF_RANGE)?;
    *list.get_mut(index).ok_or(OUT_OF_RANGE)? = Bytes::copy_from_slice(argv[3]);
    Ok(Value::Okay)
}

pub(super) fn lrem(db: &mut Db, argv: Argv) -> Outcome {
    let count = int_between(argv[2], -i64::MAX, i64::MAX)?;
    let Some(list) = db.write::<List>(argv[1])? else { return Ok(Value::Int(0)) };
    let limit = if count == 0 {
        usize::MAX
    } else {
        usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
    };
    let mut removed = 0;
    let mut keep = |item: &Bytes| {
        let hit = removed < limit && item == argv[3];
        removed += usize::from(hit);
        !hit
    };
    if count >= 0 {
        list.retain(|item| keep(item));
    } else {
        let mut kept: List = list.drain(..).rev().filter(|item| keep(item)).collect();
        kept.make_contiguous().reverse();
        *list = kept;
    }
    db.drop_if_empty(argv[1]);
    Ok(len(removed))
}

pub(super) fn ltrim(db: &mut Db, argv: Argv) -> Outcome {
    let (start, stop) = (int(argv[2])?, int(argv[3])?);
    let Some(list) = db.write::<List>(argv[1])? else { return Ok(Value::Okay) };
    let range = clamp_range(start, stop, list.len());
    list.truncate(range.end);
    list.drain(..range.start.min(list.len()));
    db.drop_if_empty(argv[1]);
    Ok(Value::Okay)
}

pub(super) fn linsert(db: &mut Db, argv: Argv) -> Outcome {
    let after = match () {
        () if is(argv[2], "BEFORE") => 0,
        () if is(argv[2], "AFTER") => 1,
        () => return Err(SYNTAX),
    };
    let Some(list) = db.write::<List>(argv[1])? else { return Ok(Value::Int(0)) };
    let Some(pivot) = list.iter().position(|item| item == argv[3]) else {
        return Ok(Value::Int(-1));
    };
    list.insert(pivot + after, Bytes::copy_from_slice(argv[4]));
    Ok(len(list.len()))
}

pub(super) fn lpos(db: &mut Db, argv: Argv) -> Outcome {
    let (mut rank, mut count, mut max) = (1_i64, None, 0);
    for pair in argv[3..].chunks(2) {
        let [word, number] = pair else { return Err(SYNTAX) };
        if is(word, "RANK") {
            rank = int_between(number, -i64::MAX, i64::MAX)?;
            if rank == 0 {
                return Err(Fault::new(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                ));
            }
        } else if is(word, "COUNT") {
            count = Some(positive(number).map_err(|_| Fault::new("ERR COUNT can't be negative"))?);
        } else if is(word, "MAXLEN") {
            max = positive(number).map_err(|_| Fault::new("ERR MAXLEN can't be negative"))?;
        } else {
            return Err(SYNTAX);
        }
    }
    let unlimited = |number: usize| if number == 0 { usize::MAX } else { number };
    let nothing = if count.is_some() { Value::Array(Vec::new()) } else { Value::Nil };
    let Some(list) = db.read::<List>(argv[1])? else { return Ok(nothing) };
    let order: Box<dyn Iterator<Item = (usize, &Bytes)>> = if rank > 0 {
        Box::new(list.iter().enumerate())
    } else {
        Box::new(list.iter().enumerate().rev())
    };
    let skip = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let mut hits = order
        .take(unlimited(max))
        .filter(|(_, item)| *item == argv[2])
        .skip(skip)
        .map(|(index, _)| len(index));
    Ok(match count {
        Some(count) => Value::Array(hits.take(unlimited(count)).collect()),
        None => hits.next().unwrap_or(Value::Nil),
    })
}

fn move_item(db: &mut Db, from: &[u8], to: &[u8], take: End, put: End) -> Outcome {
    if db.read::<List>(from)?.is_none() {
        return Ok(Value::Nil);
    }
    db.read::<List>(to)?;
    let Some(item) = db.write::<List>(from)?.and_then(|list| take.pop(list)) else {
        return Ok(Value::Nil);
    };
    put.push(db.write_or_create::<List>(to)?, item.clone());
    db.drop_if_empty(from);
    Ok(Value::Bytes(item))
}

pub(super) fn lmove(db: &mut Db, argv: Argv) -> Outcome {
    move_item(db, argv[1], argv[2], End::parse(argv[3])?, End::parse(argv[4])?)
}

pub(super) fn rpoplpush(db: &mut Db, argv: Argv) -> Outcome {
    move_item(db, argv[1], argv[2], End::Right, End::Left)
}

pub(super) fn lmpop(db: &mut Db, argv: Argv) -> Outcome {
    let (keys, word) = from_first(argv)?;
    let end = End::parse(word)?;
    let count = count_option(&argv[keys.len() + 3..])?;
    for key in keys {
        let Some(list) = db.write::<List>(key)? else { continue };
        let count = count.min(list.len());
        let taken = (0..count).filter_map(|_| end.pop(list)).map(Value::Bytes).collect();
        db.drop_if_empty(key);
        return Ok(Value::Array(vec![Value::bytes(key.to_vec()), Value::Array(taken)]));
    }
    Ok(Value::Nil)
}
