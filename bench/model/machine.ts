/** On what a run was measured. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { root } from "../../test/paths.ts";

export interface Machine {
  readonly date: string;
  readonly model: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly vnni: boolean;
  readonly amx: boolean;
  readonly avx512: boolean;
  /** Of the last minute, before anything was measured; much more than 0 spoils the figures. */
  readonly load: number;
  readonly commit: string;
}

export function describeMachine(): Machine {
  let flags = "";
  try {
    flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  } catch {} // not Linux: nothing is known
  let commit = "unknown";
  try {
    commit = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim();
  } catch {} // not a clone
  return {
    date: new Date().toISOString(),
    model: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    vnni: /\bavx512_vnni\b|\bavx_vnni\b/.test(flags),
    avx512: /\bavx512f\b/.test(flags),
    amx: /\bamx_int8\b/.test(flags),
    load: loadavg()[0]!,
    commit,
  };
}
