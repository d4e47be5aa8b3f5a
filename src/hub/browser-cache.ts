/** The cache of a page. */
import type { HubCache } from "./cache.ts";

/** Pages keep nothing: models are read from the hub. */
export async function browserCache(): Promise<HubCache | undefined> {
  return undefined;
}
