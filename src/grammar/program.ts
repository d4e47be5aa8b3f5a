/** What stands at the bottom of the stack: which values, texts and control tokens follow each other in an answer, and where it may end. */
import { DEAD, type Machine, type Spacing, type Start } from "./machine.ts";

export interface ProgramState {
  /** What has to be read, and the state behind it. */
  readonly expects?: Start;
  readonly next?: number;
  /** Control tokens that may come here, by id, and the state behind each. */
  readonly tokens?: ReadonlyMap<number, number>;
  /** Whether any text may come here. */
  readonly free?: boolean;
  /** Whether the answer may end here. */
  readonly final?: boolean;
}

export class Program implements Machine {
  readonly start: number;
  readonly #states: readonly ProgramState[];

  constructor(states: readonly ProgramState[], start: number) {
    this.#states = states;
    this.start = start;
  }

  at(state: number): ProgramState {
    return this.#states[state]!;
  }

  next(state: number): number {
    return this.at(state).free ? state : DEAD;
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
    return this.at(state).expects;
  }

  after(state: number): number {
    return this.at(state).next!;
  }
}
