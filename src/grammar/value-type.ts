/** What may stand where a value is expected: one of several machines begins. */
import type { Machine, Place, Start } from "./machine.ts";
import type { UnionMachine } from "./union-machine.ts";

/** Its machines are made when they are first needed, because a schema may contain itself. */
export class ValueType implements Start {
  readonly #make: () => readonly Machine[];
  readonly #union: UnionMachine;
  #machines: readonly Machine[] | undefined;
  #place: Place | undefined;

  constructor(make: () => readonly Machine[], union: UnionMachine) {
    this.#make = make;
    this.#union = union;
  }

  get machines(): readonly Machine[] {
    this.#machines ??= this.#make();
    return this.#machines;
  }

  get place(): Place {
    this.#place ??= this.#union.placeOf(this.machines.map((machine) => ({ machine, state: machine.start })));
    return this.#place;
  }
}
