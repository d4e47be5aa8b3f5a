/** The fields that say how messages become a prompt, of `/v1/chat/completions`, `/tokenize` and `/apply-template`. */
import type { ChatPrompt } from "../chat/chat-model.ts";
import type { ChatMessage } from "../text/messages.ts";
import { invalid } from "./errors.ts";
import type { RequestFields } from "./fields.ts";

/** What a message or a tool must be is for the chat template's side to say. */
export function chatPrompt(fields: RequestFields, messages: readonly ChatMessage[]): ChatPrompt {
  if (fields.value("chat_template") !== undefined)
    throw invalid("chat_template", "a request cannot bring a template; the checkpoint's own is used", "unsupported");
  const addGenerationPrompt = fields.boolean("add_generation_prompt");
  const continueFinalMessage = fields.boolean("continue_final_message");
  if (addGenerationPrompt && continueFinalMessage)
    throw invalid("continue_final_message", "continue_final_message and add_generation_prompt exclude each other");
  return { messages, templateVariables: fields.record("chat_template_kwargs"), addGenerationPrompt, continueFinalMessage };
}
