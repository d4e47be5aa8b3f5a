/** The public API of `qwen3.ts/server`: a server as one function of a request, and a port for it. */

export type { ServerLimits } from "./server/limits.ts";
export { type Listener, type ListenOptions, listen } from "./server/listen.ts";
export type { ServerOptions } from "./server/options.ts";
export { createServer, type Server } from "./server/server.ts";
