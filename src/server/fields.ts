/** Reads a request field by field, each checked for type and range. A field that is absent or null reads as undefined. */
import { invalid } from "./errors.ts";

export class RequestFields {
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #place: string;

  /** @param place what goes in front of a field's name in errors: `stream_options.` */
  constructor(json: Readonly<Record<string, unknown>>, place = "") {
    this.#json = json;
    this.#place = place;
  }

  value(key: string): unknown {
    return Object.hasOwn(this.#json, key) ? (this.#json[key] ?? undefined) : undefined;
  }

  /** What the field is called in errors. */
  name(key: string): string {
    return this.#place + key;
  }

  number(key: string, min: number, max: number): number | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && value >= min && value <= max) return value + 0; // -0 as 0
    return this.refuse(key, `a number from ${min} to ${max}`);
  }

  integer(key: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (isInteger(value, min, max)) return value + 0;
    return this.refuse(key, `an integer from ${min} to ${max}`);
  }

  boolean(key: string): boolean | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === "boolean" ? value : this.refuse(key, "true or false");
  }

  string(key: string): string | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === "string" ? value : this.refuse(key, "a string");
  }

  /** An array of at most `most` items. */
  array(key: string, most: number): readonly unknown[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) return this.refuse(key, "an array");
    if (value.length > most)
      throw invalid(this.name(key), `${this.name(key)} has ${value.length} items; allowed: at most ${most}`, "array_too_long");
    return value;
  }

  /** Token ids below `vocabSize`. */
  ids(key: string, vocabSize: number, most: number): number[] | undefined {
    return this.array(key, most)?.map((id, i) =>
      isInteger(id, 0, vocabSize - 1) ? id + 0 : refuse(`${this.name(key)}[${i}]`, id, `a token id from 0 to ${vocabSize - 1}`),
    );
  }

  object(key: string): RequestFields | undefined {
    const value = this.record(key);
    return value && new RequestFields(value, `${this.name(key)}.`);
  }

  record(key: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.value(key);
    if (value === undefined || isRecord(value)) return value;
    return this.refuse(key, "an object");
  }

  refuse(key: string, allowed: string): never {
    return refuse(this.name(key), this.value(key), allowed);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

/** @throws ApiError 400: what was got, and what is allowed */
export function refuse(param: string, value: unknown, allowed: string): never {
  throw invalid(param, `${param} is ${shortly(value)}; allowed: ${allowed}`);
}

function shortly(value: unknown): string {
  if (typeof value === "number" && !Number.isFinite(value)) return "a number too large for JSON's readers";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 76)} ...` : text;
}
