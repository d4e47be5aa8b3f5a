/** The compiled kernels by themselves: what the module is made of, conversions of all values, no access outside operands. */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FP8_BLOCK, kvPageBytes } from "../../../src/backend/backend.ts";
import {
  attentionScratchBytes,
  EXP_CONSTANTS_BYTES,
  floatScratchBytes,
  fp8ScratchBytes,
  INFO_BYTES,
  int8AttentionScratchBytes,
  productScratchBytes,
} from "../../../src/backend/wasm/kernel-sizes.ts";
import { instantiate, type Kernels } from "../../../src/backend/wasm/kernels.ts";
import { e4m3ToF32, f16ToF32, f32ToF16 } from "../../../src/core/dtype.ts";
import { expF32 } from "../../../src/core/math.ts";
import { Random } from "../../conformance/values.ts";

const PAGE = 65536;
const builds: { name: string; bytes: Uint8Array<ArrayBuffer>; module: WebAssembly.Module }[] = [];
for (const name of ["simd", "relaxed"]) {
  const bytes = new Uint8Array(await readFile(new URL(`../../../src/wasm/qwen3-${name}.wasm`, import.meta.url)));
  if (WebAssembly.validate(bytes)) builds.push({ name, bytes, module: await WebAssembly.compile(bytes) });
}

/** The ids of a module's sections. */
function sections(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++]!);
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      length |= (bytes[at]! & 0x7f) << shift;
      more = bytes[at++]! >= 0x80;
    }
    at += length;
  }
  return ids;
}

test("a module imports its memory, and writes nothing of its own accord", () => {
  assert.ok(builds.length >= 1);
  for (const { bytes, module } of builds) {
    assert.equal(WebAssembly.Module.imports(module), [{ module: "env", name: "memory", kind: "memory" }]);
    const [start, data] = [8, 11];
    const ids = sections(bytes);
    assert.ok(ids.includes(10), "it has code");
    assert.not.ok(ids.includes(start) || ids.includes(data), `sections ${ids}`);
    const memory = new WebAssembly.Memory({ initial: 1 });
    instantiate(module, memory);
    assert.ok(new Uint8Array(memory.buffer).every((byte) => byte === 0));
  }
});

/** The kernels of the first build in a memory of `pages`, with views. */
function load(pages: number) {
  const memory = new WebAssembly.Memory({ initial: pages });
  const kernels = instantiate(builds[0]!.module, memory);
  return {
    kernels,
    f32: new Float32Array(memory.buffer),
    u16: new Uint16Array(memory.buffer),
    u32: new Uint32Array(memory.buffer),
  };
}

test("exp has the bits of expF32 over its whole range", () => {
  const count = 200_000;
  const { kernels, f32 } = load(40);
  const [x, y] = [1024, 1024 + 4 * count];
  const inputs = f32.subarray(x / 4, x / 4 + count);
  const special = [
    0, -0, 1e-45, -1e-45, 88.72284, 88.722839, 88.73, 89, 90, 1e38, -87.33655, -103.97, -103.98, -104, -105, -1e38,
  ];
  inputs.set([...special, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]);
  for (let i = special.length + 3; i < count; i++) inputs[i] = -110 + (205 * i) / count;
  kernels.exp(x, y, count);
  for (let i = 0; i < count; i++)
    if (!Object.is(f32[y / 4 + i], expF32(inputs[i]!))) assert.is(f32[y / 4 + i], expF32(inputs[i]!));
});

test("every f16 and bf16 widens to its value", () => {
  const { kernels, f32, u16, u32 } = load(8);
  const [from, to] = [1024, 1024 + 2 * PAGE];
  for (let half = 0; half < PAGE; half++) u16[from / 2 + half] = half;
  kernels.widenF16(from, to, PAGE);
  for (let half = 0; half < PAGE; half++) {
    const expected = f16ToF32(half);
    if (!Object.is(f32[to / 4 + half], expected)) assert.is(f32[to / 4 + half], expected, `f16 ${half}`);
  }
  kernels.widenBf16(from, to, PAGE);
  for (let half = 0; half < PAGE; half++) if (u32[to / 4 + half] !== (half << 16) >>> 0) assert.unreachable(`bf16 ${half}`);
});

