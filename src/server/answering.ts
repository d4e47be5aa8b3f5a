/** What both answering routes do once a request is understood: take a place, ask the model, answer whole or as a stream, and let go. */
import type { AnswerFinish } from "../chat/chat-model.ts";
import type { Admission } from "./admission.ts";
import { ApiError, toApiError } from "./errors.ts";
import { EVENT_STREAM_HEADERS, eventStream } from "./event-stream.ts";
import type { Metrics } from "./metrics.ts";
import type { RequestRecord } from "./request-record.ts";
import { within } from "./within.ts";

/** A request, understood. */
export interface Answering<Event> {
  /** How many answers are computed for it. */
  readonly sequences: number;
  readonly stream: boolean;
  /** The field that holds the prompt, for errors. */
  readonly prompt: string;
  /** The one that says what the answer has to look like. */
  readonly constraint: string | undefined;
  events(signal: AbortSignal): AsyncIterable<Event>;
  chunks(events: AsyncIterable<Event>): AsyncGenerator<object, void>;
  whole(events: AsyncIterable<Event>): Promise<object>;
}

type AnyEvent = readonly [source: number, event: { readonly type: string } | AnswerFinish<string>];

/** How long the status waits for the first event: what is wrong with a prompt is known before. */
const FIRST_EVENT_MS = 100;

/** What nginx notes for a client that closed the request. Nobody reads it but the log. */
const CLIENT_LEFT = 499;

export interface AnsweringContext {
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly keepAliveMs: number;
  readonly readerTimeoutMs: number;
  /** Told of whatever fails. */
  readonly onFailure: (error: unknown) => void;
  /** Aborts what runs, when the server has to end. */
  readonly stop: AbortSignal;
}

/**
 * @param record  is told how the answer goes
 * @throws ApiError before anything was sent
 */
export async function answer<Event extends AnyEvent>(
  answering: Answering<Event>,
  request: Request,
  record: RequestRecord,
  context: AnsweringContext,
): Promise<Response> {
  const { admission, metrics, keepAliveMs, readerTimeoutMs, onFailure, stop } = context;
  const release = admission.enter(answering.sequences);
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, request.signal, stop]);
  const observed = () => observe(answering.events(signal), record, metrics);
  const told = (error: unknown): ApiError => {
    onFailure(error);
    if (request.signal.aborted) return new ApiError(CLIENT_LEFT, "the client went away", { code: "client_closed_request" });
    return toApiError(stop.aborted ? stop.reason : error, answering.prompt, answering.constraint);
  };
  if (!answering.stream)
    try {
      return Response.json(await answering.whole(observed()));
    } catch (error) {
      if (request.signal.aborted) record.left = true;
      throw told(error);
    } finally {
      release();
    }
  record.streams = true;
  const chunks = answering.chunks(observed());
  const first = chunks.next();
  try {
    await within(FIRST_EVENT_MS, first);
  } catch (error) {
    release();
    throw told(error);
  }
  const onError = (error: unknown): ApiError => {
    record.error = told(error);
    return record.error;
  };
  const onEnd = (left: boolean) => {
    record.left = left || request.signal.aborted;
    gone.abort();
    release();
    record.end();
  };
  return new Response(eventStream(chunks, { keepAliveMs, readerTimeoutMs, onError, onEnd }, first), {
    headers: EVENT_STREAM_HEADERS,
  });
}

/** The same events, measured. */
async function* observe<Event extends AnyEvent>(
  events: AsyncIterable<Event>,
  record: RequestRecord,
  metrics: Metrics,
): AsyncGenerator<Event, void> {
  const lastToken = new Map<number, number>();
  for await (const pair of events) {
    const [source, event] = pair;
    if (event.type === "token") {
      const now = performance.now();
      const before = lastToken.get(source);
      if (record.firstTokenMs === undefined) {
        record.firstTokenMs = now - record.began;
        metrics.timeToFirstToken.observe(record.firstTokenMs / 1000);
      } else if (before !== undefined) metrics.timeBetweenTokens.observe((now - before) / 1000);
      lastToken.set(source, now);
      record.completionTokens++;
      metrics.generatedTokens.add(1);
    }
    if (event.type === "finish") {
      const { usage, finishReason } = event as AnswerFinish<string>;
      record.promptTokens += usage.promptTokens;
      record.cachedTokens += usage.cachedTokens;
      record.finishReasons.push(finishReason);
      metrics.promptTokens.add(usage.promptTokens);
      metrics.cachedTokens.add(usage.cachedTokens);
    }
    yield pair;
  }
}
