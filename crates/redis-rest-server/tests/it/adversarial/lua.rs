use bytes::Bytes;
use redis_rest::{Client, Outcome, Value};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{LONG, connect, exchange, pong};
use redis_rest_test_support::redis_test;
use redis_rest_test_support::rest as server;
use std::time::Duration;

/// Asserts that the script ends with an error, and the engine continues to work.
async fn ends(client: &Client, script: &str, with: &str) {
    let error = tokio::time::timeout(LONG, client.eval::<Value>(script, (), ()))
        .await
        .expect("it is ended")
        .unwrap_err();
    let text = error.server_message().unwrap_or_default();
    assert!(text.contains(with), "{script}: {text}");
    assert_eq!(error.outcome(), Outcome::MaybeApplied, "{script}");
    let alive = client.eval::<i64>("return redis.call('INCR', 'alive')", (), ()).await;
    assert!(alive.is_ok_and(|count| count > 0), "after {script}");
}

fn limited(time: u64) -> MemoryBackend {
    MemoryBackend::builder()
        .script_time(Duration::from_millis(time))
        .script_memory(16 << 20)
        .build()
}

#[tokio::test]
async fn looping_scripts_are_ended() {
    let server = server::serve(limited(300)).await;
    let client = server::config(&server).no_retry().build().unwrap();
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        // Within a single native function.
        "return string.find(string.rep('a', 200), '.-.-.-.-.-.-.-.-.-b')",
        "return string.match(string.rep('a', 5000), '(.*)(.*)(.*)(.*)b')",
        "return string.gsub(string.rep('a', 1e6), '%f[b]', '')..string.gsub(string.rep('a', 3000), '.-.-.-b', '')",
        "for _ in string.gmatch(string.rep('(', 1e6), '%b()') do end",
        "return string.find(string.rep('a', 7e6), string.rep('a', 3e6) .. 'b', 1, true)",
        "while true do pcall(string.find, string.rep('a', 200), '.-.-.-.-.-.-.-.-.-b') end",
        // Quadratic for Lua's choice of the pivot.
        "local n, t = 1e5, {} for i = 1, n do t[i] = 0 end \
         for i = 1, n, 2 do t[i] = i end for i = 2, n, 2 do t[i] = n - i end while true do table.sort(t) end",
        // In commands, with few instructions between them.
        "for i = 1, 3000 do redis.call('SET', 'k' .. i, '') end while true do redis.pcall('KEYS', '*a*b*c*') end",
    ] {
        ends(&client, script, "Script killed: it ran longer than the time limit").await;
    }
    // Nothing to repeat, however often.
    assert_eq!(client.eval::<String>("return string.rep('', 1e15)", (), ()).await.unwrap(), "");
}

#[tokio::test]
async fn scripts_over_the_memory_limit_get_an_error() {
    let server = server::serve(limited(10_000)).await;
    let client = server::config(&server).no_retry().build().unwrap();
    for script in [
        "return string.rep('x', 1e9)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = string.rep('x', 1e5) .. #t end end) end",
        "return (string.gsub(string.rep('a', 1e6), 'a', string.rep('b', 1000)))",
        "return (string.gsub(string.rep('a', 1e6), 'a', function() return string.rep('b', 1000) end))",
        "return (string.gsub(string.rep('a', 1e6), '.*', string.rep('%0', 1000)))",
        // A string of a megabyte, seven thousand times.
        "local s, t = string.rep('x', 1e6), {} for i = 1, 7000 do t[i] = s end return redis.call('MSET', unpack(t))",
    ] {
        ends(&client, script, "not enough memory").await;
    }
}

