// The example axum-sessions in a real browser: `redis-rest serve` and a real redis-server behind it, both of which go away.
//
//   node scenario.mjs PATH_TO_REDIS_REST PATH_TO_AXUM_SESSIONS [PATH_OF_A_SCREENSHOT]
//
// Ends with exit code 1 when a step failed. The steps build on each other, so those after it are not played.

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deepStrictEqual, ok } from "node:assert/strict";
import { chromium } from "playwright-core";
import { start } from "./processes.mjs";

const [restBinary, appBinary, screenshot] = process.argv.slice(2);
if (!appBinary) {
  console.error("usage: node scenario.mjs PATH_TO_REDIS_REST PATH_TO_AXUM_SESSIONS [PATH_OF_A_SCREENSHOT]");
  process.exit(2);
}
const TOKEN = "scenario-token";
const STEP_MS = 30_000;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const data = await mkdtemp(join(tmpdir(), "axum-sessions-"));
const redisPort = await freePort();
// Every write is on the disk before it is answered, so that it comes back with what it had.
const redisArgs = ["--port", `${redisPort}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", data];
const startRedis = () => start("redis-server", redisArgs, /Ready to accept connections/);
const startRest = (listen) =>
  start(restBinary, ["serve", "--listen", listen, "--redis", `redis://127.0.0.1:${redisPort}`, "--token", TOKEN], /listening on (http:\/\/\S+)/);
const startApp = (listen) =>
  start(appBinary, [], /^listening on (http:\/\/\S+)$/, { REDIS_REST_URL: restUrl, REDIS_REST_TOKEN: TOKEN, LISTEN: listen });

let redis = await startRedis();
let rest = await startRest("127.0.0.1:0");
const restUrl = rest.match[1];
let app = await startApp("127.0.0.1:0");
const url = app.match[1];
const host = (address) => new URL(address).host;

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
  ],
});

async function visitor(userAgent) {
  const context = await browser.newContext({ userAgent });
  const page = await context.newPage();
  return {
    page,
    cookie: async () => (await context.cookies(url)).find((cookie) => cookie.name === "id")?.value,
    open: async () => deepStrictEqual((await page.goto(url)).status(), 200),
    heading: () => page.locator("h1").textContent(),
    redis: () => page.locator("#redis").textContent(),
    devices: () => page.locator("tbody td:first-child").allTextContents(),
    press: async (name) => {
      await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name, exact: true }).click()]);
    },
    async logIn(name) {
      await this.open();
      await page.getByLabel("Name").fill(name);
      await this.press("Log in");
    },
  };
}

let passed = 0;
let failed = 0;
async function step(name, run) {
  if (failed > 0) return;
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`took longer than ${STEP_MS} ms`)), STEP_MS)));
  try {
    await Promise.race([run(), late]);
    passed += 1;
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED: ${name}\n${error.stack}`);
  } finally {
    clearTimeout(timer);
  }
}

const laptop = await visitor("Laptop <b>&amp;");
const phone = await visitor("Phone");
const tablet = await visitor("Tablet");

await step("a visitor is asked to log in, and has no session", async () => {
  await laptop.open();
  deepStrictEqual(await laptop.heading(), "Log in");
  deepStrictEqual(await laptop.cookie(), undefined);
});

await step("who logs in is greeted, and everything is shown as text", async () => {
  await laptop.logIn("Ada <i>");
  deepStrictEqual(await laptop.heading(), "Hello, Ada <i>");
  deepStrictEqual(await laptop.devices(), ["Laptop <b>&amp; (this one)"]);
  deepStrictEqual(await laptop.redis(), "Redis works");
});

await step("scripts of the page do not see the cookie", async () => {
  ok(await laptop.cookie());
  deepStrictEqual(await laptop.page.evaluate("document.cookie"), "");
});

await step("still logged in after the server was started anew", async () => {
  await app.stop();
  app = await startApp(host(url));
  await laptop.open();
  deepStrictEqual(await laptop.heading(), "Hello, Ada <i>");
});

await step("still logged in while Redis and the REST server are away", async () => {
  await rest.stop();
  await redis.stop();
  // The first of these finds out.
  for (const wanted of [/Redis/, /Redis is away/, /Redis is away/]) {
    await laptop.open();
    deepStrictEqual(await laptop.heading(), "Hello, Ada <i>");
    ok(wanted.test(await laptop.redis()));
  }
});

await step("a log-in and a log-out work in the outage", async () => {
  await phone.logIn("Bob");
  deepStrictEqual(await phone.heading(), "Hello, Bob");
  const cookie = await phone.cookie();
  await phone.press("Log out");
  deepStrictEqual([await phone.heading(), await phone.cookie()], ["Log in", undefined]);
  ok(cookie);
  await tablet.logIn("Bob");
  deepStrictEqual(await tablet.heading(), "Hello, Bob");
});

await step("still logged in when they are back, also who logged in while they were away", async () => {
  redis = await startRedis();
  rest = await startRest(host(restUrl));
  // Each page is a call, and one of them looks when it is time.
  do {
    await laptop.open();
    deepStrictEqual(await laptop.heading(), "Hello, Ada <i>");
  } while ((await laptop.redis()) !== "Redis works");
  // Another process, which knows only what is in Redis.
  await app.stop();
  app = await startApp(host(url));
  await laptop.open();
  deepStrictEqual(await laptop.heading(), "Hello, Ada <i>");
  await tablet.open();
  deepStrictEqual([await tablet.heading(), await tablet.devices()], ["Hello, Bob", ["Tablet (this one)"]]);
});

await step("a second device of the same user is listed on both", async () => {
  await phone.logIn("Ada <i>");
  deepStrictEqual(await phone.devices(), ["Phone (this one)", "Laptop <b>&amp;"]);
  await laptop.open();
  deepStrictEqual(await laptop.devices(), ["Laptop <b>&amp; (this one)", "Phone"]);
  if (screenshot) await laptop.page.screenshot({ path: screenshot });
});

await step("a log-out everywhere on one logs out the other, and nobody else", async () => {
  await phone.press("Log out everywhere");
  deepStrictEqual(await phone.heading(), "Log in");
  await laptop.open();
  deepStrictEqual(await laptop.heading(), "Log in");
  await tablet.open();
  deepStrictEqual(await tablet.heading(), "Hello, Bob");
});

await step("everything ends in an orderly way", async () => {
  await browser.close();
  await app.stop();
  await rest.stop();
  await redis.stop();
});

await browser.close();
await rm(data, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
