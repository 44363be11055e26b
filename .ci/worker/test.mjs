// The Worker as its visitors see it, in the local Workers runtime, in front of `redis-rest serve`.
//
//   node test.mjs PATH_TO_REDIS_REST FOLDER_OF_THE_WORKER

import { deepStrictEqual, match } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { Miniflare } from "miniflare";

const [binary, folder] = process.argv.slice(2);
const TOKEN = "worker-token";

async function serve(listen) {
  const child = spawn(binary, ["serve", "--listen", listen, "--token", TOKEN], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return { child, url: line.replace("listening on ", "") };
}

const redis = await serve("127.0.0.1:0");
const worker = new Miniflare({
  modulesRoot: folder,
  modules: [
    { type: "ESModule", path: `${folder}/worker.mjs` },
    { type: "ESModule", path: `${folder}/cloudflare_worker_bg.js` },
    ...readdirSync(`${folder}/snippets`, { recursive: true })
      .filter((name) => name.endsWith(".js"))
      .map((name) => ({ type: "ESModule", path: `${folder}/snippets/${name}` })),
    { type: "CompiledWasm", path: `${folder}/cloudflare_worker_bg.wasm` },
  ],
  compatibilityDate: "2025-09-01",
  bindings: { REDIS_REST_URL: redis.url, REDIS_REST_TOKEN: TOKEN },
  // Nothing but what the Worker asks for goes out.
  cf: false,
});

let cookie = "";
async function ask(path, form) {
  const init = { headers: { cookie }, redirect: "manual" };
  if (form) Object.assign(init, { method: "POST", body: new URLSearchParams(form) });
  const answer = await worker.dispatchFetch(`http://worker.test${path}`, init);
  return { status: answer.status, cookie: answer.headers.get("set-cookie"), text: await answer.text() };
}

const cases = {
  async "nobody is logged in at first"() {
    match((await ask("/")).text, /Log in/);
  },
  async "a name is needed"() {
    deepStrictEqual((await ask("/login", { name: " " })).status, 400);
  },
  async "logging in sets a cookie, and the session counts"() {
    const login = await ask("/login", { name: "Ada <b>" });
    deepStrictEqual(login.status, 303);
    match(login.cookie, /^session=[0-9a-f-]{36}; Max-Age=86400; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    cookie = login.cookie.split(";")[0];
    match((await ask("/")).text, /Hello Ada &lt;b&gt;, visit 1\./);
    match((await ask("/")).text, /visit 2\./);
  },
  async "many requests at once do not wait for each other"() {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask("/")));
    deepStrictEqual(answers.filter((answer) => answer.status !== 200), []);
  },
  async "logging in again ends the session before"() {
    const old = cookie;
    cookie = (await ask("/login", { name: "Ada" })).cookie.split(";")[0];
    match((await ask("/")).text, /visit 1\./);
    const now = cookie;
    cookie = old;
    match((await ask("/")).text, /Log in/);
    cookie = now;
  },
  async "logging out ends the session"() {
    match((await ask("/logout", {})).cookie, /Max-Age=0/);
    match((await ask("/")).text, /Log in/);
  },
  async "other cookies and addresses"() {
    for (const wrong of ["session=", "session=../../x", "a=b; session=" + "x".repeat(5000), "session"]) {
      cookie = wrong;
      match((await ask("/")).text, /Log in/);
    }
    deepStrictEqual((await ask("/nowhere")).status, 404);
  },
  async "without Redis it says so"() {
    cookie = (await ask("/login", { name: "Ada" })).cookie.split(";")[0];
    const ended = once(redis.child, "exit");
    redis.child.kill("SIGTERM");
    await ended;
    const answer = await ask("/");
    deepStrictEqual([answer.status, answer.text], [503, "Sessions are unavailable, please try again."]);
    const login = await ask("/login", { name: "Bob" });
    deepStrictEqual(login.status, 503);
  },
};

let [passed, failed] = [0, 0];
try {
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run();
      passed += 1;
    } catch (error) {
      failed += 1;
      console.error(`FAILED ${name}\n${error.stack}`);
    }
  }
} finally {
  redis.child.kill("SIGKILL");
  await worker.dispose().catch((error) => console.error(error.message));
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
