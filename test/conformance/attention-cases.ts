/** appendKv and attention over paged caches: several sequences of uneven lengths, grown in steps, from any position. */
import type { Backend, KvType, Tensor } from "../../src/backend/backend.ts";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";
import { type ConformanceCase, SIZES } from "./case.ts";
import { KINDS, type Kind, Random } from "./values.ts";

interface Model {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly type: KvType;
}

/** One sequence: where it starts and how many tokens each step adds to it (0: it is not part of that step). */
interface Sequence {
  readonly start: number;
  readonly steps: readonly number[];
}

function attentionCase(model: Model, sequences: readonly Sequence[], kind: Kind, seed: number): ConformanceCase {
  const { layers, heads, kvHeads, headDim, type } = model;
  const lengths = sequences.map(({ start, steps }) => `${steps.join("+")} from ${start}`);
  return {
    name: `attention ${heads}/${kvHeads} heads of ${headDim}, ${layers} layers, ${type}: ${lengths.join("; ")}, ${kind}`,
    run(b: Backend): Tensor[] {
      const random = new Random(seed);
      const store = b.createKvStore({ layers, kvHeads, headDim, type });
      const pool = new KvPool(store);
      const caches = sequences.map(({ start }) => {
        const cache = new KvCache(pool);
        cache.start = start;
        return cache;
      });
      const results: Tensor[] = [];
      for (let step = 0; step < sequences[0]!.steps.length; step++) {
        for (const [i, cache] of caches.entries()) cache.reserve(sequences[i]!.steps[step]!);
        const segments = caches.map((cache, i) => cache.segment(sequences[i]!.steps[step]!));
        const tokens = segments.reduce((sum, segment) => sum + segment.tokens, 0);
        const input = (count: number) => b.input(random.floats(tokens * count * headDim, kind), [tokens, count, headDim]);
        for (let layer = 0; layer < layers; layer++) {
          b.appendKv(segments, layer, input(kvHeads), input(kvHeads));
          results.push(b.attention(input(heads), segments, layer, 1 / Math.sqrt(headDim)));
        }
        for (const [i, cache] of caches.entries()) cache.commit(segments[i]!.tokens);
      }
      store.close();
      return results;
    },
  };
}

export function* attentionCases(): Generator<ConformanceCase> {
  let seed = 200_000;
  const types = ["f32", "f16", "int8"] as const;
  for (const type of types)
    for (const size of SIZES) {
      const kind = KINDS[seed % 3]!;
      const other = (size * 29) % 67;
      const heads = 1 + (size % 6);
      // head_dim
      yield attentionCase(
        { layers: 1, heads: 2, kvHeads: 1, headDim: size, type },
        [{ start: 0, steps: [other % 40, 2] }],
        kind,
        seed++,
      );
      // tokens of a step, and the length before it
      yield attentionCase({ layers: 1, heads: 2, kvHeads: 2, headDim: 5, type }, [{ start: other, steps: [size] }], kind, seed++);
      yield attentionCase(
        { layers: 1, heads: 3, kvHeads: 1, headDim: 8, type },
        [{ start: 0, steps: [size, 1, 1] }],
        kind,
        seed++,
      );
      // the start, within and across pages; far positions have the same blocks
      yield attentionCase(
        { layers: 2, heads: 2, kvHeads: 1, headDim: 4, type },
        [{ start: size, steps: [other, 3] }],
        kind,
        seed++,
      );
      yield attentionCase(
        { layers: 1, heads: 1, kvHeads: 1, headDim: 7, type },
        [{ start: 262_143 - size, steps: [size, 1] }],
        kind,
        seed++,
      );
      // heads, in groups and not
      yield attentionCase(
        { layers: 1, heads: size, kvHeads: 1 + (size % 4), headDim: 6, type },
        [{ start: 0, steps: [5] }],
        kind,
        seed++,
      );
      yield attentionCase(
        { layers: 1, heads, kvHeads: heads, headDim: 9, type },
        [{ start: 30, steps: [other % 9, 4] }],
        kind,
        seed++,
      );
      // sequences side by side, some idle in a step
      const sequences = [
        { start: 0, steps: [size, 1, 0, 2] },
        { start: other, steps: [1, 0, 3, 1] },
        { start: 31, steps: [0, other % 13, 1, 1] },
      ];
      yield attentionCase({ layers: 2, heads: 4, kvHeads: 2, headDim: 3 + (size % 6), type }, sequences, kind, seed++);
    }
  // The same tokens in steps of 1, 7 and 16 and at once.
  for (const type of types)
    for (const steps of [Array.from({ length: 48 }, () => 1), [7, 7, 7, 7, 7, 7, 6], [16, 16, 16], [48]])
      yield attentionCase({ layers: 1, heads: 4, kvHeads: 2, headDim: 16, type }, [{ start: 20, steps }], "plain", 299_999);
  // Qwen3-4B: 32 query heads, 8 KV heads of 128.
  for (const type of types) {
    const model = { layers: 1, heads: 32, kvHeads: 8, headDim: 128, type };
    yield attentionCase(model, [{ start: 0, steps: [70, 1] }], "plain", seed++);
    yield attentionCase(
      model,
      [
        { start: 5, steps: [3, 1] },
        { start: 0, steps: [33, 2] },
      ],
      "special",
      seed++,
    );
  }
}
