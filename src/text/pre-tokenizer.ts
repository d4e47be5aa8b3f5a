/**
 * Cuts text into the pieces that merging never crosses, as UTF-8. Qwen's pattern is read by a scanner of its own, because a regular
 * expression overflows the engine's stack on a few megabytes of letters; any other pattern goes to the library.
 */
/** Receives a piece: bytes start..end-1 of `bytes`. */
export type TakePiece = (bytes: Uint8Array, start: number, end: number) => void;
export type PreTokenizer = (text: string, take: TakePiece) => void;

/** The pattern of every Qwen2, Qwen2.5 and Qwen3 tokenizer. */
export const qwenPattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** @throws Qwen3Error TOKENIZER_FILE for a pattern that cannot be understood */
export async function createPreTokenizer(pattern: string): Promise<PreTokenizer> {
  const encoder = new TextEncoder();
  if (pattern === qwenPattern) {
    const classes = new CharacterClasses();
    return (text, take) => scanQwen(encoder.encode(text), classes, take);
  }
  const split = (await import("./library-split.ts")).librarySplit(pattern); // takes its time to load, and Qwen's need it not
  return (text, take) => {
    for (const piece of split(text)) {
      const bytes = encoder.encode(piece);
      take(bytes, 0, bytes.length);
    }
  };
}

const letter = 1;
const number = 2;
const newline = 3;
const space = 4; // any other whitespace
const symbol = 5; // everything else

/** What the pattern asks of a code point, by the engine's own Unicode tables and remembered. */
class CharacterClasses {
  private readonly known = new Uint8Array(0x110000);

  of(codePoint: number): number {
    return this.known[codePoint] || this.look(codePoint);
  }

  private look(codePoint: number): number {
    const character = String.fromCodePoint(codePoint);
    let found = symbol;
    if (/\p{L}/u.test(character)) found = letter;
    else if (/\p{N}/u.test(character)) found = number;
    else if (/[\r\n]/.test(character)) found = newline;
    else if (/\p{White_Space}/u.test(character)) found = space;
    this.known[codePoint] = found;
    return found;
  }
}

/**
 * The pieces of valid UTF-8 under Qwen's pattern, whose alternatives are tried in the pattern's order at every place. Each
 * character is looked at a bounded number of times.
 */
function scanQwen(bytes: Uint8Array, classes: CharacterClasses, take: TakePiece): void {
  const n = bytes.length;
  const classAt = (at: number): number => (at < n ? classes.of(codePointAt(bytes, at)) : 0);
  const skip = (at: number, wanted: number): number => {
    while (classAt(at) === wanted) at += lengthAt(bytes, at);
    return at;
  };

  for (let start = 0, end = 0; start < n; start = end) {
    const first = classAt(start);
    const second = start + lengthAt(bytes, start);
    end = start + contractionLength(bytes, start);
    if (end > start) {
      // (?i:'s|'t|'re|'ve|'m|'ll|'d)
    } else if (first === letter || ((first === space || first === symbol) && classAt(second) === letter)) {
      end = skip(second, letter); // [^\r\n\p{L}\p{N}]?\p{L}+
    } else if (first === number) {
      end = second; // \p{N}
    } else if (first === symbol || (bytes[start] === 0x20 && classAt(second) === symbol)) {
      end = skip(skip(second, symbol), newline); //  ?[^\s\p{L}\p{N}]+[\r\n]*
    } else {
      end = whitespaceEnd(bytes, start, classAt);
    }
    take(bytes, start, end);
  }
}

/** Where \s*[\r\n]+|\s+(?!\S)|\s+ ends: after the run's last line break, or else before its last character if text follows. */
function whitespaceEnd(bytes: Uint8Array, start: number, classAt: (at: number) => number): number {
  let end = start;
  let last = start;
  let afterNewline = start;
  for (let found = classAt(end); found === space || found === newline; found = classAt(end)) {
    last = end;
    end += lengthAt(bytes, end);
    if (found === newline) afterNewline = end;
  }
  if (afterNewline > start) return afterNewline;
  return end === bytes.length || last === start ? end : last;
}

/**
 * The length in bytes of a contraction like 's at `start`, or 0. The long s (U+017F) counts as an s: it folds to one, and the
 * regular expressions of the original tokenizer ignore case by Unicode's folding.
 */
function contractionLength(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== 0x27) return 0;
  const lower = (at: number): string => String.fromCharCode((bytes[at] ?? 0) | 0x20);
  const first = lower(start + 1);
  if ("stmd".includes(first)) return 2;
  if (bytes[start + 1] === 0xc5 && bytes[start + 2] === 0xbf) return 3;
  return ["re", "ve", "ll"].includes(first + lower(start + 2)) ? 3 : 0;
}

/** How many bytes the character at `at` has, by its first one. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function codePointAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return lead;
  const low = (offset: number): number => bytes[at + offset]! & 0x3f;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | low(1);
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | (low(1) << 6) | low(2);
  return ((lead & 0x07) << 18) | (low(1) << 12) | (low(2) << 6) | low(3);
}
