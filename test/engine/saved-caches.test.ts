/** Caches as bytes: what comes back goes on with the same bits, and what is broken or another's is refused. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type KvShape, kvPageBytes } from "../../src/backend/backend.ts";
import { clearOtherSlots } from "../../src/backend/kv-slots.ts";
import { LocalModel } from "../../src/engine/local-model.ts";
import type { ModelOptions } from "../../src/engine/model-options.ts";
import { SequenceCache } from "../../src/engine/sequence-cache.ts";
import { memoryFolder, Qwen3, Qwen3Error } from "../../src/index.ts";
import { goldenPath, nanoPath } from "../paths.ts";

const golden = goldenPath("gqa-bf16");
const same = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
const idsFrom = (seed: number, count: number) => Array.from({ length: count }, (_, i) => (i * 37 + seed * 11) % 250);

const refused = async (work: Promise<unknown>, code: string, mentions: RegExp) => {
  const error = await work.then(
    () => undefined,
    (reason) => reason,
  );
  assert.instance(error, Qwen3Error);
  assert.is(error.code, code, error.message);
  assert.match(error.message, mentions);
};

const load = (options: ModelOptions = {}, location = golden) =>
  Qwen3.fromPretrained(location, { maxModelLen: 256, memoryBudgetBytes: 2 ** 26, ...options });

/** A cache of `length` tokens from `position`, in pages that others have used before. */
async function filled(model: Qwen3, length: number, position: number): Promise<SequenceCache> {
  const before = model.newCache();
  await model.forward(idsFrom(length, 100), { cache: before });
  before.close();
  const cache = model.newCache();
  await model.forward(idsFrom(1, length), { cache, position });
  return cache;
}

const WAYS: Readonly<Record<string, ModelOptions>> = {
  reference: { backend: "reference" },
  wasm: { maxBatchedTokens: 7 },
  "wasm, small memories": { wasm: { instanceBytes: 2 ** 20, build: "simd" }, maxBatchedTokens: 16 },
  "wasm, two threads": { threads: 2 },
};

for (const kvCache of ["f32", "f16", "int8"] as const)
  test(`${kvCache}: saved here and restored there, the same bytes and the same bits`, async () => {
    const models = await Promise.all(Object.values(WAYS).map((options) => load({ ...options, kvCache })));
    for (const [length, position] of [
      [1, 0],
      [32, 0],
      [70, 0],
      [33, 62],
      [2, 64],
    ] as const) {
      const saved: Uint8Array[] = [];
      const next: Float32Array[] = [];
      for (const model of models) {
        const cache = await filled(model, length, position);
        saved.push(await cache.save());
        const { logits } = await model.forward(idsFrom(2, 40), { cache, logits: "all" });
        next.push(logits!);
        cache.close();
      }
      for (const [i, bytes] of saved.entries())
        assert.ok(Buffer.from(bytes).equals(saved[0]!), `${length} from ${position}: bytes of ${Object.keys(WAYS)[i]}`);
      for (const [i, model] of models.entries()) {
        const cache = await model.restoreCache(saved[(i + 1) % saved.length]!);
        assert.equal([cache.length, cache.position, cache.ids], [length, position + length, idsFrom(1, length)]);
        assert.ok(Buffer.from(await cache.save()).equals(saved[0]!), "saved once more");
        const { logits } = await model.forward(idsFrom(2, 40), { cache, logits: "all" });
        assert.ok(same(logits!, next[0]!), `${length} from ${position}: logits of ${Object.keys(WAYS)[i]}`);
        cache.close();
      }
    }
    await Promise.all(models.map((model) => model.close()));
  });

