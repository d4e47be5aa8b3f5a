/**
 * What `done` settles with, but waits for it no longer than so many milliseconds: then `late` is called, and the result is undefined.
 * No timer is left behind.
 */
export async function within<T>(ms: number, done: Promise<T>, late: () => void = () => undefined): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const enough = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      late();
      resolve(undefined);
    }, ms);
  });
  try {
    return await Promise.race([done, enough]);
  } finally {
    clearTimeout(timer);
  }
}
