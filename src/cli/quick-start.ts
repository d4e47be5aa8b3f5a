/**
 * What the program is made of, some hundred small files, found and compiled faster where Node can do that: compiled code is kept from
 * one run to the next, and a relative import is taken as it stands instead of asking the file system about it.
 */
import module from "node:module";

/** What newer versions have. */
interface NewerModule {
  enableCompileCache?(): unknown; //                                              from Node 22.8 on
  registerHooks?(hooks: { readonly resolve: typeof resolveRelative }): unknown; // from Node 22.15 on
}

interface Resolved {
  readonly url: string;
  readonly format?: string;
  readonly shortCircuit?: boolean;
}
type Context = { readonly parentURL?: string | undefined };

const OWN_FILES = new URL("..", import.meta.url).href;

export function startQuickly(newer: NewerModule = module as object): void {
  newer.enableCompileCache?.();
  newer.registerHooks?.({ resolve: resolveRelative });
}

function resolveRelative(specifier: string, context: Context, next: (specifier: string, context: Context) => Resolved): Resolved {
  const { parentURL } = context;
  if (!specifier.startsWith(".") || !parentURL?.startsWith(OWN_FILES)) return next(specifier, context);
  return { url: new URL(specifier, parentURL).href, format: "module", shortCircuit: true };
}
