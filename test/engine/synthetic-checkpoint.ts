/** A checkpoint of any size that takes no disk: bf16 safetensors whose bytes are made as they are read. */
import { parseModelConfig } from "../../src/formats/config.ts";
import { expectedTensors } from "../../src/formats/qwen3-tensors.ts";
import { bytesSource, type CheckpointSource } from "../../src/formats/source.ts";

/** A prime number of values, so that no two rows are alike. */
const POOL_VALUES = 999_983;

export function syntheticCheckpoint(shape: Readonly<Record<string, unknown>>): CheckpointSource {
  const config = {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    hidden_act: "silu",
    rms_norm_eps: 1e-6,
    rope_theta: 5e6,
    tie_word_embeddings: true,
    torch_dtype: "bfloat16",
    eos_token_id: 1,
    ...shape,
  };
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, extents] of expectedTensors(parseModelConfig(config))) {
    const begin = end;
    end += 2 * extents.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype: "BF16", shape: extents, data_offsets: [begin, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  head.set(text, 8);

  const values = new Uint16Array(POOL_VALUES);
  for (let i = 0, state = 1; i < POOL_VALUES; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = 0x3c00 | ((state >>> 8) & 0x80ff); // +-0.0078 to 0.031: no zeros, no denormals
  }
  const pool = new Uint8Array(values.buffer);
  const model = {
    name: "model.safetensors",
    size: head.length + end,
    read: async (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const within = offset + at - head.length;
        const part = within < 0 ? head.subarray(offset + at) : pool.subarray(within % pool.length);
        const count = Math.min(part.length, length - at);
        bytes.set(part.subarray(0, count), at);
        at += count;
      }
      return bytes;
    },
  };
  return {
    name: "synthetic",
    open: async (file) => {
      if (file === "config.json") return bytesSource(file, new TextEncoder().encode(JSON.stringify(config)));
      return file === model.name ? model : undefined;
    },
  };
}
