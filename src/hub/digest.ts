/**
 * The hash by which the hub knows a file, fed piece by piece: WebCrypto wants a file whole, and files of gigabytes are not held. Node,
 * Deno and Bun have a fast one built in; pages take the one of @noble/hashes.
 */
import { detectHost } from "../core/host.ts";
import type { HubBlob } from "./cache.ts";

export interface Digest {
  update(bytes: Uint8Array): void;
  /** In hexadecimal; then it is over. */
  hex(): string;
}

/** SHA-256 for an etag of 64 digits (large files), git's SHA-1 of `blob SIZE\0` and the content for one of 40. */
export async function newDigest({ etag, size }: HubBlob, host = detectHost()): Promise<Digest> {
  const algorithm = etag.length === 64 ? "sha256" : "sha1";
  const digest = host.nodeModules ? (await import("./digest-node.ts")).nodeDigest(algorithm) : await portableDigest(algorithm);
  if (algorithm === "sha1") digest.update(new TextEncoder().encode(`blob ${size}\0`));
  return digest;
}

async function portableDigest(algorithm: "sha256" | "sha1"): Promise<Digest> {
  const hash =
    algorithm === "sha256"
      ? (await import("@noble/hashes/sha2.js")).sha256.create()
      : (await import("@noble/hashes/legacy.js")).sha1.create();
  return {
    update: (bytes) => void hash.update(bytes),
    hex: () => Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}
