/**
 * The cache on disk, in the layout that Hugging Face's Python tools write and read:
 *
 *   models--owner--name/blobs/HASH                 contents
 *   models--owner--name/snapshots/COMMIT/FILE      relative links to them (the contents themselves where links cannot be made)
 *   models--owner--name/refs/REVISION              the commit of a branch or tag
 *   .locks/models--owner--name/HASH.qwen3.lock     who is downloading
 *
 * Source: huggingface_hub, "Manage your cache" of its documentation, and the files that version 2.4.0 makes.
 */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, readlink, rename, rm, stat, statfs, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { Qwen3Error } from "../core/errors.ts";
import { fileSource } from "../formats/file-node.ts";
import type { CachedModel, CachedRevision, HubBlob, HubCache } from "./cache.ts";
import { openPartial, partialPath } from "./disk-partial-node.ts";
import { isCommit, isRepo } from "./hub-id.ts";
import { isRepoPath } from "./repo-path.ts";
import { hubHome } from "./settings-node.ts";

const PREFIX = "models--";

/** @param folder default: `hub` in the folder of Hugging Face's tools */
export function diskCache(folder: string | undefined = defaultFolder()): HubCache {
  return new DiskCache(resolve(folder));
}

function defaultFolder(): string {
  const home = hubHome();
  if (!home) throw new Qwen3Error("ARGUMENT", "there is no home folder for the hub's cache; set HF_HUB_CACHE or give a folder");
  return join(home, "hub");
}

class DiskCache implements HubCache {
  readonly name: string;

  constructor(folder: string) {
    this.name = folder;
  }

