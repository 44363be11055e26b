use super::*;
use crate::cmd;
use std::collections::HashSet;

#[test]
fn every_row_is_found_by_its_name_in_any_case() {
    let mut names = HashSet::new();
    for row in groups::ALL.into_iter().flatten() {
        let found = find(&cmd(&row.command.to_ascii_lowercase())).unwrap();
        // `XPENDING` has two typed forms.
        assert!(names.insert(row.command) || row.method == "xpending_range", "{row:?}");
        assert_eq!(found.command, row.command);
    }
    for odd in ["", "GETX", "s3cret", "GET\0", &"x".repeat(1000)] {
        assert!(find(&cmd(odd)).is_none(), "{odd}");
    }
}

#[test]
fn subcommands_have_rows_and_the_flags_of_both() {
    let row = find(&cmd("acl").arg("log").arg("reset")).unwrap();
    assert_eq!((row.command, row.safety), ("ACL LOG RESET", Some(Idempotency::NonIdempotent)));
    assert!(row.flags.any(Flags::NO_SCRIPT) && row.flags.any(Flags::ADMIN));
    let other = cmd("SCRIPT").arg("x".repeat(1000));
    assert_eq!(find(&other).unwrap().command, "SCRIPT");
    assert_eq!(find(&cmd("GET").arg("LOAD")).unwrap().command, "GET");
}

/// `tests/fixtures/redis-commands.py` generates the fixture.
#[test]
fn rows_are_what_redis_says() {
    let fixture = include_str!("../../../tests/fixtures/redis-commands.tsv");
    let mut checked = 0;
    let mut different = Vec::new();
    for line in fixture.lines().skip(1) {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, since, arity, keys, flags] = fields.try_into().unwrap();
        let row = find(&cmd(name)).unwrap_or_else(|| panic!("no row for {name}"));
        // Subcommands about which only their command's row is known.
        if row.command != name {
            continue;
        }
        checked += 1;
        let flag = |name: &str| flags.split(',').any(|flag| flag == name);
        let keys = range(keys);
        // Redis counts the channel of `SPUBLISH` among the keys, for its slot.
        let keys_fit = row.keys == keys
            || row.keys == Keys::Unknown
            || flag("movablekeys")
            || row.flags.any(Flags::SUBCOMMANDS)
            || name == "SPUBLISH";
        if !keys_fit || (row.since, row.arity.to_string().as_str()) != (since, arity) {
            different.push(format!("{row:?}, Redis: {line}"));
        }
        let reads = row.safety == Some(Idempotency::ReadOnly);
        if reads && flag("write") || flag("readonly") && row.safety.is_some_and(|_| !reads) {
            different.push(format!("{row:?}, Redis: {line}"));
        }
        if flag("noscript") && !row.flags.any(Flags::NO_SCRIPT) && !name.contains(' ') {
            different.push(format!("{row:?}, Redis: {line}"));
        }
        if flag("blocking") && !row.flags.any(Flags::BLOCKS | Flags::MAY_BLOCK) {
            different.push(format!("{row:?}, Redis: {line}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(checked > 300, "{checked}");
}

/// Returns first key, last key and step, counted after the command's first word.
fn range(keys: &str) -> Keys {
    let keys: Vec<i8> = keys.split(' ').map(|part| part.parse().unwrap()).collect();
    match keys[..] {
        [0, ..] => Keys::None,
        [first, last, step] => {
            let last = if last > 0 { last - 1 } else { last };
            Keys::Range { first: first as u8 - 1, last, step: step as u8 }
        }
        _ => panic!("{keys:?}"),
    }
}