test("every e4m3 widens to its value times a scale of any size, and a row with a NaN or a large scale is noted", () => {
  const { kernels, f32 } = load(1);
  const u8 = new Uint8Array(f32.buffer);
  const [codes, scales, to] = [1024, 2048, 4096];
  for (let code = 0; code < 256; code++) u8[codes + code] = code;
  for (const scale of [1, -0.37, 2 ** -12, 127.9, 128, 1e30, 3e38, 1e-40, 2 ** -149, 0])
    for (const bound of [0, Number.NaN]) {
      f32.set([bound, scale, scale], scales / 4); // 256 codes: two scales
      if (Math.abs(f32[scales / 4 + 1]!) >= 128) f32[scales / 4] = Number.NaN;
      kernels.widenF8(codes, scales, to, 256);
      for (let code = 0; code < 256; code++) {
        const isNaN8 = (code & 0x7f) === 0x7f;
        const expected = Math.fround(e4m3ToF32(code) * f32[scales / 4 + 1]!);
        if (isNaN8 && !Number.isNaN(f32[scales / 4]!)) continue; // the bound says that there is none
        if (!Object.is(f32[to / 4 + code], expected)) assert.is(f32[to / 4 + code], expected, `code ${code}, scale ${scale}`);
      }
    }
  f32.set([3, -200], scales / 4);
  assert.is(kernels.boundF8(codes, scales, 127), 3);
  assert.ok(Number.isNaN(kernels.boundF8(codes + 1, scales, 127)), "0x7f is among them");
  assert.is(kernels.boundF8(codes + 128, scales, 127), 3);
  assert.ok(Number.isNaN(kernels.boundF8(codes + 100, scales, 28)), "in the rest of less than 16");
  u8.fill(0xff, codes, codes + 1);
  assert.ok(Number.isNaN(kernels.boundF8(codes, scales, 40)));
  u8.fill(0, codes, codes + 256);
  assert.is(kernels.boundF8(codes, scales, 129), 200);
});

test("f32 narrows to f16 as dtype.ts has it: every f16, its neighbours and the ties between", () => {
  const { kernels, u16, u32, f32 } = load(40);
  const from = 1024;
  const offsets = [0, 1, -1, 0x0fff, 0x1000, 0x1001];
  const count = PAGE * offsets.length;
  const to = from + 4 * count;
  const bits = new Uint32Array(1);
  const value = new Float32Array(bits.buffer);
  for (let half = 0, i = from / 4; half < PAGE; half++) {
    value[0] = f16ToF32(half);
    for (const offset of offsets) u32[i++] = bits[0]! + offset;
  }
  kernels.narrowF16(from, to, count);
  for (let i = 0; i < count; i++) {
    const [expected, actual] = [f32ToF16(f32[from / 4 + i]!), u16[to / 2 + i]!];
    if (actual !== expected) assert.is(actual, expected, `${f32[from / 4 + i]}`);
  }
});

/** A kernel's operands, in bytes, and how it is called with their addresses; `writes` says which of them it may write. */
interface Call {
  readonly name: string;
  readonly operands: readonly number[];
  readonly writes: readonly number[];
  readonly run: (k: Kernels, at: readonly number[], memory: DataView) => void;
}

const halfTypes = ["Bf16", "F16"] as const;

