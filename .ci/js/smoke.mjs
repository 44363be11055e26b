// The official JavaScript client, default settings, against `redis-rest serve` in front of both engines.
//
//   node smoke.mjs PATH_TO_REDIS_REST
//
// Ends with exit code 1 on any mismatch.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { deepStrictEqual } from "node:assert/strict";
import { Redis } from "@upstash/redis";

const binary = process.argv[2];
if (!binary) {
  console.error("usage: node smoke.mjs PATH_TO_REDIS_REST");
  process.exit(2);
}

const TOKEN = "smoke-token";
const children = [];
process.on("exit", () => children.forEach((child) => child.exitCode === null && child.kill("SIGKILL")));
let passed = 0;
let failed = 0;

// Starts a program and resolves to the first line of its output that matches, so that nothing waits by sleeping.
async function start(program, args, ready) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const spawned = once(child, "spawn"); // rejects when the program is missing
  await spawned;
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const found = line.match(ready);
    if (found) {
      child.stdout.resume(); // keeps a full pipe from stopping it
      return { child, found };
    }
    lines.push(line);
  }
  throw new Error(`${program} ended before it was ready:\n${lines.join("\n")}`);
}

async function stop(child) {
  const ended = child.exitCode === null ? once(child, "exit") : [child.exitCode];
  child.kill("SIGTERM");
  const [code] = await ended;
  return code;
}

async function check(backend, name, run) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("took longer than 20 s")), 20_000)));
  try {
    await Promise.race([run(), late]);
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`FAILED ${backend}: ${name}\n${error.stack}`);
  } finally {
    clearTimeout(timer);
  }
}

