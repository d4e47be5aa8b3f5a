/** Reads one JSON object field by field, each checked for type and range. A field that is absent or null reads as undefined. */
import type { ErrorCode } from "../core/errors.ts";
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "./json.ts";

export class Fields {
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #place: string;
  readonly #code: ErrorCode;

  /** @param place what the object is, in front of every message: `config.json`, `config.json: rope_scaling` */
  constructor(json: unknown, place: string, code: ErrorCode) {
    if (typeof json !== "object" || json === null || Array.isArray(json))
      throw new Qwen3Error(code, `${place}: an object is needed, got ${shown(json)}`);
    this.#json = json as Record<string, unknown>;
    this.#place = place;
    this.#code = code;
  }

  keys(): string[] {
    return Object.keys(this.#json);
  }

  /** Whether the field is written, if only as null. */
  has(key: string): boolean {
    return Object.hasOwn(this.#json, key);
  }

  value(key: string): unknown {
    return this.#raw(key) ?? undefined;
  }

  /** The fields of an object inside this one. */
  object(key: string): Fields {
    return new Fields(this.#raw(key), `${this.#place}: ${shownKey(key)}`, this.#code);
  }

  integer(key: string, min: number, max: number): number | undefined {
    const value = this.value(key);
    return value === undefined ? undefined : this.#integer(key, value, min, max);
  }

  number(key: string, min: number, max: number): number | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && value >= min && value <= max) return value;
    return this.refuse(key, `a number from ${min} to ${max}`);
  }

  boolean(key: string): boolean | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === "boolean" ? value : this.refuse(key, "true or false");
  }

  /** One integer or a list of them. */
  integers(key: string, min: number, max: number): number[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list.map((item) => this.#integer(key, item, min, max));
  }

  /** One of `allowed`; anything else, also of another type, is refused. */
  oneOf<T>(key: string, allowed: readonly T[]): T | undefined {
    const value = this.value(key);
    if (value === undefined || allowed.includes(value as T)) return value as T | undefined;
    return this.refuse(key, allowed.map((item) => shown(item)).join(" or "));
  }

  /** A field that one file may give in several spellings: those present must say the same. */
  agreed<T>(readings: Readonly<Record<string, T | undefined>>): T | undefined {
    const present = Object.entries(readings).filter(([, value]) => value !== undefined);
    const [first, ...others] = present.map(([, value]) => JSON.stringify(value));
    if (others.some((other) => other !== first))
      throw new Qwen3Error(
        this.#code,
        `${this.#place}: ${present.map(([key, value]) => `${key} ${shown(value)}`).join(" and ")} contradict each other`,
      );
    return present[0]?.[1];
  }

  /** @param supported what would be right, completing "supported: ..." */
  refuse(key: string, supported: string): never {
    const raw = this.#raw(key);
    const got = raw === undefined ? "absent" : shown(raw);
    throw new Qwen3Error(this.#code, `${this.#place}: ${shownKey(key)} is ${got}; supported: ${supported}`);
  }

  #raw(key: string): unknown {
    return this.has(key) ? this.#json[key] : undefined;
  }

  #integer(key: string, value: unknown, min: number, max: number): number {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value + 0; // -0 as 0
    return this.refuse(key, `an integer from ${min} to ${max}`);
  }
}

/** Keys are a file's too: the usual ones stand bare, others in quotes. */
export function shownKey(key: string): string {
  return /^[\w.]{1,100}$/.test(key) ? key : shown(key);
}