/** Every kernel with random extents. */
function* calls(random: Random): Generator<Call> {
  const [n, tokens, rows, cols] = [random.integer(1, 40), random.integer(1, 6), random.integer(1, 20), random.integer(1, 40)];
  const values = 4 * n;
  yield { name: `add ${n}`, operands: [values, values, values], writes: [2], run: (k, [a, b, c]) => k.add(a!, b!, c!, n) };
  yield {
    name: `swiglu ${n}`,
    operands: [values, values, values, EXP_CONSTANTS_BYTES],
    writes: [2, 3],
    run: (k, [a, b, c, scratch]) => k.swiglu(a!, b!, c!, n, scratch!),
  };
  yield {
    name: `blockMaxima [${rows}, ${cols}]`,
    operands: [4 * rows * cols, 4 * rows * Math.ceil(cols / 8)],
    writes: [1],
    run: (k, [x, out]) => k.blockMaxima(x!, out!, rows, cols),
  };
  yield { name: `exp ${n}`, operands: [values, values], writes: [1], run: (k, [a, b]) => k.exp(a!, b!, n) };
  for (const type of halfTypes)
    yield { name: `widen${type} ${n}`, operands: [2 * n, values], writes: [1], run: (k, [a, b]) => k[`widen${type}`](a!, b!, n) };
  for (const type of halfTypes)
    yield {
      name: `narrow${type} ${n}`,
      operands: [values, 2 * n],
      writes: [1],
      run: (k, [a, b]) => k[`narrow${type}`](a!, b!, n),
    };
  yield { name: `largestMagnitude ${n}`, operands: [values], writes: [], run: (k, [a]) => void k.largestMagnitude(a!, n) };
  yield {
    name: `rmsNorm ${rows} ${n}`,
    operands: [rows * values, values, rows * values],
    writes: [2],
    run: (k, [x, g, y]) => k.rmsNorm(x!, g!, y!, rows, n, 1e-6),
  };
  yield {
    name: `rope ${tokens} ${rows} ${n}`,
    operands: [tokens * rows * 2 * values, tokens * values, tokens * values, tokens * rows * 2 * values],
    writes: [3],
    run: (k, [x, c, s, y]) => k.rope(x!, c!, s!, y!, tokens, rows, n),
  };
  for (const [type, bytes] of [
    ["F32", 4],
    ["Bf16", 2],
    ["F16", 2],
  ] as const)
    yield {
      name: `matmul${type} ${tokens} ${rows} ${cols}`,
      operands: [4 * tokens * cols, bytes * 16 * Math.ceil(rows / 16) * cols, 4 * tokens * rows, floatScratchBytes(tokens)],
      writes: [2, 3],
      run: (k, [x, w, y, scratch]) => k[`matmul${type}`](x!, w!, y!, tokens, rows, cols, scratch!),
    };
  const within = random.integer(0, 15);
  for (const bits of [8, 16, 32] as const) {
    for (const [first, count] of [
      [within, random.integer(1, 16 - within)],
      [0, 16],
    ] as const)
      yield {
        name: `packRows${bits} ${first} ${count} ${cols}`,
        operands: [(bits / 8) * count * cols, (bits / 8) * 16 * cols],
        writes: [1],
        run: (k, [values, block]) => k[`packRows${bits}`](values!, block!, first, count, cols),
      };
    yield {
      name: `unpackRow${bits} ${within} ${cols}`,
      operands: [(bits / 8) * 16 * cols, (bits / 8) * cols],
      writes: [1],
      run: (k, [block, out]) => k[`unpackRow${bits}`](block!, within, cols, out!),
    };
  }
  yield* fp8Calls(random, tokens, rows);
  yield* quantizedCalls(random, tokens, rows, cols);
  yield* cacheCalls(random, tokens);
}

function* fp8Calls(random: Random, tokens: number, rows: number): Generator<Call> {
  const cols = random.integer(1, 300);
  const groups = Math.ceil(cols / FP8_BLOCK);
  const scaleBytes = 4 * (1 + groups);
  for (const count of [tokens, 1])
    yield {
      name: `matmulF8 ${count} ${rows} ${cols}`,
      operands: [
        4 * count * cols,
        16 * Math.ceil(rows / 16) * cols,
        rows * scaleBytes,
        4 * count * rows,
        fp8ScratchBytes(count, cols),
      ],
      writes: [2, 3, 4], // the bounds are written here
      run(k, [x, w, s, y, scratch], memory) {
        for (let row = 0; row < rows; row++) memory.setFloat32(s! + row * scaleBytes, row === 17 ? 1000 : 1, true);
        k.matmulF8(x!, w!, s!, y!, count, rows, cols, scratch!);
      },
    };
  yield {
    name: `widenF8 ${cols}`,
    operands: [cols, scaleBytes, 4 * cols],
    writes: [2],
    run: (k, [w, s, y]) => k.widenF8(w!, s!, y!, cols),
  };
  yield { name: `boundF8 ${cols}`, operands: [cols, 4 * groups], writes: [], run: (k, [w, s]) => void k.boundF8(w!, s!, cols) };
}

