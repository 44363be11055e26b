//! Every command: its name, its arity, what it does to data, where its keys are, and its function.

use super::args::{Argv, Fault, Outcome, is, wrong_arity};
use super::db::Db;
use super::{expiry, hashes, keys, lists, pubsub, scan, server, sets, sorted_sets, strings};
use redis_rest::Value;

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
    /// As Redis counts: with the name, negative where it is a minimum.
    arity: i32,
    flags: &'static [&'static str],
    /// First key, last key, step; zeros where no rule says.
    keys: [i64; 3],
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

    pub(super) fn accepts(&self, count: usize) -> bool {
        let wanted = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { count >= wanted } else { count == wanted }
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
    let mut items = vec![Value::bytes(spec.name), Value::Int(spec.arity.into())];
    items.push(Value::Array(spec.flags.iter().map(|flag| Value::bytes(*flag)).collect()));
    items.extend(spec.keys.map(Value::Int));
    Value::Array(items)
}

#[rustfmt::skip]
pub(super) const SPECS: &[Spec] = &[
    Spec { name: "get", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(strings::get) },
    Spec { name: "set", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::set) },
    Spec { name: "setnx", arity: 3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::setnx) },
    Spec { name: "setex", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::setex) },
    Spec { name: "psetex", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::psetex) },
    Spec { name: "getset", arity: 3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::getset) },
    Spec { name: "getdel", arity: 2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::getdel) },
    Spec { name: "getex", arity: -2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::getex) },
    Spec { name: "getrange", arity: 4, flags: READ, keys: [1, 1, 1], run: Run::Here(strings::getrange) },
    Spec { name: "substr", arity: 4, flags: READ, keys: [1, 1, 1], run: Run::Here(strings::getrange) },
    Spec { name: "setrange", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::setrange) },
    Spec { name: "append", arity: 3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::append) },
    Spec { name: "strlen", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(strings::strlen) },
    Spec { name: "mget", arity: -2, flags: READ, keys: [1, -1, 1], run: Run::Here(strings::mget) },
    Spec { name: "mset", arity: -3, flags: WRITE, keys: [1, -1, 2], run: Run::Here(strings::mset) },
    Spec { name: "msetnx", arity: -3, flags: WRITE, keys: [1, -1, 2], run: Run::Here(strings::msetnx) },
    Spec { name: "incr", arity: 2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::incr) },
    Spec { name: "decr", arity: 2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::decr) },
    Spec { name: "incrby", arity: 3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::incrby) },
    Spec { name: "decrby", arity: 3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::decrby) },
    Spec { name: "incrbyfloat", arity: 3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(strings::incrbyfloat) },
    Spec { name: "del", arity: -2, flags: WRITE, keys: [1, -1, 1], run: Run::Here(keys::del) },
    Spec { name: "unlink", arity: -2, flags: WRITE, keys: [1, -1, 1], run: Run::Here(keys::del) },
    Spec { name: "exists", arity: -2, flags: READ, keys: [1, -1, 1], run: Run::Here(keys::exists) },
    Spec { name: "touch", arity: -2, flags: READ, keys: [1, -1, 1], run: Run::Here(keys::exists) },
    Spec { name: "keys", arity: 2, flags: READ, keys: [0, 0, 0], run: Run::Here(keys::keys) },
    Spec { name: "randomkey", arity: 1, flags: READ, keys: [0, 0, 0], run: Run::Here(keys::random) },
    Spec { name: "type", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(keys::type_of) },
    Spec { name: "rename", arity: 3, flags: WRITE, keys: [1, 2, 1], run: Run::Here(keys::rename) },
    Spec { name: "renamenx", arity: 3, flags: WRITE, keys: [1, 2, 1], run: Run::Here(keys::renamenx) },
    Spec { name: "copy", arity: -3, flags: WRITE, keys: [1, 2, 1], run: Run::Here(keys::copy) },
    Spec { name: "scan", arity: -2, flags: READ, keys: [0, 0, 0], run: Run::Here(scan::scan) },
    Spec { name: "expire", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(expiry::expire) },
    Spec { name: "pexpire", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(expiry::pexpire) },
    Spec { name: "expireat", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(expiry::expireat) },
    Spec { name: "pexpireat", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(expiry::pexpireat) },
    Spec { name: "persist", arity: 2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(expiry::persist) },
    Spec { name: "ttl", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(expiry::ttl) },
    Spec { name: "pttl", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(expiry::pttl) },
    Spec { name: "expiretime", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(expiry::expiretime) },
    Spec { name: "pexpiretime", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(expiry::pexpiretime) },
    Spec { name: "hset", arity: -4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(hashes::hset) },
    Spec { name: "hmset", arity: -4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(hashes::hmset) },
    Spec { name: "hsetnx", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(hashes::hsetnx) },
    Spec { name: "hget", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hget) },
    Spec { name: "hmget", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hmget) },
    Spec { name: "hgetall", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hgetall) },
    Spec { name: "hkeys", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hkeys) },
    Spec { name: "hvals", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hvals) },
    Spec { name: "hdel", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(hashes::hdel) },
    Spec { name: "hexists", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hexists) },
    Spec { name: "hlen", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hlen) },
    Spec { name: "hstrlen", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hstrlen) },
    Spec { name: "hincrby", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(hashes::hincrby) },
    Spec { name: "hincrbyfloat", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(hashes::hincrbyfloat) },
    Spec { name: "hrandfield", arity: -2, flags: READ, keys: [1, 1, 1], run: Run::Here(hashes::hrandfield) },
    Spec { name: "hscan", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(scan::hscan) },
    Spec { name: "lpush", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::lpush) },
    Spec { name: "rpush", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::rpush) },
    Spec { name: "lpushx", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::lpushx) },
    Spec { name: "rpushx", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::rpushx) },
    Spec { name: "lpop", arity: -2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::lpop) },
    Spec { name: "rpop", arity: -2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::rpop) },
    Spec { name: "llen", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(lists::llen) },
    Spec { name: "lrange", arity: 4, flags: READ, keys: [1, 1, 1], run: Run::Here(lists::lrange) },
    Spec { name: "lindex", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(lists::lindex) },
    Spec { name: "lset", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::lset) },
    Spec { name: "lrem", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::lrem) },
    Spec { name: "ltrim", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::ltrim) },
    Spec { name: "linsert", arity: 5, flags: WRITE, keys: [1, 1, 1], run: Run::Here(lists::linsert) },
    Spec { name: "lpos", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(lists::lpos) },
    Spec { name: "lmove", arity: 5, flags: WRITE, keys: [1, 2, 1], run: Run::Here(lists::lmove) },
    Spec { name: "rpoplpush", arity: 3, flags: WRITE, keys: [1, 2, 1], run: Run::Here(lists::rpoplpush) },
    Spec { name: "sadd", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sets::sadd) },
    Spec { name: "srem", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sets::srem) },
    Spec { name: "smembers", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(sets::smembers) },
    Spec { name: "sismember", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(sets::sismember) },
    Spec { name: "smismember", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(sets::smismember) },
    Spec { name: "scard", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(sets::scard) },
    Spec { name: "spop", arity: -2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sets::spop) },
    Spec { name: "srandmember", arity: -2, flags: READ, keys: [1, 1, 1], run: Run::Here(sets::srandmember) },
    Spec { name: "smove", arity: 4, flags: WRITE, keys: [1, 2, 1], run: Run::Here(sets::smove) },
    Spec { name: "sinter", arity: -2, flags: READ, keys: [1, -1, 1], run: Run::Here(sets::sinter) },
    Spec { name: "sunion", arity: -2, flags: READ, keys: [1, -1, 1], run: Run::Here(sets::sunion) },
    Spec { name: "sdiff", arity: -2, flags: READ, keys: [1, -1, 1], run: Run::Here(sets::sdiff) },
    Spec { name: "sinterstore", arity: -3, flags: WRITE, keys: [1, -1, 1], run: Run::Here(sets::sinterstore) },
    Spec { name: "sunionstore", arity: -3, flags: WRITE, keys: [1, -1, 1], run: Run::Here(sets::sunionstore) },
    Spec { name: "sdiffstore", arity: -3, flags: WRITE, keys: [1, -1, 1], run: Run::Here(sets::sdiffstore) },
    Spec { name: "sintercard", arity: -3, flags: READ, keys: [0, 0, 0], run: Run::Here(sets::sintercard) },
    Spec { name: "sscan", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(scan::sscan) },
    Spec { name: "zadd", arity: -4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zadd) },
    Spec { name: "zincrby", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zincrby) },
    Spec { name: "zrem", arity: -3, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrem) },
    Spec { name: "zscore", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zscore) },
    Spec { name: "zmscore", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zmscore) },
    Spec { name: "zcard", arity: 2, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zcard) },
    Spec { name: "zcount", arity: 4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zcount) },
    Spec { name: "zlexcount", arity: 4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zlexcount) },
    Spec { name: "zrank", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrank) },
    Spec { name: "zrevrank", arity: 3, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrevrank) },
    Spec { name: "zrange", arity: -4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrange) },
    Spec { name: "zrevrange", arity: -4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrevrange) },
    Spec { name: "zrangebyscore", arity: -4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrangebyscore) },
    Spec { name: "zrevrangebyscore", arity: -4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrevrangebyscore) },
    Spec { name: "zrangebylex", arity: -4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrangebylex) },
    Spec { name: "zrevrangebylex", arity: -4, flags: READ, keys: [1, 1, 1], run: Run::Here(sorted_sets::zrevrangebylex) },
    Spec { name: "zremrangebyrank", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zremrangebyrank) },
    Spec { name: "zremrangebyscore", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zremrangebyscore) },
    Spec { name: "zremrangebylex", arity: 4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zremrangebylex) },
    Spec { name: "zpopmin", arity: -2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zpopmin) },
    Spec { name: "zpopmax", arity: -2, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zpopmax) },
    Spec { name: "zunionstore", arity: -4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zunionstore) },
    Spec { name: "zinterstore", arity: -4, flags: WRITE, keys: [1, 1, 1], run: Run::Here(sorted_sets::zinterstore) },
    Spec { name: "zscan", arity: -3, flags: READ, keys: [1, 1, 1], run: Run::Here(scan::zscan) },
    Spec { name: "publish", arity: 3, flags: OTHER, keys: [0, 0, 0], run: Run::Here(pubsub::publish) },
    Spec { name: "pubsub", arity: -2, flags: OTHER, keys: [0, 0, 0], run: Run::Here(pubsub::pubsub) },
    Spec { name: "ping", arity: -1, flags: OTHER, keys: [0, 0, 0], run: Run::Here(server::ping) },
    Spec { name: "echo", arity: 2, flags: OTHER, keys: [0, 0, 0], run: Run::Here(server::echo) },
    Spec { name: "dbsize", arity: 1, flags: READ, keys: [0, 0, 0], run: Run::Here(server::dbsize) },
    Spec { name: "time", arity: 1, flags: OTHER, keys: [0, 0, 0], run: Run::Here(server::time) },
    Spec { name: "info", arity: -1, flags: OTHER, keys: [0, 0, 0], run: Run::Here(server::info) },
    Spec { name: "flushdb", arity: -1, flags: WRITE, keys: [0, 0, 0], run: Run::Here(server::flush) },
    Spec { name: "flushall", arity: -1, flags: WRITE, keys: [0, 0, 0], run: Run::Here(server::flush) },
    Spec { name: "select", arity: 2, flags: OTHER, keys: [0, 0, 0], run: Run::Here(server::select) },
    Spec { name: "command", arity: -1, flags: OTHER, keys: [0, 0, 0], run: Run::Here(server::command) },
    Spec { name: "script", arity: -2, flags: NO_SCRIPT, keys: [0, 0, 0], run: Run::Here(server::script) },
    Spec { name: "eval", arity: -3, flags: NO_SCRIPT, keys: [0, 0, 0], run: Run::Lua },
    Spec { name: "evalsha", arity: -3, flags: NO_SCRIPT, keys: [0, 0, 0], run: Run::Lua },
    Spec { name: "eval_ro", arity: -3, flags: NO_SCRIPT_READ, keys: [0, 0, 0], run: Run::Lua },
    Spec { name: "evalsha_ro", arity: -3, flags: NO_SCRIPT_READ, keys: [0, 0, 0], run: Run::Lua },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn argv_of(spec: &Spec, count: usize, filler: &'static [u8]) -> Vec<&'static [u8]> {
        std::iter::once(spec.name.as_bytes()).chain(std::iter::repeat_n(filler, count)).collect()
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
