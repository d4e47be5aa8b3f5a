/** Which path is answered by what. */
import { Hono } from "hono";
import type { ChatModel } from "../chat/chat-model.ts";
import type { Access } from "./access.ts";
import { type AnsweringContext, answer } from "./answering.ts";
import { BodyReader } from "./body.ts";
import { type AnswerHead, chatCompletions } from "./chat-completions.ts";
import { completions } from "./completions.ts";
import { ApiError, toApiError } from "./errors.ts";
import type { ServerLimits } from "./limits.ts";
import type { Loading } from "./loading.ts";
import type { ServerOptions } from "./options.ts";
import { pageRoutes } from "./page.ts";
import type { RequestRecord } from "./request-record.ts";
import { applyTemplate, detokenize, tokenize } from "./token-routes.ts";

/** What comes with every request. */
export type Env = { Bindings: { readonly record: RequestRecord } };

export interface RouteContext extends AnsweringContext {
  readonly options: ServerOptions;
  readonly limits: ServerLimits;
  readonly loading: Loading;
  readonly access: Access;
}

/** Work that nobody computes for this long means that the engine is stuck. */
const STALLED_MS = 30_000;

export function routes(context: RouteContext): Hono<Env> {
  const { options, limits, loading, access, admission, metrics } = context;
  const app = new Hono<Env>();
  const bodies = new BodyReader(limits);
  const created = seconds();
  const names = (model: ChatModel): readonly string[] => options.servedModelNames ?? [model.info.name];

  const readBody = async (request: Request, record: RequestRecord) => {
    const body = await bodies.read(request);
    if (options.logBodies) record.body = body;
    return body;
  };
  /** @throws ApiError 404 for a model that is not here */
  const named = (model: ChatModel, name: unknown): string => {
    if (name === undefined || name === null) return names(model)[0]!;
    if (typeof name !== "string") throw new ApiError(400, "model must be a string", { param: "model", code: "invalid_value" });
    if (names(model).includes(name)) return name;
    throw new ApiError(404, `there is no model ${JSON.stringify(name.slice(0, 100))}`, {
      param: "model",
      code: "model_not_found",
    });
  };
  const describe = (model: ChatModel, id: string) => {
    const max_model_len = model.info.maxModelLen;
    return { id, object: "model", created, owned_by: "qwen3.ts", max_model_len };
  };
  const head = (kind: string, model: ChatModel, name: unknown): AnswerHead => {
    const id = `${kind}-${crypto.randomUUID().replaceAll("-", "")}`;
    return { id, modelName: named(model, name), created: seconds() };
  };

  pageRoutes(app);
  app.get("/health", (c) => {
    if (admission.draining) throw new ApiError(503, "the server is shutting down", { code: "shutting_down" });
    const { stalledMs } = loading.require().stats();
    if (stalledMs > STALLED_MS) throw new ApiError(503, "work waits and nothing is computed", { code: "stalled" });
    return c.json({ status: "ok" });
  });
  app.use(async (c, next) => {
    await access.requireKey(c.req.raw);
    await next();
  });
  app.get("/version", (c) => c.json({ version: options.version ?? "unknown" }));
  app.get("/metrics", () => {
    const text = metrics.text(loading.require().stats(), admission.answers);
    return new Response(text, { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } });
  });
  app.get("/v1/models", (c) => {
    const model = loading.require();
    return c.json({ object: "list", data: names(model).map((name) => describe(model, name)) });
  });
  app.get("/v1/models/:id{.+}", (c) => {
    const model = loading.require();
    return c.json(describe(model, named(model, c.req.param("id"))));
  });
  app.post("/v1/chat/completions", async ({ req: { raw }, env: { record } }) => {
    const model = loading.require();
    const body = await readBody(raw, record);
    const answering = chatCompletions(body, model, limits, head("chatcmpl", model, body.model), options.toolCalls);
    return answer(answering, raw, record, context);
  });
  app.post("/v1/completions", async ({ req: { raw }, env: { record } }) => {
    const model = loading.require();
    const body = await readBody(raw, record);
    const answering = await completions(body, model, limits, head("cmpl", model, body.model));
    return answer(answering, raw, record, context);
  });
  for (const [path, respond] of [
    ["/tokenize", tokenize],
    ["/detokenize", detokenize],
    ["/apply-template", applyTemplate],
  ] as const)
    app.post(path, async (c) => {
      const model = loading.require();
      return c.json(await respond(await readBody(c.req.raw, c.env.record), model, limits));
    });
  app.notFound((c) => {
    const allowed = app.routes.filter(({ path, method }) => path === c.req.path && method !== "ALL").map(({ method }) => method);
    const error =
      allowed.length > 0
        ? new ApiError(405, `${c.req.method} is not answered here, ${allowed.join(" and ")} is`, { code: "method_not_allowed" })
        : new ApiError(404, "there is nothing here", { code: "not_found" });
    return refused(error, c.env.record);
  });
  app.onError((error, c) => refused(toApiError(error, c.req.path === "/v1/completions" ? "prompt" : "messages"), c.env.record));
  return app;
}

function refused(error: ApiError, record: RequestRecord): Response {
  record.error = error;
  return error.toResponse();
}

const seconds = (): number => Math.floor(Date.now() / 1000);
