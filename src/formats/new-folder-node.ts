/**
 * A folder of files that is there whole or not at all, by Node's modules: files are written to a folder beside it, of another name, flushed
 * to the disk, and the folder gets its name by one renaming. What breaks off leaves nothing under the final name.
 */
import { mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Qwen3Error } from "../core/errors.ts";

export interface FileToFill {
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes it to the disk. */
  close(): Promise<void>;
}

export class NewFolder {
  /** Its final name, absolute. */
  readonly path: string;
  readonly #partial: string;
  readonly #replace: boolean;

  private constructor(path: string, partial: string, replace: boolean) {
    this.path = path;
    this.#partial = partial;
    this.#replace = replace;
  }

  /**
   * @param bytes what will be written, to be asked of the disk first
   * @param replace whether a checkpoint's folder that is there may go, once the new one is whole
   * @throws Qwen3Error ARGUMENT for a folder that is there, STORAGE_FULL
   */
  static async begin(path: string, bytes: number, replace: boolean): Promise<NewFolder> {
    const whole = resolve(path);
    await requireReplaceable(whole, replace);
    const parent = dirname(whole);
    return writing(whole, async () => {
      await mkdir(parent, { recursive: true });
      await requireRoom(parent, bytes);
      const partial = join(parent, `.${basename(whole)}.partial-${crypto.randomUUID()}`);
      await mkdir(partial);
      return new NewFolder(whole, partial, replace);
    });
  }

  async file(name: string): Promise<FileToFill> {
    const path = join(this.#partial, name);
    const handle = await writing(path, () => open(path, "wx"));
    return {
      write: (bytes) => writing(path, () => handle.writeFile(bytes)),
      close: () =>
        writing(path, async () => {
          await handle.sync().finally(() => handle.close());
        }),
    };
  }

  async writeFile(name: string, bytes: Uint8Array): Promise<void> {
    const file = await this.file(name);
    try {
      await file.write(bytes);
    } finally {
      await file.close();
    }
  }

  /** Gives the folder its name. @throws as `begin`, for what came there meanwhile */
  async finish(): Promise<void> {
    await requireReplaceable(this.path, this.#replace);
    await writing(this.path, async () => {
      await syncFolder(this.#partial);
      const old = `${this.#partial}.old`;
      const replaced = await rename(this.path, old).then(
        () => true,
        () => false, // there is none
      );
      await rename(this.#partial, this.path);
      await syncFolder(dirname(this.path));
      if (replaced) await rm(old, { recursive: true });
    });
  }

  /** Takes away what was written. */
  async discard(): Promise<void> {
    await rm(this.#partial, { recursive: true, force: true });
  }
}

/** A folder may be replaced if it is empty or a checkpoint: files only, config.json among them. */
async function requireReplaceable(path: string, replace: boolean): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isDirectory()) throw new Qwen3Error("ARGUMENT", `${path} is there and is no folder`);
  const entries = await readdir(path, { withFileTypes: true });
  if (entries.length === 0) return;
  if (!replace) throw new Qwen3Error("ARGUMENT", `${path} is there already; with force (--force) it is replaced`);
  const isCheckpoint = entries.some(({ name }) => name === "config.json") && entries.every((entry) => !entry.isDirectory());
  if (!isCheckpoint)
    throw new Qwen3Error("ARGUMENT", `${path} holds something else than a checkpoint's files; it is not replaced`);
}

async function requireRoom(folder: string, bytes: number): Promise<void> {
  const free = await statfs(folder).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => Number.POSITIVE_INFINITY, // not on every engine
  );
  if (free < bytes) throw new Qwen3Error("STORAGE_FULL", `${folder}: ${bytes} bytes will be written, ${free} are free`);
}

/** Makes names in a folder last; what cannot (Windows) does not need to. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

async function writing<T>(place: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") throw new Qwen3Error("STORAGE_FULL", `${place}: ${message}`, { cause: error });
    throw error;
  }
}