for (const weights of ["int8", "int4"] as const)
  test(`${weights} weights: nano goes on with its answer in another process's cache`, async () => {
    const [first, second] = [await load({ weights }, nanoPath), await load({ weights }, nanoPath)];
    const prompt = idsFrom(4, 50);
    const whole = await first.generate(prompt, { temperature: 0, maxNewTokens: 30, ignoreEos: true }).final();
    const cache = first.newCache();
    await first.generate(prompt, { temperature: 0, maxNewTokens: 10, ignoreEos: true, cache }).final();
    const restored = await second.restoreCache(await cache.save());
    const longer = [...prompt, ...whole.ids.slice(0, 10)];
    const rest = await second.generate(longer, { temperature: 0, maxNewTokens: 20, ignoreEos: true, cache: restored }).final();
    assert.equal(rest.ids, whole.ids.slice(10));
    assert.is(rest.usage.cachedTokens, 59);
    await Promise.all([first.close(), second.close()]);
  });

test("forks, and caches cut short, are saved as what they hold; restored ones can be forked and cut", async () => {
  const model = await load();
  const cache = await filled(model, 50, 3);
  const fork = cache.fork();
  await model.forward(idsFrom(7, 5), { cache });
  fork.truncate(45);
  const saved = await fork.save();
  assert.ok(Buffer.from(saved).equals(await (await filled(model, 45, 3)).save()));
  const restored = await model.restoreCache(saved);
  const second = restored.fork();
  const third = restored.fork();
  third.truncate(33);
  const next = async (cache: SequenceCache) => (await model.forward([9, 8], { cache })).logits!;
  const expected = await next(fork);
  assert.ok(same(await next(second), expected));
  assert.ok(same(await next(restored), expected));
  assert.not.ok(same(await next(third), expected));
  const empty = await model.restoreCache(await model.newCache().save());
  assert.is(empty.length, 0);
  await model.close();
});

test("what a page keeps of other slots is cleared, and nothing else", () => {
  const types = ["f32", "f16", "int8"] as const;
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.nat(32), fc.nat(32), fc.integer({ min: 1, max: 9 }), (type, a, b, headDim) => {
      const [first, end] = [Math.min(a, b), Math.max(a, b)];
      const shape: KvShape = { layers: 2, kvHeads: 2, headDim, type };
      const page = new Uint8Array(kvPageBytes(shape)).fill(1);
      clearOtherSlots(page, shape, first, end);
      const kept = page.reduce((sum, byte) => sum + byte, 0);
      assert.is(kept, ((end - first) * page.length) / 32);
      const rest = new Uint8Array(page.length).fill(1);
      clearOtherSlots(rest, shape, 0, first);
      const last = new Uint8Array(page.length).fill(1);
      clearOtherSlots(last, shape, end, 32);
      assert.ok(page.every((byte, i) => byte + rest[i]! + last[i]! === 1));
    }),
  );
});

/** The header's text, and the bytes with another one. */
const headerOf = (bytes: Uint8Array) =>
  new TextDecoder().decode(bytes.subarray(16, 16 + new DataView(bytes.buffer).getUint32(12, true)));
function withHeader(bytes: Uint8Array, change: (header: string) => string): Uint8Array {
  const header = headerOf(bytes);
  const changed = new TextEncoder().encode(change(header));
  const result = new Uint8Array(bytes.length - header.length + changed.length);
  result.set(bytes.subarray(0, 16));
  new DataView(result.buffer).setUint32(12, changed.length, true);
  result.set(changed, 16);
  result.set(bytes.subarray(16 + header.length), 16 + changed.length);
  return result;
}

