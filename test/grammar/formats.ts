/** Ways to write a document. */

/** The usual formats of a document: JavaScript's, Python's, indented, and with both line ends. */
export function formats(document: unknown): string[] {
  const compact = JSON.stringify(document);
  const indented = [1, 2, 4, 8, "\t"].map((indent) => JSON.stringify(document, null, indent));
  return [...new Set([compact, spaced(document), ...indented, indented[1]!.replaceAll("\n", "\r\n")])];
}

/** With Python's separators. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`)
    .join(", ")}}`;
}
