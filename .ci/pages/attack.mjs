// Pages of other sites against `redis-rest serve`, from headless Chromium, in front of both engines.
//
//   node attack.mjs PATH_TO_REDIS_REST
//
// Each attack tries to write a key or to read one. Afterwards only the key that was there is there, no page has seen its value, and
// pages of the named origin and programs still work. Ends with exit code 1 otherwise.

import { createServer } from "node:http";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { deepStrictEqual, ok } from "node:assert/strict";
import { chromium } from "playwright-core";

const binary = process.argv[2];
if (!binary) {
  console.error("usage: node attack.mjs PATH_TO_REDIS_REST");
  process.exit(2);
}
const SECRET = "value-that-no-page-may-see";
const PATIENCE_MS = 20_000;

const children = [];
process.on("exit", () => children.forEach((child) => child.exitCode === null && child.kill("SIGKILL")));

async function start(program, args, ready) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  await once(child, "spawn");
  for await (const line of createInterface({ input: child.stdout })) {
    const found = line.match(ready);
    if (found) {
      child.stdout.resume();
      return { child, found };
    }
  }
  throw new Error(`${program} ended before it was ready`);
}

// One command from a program: Node's fetch sends neither Origin nor Sec-Fetch-Site.
async function command(url, token, ...words) {
  const reply = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(words),
  });
  const { result, error } = await reply.json();
  if (error) throw new Error(error);
  return result;
}

// The attacks run in the page. Each settles when the browser is done with it, whatever came of it, and gives what the page could read.
const attacks = {
  image: ({ url, token }) =>
    new Promise((done) => {
      const image = new Image();
      image.onload = image.onerror = () => done("");
      image.src = `${url}/set/pwned-image/1?_token=${token}`;
    }),
  script: ({ url, token }) =>
    new Promise((done) => {
      const script = document.createElement("script");
      script.onload = script.onerror = () => done("");
      script.src = `${url}/set/pwned-script/1?_token=${token}`;
      document.head.append(script);
    }),
  frame: ({ url, token }) =>
    new Promise((done) => {
      const frame = document.createElement("iframe");
      frame.onload = () => done("");
      frame.src = `${url}/set/pwned-frame/1?_token=${token}`;
      document.body.append(frame);
    }),
  form: ({ url, token }) =>
    new Promise((done) => {
      const frame = document.createElement("iframe");
      frame.name = "target";
      document.body.append(frame);
      const form = document.createElement("form");
      form.method = "POST";
      form.enctype = "text/plain";
      form.target = "target";
      form.action = `${url}/pipeline?_token=${token}`;
      const field = document.createElement("input");
      field.name = '[["SET","pwned-form","';
      field.value = '"]]';
      form.append(field);
      document.body.append(form);
      frame.onload = () => done("");
      form.submit();
    }),
  "no-cors fetch": async ({ url, token }) => {
    const body = '[["SET","pwned-fetch","1"]]';
    const headers = { "content-type": "text/plain" };
    const reply = await fetch(`${url}/pipeline?_token=${token}`, { method: "POST", mode: "no-cors", headers, body });
    return reply.text();
  },
  "fetch with the token": async ({ url, token }) => {
    const reply = await fetch(`${url}/get/secret`, { headers: { authorization: `Bearer ${token}` } });
    return reply.text();
  },
  beacon: ({ url, token }) => {
    navigator.sendBeacon(`${url}/?_token=${token}`, '["SET","pwned-beacon","1"]');
    // Beacons have no end that a page can see: a request behind it on the same connections has.
    return fetch(`${url}/ping`, { mode: "no-cors" }).then(
      () => "",
      () => "",
    );
  },
  "sandboxed frame": ({ url, token }) =>
    new Promise((done) => {
      addEventListener("message", (message) => done(message.data), { once: true });
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-scripts";
      const address = JSON.stringify(`${url}/set/pwned-null/1?_token=${token}`);
      frame.srcdoc = `<script>fetch(${address}).then((r) => r.text()).catch(() => "").then((text) => parent.postMessage(text, "*"))</script>`;
      document.body.append(frame);
    }),
  "event source": ({ url, token }) =>
    new Promise((done) => {
      const source = new EventSource(`${url}/subscribe/news?_token=${token}`);
      const end = (text) => {
        source.close();
        done(text);
      };
      source.onopen = () => end("the stream is open");
      source.onmessage = (event) => end(event.data);
      source.onerror = () => end("");
    }),
};

