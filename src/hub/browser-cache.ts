import type { HubCache } from "./cache.ts";
export async function browserCache(): Promise<HubCache | undefined> {
  return undefined;
}