test("the caches of others are refused, and what differs is named", async () => {
  const model = await load();
  const saved = await (await filled(model, 40, 0)).save();
  for (const [options, mentions, location] of [
    [{ kvCache: "int8" }, /kvCache is "f16" there and "int8" here$/],
    [{ weights: "int8", kvCache: "f16" }, /weights is "bf16" there and "int8" here; activations is "f32" there and "int8" here$/],
    [{}, /hidden_size is \d+ there and 256 here; .*vocab_size|vocab_size is \d+ there and 4096 here/, nanoPath],
    [{}, /rope is \{.* there and \{.*yarn/, goldenPath("yarn-bf16")],
  ] as const) {
    const other = await load(options, location);
    await refused(other.restoreCache(saved), "CACHE_FILE", mentions);
    await other.close();
  }
  await refused(
    model.restoreCache(withHeader(saved, (header) => header.replace('"arithmetic":3', '"arithmetic":2'))),
    "CACHE_FILE",
    /of another model or version: arithmetic is 2 there and 3 here$/,
  );
  await refused(
    model.restoreCache(withHeader(saved, (header) => header.replace(/"config":\{.*?\}\}?,"w/, '"config":7,"w'))),
    "CACHE_FILE",
    /vocab_size is undefined there/,
  );
  await model.close();
});

test("other weights of the same shapes are told by what they compute", async () => {
  const files = Object.fromEntries(
    ["config.json", "model.safetensors"].map((file) => [file, new Uint8Array(readFileSync(join(golden, file)))]),
  );
  const changed = files["model.safetensors"]!.slice();
  const [header] = /\{.*?\}\}/s.exec(new TextDecoder().decode(changed.subarray(8, 20_000)))!;
  const [begin] = JSON.parse(header)["model.layers.1.self_attn.q_proj.weight"].data_offsets;
  changed[8 + header.length + begin + 1]! ^= 1; // a bit of the exponent of the first weight
  const model = await load();
  const saved = await (await filled(model, 10, 0)).save();
  for (const [bytes, isSame] of [
    [files["model.safetensors"]!, true],
    [changed, false],
  ] as const) {
    const other = await Qwen3.fromPretrained(memoryFolder("other", { ...files, "model.safetensors": bytes }));
    if (isSame) assert.is((await other.restoreCache(saved)).length, 10);
    else await refused(other.restoreCache(saved), "CACHE_FILE", /other weights: they compute other numbers/);
    await other.close();
  }
  await model.close();
});

test("broken bytes are refused before memory is taken by what they say", async () => {
  const model = await LocalModel.load(golden, { maxModelLen: 256, memoryBudgetBytes: 2 ** 26 });
  const cache = model.newCache();
  await model.forward(idsFrom(1, 40), { cache });
  const saved = await cache.save();
  cache.close();
  await refused(model.restoreCache("saved" as never), "ARGUMENT", /a saved cache is a Uint8Array of bytes, got "saved"/);
  for (const length of [0, 7, 15])
    await refused(model.restoreCache(saved.slice(0, length)), "CACHE_FILE", /bytes that are not one/);
  const idsAt = 16 + headerOf(saved).length;
  for (const length of [16, 40, idsAt - 1, idsAt, idsAt + 3, idsAt + 160, saved.length - 1])
    await refused(
      model.restoreCache(saved.slice(0, length)),
      "CACHE_FILE",
      /header has|it has \d+ bytes; 40 entries .* take \d+/,
    );
  const longer = new Uint8Array(saved.length + 1);
  longer.set(saved);
  await refused(model.restoreCache(longer), "CACHE_FILE", /it has \d+ bytes; 40 entries from position 0 take \d+/);
  const patched = (at: number, value: number) => {
    const bytes = saved.slice();
    new DataView(bytes.buffer).setUint32(at, value, true);
    return bytes;
  };
  await refused(model.restoreCache(patched(0, 1)), "CACHE_FILE", /bytes that are not one/);
  await refused(model.restoreCache(patched(8, 2)), "CACHE_FILE", /its layout has version 2; version 1 is read/);
  await refused(model.restoreCache(patched(12, 0xffffffff)), "CACHE_FILE", /its header has 4294967295 bytes/);
  await refused(model.restoreCache(patched(12, 20)), "CACHE_FILE", /saved cache/);
  for (const id of [512, -1])
    await refused(model.restoreCache(patched(idsAt + 8, id)), "CACHE_FILE", /token 2 is (512|-1); .* 0\.\.511/);
  for (const [from, to] of [
    [/"length":40/, '"length":4e9'],
    [/"length":40/, '"length":262145'],
    [/"length":40/, '"length":-1'],
    [/"length":40/, '"length":40.5'],
    [/"length":40/, '"size":40'],
    [/"length":40/, '"length":41'],
    [/"length":40/, '"length":0'],
    [/"start":0/, '"start":262140'],
    [/"start":0/, '"start":"0"'],
    [/"start":0/, '"start":1,"start":2'],
    [/^\{/, "[{"],
    [/^.*$/s, "[1]"],
    [/^.*$/s, '"text"'],
  ] as const)
    await refused(model.restoreCache(withHeader(saved, (header) => header.replace(from, to))), "CACHE_FILE", /saved cache/);
  const used = model.bytesInUse;
  await fc.assert(
    fc.asyncProperty(fc.nat(idsAt - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const bytes = saved.slice();
      bytes[at]! ^= flip;
      const restored = await model.restoreCache(bytes).catch((error) => error);
      if (restored instanceof SequenceCache)
        restored.close(); // a space for a space
      else assert.is((restored as Qwen3Error).code, "CACHE_FILE", `byte ${at} ^ ${flip}: ${restored}`);
    }),
    { numRuns: 500 },
  );
  assert.is(model.bytesInUse, used);
  const restored = await model.restoreCache(saved);
  assert.is(restored.length, 40);
  await model.close();
});

test("what has no room is refused, and leaves nothing behind", async () => {
  const large = await load();
  const saved = await (await filled(large, 100, 0)).save();
  const short = await load({ maxModelLen: 64 });
  await refused(short.restoreCache(saved), "CONTEXT_FULL", /holds 100 tokens; maxModelLen is 64/);
  const { weightBytes, activationBytes, kvBytesPerToken } = short.plan;
  const tight = await load({ maxModelLen: 128, memoryBudgetBytes: weightBytes + activationBytes + 128 * kvBytesPerToken });
  const kept = await filled(tight, 60, 0);
  await refused(tight.restoreCache(saved), "MEMORY_FULL", /KV caches hold/);
  kept.close();
  assert.is((await tight.restoreCache(saved)).length, 100);
  for (const model of [large, short, tight]) await model.close();
});

test("a cache in use, closed, or closed meanwhile is not saved", async () => {
  const model = await load();
  const cache = await filled(model, 40, 0);
  const first = cache.save();
  await refused(cache.save(), "ARGUMENT", /in use by another call/);
  await first;
  const meanwhile = cache.save();
  cache.close();
  await refused(meanwhile, "CLOSED", /closed/);
  await refused(cache.save(), "CLOSED", /closed/);
  await refused(new SequenceCache(cache.kv).save(), "ARGUMENT", /only a cache of a model/);
  const saved = await (await filled(model, 3, 0)).save();
  await model.close();
  await refused(model.restoreCache(saved), "CLOSED", /closed/);
});

/**
 * What nano computes, by definition. If a change of a definition fails this test, raise `ARITHMETIC` in src/backend/backend.ts, so that
 * caches saved before are refused by name, and put the new numbers here.
 */
const NANO_COMPUTES: readonly (readonly [ModelOptions, number, string])[] = [
  [{ kvCache: "f32" }, 3, "1042297042 1067444818 1077961610 3206197450"],
  [{ weights: "int8" }, 3, "1039608237 1067897759 1077704234 3206682566"],
  [{ weights: "int4" }, 3, "1044856525 1066243041 1078184154 3209583903"],
];
for (const [options, arithmetic, numbers] of NANO_COMPUTES)
  test(`the arithmetic's version goes with its bits: ${JSON.stringify(options)}`, async () => {
    const model = await load(options, nanoPath);
    const header = JSON.parse(headerOf(await model.newCache().save()));
    assert.equal([header.arithmetic, header.probe.slice(0, 4).join(" ")], [arithmetic, numbers]);
    await model.close();
  });

test.run();
