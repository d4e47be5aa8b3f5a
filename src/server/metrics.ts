/** Counters, gauges and histograms in Prometheus's text format (version 0.0.4). */
import type { ChatModelStats } from "../chat/chat-model.ts";
import type { RequestRecord } from "./request-record.ts";

type Labels = Readonly<Record<string, string>>;

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const TOKEN_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const TOKENS = [1, 8, 32, 128, 512, 2048, 8192, 32_768];

export class Counter {
  readonly #values = new Map<string, number>();

  add(amount: number, labels: Labels = {}): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  lines(name: string): string[] {
    const values = this.#values.size > 0 ? [...this.#values] : [["", 0] as const];
    return values.map(([labels, value]) => `${name}${labels} ${value}`);
  }
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds upper bounds of the buckets, ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.#counts[bucket]!++;
    this.#sum += value;
    this.#count++;
  }

  lines(name: string): string[] {
    let below = 0;
    const buckets = this.#bounds.map((bound, i) => {
      below += this.#counts[i]!;
      return `${name}_bucket{le="${bound}"} ${below}`;
    });
    return [...buckets, `${name}_bucket{le="+Inf"} ${this.#count}`, `${name}_sum ${this.#sum}`, `${name}_count ${this.#count}`];
  }
}

export class Metrics {
  readonly requests = new Counter();
  readonly promptTokens = new Counter();
  readonly cachedTokens = new Counter();
  readonly generatedTokens = new Counter();
  readonly timeToFirstToken = new Histogram(SECONDS);
  readonly timeBetweenTokens = new Histogram(TOKEN_SECONDS);
  readonly requestTime = new Histogram(SECONDS);
  readonly requestPromptTokens = new Histogram(TOKENS);
  readonly requestGeneratedTokens = new Histogram(TOKENS);

  /** A request has ended. */
  ended(record: RequestRecord, route: string): void {
    this.requests.add(1, { route, outcome: record.outcome });
    if (record.finishReasons.length === 0) return;
    this.requestTime.observe((performance.now() - record.began) / 1000);
    this.requestPromptTokens.observe(record.promptTokens);
    this.requestGeneratedTokens.observe(record.completionTokens);
  }

  /** @param answers how many the server has under way */
  text(stats: ChatModelStats, answers: number): string {
    const gauge = (name: string, help: string, value: number) => family(name, "gauge", help, [`qwen3_${name} ${value}`]);
    const total = (name: string, help: string, value: number) => family(name, "counter", help, [`qwen3_${name} ${value}`]);
    const counter = (name: string, help: string, of: Counter) => family(name, "counter", help, of.lines(`qwen3_${name}`));
    const histogram = (name: string, help: string, of: Histogram) => family(name, "histogram", help, of.lines(`qwen3_${name}`));
    return [
      counter("requests_total", "Requests that have ended, by route and outcome.", this.requests),
      gauge("answers", "Answers under way or waiting, each choice counted.", answers),
      gauge("sequences_waiting", "Sequences without a place in the engine's steps.", stats.waiting),
      gauge("sequences_running", "Sequences that take part in the engine's steps.", stats.running),
      gauge("kv_cache_pages_used", "Pages of the KV cache that sequences hold.", stats.usedPages),
      gauge("kv_cache_pages_kept", "Pages that are kept for later requests alone.", stats.keptPages),
      gauge("kv_cache_pages_limit", "How many pages there may be.", stats.mostPages),
      total("prefix_cache_queries_total", "Prompt tokens that were looked for in the prefix cache.", stats.promptTokens),
      total("prefix_cache_hits_total", "Prompt tokens that were found there.", stats.cachedTokens),
      total("preemptions_total", "How often a sequence gave up its pages.", stats.preemptions),
      total("engine_steps_total", "Steps of the engine.", stats.steps),
      gauge("engine_step_seconds", "What the last step took.", stats.lastStepMs / 1000),
      gauge("engine_stalled_seconds", "For how long work has waited without a step.", stats.stalledMs / 1000),
      counter("prompt_tokens_total", "Tokens of prompts.", this.promptTokens),
      counter("cached_prompt_tokens_total", "Tokens of prompts that were in the cache.", this.cachedTokens),
      counter("generated_tokens_total", "Tokens of answers.", this.generatedTokens),
      histogram("time_to_first_token_seconds", "From a request's arrival to its first token.", this.timeToFirstToken),
      histogram("time_between_tokens_seconds", "From one token of an answer to the next.", this.timeBetweenTokens),
      histogram("request_seconds", "From a request's arrival to its end.", this.requestTime),
      histogram("request_prompt_tokens", "Tokens of a request's prompts.", this.requestPromptTokens),
      histogram("request_generated_tokens", "Tokens of a request's answers.", this.requestGeneratedTokens),
    ].join("");
  }
}

function family(name: string, type: string, help: string, lines: readonly string[]): string {
  return `# HELP qwen3_${name} ${help}\n# TYPE qwen3_${name} ${type}\n${lines.join("\n")}\n`;
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll(/["\\\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`,
  );
  return entries.length > 0 ? `{${entries.join(",")}}` : "";
}
