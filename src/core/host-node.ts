/** Host facts by Node's modules, for Node, Deno and Bun. */
import { readFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { Qwen3Error } from "./errors.ts";

/**
 * The machine's memory, or the container's where that is less; undefined where asking is forbidden (Deno without --allow-sys).
 *
 * @param machineBytes   what the operating system says
 * @param containerBytes the limit of the control group; 0, or more than the machine has, where there is none
 */
export function totalMemoryBytes(
  machineBytes: () => number = totalmem,
  containerBytes: () => number = () => process.constrainedMemory?.() ?? 0,
): number | undefined {
  try {
    const [machine, container] = [machineBytes(), containerBytes()];
    return container > 0 && container < machine ? container : machine;
  } catch {
    return undefined;
  }
}

/** Processors that this process may use; 1 where asking is forbidden. */
export function processors(available: () => number = availableParallelism): number {
  try {
    return available();
  } catch {
    return 1;
  }
}

export async function readFileUrl(url: URL): Promise<Uint8Array> {
  try {
    return await readFile(url);
  } catch (cause) {
    throw new Qwen3Error("SOURCE_READ", `${url.href}: ${(cause as Error).message}`, { cause });
  }
}