// Each case starts from an empty database.
const cases = {
  async strings(redis) {
    deepStrictEqual(await redis.set("s", "héllo\n\"quoted\""), "OK");
    deepStrictEqual(await redis.get("s"), "héllo\n\"quoted\"");
    deepStrictEqual(await redis.get("missing"), null);
    deepStrictEqual(await redis.set("s", "x", { nx: true }), null);
    deepStrictEqual(await redis.set("ttl", "x", { ex: 100 }), "OK");
    deepStrictEqual(await redis.ttl("ttl"), 100);
    deepStrictEqual(await redis.incrby("n", 41), 41);
    deepStrictEqual(await redis.incr("n"), 42);
    deepStrictEqual(await redis.append("a", "abc"), 3);
    deepStrictEqual(await redis.getrange("a", 1, -1), "bc");
    deepStrictEqual(await redis.mset({ k1: "v1", k2: "v2" }), "OK");
    deepStrictEqual(await redis.mget("k1", "nope", "k2"), ["v1", null, "v2"]);
    deepStrictEqual(await redis.exists("k1", "k2", "nope"), 2);
    deepStrictEqual(await redis.del("k1", "k2"), 2);
    deepStrictEqual(await redis.ping(), "PONG");
    // The two letters that base64 replies never encode, as a value.
    deepStrictEqual(await redis.set("ok", "OK"), "OK");
    deepStrictEqual(await redis.get("ok"), "OK");
    // The client stores objects as JSON and reads them back.
    await redis.set("json", { a: [1, "two", null] });
    deepStrictEqual(await redis.get("json"), { a: [1, "two", null] });
  },
  async hashes(redis) {
    deepStrictEqual(await redis.hset("h", { a: "x", b: "y" }), 2);
    deepStrictEqual(await redis.hget("h", "a"), "x");
    deepStrictEqual(await redis.hgetall("h"), { a: "x", b: "y" });
    deepStrictEqual(await redis.hgetall("missing"), null);
    deepStrictEqual(await redis.hmget("h", "a", "nope"), { a: "x", nope: null });
    deepStrictEqual(await redis.hincrby("h", "n", 5), 5);
    deepStrictEqual(await redis.hexists("h", "n"), 1);
    deepStrictEqual(await redis.hlen("h"), 3);
    deepStrictEqual(await redis.hdel("h", "a", "nope"), 1);
    deepStrictEqual((await redis.hkeys("h")).sort(), ["b", "n"]);
  },
  async lists(redis) {
    deepStrictEqual(await redis.rpush("l", "a", "b", "c"), 3);
    deepStrictEqual(await redis.lpush("l", "z"), 4);
    deepStrictEqual(await redis.lrange("l", 0, -1), ["z", "a", "b", "c"]);
    deepStrictEqual(await redis.lindex("l", -1), "c");
    deepStrictEqual(await redis.lrem("l", 1, "b"), 1);
    deepStrictEqual(await redis.lpop("l"), "z");
    deepStrictEqual(await redis.rpop("l"), "c");
    deepStrictEqual(await redis.llen("l"), 1);
    deepStrictEqual(await redis.ltrim("l", 1, 0), "OK");
    deepStrictEqual(await redis.exists("l"), 0);
  },
  async sets(redis) {
    deepStrictEqual(await redis.sadd("s", "a", "b", "a"), 2);
    deepStrictEqual((await redis.smembers("s")).sort(), ["a", "b"]);
    deepStrictEqual(await redis.sismember("s", "a"), 1);
    deepStrictEqual(await redis.scard("s"), 2);
    deepStrictEqual(await redis.sadd("t", "b", "c"), 2);
    deepStrictEqual(await redis.sinter("s", "t"), ["b"]);
    deepStrictEqual(await redis.srem("s", "a", "nope"), 1);
  },
  async "sorted sets"(redis) {
    deepStrictEqual(await redis.zadd("z", { score: 1, member: "a" }, { score: 2.5, member: "b" }), 2);
    deepStrictEqual(await redis.zadd("z", { nx: true }, { score: 9, member: "a" }), 0);
    deepStrictEqual(await redis.zscore("z", "b"), 2.5);
    deepStrictEqual(await redis.zrange("z", 0, -1), ["a", "b"]);
    deepStrictEqual(await redis.zrange("z", 0, -1, { withScores: true }), ["a", 1, "b", 2.5]);
    deepStrictEqual(await redis.zrange("z", "(1", "+inf", { byScore: true }), ["b"]);
    deepStrictEqual(await redis.zincrby("z", 2, "a"), 3);
    deepStrictEqual(await redis.zrank("z", "a"), 1);
    deepStrictEqual(await redis.zcount("z", "-inf", "+inf"), 2);
    deepStrictEqual(await redis.zrem("z", "a"), 1);
    deepStrictEqual(await redis.zcard("z"), 1);
  },
  async pipeline(redis) {
    const replies = await redis.pipeline().set("p", "1").incr("p").get("p").lrange("none", 0, -1).exec();
    deepStrictEqual(replies, ["OK", 2, 2, []]);
    // One bad entry does not lose the others.
    const kept = await redis.pipeline().set("text", "abc").incr("text").get("text").exec({ keepErrors: true });
    deepStrictEqual(kept.map((entry) => entry.result ?? null), ["OK", null, "abc"]);
    deepStrictEqual(typeof kept[1].error, "string");
  },
  async multi(redis) {
    deepStrictEqual(await redis.multi().set("m", "a").get("m").incr("c").exec(), ["OK", "a", 1]);
    // A command with a wrong number of arguments discards the whole.
    await rejects(redis.multi().set("m", "changed").del().exec(), /./);
    deepStrictEqual(await redis.get("m"), "a");
  },
  async "eval and evalsha"(redis) {
    const script = "redis.call('SET', KEYS[1], ARGV[1]); return {redis.call('GET', KEYS[1]), 7, false, {'nested'}}";
    deepStrictEqual(await redis.eval(script, ["e"], ["v"]), ["v", 7, null, ["nested"]]);
    const sha = await redis.scriptLoad("return {KEYS[1], ARGV[1]}");
    deepStrictEqual(await redis.evalsha(sha, ["k"], ["a"]), ["k", "a"]);
    deepStrictEqual(await redis.scriptExists(sha), [1]);
    await rejects(redis.evalsha("0".repeat(40), [], []), /NOSCRIPT/);
    await rejects(redis.eval("return redis.call('NOSUCH')", [], []), /./);
  },
  async subscriptions(redis) {
    const next = (subscriber, type) => new Promise((resolve, reject) => (subscriber.on(type, resolve), subscriber.on("error", reject)));
    // No comma in the name: this client's own parser cuts there.
    const named = redis.subscribe(["news/today"]);
    await next(named, "subscribe");
    const heard = next(named, "message");
    deepStrictEqual(await redis.publish("news/today", { text: "hello, all" }), 1);
    deepStrictEqual((await heard).message, { text: "hello, all" });
    const matched = redis.psubscribe(["wea*"]);
    await next(matched, "psubscribe");
    const sky = next(matched, "pmessage");
    deepStrictEqual(await redis.publish("weather", { sky: "grey, wet" }), 1);
    const { pattern, channel, message } = await sky;
    deepStrictEqual([pattern, channel, message], ["wea*", "weather", { sky: "grey, wet" }]);
    await Promise.all([named.unsubscribe(), matched.unsubscribe()]);
  },
  async monitor(redis, url) {
    const headers = { authorization: `Bearer ${TOKEN}`, accept: "text/event-stream" };
    const answer = await fetch(`${url}/monitor`, { method: "POST", headers });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const until = async (wanted) => {
      while (!text.includes(wanted)) text += (await reader.read()).value;
    };
    await until('data: "OK"');
    await redis.set("watched", "v");
    await until('"watched" "v"');
    await reader.cancel();
  },
  async "read your writes"(redis, url) {
    let sent;
    const seen = [];
    const client = new Redis({ url, token: TOKEN, readYourWrites: true });
    const original = globalThis.fetch;
    globalThis.fetch = async (input, init) => {
      sent = new Headers(init.headers).get("upstash-sync-token");
      const answer = await original(input, init);
      seen.push(answer.headers.get("upstash-sync-token"));
      return answer;
    };
    try {
      await client.set("k", "v");
      await client.get("k");
      await client.get("k");
    } finally {
      globalThis.fetch = original;
    }
    deepStrictEqual(seen.every((token) => token?.length > 0), true);
    deepStrictEqual(sent, seen[1]);
  },
  async "without base64"(_, url) {
    const plain = new Redis({ url, token: TOKEN, responseEncoding: false });
    await plain.set("k", "wörld");
    deepStrictEqual(await plain.get("k"), "wörld");
    deepStrictEqual(await plain.pipeline().get("k").strlen("k").exec(), ["wörld", 6]);
  },
  async "path form and resp2"(redis, url) {
    const post = (path, body, headers = {}) =>
      fetch(url + path, { method: "POST", body, headers: { authorization: `Bearer ${TOKEN}`, ...headers } });
    deepStrictEqual(await (await post("/set/raw?EX=100", Buffer.from([0xff, 0]))).json(), { result: "OK" });
    const raw = await post("/get/raw", undefined, { "upstash-response-format": "resp2" });
    deepStrictEqual(Buffer.from(await raw.arrayBuffer()), Buffer.from("$2\r\n\xff\0\r\n", "latin1"));
    deepStrictEqual(await redis.ttl("raw"), 100);
  },
  async errors(redis, url) {
    await redis.set("s", "x");
    await rejects(redis.lpush("s", "y"), /WRONGTYPE/);
    await rejects(redis.exec(["NOSUCHCOMMAND"]), /unknown command/);
    await rejects(new Redis({ url, token: "wrong", retry: false }).get("s"), /WRONGPASS|[Uu]nauthorized|invalid/);
  },
};

