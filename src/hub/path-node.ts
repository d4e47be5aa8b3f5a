/** Whether a text is a path of something that is there. */
import { stat } from "node:fs/promises";

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES"; // there, and for whoever opens it to complain
  }
}