function* quantizedCalls(random: Random, tokens: number, rows: number, cols: number): Generator<Call> {
  const group = 2 ** random.integer(4, 7);
  const groups = Math.ceil(cols / group);
  const padded = groups * group;
  const blocks = Math.ceil(rows / 8);
  const kind = random.integer(0, 3);
  const factorBytes = 16 * Math.ceil(groups / 2);
  const scaleBytes = kind === 3 ? factorBytes + 16 * Math.ceil(padded / 256) : 8 * groups * (kind === 0 ? 4 : 2);
  const infoBytes = tokens * groups * INFO_BYTES;
  const row = random.integer(0, 7);
  const paths = [
    ["Wide", 2],
    ["Masked", 2],
    ["Narrow", 1],
    ["Unsigned", 1],
  ] as const;
  for (const [path, codeBytes] of paths)
    yield {
      name: `quantize${path} ${tokens} ${cols} ${group}`,
      operands: [4 * tokens * cols, tokens * padded * codeBytes, infoBytes],
      writes: [1, 2],
      run: (k, [x, c, i]) => k[`quantize${path}`](x!, c!, i!, tokens, cols, group, 8),
    };
  for (const [name, codeBytes] of [
    ["matmulInt8Wide", 2],
    ["matmulInt8Unsigned", 1],
    ["matmulInt4Masked", 2],
    ["matmulInt4Narrow", 1],
    ["matmulInt4Unsigned", 1],
  ] as const)
    for (const minimum of [false, true])
      yield {
        name: `${name} ${tokens} ${rows} ${cols} ${group} ${kind} ${minimum}`,
        operands: [
          tokens * padded * codeBytes,
          infoBytes,
          blocks * (padded * (name.startsWith("matmulInt8") ? 8 : 4) + scaleBytes * (minimum ? 2 : 1)),
          4 * tokens * rows,
          productScratchBytes(tokens, groups),
        ],
        writes: [3, 4],
        run(k, [c, i, w, y, scratch]) {
          if (!k.relaxed.value && codeBytes === 1) return; // traps: there is no such instruction
          k[name](c!, i!, w!, Number(minimum), kind, y!, tokens, rows, groups, group, scratch!);
        },
      };
  for (const [type, share] of [
    ["Int8", 8],
    ["Int4", 4],
  ] as const) {
    yield {
      name: `pack${type} ${cols} ${group}`,
      operands: [cols, share * padded - 28],
      writes: [1],
      run: (k, [c, w]) => k[`pack${type}`](c!, w!, cols, padded, 8),
    };
    yield {
      name: `unpack${type} ${row} ${cols} ${group} ${kind}`,
      operands: [share * padded, scaleBytes, scaleBytes, 4 * cols, 64 * groups],
      writes: [3, 4],
      run: (k, [w, s, m, y, scratch]) => k[`unpack${type}`](w!, s!, m!, kind, row, cols, groups, group, 8, y!, scratch!),
    };
  }
  for (const type of ["Int8", "Int4"] as const)
    yield {
      name: `quantize${type} ${cols} ${group}`,
      operands: [4 * cols, cols, 4 * groups],
      writes: [1, 2],
      run: (k, [x, c, s]) => k[`quantize${type}`](x!, c!, s!, cols, group),
    };
  const levels = Math.min(kind, 2);
  yield {
    name: `quantizeInt4Range ${cols} ${group} ${levels}`,
    operands: [4 * cols, cols, 4 * groups, 4 * groups],
    writes: [1, 2, 3],
    run: (k, [x, c, s, m]) => k.quantizeInt4Range(x!, c!, s!, m!, cols, group, levels),
  };
  yield {
    name: `packScales ${groups} ${levels}`,
    operands: [4 * groups, (8 * groups - 7) * (levels === 0 ? 4 : 2)],
    writes: [1],
    run: (k, [values, scales]) => k.packScales(values!, scales!, groups, levels),
  };
  const panelRows = Math.min(rows, 16);
  yield {
    name: `timesPanelF32 ${tokens} ${panelRows} ${cols}`,
    operands: [4 * tokens * cols, 4 * panelRows * cols, 4 * tokens * rows, floatScratchBytes(tokens)],
    writes: [2, 3],
    run: (k, [x, panel, y, scratch]) => k.timesPanelF32(x!, panel!, y!, tokens, panelRows, cols, 4 * rows, scratch!),
  };
}