// What the embedded engine does not have.
const onRedisOnly = {
  async streams(redis) {
    deepStrictEqual(await redis.xadd("x", "1-1", { f: "v" }), "1-1");
    deepStrictEqual(await redis.xrange("x", "-", "+"), { "1-1": { f: "v" } });
    deepStrictEqual(await redis.xgroup("x", { type: "CREATE", group: "g", id: "0" }), "OK");
    const read = await redis.xreadgroup("g", "c", ["x"], [">"]);
    deepStrictEqual(read[0][0], "x");
    deepStrictEqual(await redis.xack("x", "g", "1-1"), 1);
    deepStrictEqual(await redis.xlen("x"), 1);
  },
  async "geo, bits and estimates"(redis, url) {
    deepStrictEqual(await redis.geoadd("g", { longitude: 13.361389, latitude: 38.115556, member: "Palermo" }), 1);
    deepStrictEqual((await redis.geopos("g", "Palermo"))[0].lat.toFixed(3), "38.116");
    deepStrictEqual(await redis.setbit("b", 7, 1), 0);
    // Its automatic pipelining does not know that this one is a builder.
    const plain = new Redis({ url, token: TOKEN, enableAutoPipelining: false });
    deepStrictEqual(await plain.bitfield("b").get("u8", 0).exec(), [1]);
    deepStrictEqual(await redis.pfadd("p", "a", "b"), 1);
    deepStrictEqual(await redis.pfcount("p"), 2);
  },
  async "functions and commands unknown here"(redis) {
    const code = "#!lua name=lib\nredis.register_function('hi', function(keys, args) return args[1] end)";
    deepStrictEqual(await redis.functions.load({ code, replace: true }), "lib");
    deepStrictEqual(await redis.functions.call("hi", [], ["there"]), "there");
    await redis.set("s", "x");
    deepStrictEqual(await redis.exec(["OBJECT", "ENCODING", "s"]), "embstr");
    deepStrictEqual(await redis.copy("s", "t"), "COPIED");
  },
};

async function rejects(promise, pattern) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  if (!error) throw new Error(`expected an error that matches ${pattern}`);
  if (!pattern.test(error.message)) throw new Error(`expected ${pattern}, got: ${error.message}`);
}

async function smoke(backend, args) {
  const serve = await start(binary, ["serve", "--listen", "127.0.0.1:0", "--token", TOKEN, ...args], /^listening on (http:\/\/\S+)$/);
  const url = serve.found[1];
  const redis = new Redis({ url, token: TOKEN, enableTelemetry: true });
  const all = backend === "redis" ? { ...cases, ...onRedisOnly } : cases;
  for (const [name, run] of Object.entries(all)) {
    await redis.flushall();
    await check(backend, name, () => run(redis, url));
  }
  await check(backend, "stops cleanly on SIGTERM", async () => deepStrictEqual(await stop(serve.child), 0));
}

let directory;
try {
  await smoke("memory", ["--memory"]);

  directory = await mkdtemp(join(tmpdir(), "redis-rest-smoke-"));
  // Redis cannot pick a free port by itself, so one is asked from the system. Another program may take it in between:
  // redis-server then ends with an error, and so does this.
  const port = await freePort();
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory];
  const redis = await start("redis-server", options, /Ready to accept connections/);
  await smoke("redis", ["--redis", `redis://127.0.0.1:${port}`]);
  await stop(redis.child);
} finally {
  if (directory) await rm(directory, { recursive: true, force: true });
}

async function freePort() {
  const { createServer } = await import("node:net");
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
