/** Safetensors files to be written: which tensors go to which file, and each file's header. */

/** A tensor as its file's header tells it. */
export interface TensorToWrite {
  readonly name: string;
  /** As the format spells it: "U32", "BF16". */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** Tensors that are written together, one behind the other: a weight's codes, scales and biases. */
export interface TensorGroup {
  readonly tensors: readonly TensorToWrite[];
}

export interface FileToWrite<G extends TensorGroup> {
  readonly name: string;
  readonly groups: readonly G[];
  readonly header: Uint8Array;
}

/** As many tensors in each file as `mostBytes` allow, at least one group. */
export function filesFor<G extends TensorGroup>(
  groups: readonly G[],
  mostBytes: number,
  metadata: Readonly<Record<string, string>>,
): FileToWrite<G>[] {
  const parts: G[][] = [];
  let left = 0;
  for (const group of groups) {
    const bytes = bytesOf([group]);
    if (parts.length === 0 || bytes > left) {
      parts.push([]);
      left = mostBytes;
    }
    parts[parts.length - 1]!.push(group);
    left -= bytes;
  }
  const count = String(parts.length).padStart(5, "0");
  return parts.map((groups, i) => ({
    name: parts.length === 1 ? "model.safetensors" : `model-${String(i + 1).padStart(5, "0")}-of-${count}.safetensors`,
    groups,
    header: safetensorsHeader(
      groups.flatMap(({ tensors }) => tensors),
      metadata,
    ),
  }));
}

export function bytesOf(groups: readonly TensorGroup[]): number {
  return groups.reduce((sum, { tensors }) => tensors.reduce((sum, { byteLength }) => sum + byteLength, sum), 0);
}

/** Length and JSON, filled up with spaces so that the data begins at a multiple of 8. */
export function safetensorsHeader(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape, byteLength }) => {
    const begin = end;
    end += byteLength;
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const json = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const text = new TextEncoder().encode(json);
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(text, 8);
  return header;
}

/** model.safetensors.index.json: where each tensor is. */
export function indexJson(files: readonly FileToWrite<TensorGroup>[]): object {
  const all = files.flatMap(({ name, groups }) => groups.flatMap(({ tensors }) => tensors.map((tensor) => [tensor.name, name])));
  const total_size = files.reduce((sum, { groups }) => sum + bytesOf(groups), 0);
  return { metadata: { total_size }, weight_map: Object.fromEntries(all) };
}