/** Both pages of the cache are operands, so that the end of a page meets the end of the memory too. */
function* cacheCalls(random: Random, tokens: number): Generator<Call> {
  const [kvHeads, perHead, headDim, start] = [
    random.integer(1, 3),
    random.integer(1, 3),
    random.integer(1, 20),
    random.integer(0, 31),
  ];
  const heads = kvHeads * perHead;
  const slot = start + random.integer(0, 64 - start - tokens);
  const setTable = (memory: DataView, table: number, pages: readonly number[]) => {
    for (const [i, page] of pages.entries()) memory.setUint32(table + 4 * i, page, true);
  };
  const entry = 4 * tokens * kvHeads * headDim;
  const queries = 4 * tokens * heads * headDim;
  for (const valueBytes of [4, 2]) {
    const pageBytes = 2 * kvHeads * 32 * headDim * valueBytes;
    yield {
      name: `appendKv ${tokens} at ${slot}, ${kvHeads} of ${headDim}, ${valueBytes}`,
      operands: [entry, entry, 8, pageBytes, pageBytes],
      writes: [2, 3, 4],
      run(k, [key, value, table, first, second], memory) {
        setTable(memory, table!, [first!, second!]);
        k.appendKv(key!, value!, table!, slot, tokens, kvHeads, headDim, valueBytes);
      },
    };
    yield {
      name: `attention ${tokens} at ${slot} from ${start}, ${heads}/${kvHeads} of ${headDim}, ${valueBytes}`,
      operands: [queries, queries, 8, pageBytes, pageBytes, attentionScratchBytes(tokens, heads, kvHeads, headDim, valueBytes)],
      writes: [1, 2, 5],
      run(k, [query, out, table, first, second, scratch], memory) {
        setTable(memory, table!, [first!, second!]);
        k.attention(query!, out!, table!, start, slot, tokens, heads, kvHeads, headDim, valueBytes, 0.5, scratch!);
      },
    };
  }
  const pageBytes = kvPageBytes({ layers: 1, kvHeads, headDim, type: "int8" });
  yield {
    name: `appendInt8 ${tokens} at ${slot}, ${kvHeads} of ${headDim}`,
    operands: [entry, entry, 8, pageBytes, pageBytes],
    writes: [2, 3, 4],
    run(k, [key, value, table, first, second], memory) {
      setTable(memory, table!, [first!, second!]);
      k.appendInt8(key!, value!, table!, slot, tokens, kvHeads, headDim);
    },
  };
  for (const kernel of ["attentionInt8", "attentionInt8Relaxed"] as const)
    yield {
      name: `${kernel} ${tokens} at ${slot} from ${start}, ${heads}/${kvHeads} of ${headDim}`,
      operands: [queries, queries, 8, pageBytes, pageBytes, int8AttentionScratchBytes(tokens, heads, kvHeads, headDim)],
      writes: [1, 2, 5],
      run(k, [query, out, table, first, second, scratch], memory) {
        setTable(memory, table!, [first!, second!]);
        k[kernel](query!, out!, table!, start, slot, tokens, heads, kvHeads, headDim, 0.5, scratch!);
      },
    };
}

/**
 * Places the operands so that number `last` ends where the memory ends, runs the call, and says what is wrong.
 *
 * @param noise fills the memory beforehand
 */
function runAtEnd(k: Kernels, memory: WebAssembly.Memory, call: Call, last: number, noise: Uint8Array): string | undefined {
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(noise);
  let next = 1024;
  const addresses = call.operands.map((size, i) => {
    if (i === last) return bytes.length - size;
    const address = next;
    next += Math.ceil(size / 16) * 16 + 32;
    return address;
  });
  if (next > addresses[last]!) throw new Error(`${call.name} does not fit the memory`);
  const before = bytes.slice();
  try {
    call.run(k, addresses, new DataView(memory.buffer));
  } catch (error) {
    return `${error}`;
  }
  for (const i of call.writes) {
    const [from, to] = [addresses[i]!, addresses[i]! + call.operands[i]!];
    before.set(bytes.subarray(from, to), from);
  }
  const stray = before.findIndex((byte, i) => byte !== bytes[i]);
  return stray < 0 ? undefined : `wrote at ${stray}; operands at ${addresses}`;
}

function bytesOfNoise(count: number): Uint8Array {
  const random = new Random(count);
  return Uint8Array.from({ length: count }, () => random.word());
}

test("no kernel reads past an operand that ends with the memory, or writes beside its outputs", () => {
  for (const { name, module } of builds) {
    const memory = new WebAssembly.Memory({ initial: 3 });
    const k = instantiate(module, memory);
    const random = new Random(1);
    const noise = bytesOfNoise(3 * PAGE);
    const kernels = new Set<string>();
    for (let round = 0; round < 12; round++)
      for (const call of calls(random)) {
        kernels.add(call.name.split(" ")[0]!);
        for (const last of call.operands.keys()) {
          const wrong = runAtEnd(k, memory, call, last, noise);
          if (wrong !== undefined) assert.unreachable(`${name}, ${call.name}, operand ${last}: ${wrong}`);
        }
      }
    const exported = WebAssembly.Module.exports(module).filter(({ kind }) => kind === "function");
    assert.equal([...kernels].sort(), exported.map(({ name }) => name).sort(), "every kernel was called");
  }
});

test("one byte past the end is seen", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const k = instantiate(builds[0]!.module, memory);
  const call = (operands: number[], writes: number[]): Call => ({
    name: "add",
    operands,
    writes,
    run: (k, [a, b, c]) => k.add(a!, b!, c!, 4),
  });
  const noise = bytesOfNoise(PAGE);
  assert.is(runAtEnd(k, memory, call([16, 16, 16], [2]), 0, noise), undefined);
  assert.match(runAtEnd(k, memory, call([15, 16, 16], [2]), 0, noise) ?? "", /out of bounds/);
  assert.match(runAtEnd(k, memory, call([16, 16, 15], [2]), 0, noise) ?? "", /wrote at/);
});

test.run();
