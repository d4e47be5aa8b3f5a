/** Node's own hashes, for Node, Deno and Bun. */
import { createHash } from "node:crypto";
import type { Digest } from "./digest.ts";

export function nodeDigest(algorithm: "sha256" | "sha1"): Digest {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
}
