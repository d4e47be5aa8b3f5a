/** A fixed text with values in between, as the frame of a tool call is. */
import { DEAD, END, type Machine, type Spacing, type Start } from "./machine.ts";

export class SequenceMachine implements Machine {
  readonly start: number = 0;
  /** Bytes, and what is expected between them. */
  readonly #steps: readonly (number | Start)[];

  /** @param parts ends with a text, and has no empty one */
  constructor(parts: readonly (string | Start)[]) {
    this.#steps = parts.flatMap((part): readonly (number | Start)[] =>
      typeof part === "string" ? [...new TextEncoder().encode(part)] : [part],
    );
  }

  next(state: number, byte: number): number {
    if (this.#steps[state] !== byte) return DEAD;
    return state + 1 === this.#steps.length ? END : state + 1;
  }

  mayEnd(): boolean {
    return false;
  }

  label(): number {
    return 0;
  }

  spaced(): Spacing {
    return "none";
  }

  expects(state: number): Start | undefined {
    const step = this.#steps[state];
    return typeof step === "number" ? undefined : step;
  }

  after(state: number): number {
    return state + 1;
  }
}
