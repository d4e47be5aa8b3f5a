/**
 * llama.cpp as WebAssembly: wllama 2.3.1 in headless Chromium. Prints one line of JSON.
 *
 *     node bench/peers/wllama.mjs --threads 2 --prompt 512 --decode 128 --repeats 1 MODEL.gguf [NEXT-PART.gguf ...]
 *
 * 2.3.1 is the fastest of its builds: later ones have no hand-written kernels. Its threads need a cross-origin isolated page, so this
 * serves one on loopback. The model goes in as a file from disk, through an <input>, and is never downloaded.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { promptIds } from "../model/prompt.ts";

const count = (value) => ({ type: "string", default: String(value) });
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: count(2),
    prompt: count(512),
    decode: count(128),
    repeats: count(1),
    chromium: { type: "string", default: process.env.CHROMIUM ?? "/usr/bin/chromium" },
  },
});
const [threads, promptTokens, decodeTokens, repeats] = [values.threads, values.prompt, values.decode, values.repeats].map(Number);
const wllama = join(dirname(fileURLToPath(import.meta.url)), "node_modules", "@wllama", "wllama");

const PAGE = `<!doctype html><input type="file" id="files" multiple><script type="module">
import { Wllama } from "/esm/index.js";
const silent = { debug() {}, log() {}, warn() {}, error() {} };
const paths = { "single-thread/wllama.wasm": "/esm/single-thread/wllama.wasm", "multi-thread/wllama.wasm": "/esm/multi-thread/wllama.wasm" };
const engine = new Wllama(paths, { logger: silent });
const seconds = () => performance.now() / 1000;
window.load = async (options) => {
  const begun = seconds();
  await engine.loadModel([...document.getElementById("files").files], options);
  return { loadSeconds: seconds() - begun, threads: engine.getNumThreads(), isolated: crossOriginIsolated };
};
window.generate = async (prompt, tokens) => {
  await engine.kvClear();
  await engine.samplingInit({ temp: 0, top_k: 1 });
  const begun = seconds();
  await engine.decode(prompt, {});
  let { token } = await engine.samplingSample();
  const firstAt = seconds();
  for (let i = 0; i < tokens; i++) {
    await engine.samplingAccept([token]);
    await engine.decode([token], {});
    ({ token } = await engine.samplingSample());
  }
  return { promptSeconds: firstAt - begun, decodeSeconds: seconds() - firstAt };
};
window.isReady = true;
</script>`;

const TICKS_PER_SECOND = 100; // of /proc, on every Linux
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const server = createServer((request, response) => {
  const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
  const { pathname } = new URL(request.url, "http://localhost");
  const reply = (status, type, body) => response.writeHead(status, { ...isolation, "Content-Type": type }).end(body);
  if (pathname === "/") return reply(200, "text/html", PAGE);
  const type = TYPES[extname(pathname)];
  if (!type || !normalize(pathname).startsWith("/esm/")) return reply(404, "text/plain", "");
  return reply(200, type, readFileSync(join(wllama, normalize(pathname))));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: values.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  const crashed = new Promise((_, reject) => page.once("crash", () => reject(new Error("the page crashed"))));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction("window.isReady");
  await page.setInputFiles("#files", positionals);
  const run = (code, argument) => Promise.race([page.evaluate(code, argument), crashed]);
  const options = { n_threads: threads, n_ctx: promptTokens + decodeTokens + 64, n_batch: promptTokens };
  const loaded = await run((o) => window.load(o), options);
  const generate = (prompt, tokens) => run(([p, n]) => window.generate(p, n), [prompt, tokens]);

  await generate(promptIds(32, 1), 8); // V8 optimizes what is hot
  const runs = [];
  for (let i = 0; i < repeats; i++) runs.push(await generate(promptIds(promptTokens, 2 + i), decodeTokens));
  const { version } = JSON.parse(readFileSync(join(wllama, "package.json"), "utf8"));
  console.log(
    JSON.stringify({
      engine: `wllama ${version}`,
      runtime: `chromium ${browser.version()}`,
      details: loaded,
      threads,
      promptTokens,
      decodeTokens,
      loadSeconds: loaded.loadSeconds,
      ...ofProcesses(),
      runs,
    }),
  );
} finally {
  await browser.close();
  server.close();
}

/** This process and those below it: memory of the largest renderer at its highest, processor time of all. */
function ofProcesses() {
  const processes = new Map();
  const read = (id, name) => readFileSync(`/proc/${id}/${name}`, "utf8");
  for (const id of readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    try {
      const [, parent, , , , , , , , , , user, system] = read(id, "stat").split(") ")[1].split(" ").map(Number);
      const isRenderer = read(id, "cmdline").includes("--type=renderer");
      const peakBytes = isRenderer ? 1024 * Number(/VmHWM:\s+(\d+)/.exec(read(id, "status"))[1]) : 0;
      processes.set(id, { parent, peakBytes, cpuSeconds: (user + system) / TICKS_PER_SECOND });
    } catch {} // it has ended
  }
  const isOurs = (id) => id === process.pid || (processes.has(id) && isOurs(processes.get(id).parent));
  const ours = [...processes].filter(([id]) => isOurs(id)).map(([, each]) => each);
  return {
    peakBytes: Math.max(...ours.map((each) => each.peakBytes)),
    cpuSeconds: ours.reduce((sum, each) => sum + each.cpuSeconds, 0),
  };
}
