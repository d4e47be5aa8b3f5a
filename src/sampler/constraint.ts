import type { LogitMask } from "./mask.ts";

/**
 * Which tokens one sequence may go on with, as a grammar decides it: a state that every token moves. Each sequence (each choice of one
 * prompt) has its own.
 */
export interface TokenConstraint {
  /** Tokens allowed next; at an end of the grammar the stop tokens are among them. Good until `accept`. */
  mask(): LogitMask;
  /** The only token that the mask allows, if it is just one. */
  readonly forced: number | undefined;
  /** Moves on by a token. @throws Qwen3Error ARGUMENT for one that the mask does not allow */
  accept(id: number): void;
}
