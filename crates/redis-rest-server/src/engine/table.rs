//! Every command of the engine: its name, what it does to data, and its function. The rest is in the table of all commands.

use super::args::{Argv, Fault, Outcome, is, wrong_arity};
use super::db::Db;
use super::{expiry, hashes, keys, lists, pubsub, scan, server, sets, sorted_sets, strings};
use redis_rest::Value;
use redis_rest::cmd::{self, Keys};

/// Where a command runs.
pub(super) enum Run {
    /// Wherever it is called.
    Here(fn(&mut Db, Argv) -> Outcome),
    /// On the script thread.
    Lua,
}

/// One command.
pub(super) struct Spec {
    pub(super) name: &'static str,
    flags: &'static [&'static str],
    pub(super) run: Run,
}

const READ: &[&str] = &["readonly"];
const WRITE: &[&str] = &["write"];
const OTHER: &[&str] = &["fast"];
const NO_SCRIPT: &[&str] = &["noscript"];
const NO_SCRIPT_READ: &[&str] = &["noscript", "readonly"];

impl Spec {
    pub(super) fn writes(&self) -> bool {
        self.flags.contains(&"write")
    }

    pub(super) fn allowed_in_scripts(&self) -> bool {
        !self.flags.contains(&"noscript")
    }

    /// As Redis counts: with the name, negative for a minimum.
    fn arity(&self) -> i8 {
        cmd::named(self.name).map_or(-1, |row| row.arity)
    }

    pub(super) fn accepts(&self, count: usize) -> bool {
        let (arity, wanted) = (self.arity(), usize::from(self.arity().unsigned_abs()));
        if arity < 0 { count >= wanted } else { count == wanted }
    }

    /// First key, last key, step; zeros if no rule tells.
    fn keys(&self) -> [i64; 3] {
        match cmd::named(self.name).map(|row| row.keys) {
            Some(Keys::Range { first, last, step }) => {
                let last = i64::from(last);
                [i64::from(first) + 1, if last < 0 { last } else { last + 1 }, step.into()]
            }
            Some(Keys::Counted { with_first: true, .. }) => [1, 1, 1],
            Some(Keys::Counted { .. } | Keys::Streams | Keys::None | Keys::Unknown) | None => {
                [0; 3]
            }
        }
    }

    /// True when this call goes to the script thread.
    pub(super) fn needs_lua(&self, argv: Argv) -> bool {
        match self.run {
            Run::Lua => true,
            Run::Here(_) => {
                self.name == "script" && matches!(argv, [_, word, _] if is(word, "LOAD"))
            }
        }
    }
}

/// The command of that name, in any case.
pub(super) fn find(name: &[u8]) -> Option<&'static Spec> {
    SPECS.iter().find(|spec| is(name, spec.name))
}

/// Finds the command and checks the number of arguments.
pub(super) fn resolve(argv: Argv) -> Result<&'static Spec, Fault> {
    let Some(spec) = argv.first().and_then(|name| find(name)) else { return Err(unknown(argv)) };
    if spec.accepts(argv.len()) { Ok(spec) } else { Err(wrong_arity(spec.name)) }
}

/// Redis quotes up to 128 bytes of the name, and of the arguments together.
fn unknown(argv: Argv) -> Fault {
    const SHOWN: usize = 128;
    let cut = |bytes: &[u8], limit: usize| {
        let bytes = bytes.get(..limit).unwrap_or(bytes);
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).replace(['\r', '\n'], " ")
    };
    let name = cut(argv.first().copied().unwrap_or_default(), SHOWN);
    let mut args = String::new();
    for arg in argv.iter().skip(1) {
        if args.len() >= SHOWN {
            break;
        }
        args += &format!("'{}' ", cut(arg, SHOWN - args.len()));
    }
    Fault::owned(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}