  async commitOf(repo: string, revision: string): Promise<string | undefined> {
    const text = await ifPresent(readFile(this.#path(repo, "refs", revision), "utf8"));
    const commit = text?.trim() ?? "";
    return isCommit(commit) ? commit : undefined;
  }

  async setCommit(repo: string, revision: string, commit: string): Promise<void> {
    await replace(this.#path(repo, "refs", revision), (path) => writeFile(path, commit));
  }

  async paths(repo: string, commit: string): Promise<string[]> {
    return (await filesBelow(this.#path(repo, "snapshots", commit))).map(({ path }) => path);
  }

  open(repo: string, commit: string, path: string, signal?: AbortSignal) {
    return fileSource(this.#path(repo, "snapshots", commit, path), signal);
  }

  async hasBlob(repo: string, { etag, size }: HubBlob): Promise<boolean> {
    const stats = await ifPresent(stat(this.#path(repo, "blobs", etag)));
    return stats?.isFile() === true && stats.size === size;
  }

  async link(repo: string, commit: string, path: string, { etag, size }: HubBlob): Promise<void> {
    const blob = this.#path(repo, "blobs", etag);
    const name = this.#path(repo, "snapshots", commit, path);
    const linked = await ifPresent(readlink(name));
    if (linked !== undefined && resolve(dirname(name), linked) === blob) return;
    if (linked === undefined && (await ifPresent(stat(name)))?.size === size) return; // where links cannot be made
    await replace(name, async (temporary) => {
      const target = relative(dirname(name), blob);
      await symlink(target, temporary).catch(() => copyFile(blob, temporary)); // Windows wants a privilege, some disks have no links
    });
  }

  async partial(repo: string, { etag }: HubBlob, options = {}) {
    const lock = join(this.name, ".locks", folderOf(repo), `${etag}.qwen3.lock`);
    return writing(this.name, () => openPartial(this.#path(repo, "blobs", etag), lock, options));
  }

  async partialBytes(repo: string, { etag }: HubBlob): Promise<number> {
    return (await ifPresent(stat(partialPath(this.#path(repo, "blobs", etag)))))?.size ?? 0;
  }

  async freeBytes(): Promise<number | undefined> {
    await writing(this.name, () => mkdir(this.name, { recursive: true }));
    try {
      const { bavail, bsize } = await statfs(this.name);
      return bavail * bsize;
    } catch {
      return undefined; // not on every engine
    }
  }

  path(repo: string, commit: string, path: string): string {
    return this.#path(repo, "snapshots", commit, ...(path === "" ? [] : [path]));
  }

  async list(): Promise<CachedModel[]> {
    const names = (await ifPresent(readdir(this.name))) ?? [];
    const repos = names.map(repoOf).filter((repo) => repo !== undefined);
    return Promise.all(repos.sort().map((repo) => this.#model(repo)));
  }

  async #model(repo: string): Promise<CachedModel> {
    const refs = new Map<string, string[]>();
    for (const { path } of await filesBelow(this.#path(repo, "refs"))) {
      const commit = await this.commitOf(repo, path);
      if (commit !== undefined) refs.set(commit, [...(refs.get(commit) ?? []), path]);
    }
    const commits = ((await ifPresent(readdir(this.#path(repo, "snapshots")))) ?? []).filter(isCommit);
    const revisions = await Promise.all(
      commits.map(async (commit): Promise<CachedRevision> => {
        const files = await filesBelow(this.#path(repo, "snapshots", commit));
        return { commit, refs: refs.get(commit) ?? [], files: files.map(({ path, bytes }) => ({ path, bytes })) };
      }),
    );
    return { repo, bytes: await this.#bytesOf(repo), revisions };
  }

  /** Of what lies there itself: contents, and copies where there are no links. */
  async #bytesOf(repo: string): Promise<number> {
    const blobs = await filesBelow(this.#path(repo, "blobs"));
    const snapshots = await filesBelow(this.#path(repo, "snapshots"));
    return [...blobs, ...snapshots.filter(({ isLink }) => !isLink)].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async remove(repo: string, only?: (path: string) => boolean): Promise<number | undefined> {
    const folder = this.#path(repo);
    if (!(await ifPresent(stat(folder)))) return undefined;
    const before = await this.#bytesOf(repo);
    if (only && !(await this.#removeSome(repo, only))) return undefined;
    const left = (await filesBelow(this.#path(repo, "snapshots"))).length;
    if (only === undefined || left === 0) {
      await writing(this.name, () => rm(folder, { recursive: true }));
      await rm(join(this.name, ".locks", folderOf(repo)), { recursive: true, force: true });
      return before;
    }
    return before - (await this.#bytesOf(repo));
  }

  /** Whether there was any. */
  async #removeSome(repo: string, only: (path: string) => boolean): Promise<boolean> {
    const snapshots = this.#path(repo, "snapshots");
    const names = await filesBelow(snapshots); // COMMIT/FILE
    const removed = names.filter(({ path }) => only(path.slice(path.indexOf("/") + 1)));
    const target = async ({ path }: { path: string }) => basename((await ifPresent(readlink(join(snapshots, path)))) ?? "");
    const etags = new Set(await Promise.all(removed.map(target)));
    for (const { path } of removed) await rm(join(snapshots, path));
    for (const kept of names) if (!removed.includes(kept)) etags.delete(await target(kept));
    for (const etag of etags) if (/^[\da-f]+$/.test(etag)) await rm(this.#path(repo, "blobs", etag), { force: true });
    return removed.length > 0;
  }

  /** @throws Qwen3Error ARGUMENT for names that would lead elsewhere: the last stop for what others wrote */
  #path(repo: string, ...names: readonly string[]): string {
    if (!isRepo(repo) || !names.every(isRepoPath))
      throw new Qwen3Error("ARGUMENT", `${JSON.stringify([repo, ...names])} is no place in the cache`);
    return join(this.name, folderOf(repo), ...names.flatMap((name) => name.split("/")));
  }
}

const folderOf = (repo: string): string => `${PREFIX}${repo.replace("/", "--")}`;

function repoOf(folder: string): string | undefined {
  if (!folder.startsWith(PREFIX)) return undefined;
  const repo = folder.slice(PREFIX.length).replace("--", "/");
  return isRepo(repo) ? repo : undefined;
}

interface FileBelow {
  /** With `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly isLink: boolean;
}

/** Files that can be read, also through links; not those that `replace` was making when its process ended. */
async function filesBelow(folder: string): Promise<FileBelow[]> {
  const entries = (await ifPresent(readdir(folder, { recursive: true, withFileTypes: true }))) ?? [];
  const files: FileBelow[] = [];
  for (const entry of entries) {
    const full = join(entry.parentPath ?? entry.path, entry.name);
    const stats = entry.isDirectory() || TEMPORARY.test(entry.name) ? undefined : await ifPresent(stat(full)); // a link whose content is gone has none
    if (!stats?.isFile()) continue;
    files.push({ path: relative(folder, full).split(sep).join("/"), bytes: stats.size, isLink: entry.isSymbolicLink() });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const TEMPORARY = /\.[\da-f]{8}\.tmp$/;

/** Makes the file beside its place and moves it there: whoever reads sees the old one or the new one. */
async function replace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  await writing(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    try {
      await make(temporary);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ENOTDIR", "EINVAL"].includes(code)) return undefined; // EINVAL: readlink of what is no link
    throw error;
  }
}

/** Errors of the file system with a code of ours: no room, or not allowed. */
export async function writing<T>(place: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") throw new Qwen3Error("STORAGE_FULL", `${place}: ${message}`, { cause: error });
    if (code?.startsWith("E")) throw new Qwen3Error("SOURCE_READ", `${place}: ${message}`, { cause: error });
    throw error;
  }
}
