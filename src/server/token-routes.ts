/** `/tokenize`, `/detokenize` and `/apply-template`, with the fields of vLLM and of llama.cpp. */
import type { ChatModel } from "../chat/chat-model.ts";
import type { ChatMessage, Tool } from "../text/messages.ts";
import { ApiError } from "./errors.ts";
import { RequestFields } from "./fields.ts";
import type { ServerLimits } from "./limits.ts";
import { chatPrompt } from "./template-fields.ts";

type Body = Record<string, unknown>;

/** A text in `prompt` (vLLM) or `content` (llama.cpp), or a conversation in `messages`. */
export async function tokenize(body: Body, model: ChatModel, limits: ServerLimits): Promise<object> {
  const fields = new RequestFields(body);
  const text = fields.string("prompt") ?? fields.string("content");
  const options = {
    parseSpecial: fields.boolean("parse_special"),
    addSpecialTokens: fields.boolean("add_special_tokens") ?? fields.boolean("add_special"),
  };
  if (text === undefined && fields.value("messages") === undefined) throw missing("prompt");
  const ids = text === undefined ? (await template(fields, model, limits)).ids : await model.tokenize(text, options);
  const pieces = fields.boolean("with_pieces") ?? false;
  const strings = fields.boolean("return_token_strs") ?? false;
  const bytes = pieces || strings ? await model.tokenBytes(ids) : [];
  const piece = (own: Uint8Array) => {
    const decoded = new TextDecoder().decode(own);
    return decoded.includes("\uFFFD") ? [...own] : decoded; // llama.cpp: the bytes, where they are no text
  };
  return {
    count: ids.length,
    max_model_len: model.info.maxModelLen,
    tokens: pieces ? ids.map((id, i) => ({ id, piece: piece(bytes[i]!) })) : ids,
    ...(strings && { token_strs: bytes.map((own) => new TextDecoder().decode(own)) }),
  };
}

export async function detokenize(body: Body, model: ChatModel): Promise<object> {
  const ids = new RequestFields(body).ids("tokens", model.info.vocabSize, model.info.maxModelLen * 4);
  if (!ids) throw missing("tokens");
  const text = await model.detokenize(ids);
  return { prompt: text, content: text };
}

export async function applyTemplate(body: Body, model: ChatModel, limits: ServerLimits): Promise<object> {
  const { text } = await template(new RequestFields(body), model, limits);
  return { prompt: text };
}

function template(fields: RequestFields, model: ChatModel, limits: ServerLimits) {
  const messages = fields.array("messages", limits.messages);
  if (!messages) throw missing("messages");
  const tools = fields.array("tools", limits.tools) as readonly Tool[] | undefined;
  return model.applyTemplate({ ...chatPrompt(fields, messages as readonly ChatMessage[]), tools });
}

const missing = (param: string) => new ApiError(400, `${param} is missing`, { param, code: "missing_required_parameter" });
