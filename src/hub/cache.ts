/**
 * Where files of the hub are kept: on disk in the layout of Hugging Face's tools, in pages in the page's own storage. Contents (blobs,
 * by their hash) are kept apart from names, so that two revisions share what they have in common.
 */
import type { ByteSource } from "../formats/source.ts";

/** A file's content: SHA-256 of large files, git's SHA-1 of the others, in hexadecimal as the hub has it. */
export interface HubBlob {
  readonly etag: string;
  readonly size: number;
}

export interface HubCache {
  readonly name: string;
  /** The commit that a branch or tag had when it was last asked for. */
  commitOf(repo: string, revision: string): Promise<string | undefined>;
  setCommit(repo: string, revision: string, commit: string): Promise<void>;
  /** The files of a commit that are here, whole. */
  paths(repo: string, commit: string): Promise<string[]>;
  open(repo: string, commit: string, path: string, signal?: AbortSignal): Promise<ByteSource | undefined>;
  hasBlob(repo: string, blob: HubBlob): Promise<boolean>;
  /** Gives a blob that is here its name in a commit. */
  link(repo: string, commit: string, path: string, blob: HubBlob): Promise<void>;
  /** What is to become a blob, for one at a time: waits for whoever has it. `onWait` is called when that begins. */
  partial(repo: string, blob: HubBlob, options?: PartialOptions): Promise<PartialBlob>;
  /** Bytes of a blob that are here already, without waiting. */
  partialBytes(repo: string, blob: HubBlob): Promise<number>;
  /** Undefined where the host does not say. */
  freeBytes(): Promise<number | undefined>;
  /** The file's path on disk, or the folder's where `path` is empty; only of caches that have paths. */
  path?(repo: string, commit: string, path: string): string;
  list(): Promise<CachedModel[]>;
  /**
   * Removes a model: all of it, or the files that `only` names and what no other name needs.
   *
   * @returns the bytes that are free now; undefined where there was nothing to remove
   */
  remove(repo: string, only?: (path: string) => boolean): Promise<number | undefined>;
}

export interface PartialOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onWait?: (() => void) | undefined;
}

/** The beginning of a file. It stays where the work on it ends, also by force, and is there the next time. */
export interface PartialBlob {
  /** Bytes that are here. */
  readonly length: number;
  /** Those bytes, in order. */
  read(): AsyncIterable<Uint8Array>;
  append(bytes: Uint8Array): Promise<void>;
  /** Begins anew. */
  discard(): Promise<void>;
  /** Makes it a blob, at once and whole. */
  commit(): Promise<void>;
  /** Lets others have it. */
  close(): Promise<void>;
}

export interface CachedModel {
  readonly repo: string;
  /** Of all blobs, also of parts. */
  readonly bytes: number;
  readonly revisions: readonly CachedRevision[];
}

export interface CachedRevision {
  readonly commit: string;
  /** Branches and tags that were there. */
  readonly refs: readonly string[];
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}