#[tokio::test]
async fn no_script_overflows_the_stack() {
    let server = server::serve(limited(10_000)).await;
    let client = server::config(&server).no_retry().build().unwrap();
    for (script, with) in [
        (
            "return string.find(string.rep('a', 1e6), string.rep('a?', 1e6) .. 'b')",
            "pattern too complex",
        ),
        (
            "return string.match(string.rep('a', 1e6), string.rep('a-', 1e6) .. 'b')",
            "pattern too complex",
        ),
        ("return string.find('', string.rep('(', 1e6))", "too many captures"),
        ("local function f() return f() + 1 end return f()", "stack overflow"),
        ("local function f() return string.gsub('x', 'x', f) end return f()", "ERR "),
        ("local t = {} for i = 1, 1e5 do t = {t} end return t", "reached lua stack limit"),
        // Far more results than reserved stack, which Lua's checks would treat as a bug of the
        // host.
        ("local f f = function() return pcall(f) end error(select('#', f()))", "ERR"),
        ("error(select('#', pcall(unpack, {}, 1, 200)))", "1: 201"),
        (
            "error(select('#', xpcall(function() return unpack({}, 1, 200) end, tostring)))",
            "1: 201",
        ),
    ] {
        ends(&client, script, with).await;
    }
}

/// Writes before the script was ended remain, and others wait no longer than the time limit.
#[tokio::test]
async fn looping_script_blocks_others_up_to_its_limit() {
    let server = server::serve(limited(500)).await;
    let addr = server.local_addr();
    let script = "redis.call('SET', 'before', 'v') while true do end";
    let body = format!("[\"EVAL\",\"{script}\",\"0\"]");
    let looping = tokio::spawn(async move { exchange(&mut connect(addr).await, &body).await });
    let mut other = connect(addr).await;
    let seen = async {
        while exchange(&mut other, "[\"GET\",\"before\"]").await
            != Some((200, "{\"result\":\"v\"}".to_owned()))
        {}
    };
    tokio::time::timeout(LONG, seen).await.expect("the script ends");
    let (status, body) = looping.await.unwrap().unwrap();
    assert!(status == 400 && body.contains("Script killed"), "{status} {body}");
    assert_eq!(exchange(&mut other, "[\"PING\"]").await, pong());
}