/// The answer of `COMMAND INFO` for one command.
pub(super) fn describe(spec: &Spec) -> Value {
    let mut items = vec![Value::bytes(spec.name), Value::Int(spec.arity().into())];
    items.push(Value::Array(spec.flags.iter().map(|flag| Value::bytes(*flag)).collect()));
    items.extend(spec.keys().map(Value::Int));
    Value::Array(items)
}

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { name: "get", flags: READ, run: Run::Here(strings::get) },
    Spec { name: "set", flags: WRITE, run: Run::Here(strings::set) },
    Spec { name: "setnx", flags: WRITE, run: Run::Here(strings::setnx) },
    Spec { name: "setex", flags: WRITE, run: Run::Here(strings::setex) },
    Spec { name: "psetex", flags: WRITE, run: Run::Here(strings::psetex) },
    Spec { name: "getset", flags: WRITE, run: Run::Here(strings::getset) },
    Spec { name: "getdel", flags: WRITE, run: Run::Here(strings::getdel) },
    Spec { name: "getex", flags: WRITE, run: Run::Here(strings::getex) },
    Spec { name: "getrange", flags: READ, run: Run::Here(strings::getrange) },
    Spec { name: "substr", flags: READ, run: Run::Here(strings::getrange) },
    Spec { name: "setrange", flags: WRITE, run: Run::Here(strings::setrange) },
    Spec { name: "append", flags: WRITE, run: Run::Here(strings::append) },
    Spec { name: "strlen", flags: READ, run: Run::Here(strings::strlen) },
    Spec { name: "mget", flags: READ, run: Run::Here(strings::mget) },
    Spec { name: "mset", flags: WRITE, run: Run::Here(strings::mset) },
    Spec { name: "msetnx", flags: WRITE, run: Run::Here(strings::msetnx) },
    Spec { name: "incr", flags: WRITE, run: Run::Here(strings::incr) },
    Spec { name: "decr", flags: WRITE, run: Run::Here(strings::decr) },
    Spec { name: "incrby", flags: WRITE, run: Run::Here(strings::incrby) },
    Spec { name: "decrby", flags: WRITE, run: Run::Here(strings::decrby) },
    Spec { name: "incrbyfloat", flags: WRITE, run: Run::Here(strings::incrbyfloat) },
    Spec { name: "del", flags: WRITE, run: Run::Here(keys::del) },
    Spec { name: "unlink", flags: WRITE, run: Run::Here(keys::del) },
    Spec { name: "exists", flags: READ, run: Run::Here(keys::exists) },
    Spec { name: "touch", flags: READ, run: Run::Here(keys::exists) },
    Spec { name: "keys", flags: READ, run: Run::Here(keys::keys) },
    Spec { name: "randomkey", flags: READ, run: Run::Here(keys::random) },
    Spec { name: "type", flags: READ, run: Run::Here(keys::type_of) },
    Spec { name: "rename", flags: WRITE, run: Run::Here(keys::rename) },
    Spec { name: "renamenx", flags: WRITE, run: Run::Here(keys::renamenx) },
    Spec { name: "copy", flags: WRITE, run: Run::Here(keys::copy) },
    Spec { name: "scan", flags: READ, run: Run::Here(scan::scan) },
    Spec { name: "expire", flags: WRITE, run: Run::Here(expiry::expire) },
    Spec { name: "pexpire", flags: WRITE, run: Run::Here(expiry::pexpire) },
    Spec { name: "expireat", flags: WRITE, run: Run::Here(expiry::expireat) },
    Spec { name: "pexpireat", flags: WRITE, run: Run::Here(expiry::pexpireat) },
    Spec { name: "persist", flags: WRITE, run: Run::Here(expiry::persist) },
    Spec { name: "ttl", flags: READ, run: Run::Here(expiry::ttl) },
    Spec { name: "pttl", flags: READ, run: Run::Here(expiry::pttl) },
    Spec { name: "expiretime", flags: READ, run: Run::Here(expiry::expiretime) },
    Spec { name: "pexpiretime", flags: READ, run: Run::Here(expiry::pexpiretime) },
    Spec { name: "hset", flags: WRITE, run: Run::Here(hashes::hset) },
    Spec { name: "hmset", flags: WRITE, run: Run::Here(hashes::hmset) },
    Spec { name: "hsetnx", flags: WRITE, run: Run::Here(hashes::hsetnx) },
    Spec { name: "hget", flags: READ, run: Run::Here(hashes::hget) },
    Spec { name: "hmget", flags: READ, run: Run::Here(hashes::hmget) },
    Spec { name: "hgetall", flags: READ, run: Run::Here(hashes::hgetall) },
    Spec { name: "hkeys", flags: READ, run: Run::Here(hashes::hkeys) },
    Spec { name: "hvals", flags: READ, run: Run::Here(hashes::hvals) },
    Spec { name: "hdel", flags: WRITE, run: Run::Here(hashes::hdel) },
    Spec { name: "hexists", flags: READ, run: Run::Here(hashes::hexists) },
    Spec { name: "hlen", flags: READ, run: Run::Here(hashes::hlen) },
    Spec { name: "hstrlen", flags: READ, run: Run::Here(hashes::hstrlen) },
    Spec { name: "hincrby", flags: WRITE, run: Run::Here(hashes::hincrby) },
    Spec { name: "hincrbyfloat", flags: WRITE, run: Run::Here(hashes::hincrbyfloat) },
    Spec { name: "hrandfield", flags: READ, run: Run::Here(hashes::hrandfield) },
    Spec { name: "hscan", flags: READ, run: Run::Here(scan::hscan) },
    Spec { name: "lpush", flags: WRITE, run: Run::Here(lists::lpush) },
    Spec { name: "rpush", flags: WRITE, run: Run::Here(lists::rpush) },
    Spec { name: "lpushx", flags: WRITE, run: Run::Here(lists::lpushx) },
    Spec { name: "rpushx", flags: WRITE, run: Run::Here(lists::rpushx) },
    Spec { name: "lpop", flags: WRITE, run: Run::Here(lists::lpop) },
    Spec { name: "rpop", flags: WRITE, run: Run::Here(lists::rpop) },
    Spec { name: "llen", flags: READ, run: Run::Here(lists::llen) },
    Spec { name: "lrange", flags: READ, run: Run::Here(lists::lrange) },
    Spec { name: "lindex", flags: READ, run: Run::Here(lists::lindex) },
    Spec { name: "lset", flags: WRITE, run: Run::Here(lists::lset) },
    Spec { name: "lrem", flags: WRITE, run: Run::Here(lists::lrem) },
    Spec { name: "ltrim", flags: WRITE, run: Run::Here(lists::ltrim) },
    Spec { name: "linsert", flags: WRITE, run: Run::Here(lists::linsert) },
    Spec { name: "lpos", flags: READ, run: Run::Here(lists::lpos) },
    Spec { name: "lmove", flags: WRITE, run: Run::Here(lists::lmove) },
    Spec { name: "rpoplpush", flags: WRITE, run: Run::Here(lists::rpoplpush) },
    Spec { name: "sadd", flags: WRITE, run: Run::Here(sets::sadd) },
    Spec { name: "srem", flags: WRITE, run: Run::Here(sets::srem) },
    Spec { name: "smembers", flags: READ, run: Run::Here(sets::smembers) },
    Spec { name: "sismember", flags: READ, run: Run::Here(sets::sismember) },
    Spec { name: "smismember", flags: READ, run: Run::Here(sets::smismember) },
    Spec { name: "scard", flags: READ, run: Run::Here(sets::scard) },
    Spec { name: "spop", flags: WRITE, run: Run::Here(sets::spop) },
    Spec { name: "srandmember", flags: READ, run: Run::Here(sets::srandmember) },
    Spec { name: "smove", flags: WRITE, run: Run::Here(sets::smove) },
    Spec { name: "sinter", flags: READ, run: Run::Here(sets::sinter) },
    Spec { name: "sunion", flags: READ, run: Run::Here(sets::sunion) },
    Spec { name: "sdiff", flags: READ, run: Run::Here(sets::sdiff) },
    Spec { name: "sinterstore", flags: WRITE, run: Run::Here(sets::sinterstore) },
    Spec { name: "sunionstore", flags: WRITE, run: Run::Here(sets::sunionstore) },
    Spec { name: "sdiffstore", flags: WRITE, run: Run::Here(sets::sdiffstore) },
    Spec { name: "sintercard", flags: READ, run: Run::Here(sets::sintercard) },
    Spec { name: "sscan", flags: READ, run: Run::Here(scan::sscan) },
    Spec { name: "zadd", flags: WRITE, run: Run::Here(sorted_sets::zadd) },
    Spec { name: "zincrby", flags: WRITE, run: Run::Here(sorted_sets::zincrby) },
    Spec { name: "zrem", flags: WRITE, run: Run::Here(sorted_sets::zrem) },
    Spec { name: "zscore", flags: READ, run: Run::Here(sorted_sets::zscore) },
    Spec { name: "zmscore", flags: READ, run: Run::Here(sorted_sets::zmscore) },
    Spec { name: "zcard", flags: READ, run: Run::Here(sorted_sets::zcard) },
    Spec { name: "zcount", flags: READ, run: Run::Here(sorted_sets::zcount) },
    Spec { name: "zlexcount", flags: READ, run: Run::Here(sorted_sets::zlexcount) },
    Spec { name: "zrank", flags: READ, run: Run::Here(sorted_sets::zrank) },
    Spec { name: "zrevrank", flags: READ, run: Run::Here(sorted_sets::zrevrank) },
    Spec { name: "zrange", flags: READ, run: Run::Here(sorted_sets::zrange) },
    Spec { name: "zrevrange", flags: READ, run: Run::Here(sorted_sets::zrevrange) },
    Spec { name: "zrangebyscore", flags: READ, run: Run::Here(sorted_sets::zrangebyscore) },
    Spec { name: "zrevrangebyscore", flags: READ, run: Run::Here(sorted_sets::zrevrangebyscore) },
    Spec { name: "zrangebylex", flags: READ, run: Run::Here(sorted_sets::zrangebylex) },
    Spec { name: "zrevrangebylex", flags: READ, run: Run::Here(sorted_sets::zrevrangebylex) },
    Spec { name: "zremrangebyrank", flags: WRITE, run: Run::Here(sorted_sets::zremrangebyrank) },
    Spec { name: "zremrangebyscore", flags: WRITE, run: Run::Here(sorted_sets::zremrangebyscore) },
    Spec { name: "zremrangebylex", flags: WRITE, run: Run::Here(sorted_sets::zremrangebylex) },
    Spec { name: "zpopmin", flags: WRITE, run: Run::Here(sorted_sets::zpopmin) },
    Spec { name: "zpopmax", flags: WRITE, run: Run::Here(sorted_sets::zpopmax) },
    Spec { name: "zunionstore", flags: WRITE, run: Run::Here(sorted_sets::zunionstore) },
    Spec { name: "zinterstore", flags: WRITE, run: Run::Here(sorted_sets::zinterstore) },
    Spec { name: "zscan", flags: READ, run: Run::Here(scan::zscan) },
    Spec { name: "publish", flags: OTHER, run: Run::Here(pubsub::publish) },
    Spec { name: "pubsub", flags: OTHER, run: Run::Here(pubsub::pubsub) },
    Spec { name: "ping", flags: OTHER, run: Run::Here(server::ping) },
    Spec { name: "echo", flags: OTHER, run: Run::Here(server::echo) },
    Spec { name: "dbsize", flags: READ, run: Run::Here(server::dbsize) },
    Spec { name: "time", flags: OTHER, run: Run::Here(server::time) },
    Spec { name: "info", flags: OTHER, run: Run::Here(server::info) },
    Spec { name: "flushdb", flags: WRITE, run: Run::Here(server::flush) },
    Spec { name: "flushall", flags: WRITE, run: Run::Here(server::flush) },
    Spec { name: "select", flags: OTHER, run: Run::Here(server::select) },
    Spec { name: "command", flags: OTHER, run: Run::Here(server::command) },
    Spec { name: "script", flags: NO_SCRIPT, run: Run::Here(server::script) },
    Spec { name: "eval", flags: NO_SCRIPT, run: Run::Lua },
    Spec { name: "evalsha", flags: NO_SCRIPT, run: Run::Lua },
    Spec { name: "eval_ro", flags: NO_SCRIPT_READ, run: Run::Lua },
    Spec { name: "evalsha_ro", flags: NO_SCRIPT_READ, run: Run::Lua },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn argv_of(spec: &Spec, count: usize, filler: &'static [u8]) -> Vec<&'static [u8]> {
        std::iter::once(spec.name.as_bytes()).chain(std::iter::repeat_n(filler, count)).collect()
    }

    #[test]
    fn every_command_is_in_the_table_of_all() {
        let missing: Vec<_> =
            SPECS.iter().map(|spec| spec.name).filter(|name| cmd::named(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_command_panics_on_odd_arguments() {
        for spec in SPECS {
            let Run::Here(run) = spec.run else { continue };
            for filler in [
                &b""[..],
                b"1",
                b"-1",
                b"k",
                b"(",
                b"[a",
                b"\xff\0",
                b"LIMIT",
                b"9223372036854775807",
                b"-9223372036854775808",
            ] {
                for count in (0..8).filter(|count| spec.accepts(count + 1)) {
                    let mut db = Db::default();
                    let argv = argv_of(spec, count, filler);
                    for seed in [
                        &[&b"set"[..], filler, b"1"][..],
                        &[b"rpush", filler, b"1"],
                        &[b"hset", filler, b"1", b"1"],
                        &[b"zadd", filler, b"1", b"1"],
                    ] {
                        db.flush();
                        if let Some(Spec { run: Run::Here(seed_run), .. }) = find(seed[0]) {
                            assert!(seed_run(&mut db, seed).is_ok());
                        }
                        let _ = run(&mut db, &argv);
                    }
                }
            }
        }
    }

    #[test]
    fn unknown_commands_are_quoted_and_cut() {
        let long = vec![b'a'; 200];
        let text = |argv: Argv| unknown(argv).0.into_owned();
        assert_eq!(
            text(&[b"foo", b"a", b"b c"]),
            "ERR unknown command 'foo', with args beginning with: 'a' 'b c' "
        );
        assert_eq!(
            text(&[b"foo", &long, b"b"]).len(),
            "ERR unknown command 'foo', with args beginning with: '' ".len() + 128
        );
    }
}
