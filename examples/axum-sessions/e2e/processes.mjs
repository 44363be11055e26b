// The programs of the scenario. Nothing waits by sleeping: a program is ready when it says so, and gone when it has ended.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

// Starts a program and resolves when a line of its output matches.
export async function start(program, args, ready, env = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const ended = new Promise((resolve) => child.once("close", resolve));
  children.add(child);
  ended.then(() => children.delete(child));
  await once(child, "spawn"); // rejects when the program is missing
  const lines = [];
  createInterface({ input: child.stderr }).on("line", (line) => lines.push(line));
  const output = createInterface({ input: child.stdout });
  const found = new Promise((resolve) => {
    output.on("line", (line) => {
      lines.push(line);
      const match = line.match(ready);
      if (match) resolve(match);
    });
  });
  const match = await Promise.race([found, ended]);
  if (!Array.isArray(match)) throw new Error(`${program} ended before it was ready:\n${lines.join("\n")}`);
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    if (child.exitCode !== 0) throw new Error(`${program} ended with ${child.exitCode ?? child.signalCode}:\n${lines.join("\n")}`);
  };
  return { stop, match };
}