/// Compares this crate's pattern matching with that of a real Redis.
#[tokio::test]
async fn patterns_match_as_in_redis() {
    let redis = redis_test!();
    let real = Client::from_backend(redis.backend().await);
    let ours = Client::from_backend(MemoryBackend::new());
    for call in [
        "find('hello world', 'o w')",
        "find('hello', 'l', -2)",
        "find('hello', '', 10)",
        "find('hello', 'xyz')",
        "find('a.b', '.', 2, true)",
        "find('a+b', '+', 1, true)",
        "find('', '')",
        "find('abc', 'b', -100)",
        "find('abc', '^b', 2)",
        "find('abc', '^c', 2)",
        "find('a\\0b', 'b')",
        "find('a\\0b', '\\0')",
        "find('a\\0b.', '\\0.')",
        "find('abc', '(b)(c)')",
        "find('abc', '()b()')",
        "find(12345, 34)",
        "match('key = value', '^(%w+)%s*=%s*(%w+)$')",
        "match('  x  ', '^%s*(.-)%s*$')",
        "match('2024-01-02', '(%d+)-(%d+)-(%d+)')",
        "match('abc', '.-')",
        "match('abc', '.-$')",
        "match('aaa', 'a-b')",
        "match('aaab', 'a-b')",
        "match('aaa', 'a?a?a?a?')",
        "match('[[x]]', '%[%[(.-)%]%]')",
        "match('x]y', '[]]')",
        "match('x^y', '[x^]+')",
        "match('a-z', '[a%-z]+')",
        "match('b-', '[a-]')",
        "match('abc123', '[^%d]+')",
        "match('\\255\\200', '[\\200-\\255]+')",
        "match('f(a(b)c)d', '%b()')",
        "match('THE (quick) fox', '%f[%a]%a+%f[%A]')",
        "match('abab', '(ab)%1')",
        "match('abcd', '((a)(b(c)))d')",
        "match('x', '()')",
        "match('hello', '(h)(.)%2')",
        "match('hello', '.(.)(.)%2')",
        "match('abc', '[a-c')",
        "match('abc', '%')",
        "match('abc', '(')",
        "match('abc', ')')",
        "match('abc', '(()')",
        "match('abc', '%1')",
        "match('abc', '%f')",
        "match('abc', '%b')",
        "match('abc', '%bx')",
        "match('abc', '[%')",
        "match('abc', '(a)%2')",
        "match('abc', '(a%1)')",
        "match('$5', '^%$%d$')",
        "match('a$b', 'a$b')",
        "match('a^b', 'a^b')",
        "match('AZ az 09', '[%u%l]+')",
        "match('\\t\\n x', '%s+')",
        "match('a\\0c', 'a%zc')",
        "match('~!@', '%p+')",
        "match('beef!', '%x+')",
        "match('\\1\\2', '%c+')",
        "match('-%-', '%-%%%-')",
        "gsub('hello world', 'o', '0')",
        "gsub('hello', '', '-')",
        "gsub('hello', '(l)(l)', '%2%1%0')",
        "gsub('abc', '%w', '%%%0', 2)",
        "gsub('abc', '^a', 'x')",
        "gsub('aaa', '^a', 'x')",
        "gsub('abc def', '%w+', string.upper)",
        "gsub('$x $y', '%$(%w+)', {x = 1, y = false})",
        "gsub('abc', 'b*', '-')",
        "gsub('abc', '()', '%1')",
        "gsub('abc', 'b', function() return nil end)",
        "gsub('abc', 'b', function() return 7 end)",
        "gsub('abc', 'b', '%2')",
        "gsub('abc', 'b', '%')",
        "gsub('abc', 'b', function() return {} end)",
        "gsub('abc', 'b')",
        "gsub('abc', 'b', true)",
        "gsub('abc', 'b', function() error({err = 'MY own'}) end)",
        "gsub('abc', 'b', function() error('told') end)",
        "gsub('abc', '.', {a = 'x'}, 0)",
        "gsub('abc', '(b)(c)', function(b, c) return c .. b end)",
        "gsub('a,b,,c', ',', ';')",
        "gsub('abc', 'x*$', '!')",
        "gsub(1, 1, 2)",
        "rep('ab', 3)",
        "rep('x', 0)",
        "rep('x', -1)",
        "rep('x', 2.9)",
        "rep('x', '2')",
        "rep()",
        "rep('x')",
        "rep({}, 1)",
        "find('x')",
        "find(nil, 'x')",
        "find('x', 'x', {})",
        "match('x', {})",
        "gmatch('x')",
    ] {
        let script = format!(
            "local function all(...) local t = {{}} for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end return t end \
             local got = all(pcall(function() return (function(...) return ... end)(string.{call}) end)) \
             if got[2] and got[2]:sub(1, 9) == 'function:' then got[2] = 'a function' end return got"
        );
        let (real, ours) = (
            real.eval::<Vec<Bytes>>(&script, (), ()).await.unwrap(),
            ours.eval::<Vec<Bytes>>(&script, (), ()).await.unwrap(),
        );
        assert_eq!(ours, real, "{call}");
    }
    for script in [
        "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v end return t",
        "local t = {} for at in ('abc'):gmatch('()') do t[#t + 1] = at end return t",
        "local t = {} for w in ('one two'):gmatch('%a*') do t[#t + 1] = w end return t",
        "local t = {} for w in ('^a^b'):gmatch('^%a') do t[#t + 1] = w end return t",
        "return ('x'):rep(3) .. ('abc'):find('c')",
        "local t = {3, 1, 2} table.sort(t) return t",
        "local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return t",
        "return string.find('abc', '[')",
        "table.sort({1, 'x'})",
        "return {pcall(nil)}",
        "return {pcall(error, 'told')}",
        "return {pcall(function() error('told', 2) end)}",
        "return {pcall(function() error('told') end)}",
        "return {xpcall(function() error('told', 2) end, function(e) return 'handled ' .. e end)}",
        "return {pcall(function(...) return select('#', ...), ... end, 1, nil, 3)}",
        "return unpack({}, 1, 200)",
        "\nreturn ('x'):gsub('x', function() return redis.call('NOSUCH') end)",
    ] {
        let (real, ours) =
            (real.eval::<Value>(script, (), ()).await, ours.eval::<Value>(script, (), ()).await);
        let shown = |reply: redis_rest::Result<Value>| {
            reply.map_err(|error| error.server_message().map(str::to_owned))
        };
        assert_eq!(shown(ours), shown(real), "{script}");
    }
}
