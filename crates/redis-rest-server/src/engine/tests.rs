//! Behaviour of the whole engine: time, transactions, scripts and their limits.

use super::*;
use redis_rest::{Value, cmd};

fn command(line: &[&str]) -> Command {
    cmd(line[0]).args(&line[1..])
}

/// A reply in one line, errors with their text.
fn show(reply: &Reply) -> String {
    match reply {
        Ok(value) => show_value(value),
        Err(error) => {
            format!("-{}", error.server_message().map_or_else(|| error.to_string(), str::to_owned))
        }
    }
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Okay => "OK".to_owned(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(show_value).collect::<Vec<_>>().join(" "))
        }
        Value::Error(error) => format!("-{}", error.message()),
        _ => unreachable!("the engine returns no other kind"),
    }
}

async fn run(engine: &MemoryBackend, line: &[&str]) -> String {
    show(&engine.execute(&command(line), &CallOptions::default()).await)
}

async fn eval(engine: &MemoryBackend, script: &str) -> String {
    run(engine, &["EVAL", script, "0"]).await
}

/// The reply without the end that names the script.
fn text_of(reply: &str) -> &str {
    reply.split(" script: ").next().unwrap_or_default()
}

#[tokio::test]
async fn keys_expire_when_the_clock_is_advanced() {
    let engine = MemoryBackend::new();
    assert_eq!(run(&engine, &["SET", "k", "v", "EX", "10"]).await, "OK");
    assert_eq!(run(&engine, &["TTL", "k"]).await, "10");
    engine.clone().advance(Duration::from_secs(10));
    assert_eq!(run(&engine, &["DBSIZE"]).await, "0");
    assert_eq!(run(&engine, &["TTL", "k"]).await, "-2");
}

#[tokio::test]
async fn a_transaction_with_a_bad_command_runs_nothing() {
    let engine = MemoryBackend::new();
    let commands = [command(&["SET", "k", "v"]), command(&["GET"])];
    let error = engine.transaction(&commands, &CallOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Discarded);
    assert_eq!(
        error.server_message(),
        Some("EXECABORT Transaction discarded because of previous errors.")
    );
    assert_eq!(run(&engine, &["EXISTS", "k"]).await, "0");
}

