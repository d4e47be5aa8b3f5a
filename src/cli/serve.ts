/** `qwen3 serve`: a model behind a port, until a signal asks it to end. */
import { type ModelOptions, Qwen3 } from "../index.ts";
import { createServer, listen, type ServerOptions } from "../server.ts";
import type { ServeValues } from "./commands.ts";
import { modelLocation, toModelOptions } from "./model.ts";
import { UsageError } from "./options.ts";
import { packageVersion } from "./package.ts";
import { ProgressLine } from "./progress.ts";
import type { Streams } from "./streams.ts";
import { escapeControls } from "./terminal.ts";

const LOOPBACK = ["localhost", "127.0.0.1", "::1"];
const ANY = ["0.0.0.0", "::"];
const DEFAULT_SHUTDOWN_SECONDS = 60;

export async function serve(values: ServeValues, positionals: readonly string[], streams: Streams): Promise<void> {
  const { stdout, stderr } = streams;
  if (positionals.length > 0)
    throw new UsageError(`${JSON.stringify(positionals[0])}: serve takes options only; --model names a checkpoint`);
  const say = (text: string) => values.quiet || stderr.write(`${escapeControls(text)}\n`);
  const options = toServerOptions(values, streams);
  const end = new EndRequest(streams.signal);
  const location = modelLocation(values);
  const progress = stderr.isTTY && !values.quiet ? new ProgressLine(stderr, location) : undefined;
  const modelOptions = toServedModelOptions(values);
  const loading = Qwen3.fromPretrained(location, {
    ...modelOptions,
    hub: { ...modelOptions.hub, onProgress: progress?.download },
    onPlan: progress?.plan,
    onProgress: progress?.update,
    signal: end.signal,
  });
  const server = createServer(
    loading.then((model) => model.chatModel()),
    { ...options, log: values["disable-log-requests"] ? undefined : (line) => stdout.write(`${line}\n`) },
  );
  try {
    const listener = await listen(server, { host: values.host, port: values.port });
    try {
      say(`Listening on ${listener.url}`);
      const model = await loading;
      progress?.clear();
      say(`Ready: ${model.description}, up to ${model.plan.maxModelLen} tokens`);
      await end.requested;
      say("Ending: answers that are under way may finish");
      await server.drain((values["shutdown-timeout"] ?? DEFAULT_SHUTDOWN_SECONDS) * 1000);
    } finally {
      await listener.close();
    }
  } catch (error) {
    if (!end.signal.aborted) throw error; // asked to end while it was loading
  } finally {
    progress?.clear();
    end.forget();
    await loading.then(
      (model) => model.close(),
      () => undefined,
    );
  }
}

function toServedModelOptions(values: ServeValues): ModelOptions {
  const { quantization: weights = "none", "kv-cache-dtype": kvCache = "auto" } = values;
  return {
    ...toModelOptions(values),
    weights: weights === "none" ? "auto" : weights,
    kvCache: kvCache === "auto" ? undefined : kvCache,
    maxSequences: values["max-num-seqs"],
    maxBatchedTokens: values["max-num-batched-tokens"],
    prefixCache: !values["no-enable-prefix-caching"],
  };
}

function toServerOptions(values: ServeValues, { env }: Streams): ServerOptions {
  const { host = "127.0.0.1", insecure = false } = values;
  const apiKeys = values["api-key"] ?? (env.QWEN3_API_KEY ? [env.QWEN3_API_KEY] : []);
  const isLoopback = LOOPBACK.includes(host.toLowerCase());
  if (!isLoopback && apiKeys.length === 0 && !insecure)
    throw new UsageError(`--host ${host} can be reached from outside: give an --api-key, or --insecure to go without`);
  return {
    apiKeys,
    allowedHosts: values["allowed-hosts"] ?? allowedHosts(host, isLoopback, apiKeys.length > 0),
    allowedOrigins: values["allowed-origins"],
    servedModelNames: values["served-model-name"],
    toolCalls: values["tool-call-parser"] !== "none",
    logBodies: values["log-bodies"],
    version: packageVersion(),
    // As many again may wait as run, and 256 at least.
    limits: { answers: (values["max-num-seqs"] ?? 64) + Math.max(256, values["max-num-seqs"] ?? 64) },
  };
}

/** With a key, a page that got at the server under another name could do nothing; without, the names are those of the address. */
function allowedHosts(host: string, isLoopback: boolean, hasKey: boolean): readonly string[] | undefined {
  if (isLoopback) return undefined;
  if (hasKey) return ["*"];
  return ANY.includes(host) ? ["localhost", "127.0.0.1", "[::1]", "<address>"] : ["localhost", "127.0.0.1", "[::1]", host];
}

/** The wish to end, by SIGTERM or an interrupt. A second one ends the process at once. */
class EndRequest {
  readonly requested: Promise<void>;
  readonly #abort = new AbortController();
  readonly #ask: () => void;

  constructor(interrupt: AbortSignal) {
    let resolve = () => {};
    this.requested = new Promise((done) => {
      resolve = done;
    });
    this.#ask = () => {
      if (this.#abort.signal.aborted) process.exit(1);
      this.#abort.abort();
      resolve();
    };
    process.on("SIGTERM", this.#ask);
    if (interrupt.aborted) this.#ask();
    else interrupt.addEventListener("abort", this.#ask, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  forget(): void {
    process.off("SIGTERM", this.#ask);
  }
}
