/** Run by team.test.ts in a process of its own: opens and closes nano on two threads, and prints what memory stays resident. */
import { LocalModel } from "../../src/engine/local-model.ts";
import { nanoPath } from "../paths.ts";

const [early = 0, late = 0] = process.argv.slice(2).map(Number);
let earlyBytes = 0;
for (let cycle = 1; cycle <= late; cycle++) {
  const model = await LocalModel.load(nanoPath, { threads: 2, maxModelLen: 64, memoryBudgetBytes: 2 ** 28 });
  await model.forward([1, 2, 3]);
  await model.close();
  if (cycle === early) earlyBytes = resident();
}
console.log(JSON.stringify({ earlyBytes, lateBytes: resident() }));

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}