#[tokio::test]
async fn a_transaction_runs_scripts_among_commands() {
    let engine = MemoryBackend::new();
    let commands = [
        command(&["SET", "k", "v"]),
        command(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"]),
        command(&["INCR", "k"]),
    ];
    let replies = engine.transaction(&commands, &CallOptions::default()).await.unwrap();
    let replies: Vec<String> = replies.iter().map(show).collect();
    assert_eq!(replies, ["OK", "\"v\"", "-ERR value is not an integer or out of range"]);
}

#[tokio::test]
async fn scripts_convert_values_both_ways() {
    let engine = MemoryBackend::new();
    assert_eq!(
        eval(&engine, "return {3.99, true, false, 'x', {ok='fine'}, {err='MY bad'}, nil, 4}").await,
        "[3 1 nil \"x\" \"fine\" -MY bad]"
    );
    assert_eq!(eval(&engine, "return redis.call('GET', 'none') == false").await, "1");
    assert_eq!(
        eval(&engine, "return redis.call('SET', 'k', 1.5).ok .. redis.call('GET', 'k')").await,
        "\"OK1.5\""
    );
    assert_eq!(eval(&engine, "return redis.error_reply('bad')").await, "-ERR bad");
    assert_eq!(
        run(&engine, &["EVAL", "return {KEYS[1], ARGV[1]}", "1", "a", "b"]).await,
        "[\"a\" \"b\"]"
    );
}

#[tokio::test]
async fn script_errors_name_the_script_and_the_line() {
    let engine = MemoryBackend::new();
    let sha = sha1_smol::Sha1::from("\nreturn redis.call('INCR')").digest();
    let expected = format!(
        "-ERR Wrong number of args calling Redis command from script script: {sha}, on @user_script:2."
    );
    assert_eq!(eval(&engine, "\nreturn redis.call('INCR')").await, expected);
    let cases = [
        ("x = 1", "-ERR user_script:1: Attempt to modify a readonly table"),
        (
            "return x",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'x'",
        ),
        ("string.x = 1", "-ERR user_script:1: Attempt to modify a readonly table"),
        ("rawset(_G, 'x', 1)", "-ERR Attempt to modify a readonly table"),
        ("table.insert(string, 1)", "-ERR Attempt to modify a readonly table"),
        (
            "getmetatable('').__index = nil",
            "-ERR user_script:1: Attempt to modify a readonly table",
        ),
        ("error({err='MY err'})", "-MY err"),
        ("error(nil)", "-ERR nil"),
        (
            "return cjson.decode('[1,')",
            "-ERR user_script:1: Expected value but found T_END at character 4",
        ),
        (
            "return (",
            "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
        ),
        ("return redis.call('EVAL', '', 0)", "-ERR This Redis command is not allowed from script"),
    ];
    for (script, expected) in cases {
        assert_eq!(text_of(&eval(&engine, script).await), expected, "{script}");
    }
}

#[tokio::test]
async fn pcall_gives_texts_as_redis_does() {
    let engine = MemoryBackend::new();
    let script = "local ok, e = pcall(redis.call, 'GET') return {tostring(ok), type(e), e}";
    assert_eq!(
        eval(&engine, script).await,
        "[\"false\" \"string\" \"ERR Wrong number of args calling Redis command from script\"]"
    );
    assert_eq!(
        eval(&engine, "return redis.pcall('GET').err").await,
        "\"ERR Wrong number of args calling Redis command from script\""
    );
}

#[tokio::test]
async fn read_only_scripts_cannot_write() {
    let engine = MemoryBackend::new();
    let reply = run(&engine, &["EVAL_RO", "return redis.call('SET', 'a', 'b')", "0"]).await;
    assert_eq!(text_of(&reply), "-ERR Write commands are not allowed from read-only scripts.");
    assert_eq!(run(&engine, &["DBSIZE"]).await, "0");
}

#[tokio::test]
async fn scripts_are_remembered_until_flushed() {
    let engine = MemoryBackend::new();
    let sha = run(&engine, &["SCRIPT", "LOAD", "return 7"]).await;
    let sha = sha.trim_matches('"');
    assert_eq!(run(&engine, &["EVALSHA", &sha.to_uppercase(), "0"]).await, "7");
    assert_eq!(run(&engine, &["SCRIPT", "EXISTS", sha, "x"]).await, "[1 0]");
    assert_eq!(run(&engine, &["SCRIPT", "FLUSH"]).await, "OK");
    assert_eq!(
        run(&engine, &["EVALSHA", sha, "0"]).await,
        "-NOSCRIPT No matching script. Please use EVAL."
    );
}

#[tokio::test]
async fn json_goes_through_cjson_as_in_redis() {
    let engine = MemoryBackend::new();
    let script = "return cjson.encode(cjson.decode(ARGV[1]))";
    for (given, expected) in [
        ("[ ]", "{}"),
        ("[1.5e3,-0,0x10,01]", "[1500,-0,16,1]"),
        ("123456789012345678", "1.2345678901235e+17"),
        ("\"\\u00e9\\ud83d\\ude00/\"", "\"é😀\\/\""),
        ("[1,null,{\"a\":true}]", "[1,null,{\"a\":true}]"),
    ] {
        assert_eq!(
            run(&engine, &["EVAL", script, "0", given]).await,
            format!("{expected:?}"),
            "{given}"
        );
    }
    let deep = eval(&engine, "return cjson.decode(string.rep('[', 1001))").await;
    assert_eq!(
        text_of(&deep),
        "-ERR user_script:1: Found too many nested data structures (1001) at character 1001"
    );
    let loops = eval(&engine, "local t = {} t[1] = t return cjson.encode(t)").await;
    assert_eq!(text_of(&loops), "-ERR user_script:1: Cannot serialise, excessive nesting (1001)");
}

#[tokio::test]
async fn message_pack_round_trips() {
    let engine = MemoryBackend::new();
    let script = "local v = cmsgpack.unpack(cmsgpack.pack({1, -200, 70000, 1.5, 'x', {a = true}})) \
                  return {v[1], v[2], v[3], tostring(v[4]), v[5], v[6].a, bit.band(255, 15), bit.tohex(255)}";
    assert_eq!(eval(&engine, script).await, "[1 -200 70000 \"1.5\" \"x\" 1 15 \"000000ff\"]");
    // With holes it is no array, wherever its length says that it ends.
    let holes = "local v = cmsgpack.unpack('\\150\\192ull\\192\\0') v = cmsgpack.unpack(cmsgpack.pack(v)) return {v[2], v[4], v[6]}";
    assert_eq!(eval(&engine, holes).await, "[117 108 0]");
}

#[tokio::test]
async fn no_catch_survives_the_time_limit() {
    let engine = MemoryBackend::builder().script_time(Duration::from_millis(50)).build();
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() return xpcall(function() while true do end end, f) end while true do f() end",
        "redis.call('SET', 'k', 'v') repeat until pcall(redis.call, 'GET')",
    ] {
        assert_eq!(
            text_of(&eval(&engine, script).await),
            "-ERR Script killed: it ran longer than the time limit",
            "{script}"
        );
        assert_eq!(eval(&engine, "return 1").await, "1");
    }
    assert_eq!(
        run(&engine, &["GET", "k"]).await,
        "\"v\"",
        "what a script did before it was ended stays, as the error says"
    );
}

