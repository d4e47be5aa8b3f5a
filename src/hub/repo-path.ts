/** Names of files in a repository are somebody else's text, and become paths on this machine. */
import { isFileName } from "../formats/range.ts";

/** Names that Windows gives to devices, with any extension. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * True for `folder/file` of plain names that mean the same on every system: no `..`, no absolute path, no drive, no control
 * character, no name that Windows keeps or cuts.
 */
export function isRepoPath(path: string): boolean {
  return (
    path.length <= 1000 &&
    path.split("/").every((name) => isFileName(name) && !/[<>"|?*]|[. ]$/.test(name) && !DEVICE.test(name)) &&
    !path.startsWith(" ")
  );
}
