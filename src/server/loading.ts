/** A model that may still be on its way, or lost. */
import type { ChatModel } from "../chat/chat-model.ts";
import { Qwen3Error } from "../core/errors.ts";
import { ApiError } from "./errors.ts";

export class Loading {
  #model: ChatModel | undefined;
  #failure: unknown;

  constructor(model: ChatModel | Promise<ChatModel>) {
    if (!(model instanceof Promise)) this.#model = model;
    else
      model.then(
        (ready) => {
          this.#model = ready;
        },
        (error: unknown) => {
          this.#failure = error;
        },
      );
  }

  /** Something failed; where that was the model itself, there is none from now on. */
  failed(error: unknown): void {
    if (!(error instanceof Qwen3Error && error.code === "BACKEND_LOST")) return;
    this.#model = undefined;
    this.#failure = error;
  }

  /** @throws ApiError 503 while there is none */
  require(): ChatModel {
    if (this.#model) return this.#model;
    if (this.#failure !== undefined)
      throw new ApiError(503, "the model could not be loaded, or is lost", { code: "no_model", cause: this.#failure });
    throw new ApiError(503, "the model is being loaded", { code: "loading", retryAfter: 2 });
  }
}