#[tokio::test]
async fn memory_is_limited() {
    let engine = MemoryBackend::builder().script_memory(4 << 20).build();
    for script in [
        "return string.rep('x', 1e8)",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} for i = 1, 60 do t = {t, t} end return cjson.encode(t)",
        "local t = {} for i = 1, 60 do t = {t, t} end return t",
    ] {
        let reply = eval(&engine, script).await;
        assert!(reply.contains("not enough memory") || reply.contains("too large"), "{reply}");
        assert_eq!(eval(&engine, "return 1").await, "1");
    }
}

#[tokio::test]
async fn scripts_reach_no_dangerous_function() {
    let engine = MemoryBackend::new();
    let names =
        "os io require dofile loadfile coroutine print debug package setfenv getfenv newproxy";
    let script = "local found = {} for name in ARGV[1]:gmatch('%S+') do \
                  if pcall(loadstring('return ' .. name)) then found[#found + 1] = name end end return found";
    assert_eq!(run(&engine, &["EVAL", script, "0", names]).await, "[]");
    assert_eq!(eval(&engine, "return string.dump").await, "nil");
    assert_eq!(
        eval(&engine, "return (select(2, loadstring('\\27Lua')))").await,
        "\"truncated precompiled chunk\""
    );
    assert_eq!(
        text_of(&eval(&engine, "loadstring('x = 1')()").await),
        "-ERR [string \"x = 1\"]:1: Attempt to modify a readonly table"
    );
}

#[tokio::test]
async fn a_script_that_nobody_waits_for_releases_the_data() {
    let engine = MemoryBackend::new();
    let call = command(&["EVAL", "for i = 1, 2e4 do redis.call('INCR', 'n') end", "0"]);
    let mut options = CallOptions::default();
    options.timeout = Some(Duration::from_millis(1));
    assert!(engine.execute(&call, &options).await.unwrap_err().maybe_applied());
    assert_eq!(run(&engine, &["GET", "n"]).await, "\"20000\"");
}

#[tokio::test]
async fn debug_shows_no_data() {
    let engine = MemoryBackend::new();
    run(&engine, &["SET", "s3cret", "s3cret"]).await;
    assert_eq!(format!("{engine:?}"), "MemoryBackend { .. }");
}

#[tokio::test]
async fn command_info_says_what_writes() {
    let engine = MemoryBackend::new();
    let reply = run(&engine, &["COMMAND", "INFO", "GET", "nosuch", "hset", "eval"]).await;
    let expected = "[[\"get\" 2 [\"readonly\"] 1 1 1] nil [\"hset\" -4 [\"write\"] 1 1 1] [\"eval\" -3 [\"noscript\"] 0 0 0]]";
    assert_eq!(reply, expected);
}
