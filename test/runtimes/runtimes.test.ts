/** The same bits on every engine: cases.ts on each of them, its hashes compared. */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../paths.ts";
import type { Report } from "./cases.ts";
import { engines, runOn } from "./engines.ts";

const program = join(root, "build", "test", "runtimes", "cases.js");
const reports = new Map<string, Report>();
const all = await engines([root]);

for (const engine of all) {
  test(`${engine.name} runs every case, and is the version it should be`, () => {
    const report: Report = JSON.parse(runOn(engine, [program], root));
    reports.set(engine.name, report);
    assert.is(report.engine, engine.engine);
    assert.is(report.version, engine.version);
    assert.ok(Object.keys(report.hashes).length >= 100, `${Object.keys(report.hashes).length} cases`);
    console.log(`\n    ${engine.name} ${report.version}: ${JSON.stringify(report.builds)}`);
  });
}

test("the engines are four, and node 24 is a 24", () => {
  assert.is(all.length, 4);
  assert.match(all.find(({ name }) => name === "node 24")!.version, /^24\./);
});

test("every engine gives the same bits", () => {
  const first = reports.get("this node")!;
  assert.is(reports.size, all.length);
  for (const report of reports.values()) assert.equal(report.hashes, first.hashes, `${report.engine} ${report.version}`);
});

test("the builds with relaxed SIMD and with wide vectors give the bits of the plain one", () => {
  const { hashes, builds } = reports.get("node 24")!;
  assert.match(builds.simd!, "simd");
  assert.match(builds.relaxed!, "relaxed-simd");
  assert.match(builds.wide!, "wide vectors");
  const plain = Object.keys(hashes).filter((name) => name.startsWith("simd, "));
  assert.ok(plain.length >= 50);
  for (const name of plain)
    for (const other of ["relaxed, ", "wide, "]) assert.is(hashes[name.replace("simd, ", other)], hashes[name], name);
});

test("small models do without the wide build, and without the probe where nothing is quantized", () => {
  const { builds } = reports.get("node 24")!;
  assert.is(builds["nano, chosen"], "wasm, simd");
  assert.is(builds["nano int8, chosen"], "wasm, relaxed-simd");
  assert.is(builds["nano with an int8 cache, chosen"], "wasm, relaxed-simd");
});

test("threads give the bits of one", () => {
  const { hashes } = reports.get("this node")!;
  const several = Object.keys(hashes).filter((name) => /^threads [23], /.test(name));
  assert.ok(several.length >= 10);
  for (const name of several) assert.is(hashes[name.replace(/^threads ./, "threads 1")], hashes[name], name);
});

test("in chunks, token by token and whole are the same bits", () => {
  const { hashes } = reports.get("this node")!;
  const whole = Object.keys(hashes).filter((name) => name.endsWith(", whole"));
  assert.ok(whole.length >= 20);
  for (const name of whole) {
    assert.is(hashes[name.replace(/whole$/, "chunks of 7")], hashes[name], name);
    assert.is(hashes[name.replace(/whole$/, "token by token")], hashes[name], name);
  }
});

test.run();