// The page's own host name leads to the server: the browser takes all of these for same-origin.
const rebound = async ({ token }) => {
  const headers = { authorization: `Bearer ${token}` };
  const requests = [
    fetch(`/get/secret?_token=${token}`),
    fetch("/get/secret", { headers }),
    fetch("/", { method: "POST", headers, body: '["SET","pwned-rebound","1"]' }),
    fetch("/", { method: "HEAD", headers }),
    fetch("/get/secret", { method: "OPTIONS", headers }),
  ];
  const replies = await Promise.all(requests);
  const texts = await Promise.all(replies.map((reply) => reply.text()));
  return JSON.stringify([replies.map((reply) => reply.status), texts.join()]);
};

function within(promise, name) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${name}: no end within ${PATIENCE_MS} ms`)), PATIENCE_MS)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const pages = createServer((_, reply) => reply.setHeader("content-type", "text/html").end("<!doctype html><title>page</title><body></body>"));
pages.listen(0, "127.0.0.1");
await once(pages, "listening");
const port = pages.address().port;
const [evil, named] = [`http://evil.example:${port}`, `http://named.example:${port}`];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    // This browser keeps pages from elsewhere away from loopback; others do not.
    "--disable-features=LocalNetworkAccessChecks",
  ],
});

async function visit(address) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address);
  return { page, close: () => context.close() };
}

async function attack(backend, engine, token, options) {
  const server = await start(binary, ["serve", "--listen", "127.0.0.1:0", "--cors", named, ...engine, ...options], /listening on (http:\/\/\S+)/);
  const url = server.found[1];
  const target = { url, token };
  await command(url, token, "SET", "secret", SECRET);
  const seen = [];
  for (const [name, run] of Object.entries(attacks)) {
    const { page, close } = await visit(evil);
    const text = await within(page.evaluate(run, target).catch(() => ""), name);
    if (text) seen.push(`${name}: ${text}`);
    await close();
  }
  // A page that leaves for the server.
  const left = await visit(evil);
  const leaving = left.page.waitForEvent("framenavigated");
  await left.page.evaluate(({ url, token }) => void (location.href = `${url}/set/pwned-link/1?_token=${token}`), target);
  await within(leaving, "a link");
  await left.close();
  // A page whose name was bound to another address when it came.
  const { page, close } = await visit(evil);
  const own = `http://evil.example:${new URL(url).port}/page`;
  await page.route(own, (route) => route.fulfill({ contentType: "text/html", body: "<title>rebound</title>" }));
  await page.goto(own);
  const [statuses, text] = JSON.parse(await within(page.evaluate(rebound, target), "rebound host"));
  if (text.includes(SECRET)) seen.push(`rebound host: ${text}`);
  await close();
  deepStrictEqual(seen, [], `${backend}: pages of other sites read something`);
  deepStrictEqual(statuses, [403, 403, 403, 403, 403], `${backend}: a rebound host`);
  deepStrictEqual(await command(url, token, "KEYS", "*"), ["secret"], `${backend}: pages of other sites wrote something`);
  deepStrictEqual(await command(url, token, "PUBSUB", "CHANNELS"), [], `${backend}: pages of other sites subscribed`);

  // Pages of the named origin, and of the server's own.
  const headers = { authorization: `Bearer ${token}` };
  const reads = async ([address, headers]) => (await fetch(address, { headers })).text();
  const friend = await visit(named);
  ok((await friend.page.evaluate(reads, [`${url}/get/secret`, headers])).includes(SECRET), `${backend}: a named origin`);
  await friend.close();
  const home = await visit(`${url}/ping`);
  ok((await home.page.evaluate(reads, ["/get/secret", headers])).includes(SECRET), `${backend}: the server's own origin`);
  await home.close();
  // Programs.
  deepStrictEqual((await fetch(`${url}/get/secret`, { method: "HEAD", headers })).status, 200);
  deepStrictEqual((await fetch(`${url}/get/secret`, { method: "OPTIONS", headers })).status, 405);
  server.child.kill("SIGTERM");
  await once(server.child, "exit");
  console.log(`${backend}, ${options.length ? "a token of its own that the pages know" : "the default token"}: ${Object.keys(attacks).length + 2} attacks changed and read nothing`);
}

const data = await mkdtemp(join(tmpdir(), "redis-rest-pages-"));
try {
  const redisPort = await new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
  const settings = ["--port", `${redisPort}`, "--bind", "127.0.0.1", "--save", "", "--dir", data];
  await start("redis-server", settings, /Ready to accept connections/);
  for (const [backend, engine] of [
    ["embedded engine", []],
    ["redis-server", ["--redis", `redis://127.0.0.1:${redisPort}`]],
  ]) {
    await attack(backend, engine, "local-token", []);
    if (engine.length) await start("redis-cli", ["-p", `${redisPort}`, "FLUSHALL"], /OK/);
    await attack(backend, engine, "known", ["--token", "known"]);
  }
} finally {
  await browser.close();
  pages.close();
  await rm(data, { recursive: true, force: true });
}
process.exit();
