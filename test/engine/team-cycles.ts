/**
 * Run by team.test.ts in a process of its own: opens and closes nano on two threads, and prints what memory stays resident: at first, and
 * after each stretch of cycles. It ends with the first stretch in which no more than `allowed` bytes came to stay: allocators keep pages
 * for a while, most of all on a busy machine, but what leaks, leaks in every stretch.
 */
import { LocalModel } from "../../src/engine/local-model.ts";
import { nanoPath } from "../paths.ts";

const [first = 0, stretch = 0, stretches = 0, allowed = 0] = process.argv.slice(2).map(Number);
const resident = [await bytesAfter(first)];
for (let i = 0; i < stretches; i++) {
  resident.push(await bytesAfter(stretch));
  if (resident.at(-1)! - resident.at(-2)! <= allowed) break;
}
console.log(JSON.stringify(resident));

async function bytesAfter(cycles: number): Promise<number> {
  for (let i = 0; i < cycles; i++) {
    const model = await LocalModel.load(nanoPath, { threads: 2, maxModelLen: 64, memoryBudgetBytes: 2 ** 28 });
    await model.forward([1, 2, 3]);
    await model.close();
  }
  globalThis.gc?.();
  return process.memoryUsage().rss;
}
