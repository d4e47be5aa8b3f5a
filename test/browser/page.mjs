/**
 * The server's page in a real browser: an answer as it comes, a stop, settings, an error, a key; under its own policy.
 *
 *   npm run build:test && cd test/browser && npm install && npm run page
 *
 * CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { Qwen3 } from "../../build/src/index.js";
import { createServer, listen } from "../../build/src/server.js";
import { nanoPath } from "../../build/test/paths.js";

const ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.";
const model = await Qwen3.fromPretrained(nanoPath);
const lines = [];
const open = await listen(createServer(model.chatModel(), { log: (line) => lines.push(JSON.parse(line)) }), { port: 0 });
const locked = await listen(createServer(model.chatModel(), { apiKeys: ["secret"] }), { port: 0 });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const problems = [];

async function visit(url) {
  const page = await (await browser.newContext()).newPage();
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => new URL(request.url()).origin === url || problems.push(`asked ${request.url()}`));
  await page.goto(url);
  return page;
}
const say = async (page, text) => {
  await page.fill("#input", text);
  await page.press("#input", "Enter");
};
const last = (page) => page.locator(".message").last();

try {
  const page = await visit(open.url);
  await page.waitForFunction(() => document.getElementById("model").textContent === "nano");
  await page.click("summary");
  await page.fill("#temperature", "0");
  await say(page, "Who are you?");
  await page.waitForFunction(() => /tokens\/s/.test(document.getElementById("status").textContent));
  assert.equal(await last(page).textContent(), ANSWER);
  assert.match(await page.textContent("#status"), /^22 tokens at [\d.]+ tokens\/s; prompt 15 tokens/);

  // A stop: the answer would go on for thousands of tokens.
  await page.fill("#temperature", "100");
  await page.fill("#top_p", "1");
  await page.fill("#top_k", "0");
  await page.fill("#seed", "1");
  await say(page, "<b>Go</b> on.");
  await page.waitForFunction(() => document.querySelectorAll(".assistant").length === 2);
  assert.equal(await page.isDisabled("#send"), true);
  await page.click("#stop");
  await page.waitForFunction(() => document.getElementById("status").textContent === "stopped");
  assert.equal(await page.locator(".user").last().textContent(), "<b>Go</b> on.");
  for (let i = 0; i < 100 && model.chatModel().stats().running > 0; i++) await new Promise((done) => setTimeout(done, 10));
  assert.equal(lines.at(-1).outcome, "cancelled");

  await page.fill("#temperature", "1000");
  await say(page, "Again.");
  await page.waitForSelector(".error");
  assert.match(await last(page).textContent(), /^temperature is 1000; allowed/);
  problems.splice(0, problems.length, ...problems.filter((problem) => !problem.includes("400"))); // the browser tells of the status
  await page.click("#clear");
  assert.equal(await page.locator(".message").count(), 0);

  const guarded = await visit(locked.url);
  await guarded.waitForFunction(() => /API key/.test(document.getElementById("status").textContent));
  await guarded.click("summary");
  await guarded.fill("#key", "secret");
  await guarded.press("#key", "Tab");
  await guarded.waitForFunction(() => document.getElementById("model").textContent === "nano");
  problems.splice(0, problems.length, ...problems.filter((problem) => !problem.includes("401")));

  // The policy holds: a script that somebody got into the page would not run, and nothing could be sent elsewhere.
  const blocked = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    const sent = await fetch("https://example.com/").then(
      () => true,
      () => false,
    );
    return { ran: "ran" in window, sent };
  });
  assert.deepEqual(blocked, { ran: false, sent: false });
  assert.deepEqual(
    problems.filter((problem) => !/Content Security Policy/.test(problem) && !/asked https:\/\/example\.com/.test(problem)),
    [],
  );
  console.log(`the page works in Chromium ${browser.version()}`);
} finally {
  await browser.close();
  await Promise.all([open.close(), locked.close()]);
  await model.close();
}
